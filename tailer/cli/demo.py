"""`tailer demo`: follow a simulated AI Core with faults, then compare visible and printed lines."""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import click
from msgspec import UNSET

from tailer.aicore.connect import connect
from tailer.aicore.credentials import find_credentials
from tailer.cli.options import DURATION, color_option, option
from tailer.cli.streams import open_stdout, start_stderr, wants_color
from tailer.clock import SystemClock
from tailer.config import PollSettings
from tailer.config.settings import PaceSettings
from tailer.logs.outcome import EXIT_GAP, Cause, Outcome
from tailer.logs.pipeline import FilteredSink, Pipeline, ReadRequest, already_found
from tailer.logs.stops import signaled
from tailer.model import Batch, Status
from tailer.simulator import (
    Burst,
    FaultSettings,
    LineSettings,
    Simulator,
    SimulatorSettings,
    TokenSettings,
)
from tailer.simulator.default_targets import COMPLETING, CRASHING, INFERENCE, target_settings
from tailer.sinks.formats.build import FormatSettings, build_formatter
from tailer.sinks.lines import part_of
from tailer.sinks.stdout import StdoutSink
from tailer.timestamp import NS_PER_S

_Key: TypeAlias = tuple[Any, ...]  # identifies a line: its target and its fields

_TARGETS = (INFERENCE, CRASHING, COMPLETING)
_FIELDS = ("timestamp", "pod", "container", "stream", "msg")
_FINISH_TIMEOUT_S = 15.0  # for lines still in flight at the end; one second usually suffices
_FINISH_POLL_S = 0.1
_BACKLOG_S = 10.0
# Shorter intervals than the defaults, because a demonstration is short.
_SETTINGS = PollSettings(
    pace=PaceSettings(interval_s=0.5, idle_interval_s=1.0), lateness_s=12.0, edge_s=3.0, sweep_s=2.0
)


_EPILOG = """\
\b
Examples:
  tailer demo                            runs for twenty seconds
  tailer demo --seconds 60 --seed 7      longer, with other lines and faults
  tailer demo | grep -c POST             the comparison is on stderr
"""


@click.command("demo", epilog=_EPILOG)
@option(
    "--seconds",
    type=DURATION,
    default="20",
    show_default=True,
    help="How long to run; Ctrl-C ends it earlier.",
)
@option(
    "--seed", type=int, default=1, show_default=True, help="Seed of the simulated lines and faults."
)
@color_option
def demo_command(*, seconds: float, seed: int, color: str) -> int:
    """Watch tailer follow a simulated AI Core that misbehaves.

    Lines arrive late, twice and in bursts, some are hidden for a moment, tokens expire
    every ten seconds, and 15 % of the requests fail. At the end, the lines that the service
    showed are compared with the lines that were printed.
    """
    start_stderr(color)
    fd = open_stdout()
    is_terminal = os.isatty(fd)
    form = FormatSettings(
        in_color=wants_color(color, os.environ, is_terminal=is_terminal), escape=is_terminal
    )
    return anyio.run(_demonstrate, seconds, seed, fd, form)


@dataclass(slots=True)
class _Counts:
    """Counts the lines of each batch; after `cut`, passes on only the lines still expected.

    `arrived` counts every line, even after `cut`.
    """

    arrived: Counter[_Key] = field(default_factory=Counter)
    expected: Counter[_Key] | None = None
    printed: int = 0

    def cut(self, visible: Counter[_Key]) -> None:
        self.expected = visible - self.arrived

    def pass_on(self, batch: Batch) -> Batch:
        keys = [(batch.target, entry.timestamp, *entry.key) for entry in batch.entries]
        self.arrived.update(keys)
        kept = [number for number, key in enumerate(keys) if self._is_expected(key)]
        self.printed += len(kept)
        return part_of(batch, kept)

    def _is_expected(self, key: _Key) -> bool:
        if self.expected is None:
            return True
        self.expected[key] -= 1
        return self.expected[key] >= 0


def _simulator_settings(seed: int) -> SimulatorSettings:
    return SimulatorSettings(
        seed=seed,
        rate_per_s=30.0,
        backlog_s=_BACKLOG_S,
        fault_share=0.15,
        lines=LineSettings(
            late_share=0.05, max_lateness_s=8.0, twin_share=0.1, hidden_share=0.01, hidden_s=2.0
        ),
        faults=FaultSettings(slow_s=1.0),
        token=TokenSettings(expires_in_s=10),
        targets=(
            target_settings(INFERENCE, weight=4.0, pods=3),
            target_settings(CRASHING, (-8.0, Status.RUNNING), (9.0, Status.DEAD)),
            target_settings(
                COMPLETING,
                (-2.0, Status.PENDING),
                (2.0, Status.RUNNING),
                (12.0, Status.COMPLETED),
            ),
        ),
        bursts=(Burst(at_s=5.0, lines=300, target_id=INFERENCE.id),),
    )


async def _demonstrate(seconds: float, seed: int, fd: int, form: FormatSettings) -> int:
    clock = SystemClock()
    simulator = Simulator(_simulator_settings(seed), clock)
    counts = _Counts()
    visible: Counter[_Key] = Counter()
    outcome = Outcome()

    async def end() -> Cause:
        cause = Cause.TIMEOUT
        with anyio.move_on_after(seconds):
            cause = await signaled()
        visible.update(_visible_lines(simulator))
        counts.cut(visible)
        with anyio.move_on_after(_FINISH_TIMEOUT_S):
            while visible - counts.arrived:
                await clock.sleep(_FINISH_POLL_S)
        return cause

    async with simulator.serving() as url:
        credentials = find_credentials(simulator.credentials(url), home=Path())
        async with connect(credentials, clock=clock, rng=random.Random(seed)) as client:
            start_ns = clock.wall_ns() - round(2 * _BACKLOG_S * NS_PER_S)
            pipeline = Pipeline(
                outcome=outcome,
                source=client,
                settings=_SETTINGS,
                clock=clock,
                jitter=random.random,
            )
            await pipeline.run(
                already_found([ReadRequest(target, start_ns, None) for target in _TARGETS]),
                output=FilteredSink(
                    StdoutSink(fd, build_formatter(form, _TARGETS)), counts.pass_on
                ),
                stops=[end],
            )
    if outcome.failure is not None:
        raise outcome.failure
    if outcome.cause is Cause.READER_GONE:
        return 0
    return _balance(outcome, counts, visible, simulator)


def _visible_lines(simulator: Simulator) -> Counter[_Key]:
    """Every line that the service has made visible up to now."""
    return Counter(
        (target, *(entry.get(name, UNSET) for name in _FIELDS))
        for target in _TARGETS
        for entry in simulator.shown(target)
    )


def _balance(
    outcome: Outcome, counts: _Counts, visible: Counter[_Key], simulator: Simulator
) -> int:
    """Print the comparison on stderr and return the exit code."""
    lost = (visible - counts.arrived).total()
    repeated = (counts.arrived - _visible_lines(simulator)).total()
    faults = simulator.stats()["faults"]
    late = sum(one.totals.late for one in outcome.health.targets.values())
    kinds = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(faults.items()))
    click.echo(err=True)
    for label, number, remark in (
        ("lines the service showed", visible.total(), ""),
        ("lines printed", counts.printed, ""),
        ("lost", lost, ""),
        ("repeated", repeated, ""),
        ("late lines recovered", late, ""),
        ("faults survived", sum(faults.values()), kinds),
    ):
        click.echo(f"{label:>26}: {number:>6}{f'  ({remark})' if remark else ''}", err=True)
    for error in outcome.errors:
        click.echo(f"tailer: {error}", err=True)
    return EXIT_GAP if lost or repeated or outcome.errors else 0
