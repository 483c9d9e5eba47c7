"""`tailer logs`: from flags to a running follower."""

import os
import sys
from pathlib import Path
from typing import Any, get_args

import anyio
import click

from tailer.cli.completion import suggest_targets
from tailer.cli.options import (
    DURATION,
    PATTERN,
    WHEN,
    color_option,
    is_selecting,
    option,
    resource_group_option,
    selector_options,
    service_key_option,
)
from tailer.sinks.formats.build import Format

_MOST_CONTEXT = 1000  # lines of each target that are kept in memory

_EPILOG = """\
\b
Examples:
  tailer logs -f deployment/d1a2b3c4                follow; Ctrl-C ends it
  tailer logs --tail 50 -f d1a2b3c4 e5f6a7b8        two targets, their last 50 lines first
  tailer logs --since 2h -i ERROR execution/e5f6    what went wrong in the last two hours
  tailer logs -f --executions --scenario churn      and all that start later
  tailer logs -o json --since 1d d1a2 | jq .msg     for programs
  tailer logs -f execution/e5f6 && deploy           ends with the execution, and its verdict
  tailer logs -f --wait 10m --tee job.log --summary job.json execution/e5f6      in CI

\b
Exit codes: 0 done (a followed execution COMPLETED), 2 usage, 3 credentials, 4 no such
target or no permission, 5 output cannot be written, 6 lines are missing, 10 DEAD,
11 STOPPED, 124 --timeout, 130 and 143 interrupted.
"""


@click.command("logs", epilog=_EPILOG)
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=suggest_targets)
@option("-f/-F", "--follow/--no-follow", default=False, help="Go on with new lines as they come.")
@resource_group_option
@selector_options
@service_key_option
@option(
    "-s",
    "--since",
    type=WHEN,
    help="From so long ago (10m, 1h30m, 2d) or from a date on. [default: 1h; --tail: the start]",
)
@option("--until", type=WHEN, help="Up to then; not with --follow.")
@option(
    "-n",
    "--tail",
    "last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only the last N lines of each target, then new ones.",
)
@option(
    "--lateness",
    type=DURATION,
    default="60s",
    show_default=True,
    help="How late a line may appear and still not be missed.",
)
@option(
    "--drain",
    type=DURATION,
    help="How long an ended target must be quiet before it is left. [default: --lateness]",
)
@option("--timeout", type=DURATION, help="Stop after this long, with exit code 124.")
@option(
    "--wait",
    type=DURATION,
    help="Wait up to so long for targets that do not exist yet; then exit code 4.",
)
@option(
    "--max-lines",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N lines, with exit code 0.",
)
@option(
    "-i",
    "--include",
    type=PATTERN,
    multiple=True,
    metavar="RE",
    help="Only lines in which this is found; may be repeated.",
)
@option(
    "-e",
    "--exclude",
    type=PATTERN,
    multiple=True,
    metavar="RE",
    help="Not lines in which this is found; may be repeated.",
)
@option(
    "-H", "--highlight", type=PATTERN, multiple=True, metavar="RE", help="Mark this in the text."
)
@option(
    "-c",
    "--container",
    type=PATTERN,
    multiple=True,
    metavar="RE",
    help="Only containers whose name matches.",
)
@option("--pod", type=PATTERN, multiple=True, metavar="RE", help="Only pods whose name matches.")
@option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@option(
    "-o",
    "--output",
    type=click.Choice(get_args(Format)),
    default="text",
    show_default=True,
    help="What a line looks like.",
)
@option(
    "--template",
    metavar="STR",
    help="Your own: '{timestamp} {pod} {msg}'; also {resource_group} {kind} {id} {target} "
    "{container} {stream}.",
)
@option("-t", "--timestamps", is_flag=True, help="Show when each line was written (text only).")
@option(
    "--timezone",
    metavar="ZONE",
    help="Of those times: UTC, Europe/Berlin. [default: this machine's]",
)
@option(
    "--tee",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the lines to FILE too, emptied first; never in color.",
)
@option(
    "--tee-format",
    type=click.Choice(get_args(Format)),
    help="What a line looks like there. [default: as --output]",
)
@option(
    "--summary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write how it went to FILE in the end, as JSON.",
)
@option(
    "--on-error-context",
    type=click.IntRange(0, _MOST_CONTEXT),
    default=0,
    metavar="N",
    help="Repeat the last N stderr lines of a target that ended DEAD, on stderr.",
)
@color_option
@option("-q", "--quiet", is_flag=True, help="No notices on stderr, only errors.")
def logs_command(**flags: Any) -> int:
    """Print the logs of deployments and executions; with -f, follow them.

    TARGET is deployment/ID, execution/ID, or a bare ID, which is looked up. Following
    ends by itself when every target has ended and its late lines are read; but what is
    selected by flags is waited for until interrupted. On a terminal, -f without either
    offers what is running.
    """
    # Not before the command is called, so that a shell which only completes it need not wait.
    from tailer.cli.choose import is_open, with_choice
    from tailer.cli.context import service_for
    from tailer.cli.logs_request import compile_request
    from tailer.cli.streams import open_stdout, start_stderr
    from tailer.discovery.lookup import kinds_and_id
    from tailer.logs.files import opened_copy
    from tailer.logs.run import run_logs_command
    from tailer.logs.summary import check_summary_file

    notices = start_stderr(flags["color"], quiet=flags["quiet"])
    fd = open_stdout()
    if is_open(flags) and not is_selecting(flags):
        compile_request({**flags, "targets": ("any",)}, stdout_is_terminal=False)  # slips first
        flags = with_choice(flags, sys.argv[1:])
    request = compile_request(flags, stdout_is_terminal=os.isatty(fd))
    for name in request.names:
        kinds_and_id(name)
    if request.summary is not None:
        check_summary_file(request.summary)
    with opened_copy(request.tee) as tee_fd:
        service = service_for(request.service_key_file, request.resource_groups)
        return anyio.run(run_logs_command, request, service, fd, tee_fd, notices)
