"""From a batch to the bytes that go out: which format is meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol, assert_never

from tailer.config.settings import Format
from tailer.model import Batch, Target
from tailer.sinks.formats.structured import JsonFormatter, LogfmtFormatter, format_raw
from tailer.sinks.formats.template import TemplateFormatter
from tailer.sinks.formats.text import TextFormatter


class Formatter(Protocol):
    """Whole lines in UTF-8, each ended by a newline; no bytes for a batch without lines.

    May remember what it has seen, so every sink has its own.
    """

    def __call__(self, batch: Batch, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSettings:
    """How lines are to look.

    A `template` takes the place of `format`. `timezone` None is the machine's own.
    `escape` says that a terminal will read this; raw takes no notice of it.
    `timestamps`, `color` and `highlight` matter to text only.
    """

    format: Format = "text"
    template: str | None = None
    timestamps: bool = False
    timezone: tzinfo | None = None
    in_color: bool = False
    escape: bool = False
    highlight: tuple[re.Pattern[str], ...] = ()


def build_formatter(settings: FormatSettings, watched: Sequence[Target]) -> Formatter:
    """The formatter asked for; `watched` is what is known from the start, more may show up.

    Raises:
        ConfigError: The template is not one.
    """
    if settings.template is not None:
        return TemplateFormatter(
            settings.template, timezone=settings.timezone, escape=settings.escape
        )
    match settings.format:
        case "text":
            return TextFormatter(
                watched,
                timestamps=settings.timestamps,
                timezone=settings.timezone,
                in_color=settings.in_color,
                escape=settings.escape,
                highlight=settings.highlight,
            )
        case "json":
            return JsonFormatter(escape=settings.escape)
        case "logfmt":
            return LogfmtFormatter(escape=settings.escape)
        case "raw":
            return format_raw
        case _:
            assert_never(settings.format)
