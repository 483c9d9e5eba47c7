"""Where lines go: what every sink has, and what only its kind has. Pure."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from tailer.config.readers import PATTERNS, ListOf, Number, Switch, choice
from tailer.config.syslog import SyslogSection
from tailer.config.texts import LINE_TEMPLATE, NAME, PATH_TEMPLATE, TARGET

_YEAR_S: Final = 365 * 86_400.0
_MIB: Final = 1 << 20
_PIB: Final = 1 << 50

Format: TypeAlias = Literal["text", "json", "raw", "logfmt"]
WhenFull: TypeAlias = Literal["wait", "drop_oldest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """`path` is a template of PATH_FIELDS. A `template` takes the place of `format`."""

    path: Annotated[str, PATH_TEMPLATE]
    format: Annotated[Format, choice("text", "json", "raw", "logfmt")] = "json"
    template: Annotated[str | None, LINE_TEMPLATE] = None
    rotate_bytes: Annotated[
        int,
        Number(
            low=4096,
            why_low="it would be all rotation",
            high=_PIB,
            why_high="no disk is larger",
            whole=True,
            zero="never",
        ),
    ] = 100 * _MIB
    rotate_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="it would be all rotation",
            high=_YEAR_S,
            why_high="0 says never",
            zero="never",
        ),
    ] = 0.0
    keep_files: Annotated[
        int,
        Number(
            low=1,
            why_low="a rotated file is not deleted at once",
            high=100_000,
            why_high="no directory should hold more",
            whole=True,
        ),
    ] = 7
    compress: Annotated[bool, Switch()] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSection:
    """What every sink has; `to` is what only its kind has, written in the same table.

    `name` is the sink's place in the spool: under another name it begins anew.
    """

    to: FileSection | SyslogSection
    name: Annotated[str, NAME]
    include: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    exclude: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    containers: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    streams: Annotated[tuple[str, ...], ListOf(choice("stdout", "stderr"))] = ()
    targets: Annotated[tuple[str, ...], ListOf(TARGET)] = ()
    when_full: Annotated[WhenFull, choice("wait", "drop_oldest")] = "wait"


SINK_KINDS: Final = {"file": FileSection, "syslog": SyslogSection}
