"""From a batch to syslog messages: which format is meant."""

from collections.abc import Callable
from datetime import tzinfo
from typing import TypeAlias, assert_never

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Target
from tailer.sinks.syslog.rfc3164 import Rfc3164Formatter
from tailer.sinks.syslog.rfc5424 import Rfc5424Formatter

SyslogFormatter: TypeAlias = Callable[[Batch], list[bytes]]
"""Whole messages without framing, in order. An oversize line may be several."""


def build_format(
    section: SyslogSection,
    *,
    max_bytes: int,
    may_hold_newlines: bool,
    scenario_of: Callable[[Target], str],
    timezone: tzinfo | None = None,
) -> SyslogFormatter:
    """The formatter asked for; every sink has its own, because it remembers names.

    No message is longer than `max_bytes`, which is 480 or more. `may_hold_newlines` is
    False where a newline ends a message. `scenario_of` is empty for a target that is not
    known yet. `timezone` None is the machine's own; only RFC 3164 has local times.
    """
    match section.format:
        case "rfc5424":
            return Rfc5424Formatter(
                section,
                max_bytes=max_bytes,
                may_hold_newlines=may_hold_newlines,
                scenario_of=scenario_of,
            )
        case "rfc3164":
            return Rfc3164Formatter(
                section,
                max_bytes=max_bytes,
                may_hold_newlines=may_hold_newlines,
                scenario_of=scenario_of,
                timezone=timezone,
            )
        case _:
            assert_never(section.format)
