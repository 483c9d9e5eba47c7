"""Compile the flags of `tailer logs` into a LogsRequest, and refuse contradictions."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailer.cli.options import compile_selector, is_selecting, patterns
from tailer.cli.streams import wants_color
from tailer.config import PollSettings
from tailer.config.settings import PaceSettings
from tailer.errors import ConfigError
from tailer.logs.request import LogsRequest
from tailer.sinks.formats.build import FormatSettings, build_formatter
from tailer.sinks.formats.times import timezone_named
from tailer.sinks.lines import LineFilter

# A person watches: a quiet target is still polled every few seconds.
_PACE = PaceSettings(interval_s=1.0, idle_interval_s=3.0)
_DISCOVERY_INTERVAL_S = 10.0


def compile_request(flags: dict[str, Any], *, stdout_is_terminal: bool) -> LogsRequest:
    """Compile all flags.

    Raises:
        ConfigError: Names the flag, its value and the remedy.
    """
    _refuse_contradictions(flags)
    lateness_s = flags["lateness"]
    form = FormatSettings(
        format=flags["output"],
        template=flags["template"],
        timestamps=flags["timestamps"],
        timezone=timezone_named(flags["timezone"] or "local"),
        in_color=wants_color(flags["color"], os.environ, is_terminal=stdout_is_terminal),
        escape=stdout_is_terminal,
        highlight=patterns(flags["highlight"], "--highlight"),
    )
    tee_form = replace(
        form,
        format=flags["tee_format"] or form.format,
        template=None if flags["tee_format"] else form.template,
        in_color=False,
        escape=False,
    )
    build_formatter(form, [])  # refuse a wrong template before the first request
    return LogsRequest(
        names=flags["targets"],
        selector=compile_selector(flags),
        all_groups=flags["all_resource_groups"],
        resource_groups=flags["resource_groups"],
        service_key_file=flags["service_key_file"],
        follow=flags["follow"],
        since=flags["since"],
        until=flags["until"],
        last=flags["last"],
        timeout_s=flags["timeout"],
        poll=PollSettings(
            pace=_PACE,
            lateness_s=lateness_s,
            drain_s=lateness_s if flags["drain"] is None else flags["drain"],
            discovery_interval_s=_DISCOVERY_INTERVAL_S,
        ),
        line_filter=LineFilter(
            include=patterns(flags["include"], "--include"),
            exclude=patterns(flags["exclude"], "--exclude"),
            containers=patterns(flags["container"], "--container"),
            pods=patterns(flags["pod"], "--pod"),
            streams=frozenset([flags["stream"]] if flags["stream"] else []),
        ),
        form=form,
        tee=flags["tee"],
        tee_form=tee_form,
        wait_s=flags["wait"],
        max_lines=flags["max_lines"],
        error_context=flags["on_error_context"],
        summary=flags["summary"],
        quiet=flags["quiet"],
        colors_stderr=wants_color(
            flags["color"],
            os.environ,
            is_terminal=sys.stderr is not None and sys.stderr.isatty(),
        ),
    )


def _refuse_contradictions(flags: dict[str, Any]) -> None:
    if not flags["targets"] and not is_selecting(flags):
        raise ConfigError(
            "no TARGET given",
            hint="name deployment/ID or execution/ID as `tailer list` prints them, "
            "or select with --executions, --scenario, …",
        )
    if flags["wait"] is not None and not flags["targets"]:
        raise ConfigError("--wait without TARGET", hint="with -f, a selector waits anyway")
    if flags["follow"] and flags["until"]:
        raise ConfigError(
            "--until and --follow exclude each other", hint="--timeout ends following"
        )
    if flags["template"] is not None and flags["output"] != "text":
        raise ConfigError(
            f"--template and --output {flags['output']} exclude each other",
            hint="give one of them",
        )
    _refuse_file_contradictions(flags)


def _refuse_file_contradictions(flags: dict[str, Any]) -> None:
    tee, summary = flags["tee"], flags["summary"]
    for flag, path in (("--tee", tee), ("--summary", summary)):
        if path == Path("-"):
            raise ConfigError(
                f"{flag} - would mix with the log lines on standard output", hint="name a file"
            )
    if tee and summary and os.path.realpath(tee) == os.path.realpath(summary):
        raise ConfigError(f"--tee and --summary are both {tee}", hint="name two files")
    if flags["tee_format"] and tee is None:
        raise ConfigError("--tee-format without --tee", hint="--tee names the file")
