"""Build the formatter that the settings ask for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Protocol, assert_never

from tailer.config.settings import Format
from tailer.model import Batch, Target
from tailer.sinks.formats.structured import format_json, format_logfmt, format_raw
from tailer.sinks.formats.template import TemplateFormatter
from tailer.sinks.formats.text import TextFormatter


class Formatter(Protocol):
    """Whole lines in UTF-8, each with a newline at its end; no bytes for an empty batch.

    A formatter may depend on the batches that it has formatted, so each sink has its own.
    """

    def __call__(self, batch: Batch, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSettings:
    """The output format of lines.

    A `template` replaces `format`. `timezone` None is the machine's time zone. `escape` makes
    lines safe for a terminal; raw ignores it. `timestamps`, `in_color` and `highlight` apply to
    text only.
    """

    format: Format = "text"
    template: str | None = None
    timestamps: bool = False
    timezone: tzinfo | None = None
    in_color: bool = False
    escape: bool = False
    highlight: tuple[re.Pattern[str], ...] = ()


def build_formatter(settings: FormatSettings, watched: Sequence[Target]) -> Formatter:
    """Build a formatter; `watched` are the targets known at the start, more may follow.

    Raises:
        ConfigError: The template is invalid.
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
            return partial(format_json, escape=settings.escape)
        case "logfmt":
            return partial(format_logfmt, escape=settings.escape)
        case "raw":
            return format_raw
        case _:
            assert_never(settings.format)
