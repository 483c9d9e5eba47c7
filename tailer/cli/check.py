"""`tailer check`: try everything that `tailer run` needs, and report each finding."""

import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec

from tailer.check.all import check_everything
from tailer.check.runner import Finding, FindingLevel, failed, not_checked, passed
from tailer.cli.context import config_path_if_any, credentials_for
from tailer.cli.options import color_option, file_option, output_option, service_key_option
from tailer.cli.streams import open_stdout, start_stderr, wants_color
from tailer.clock import SystemClock
from tailer.config import Config, read_config
from tailer.errors import ConfigError
from tailer.text import visible

_MAX_SUBJECT_CHARS = 40
_COLORS = {
    FindingLevel.OK: "32",
    FindingLevel.WARN: "33",
    FindingLevel.FAIL: "1;31",
    FindingLevel.NOT_CHECKED: "2",
}
_SUBJECT = "configuration"
_OTHER_SUBJECTS = ("credentials", "token", "API", "watches", "sinks", "spool", "status page")

_EPILOG = """\
\b
Examples:
  tailer check --config tailer.toml   before each start and reload
  tailer check                        credentials and API, if no configuration
  tailer check -o json | jq -r 'select(.verdict == "fail") | .what'

\b
Each check makes the real attempt: connect, log in, write and delete a file.
No log line is sent. The check may run beside the service. The exit code is 0,
or the code of the first FAIL line: 2 configuration, 3 credentials or
unreachable API, 4 targets or permissions, 5 sinks and disks.
"""


@click.command("check", epilog=_EPILOG)
@file_option("--config", help="Configuration file, found as for `tailer run`.")
@service_key_option
@output_option("check", "text")
@color_option
def check_command(
    *, config: Path | None, service_key_file: Path | None, output: str, color: str
) -> int:
    """Check configuration, credentials, API, targets, sinks and disks.

    The check ends within half a minute, even if a server or disk hangs.
    """
    start_stderr(color)
    open_stdout()
    in_color = wants_color(color, os.environ, is_terminal=sys.stdout.isatty())

    report = _Report(as_json=output == "json", in_color=in_color)
    try:
        path = config_path_if_any(config)
        parsed = None if path is None else read_config(path, os.environ)
    except ConfigError as error:
        report.announce(_OTHER_SUBJECTS)
        for mistake in str(error).splitlines():
            report.add(_SUBJECT, failed(mistake, "", exit_code=error.exit_code))
        for subject in _OTHER_SUBJECTS:
            report.add(subject, not_checked(f"see {_SUBJECT}"))
        return error.exit_code
    first = not_checked("no configuration found; --config names one")
    if parsed is not None:
        counts = f"{_counted(parsed.watches, 'watch')}, {_counted(parsed.sinks, 'sink')}"
        first = passed(f"{path}: {counts}")
    key_file = service_key_file or (parsed and parsed.aicore.service_key_file) or None
    return anyio.run(_check, parsed, first, key_file, report)


def _counted(things: Sequence[object], noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{len(things)} {noun if len(things) == 1 else plural}"


async def _check(
    config: Config | None, first: Finding, service_key_file: Path | None, report: "_Report"
) -> int:
    def announce(subjects: Sequence[str]) -> None:
        report.announce(subjects)
        report.add(_SUBJECT, first)

    findings = await check_everything(
        config,
        credentials=partial(credentials_for, service_key_file),
        clock=SystemClock(),
        rng=random.Random(),
        environ=os.environ,
        announce=announce,
        report=report.add,
    )
    code = next((each.exit_code for each in findings if each.exit_code), 0)
    if any(each.is_late for each in findings):
        # A thread still waits for a hung name server or disk, and the interpreter would wait
        # for the thread. All findings are printed, so the process may end here.
        sys.stdout.flush()
        os._exit(code)
    return code


@dataclass(slots=True)
class _Report:
    """Prints a line for each finding, aligned to the announced subjects."""

    as_json: bool
    in_color: bool
    width: int = len(_SUBJECT)

    def announce(self, subjects: Sequence[str]) -> None:
        self.width = min(max(map(len, [_SUBJECT, *subjects])), _MAX_SUBJECT_CHARS)

    def add(self, subject: str, finding: Finding) -> None:
        if self.as_json:
            click.echo(msgspec.json.encode(_row(subject, finding)))
        else:
            click.echo(self._line(subject, finding), color=self.in_color)
        sys.stdout.flush()

    def _line(self, subject: str, finding: Finding) -> str:
        mark = f"{finding.level:<4}"
        if self.in_color:
            mark = f"\x1b[{_COLORS[finding.level]}m{mark}\x1b[0m"
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        return f"{mark}  {visible(f'{subject:<{self.width}}  {finding.text}{remedy}')}"


def _row(subject: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": subject,
        "verdict": finding.level.name.lower(),
        "what": finding.text,
        "remedy": finding.remedy,
        "exit_code": finding.exit_code,
    }
