"""`tailer logs`: from flags to a running follower."""

import math
import os
import random
from typing import Any, get_args

import anyio
import click
import structlog

from tailer.aicore.client import AiCoreClient
from tailer.cli.logs_request import LogsRequest, compile_request, plan
from tailer.cli.options import (
    DURATION,
    PATTERN,
    WHEN,
    color_option,
    option,
    resource_group_option,
    service_key_option,
)
from tailer.cli.service import Hiccups, client_for, credentials_for, groups_for
from tailer.cli.streams import open_stdout, start_stderr
from tailer.clock import SystemClock
from tailer.discovery import find_target, kinds_and_id
from tailer.sinks.format import Format, build_formatter
from tailer.sinks.stdout import StdoutSink
from tailer.terminal import EXIT_TIMEOUT, Outcome, Reading, Stop, run_logs, signalled, timed_out

log = structlog.get_logger()

_EPILOG = """\
\b
Examples:
  tailer logs -f deployment/d1a2b3c4                follow; Ctrl-C ends it
  tailer logs --tail 50 -f d1a2b3c4 e5f6a7b8        two targets, their last 50 lines first
  tailer logs --since 2h -i ERROR execution/e5f6    what went wrong in the last two hours
  tailer logs -o json --since 1d d1a2 | jq .msg     for programs
  tailer logs -f execution/e5f6 && deploy           ends with the execution, and its verdict

\b
Exit codes: 0 done (a followed execution COMPLETED), 2 usage, 3 credentials, 4 no such
target or no permission, 5 output cannot be written, 6 lines are missing, 10 DEAD,
11 STOPPED, 124 --timeout, 130 and 143 interrupted.
"""


@click.command("logs", epilog=_EPILOG)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@option("-f/-F", "--follow/--no-follow", default=False, help="Go on with new lines as they come.")
@resource_group_option
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
@color_option
@option("-q", "--quiet", is_flag=True, help="No notices on stderr, only errors.")
def logs_command(**flags: Any) -> int:
    """Print the logs of deployments and executions; with -f, follow them.

    TARGET is deployment/ID, execution/ID, or a bare ID, which is looked up. Following
    ends by itself when every target has ended and its late lines are read.
    """
    start_stderr(flags["color"], quiet=flags["quiet"])
    fd = open_stdout()
    request = compile_request(flags, stdout_is_terminal=os.isatty(fd))
    for name in request.names:
        kinds_and_id(name)
    return anyio.run(_run, request, fd)


async def _run(request: LogsRequest, fd: int) -> int:
    credentials = credentials_for(request.service_key_file)
    groups = groups_for(request.resource_groups, credentials)
    clock = SystemClock()
    end_s = math.inf if request.timeout_s is None else clock.monotonic_s() + request.timeout_s
    readings: list[Reading] = []
    async with client_for(credentials) as client:
        with anyio.move_on_after(request.timeout_s):
            readings = await _look_up(client, request, groups)
        if not readings:
            return EXIT_TIMEOUT
        stops: list[Stop] = [signalled]
        if request.timeout_s is not None:
            stops.append(timed_out(max(0.0, end_s - clock.monotonic_s()), clock))
        outcome = await run_logs(
            readings,
            source=client,
            sink=StdoutSink(fd, build_formatter(request.form, [one.target for one in readings])),
            wanted=request.line_filter.narrow,
            settings=request.poll,
            stops=stops,
            clock=clock,
            jitter=random.random,
        )
    _say_if_nothing_was_printed(outcome, request)
    return outcome.exit_code


async def _look_up(
    client: AiCoreClient, request: LogsRequest, groups: tuple[str, ...]
) -> list[Reading]:
    workloads = [
        workload
        for name in dict.fromkeys(request.names)
        for workload in await find_target(
            client, name, resource_groups=groups, on_trouble=Hiccups()
        )
    ]
    now_ns = client.server_now_ns()
    assert now_ns is not None, "the targets were looked up"
    return plan(request, workloads, now_ns=now_ns)


def _say_if_nothing_was_printed(outcome: Outcome, request: LogsRequest) -> None:
    """An empty answer looks like a failure, and is most often the default of one hour."""
    lines = sum(one.lines for one in outcome.health.targets.values())
    if outcome.interruption is not None or outcome.errors or lines:
        return
    if request.since is None and request.last is None:
        log.info("nothing_found", why="no lines in the last hour; --since 1d looks back further")
    else:
        log.info("nothing_found", why="no lines in that range")
