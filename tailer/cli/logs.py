"""`tailer logs`: flags and help."""

import os
import sys
from typing import Any, get_args

import anyio
import click

from tailer.cli.completion import suggest_targets
from tailer.cli.options import (
    DURATION,
    WHEN,
    color_option,
    file_option,
    is_selecting,
    option,
    pattern_option,
    resource_group_option,
    selector_options,
    service_key_option,
)
from tailer.config.settings import Format

_MOST_CONTEXT = 1000  # lines of each target that are kept in memory

_EPILOG = """\
\b
Examples:
  tailer logs -f deployment/d1a2b3c4              follow; Ctrl-C ends it
  tailer logs --tail 50 -f d1a2b3c4 e5f6a7b8      two targets, last 50 lines
  tailer logs --since 2h -i ERROR execution/e5f6  errors of the last two hours
  tailer logs -f --executions --scenario churn    executions, also later ones
  tailer logs -o json --since 1d d1a2 | jq .msg   for programs
  tailer logs -f execution/e5f6 && deploy         deploy if it ends COMPLETED
  tailer logs -f --wait 10m --tee job.log --summary job.json execution/e5f6

\b
Exit codes: 0 done (a followed execution COMPLETED), 2 usage, 3 credentials,
4 no such target or no permission, 5 output cannot be written, 6 lines are
missing, 10 DEAD, 11 STOPPED, 124 --timeout, 130 and 143 interrupted.
"""


@click.command("logs", epilog=_EPILOG)
@click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=suggest_targets)
@option("-f/-F", "--follow/--no-follow", default=False, help="Keep printing new lines.")
@resource_group_option
@selector_options
@service_key_option
@option(
    "-s",
    "--since",
    type=WHEN,
    help="Start at this time: a date, or a duration ago (10m, 1h30m, 2d). "
    "[default: 1h; with --tail: the creation of the target]",
)
@option("--until", type=WHEN, help="End at this time; not with --follow.")
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
    help="How long after its timestamp a line may appear and still be printed.",
)
@option(
    "--drain",
    type=DURATION,
    help="How long to wait for late lines of a target that has ended. [default: --lateness]",
)
@option("--timeout", type=DURATION, help="Stop after this long, with exit code 124.")
@option(
    "--wait",
    type=DURATION,
    help="Wait this long for targets that do not exist yet; then exit code 4.",
)
@option(
    "--max-lines",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N lines, with exit code 0.",
)
@pattern_option("-i", "--include", help="Only lines in which this pattern is found; repeatable.")
@pattern_option("-e", "--exclude", help="No lines in which this pattern is found; repeatable.")
@pattern_option("-H", "--highlight", help="Highlight this pattern.")
@pattern_option("-c", "--container", help="Only containers whose name matches.")
@pattern_option("--pod", help="Only pods whose name matches.")
@option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@option(
    "-o",
    "--output",
    type=click.Choice(get_args(Format)),
    default="text",
    show_default=True,
    help="Format of a line.",
)
@option(
    "--template",
    metavar="STR",
    help="Your own format: '{timestamp} {pod} {msg}'; also {resource_group} {kind} {id} {target} "
    "{container} {stream}.",
)
@option("-t", "--timestamps", is_flag=True, help="Show when each line was written (text only).")
@option(
    "--timezone",
    metavar="ZONE",
    help="Time zone of -t: UTC, Europe/Berlin. [default: this machine's]",
)
@file_option(
    "--tee",
    help="Write the lines to FILE as well, without color; FILE is overwritten.",
)
@option(
    "--tee-format",
    type=click.Choice(get_args(Format)),
    help="Format of a line in the --tee file. [default: as --output]",
)
@file_option("--summary", help="Write a JSON summary of the run to FILE at the end.")
@option(
    "--on-error-context",
    type=click.IntRange(0, _MOST_CONTEXT),
    default=0,
    metavar="N",
    help="At the end, print the last N stderr lines of a DEAD target on stderr.",
)
@color_option
@option("-q", "--quiet", is_flag=True, help="Only errors on stderr, no notices.")
def logs_command(**flags: Any) -> int:
    """Print the logs of deployments and executions; with -f, follow them.

    TARGET is deployment/ID, execution/ID, or a bare ID, which is looked up. Following
    ends when every named target has ended and its late lines are read. With a selector
    (--executions, --scenario, …) following continues until interrupted. On a terminal,
    -f without TARGET and selector lists what is running, to choose from.
    """
    # Imported when the command runs: a shell that completes a word must not wait for it.
    from tailer.cli.choose import needs_choice, with_choice
    from tailer.cli.context import service_for
    from tailer.cli.logs_request import compile_request
    from tailer.cli.streams import open_stdout, start_stderr
    from tailer.discovery.lookup import kinds_and_id
    from tailer.logs.files import opened_copy
    from tailer.logs.run import run_logs_command
    from tailer.logs.summary import check_summary_file

    notices = start_stderr(flags["color"], quiet=flags["quiet"])
    fd = open_stdout()
    if needs_choice(flags) and not is_selecting(flags):
        # Report wrong flags before asking for a choice.
        compile_request({**flags, "targets": ("any",)}, stdout_is_terminal=False)
        flags = with_choice(flags, sys.argv[1:])
    request = compile_request(flags, stdout_is_terminal=os.isatty(fd))
    for name in request.names:
        kinds_and_id(name)
    if request.summary is not None:
        check_summary_file(request.summary)
    with opened_copy(request.tee) as tee_fd:
        service = service_for(request.service_key_file, request.resource_groups)
        return anyio.run(run_logs_command, request, service, fd, tee_fd, notices)
