"""Kill and stop real syslog receivers in mid-stream; count lost and repeated messages.

Usage: PYTHONPATH=tests python tests/stress/kill_syslog_receivers.py
           [--only 'rsyslog/*,syslog-ng/tcp'] [--faults kill,stop,freeze]
           [--trials 20] [--lines 20000] [--seed 1] [--at-once]

Every trial sends numbered lines from a spool through delivery and the sink, with its default
settings, as pollers bring them: 500 every 20 ms, or all `--at-once`. When a random share of
them is in the receiver's file, the receiver is killed (kill), asked to end (stop), or halted
for a second and then killed (freeze), and started again at once. Delivered is what the sink
says; received is what the file holds.

Over udp there are fewer lines, as 20,000 would take the default pace 20 s. The cases with
`-hold-` have another ack_hold_s. `tcp-naive` is what is usual elsewhere, to compare with: what
the system has taken counts as sent.

Exits with 1 when RELP loses anything, when TCP or TLS with the default hold does in a kill or a
stop, or when a line that came again had another id than before.
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import anyio
import structlog
from anyio.abc import SocketStream
from anyio.from_thread import BlockingPortal, start_blocking_portal
from support.receivers.certificates import Certificates, make_certificates
from support.receivers.receiver import Receiver
from support.receivers.rsyslog import running_rsyslog
from support.receivers.syslog_ng import running_syslog_ng
from support.receivers.ways import RSYSLOG, SYSLOG_NG, Way

from tailer.clock import SystemClock
from tailer.config import SyslogSection
from tailer.delivery import deliver
from tailer.errors import TransientSinkError
from tailer.model import Batch, Entry, Kind, Target
from tailer.sinks.contract import Sink
from tailer.sinks.syslog.build import build_format, build_syslog_sink, max_bytes
from tailer.sinks.syslog.stream import octet_counted
from tailer.spool.memory import MemorySpool
from tailer.timestamp import format_ns

RUNNING = {"rsyslog": running_rsyslog, "syslog-ng": running_syslog_ng}
WAYS: dict[str, Mapping[str, Way]] = {"rsyslog": RSYSLOG, "syslog-ng": SYSLOG_NG}
DEFAULT_HOLD_S = 0.5
PADDING = "x" * 100
BATCH_LINES, BATCH_EVERY_S = 500, 0.02
LINES_UDP = 3000
STRIKE_SHARES = (0.05, 0.85)  # of the lines that are in the file by then
FROZEN_S = 1.0
LOOK_S = 0.001
QUIET_S, QUIET_AFTER_LOSS_S = 0.3, 1.5  # nothing more is written for so long: that was all
PATIENCE_S = 180.0
TARGET = Target("default", Kind.DEPLOYMENT, "d0000000000000a1")

clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Case:
    """`way` is a receiver's own name for one of its inputs."""

    name: str
    receiver: str
    way: str
    hold_s: float = DEFAULT_HOLD_S
    is_naive: bool = False

    @property
    def speaks(self) -> Way:
        return WAYS[self.receiver][self.way]

    def may_lose(self, fault: str) -> bool:
        scheme = self.speaks.scheme
        if scheme.startswith("relp"):
            return False
        is_gated = scheme in {"tcp", "tls"} and self.hold_s >= DEFAULT_HOLD_S and not self.is_naive
        return not is_gated or fault == "freeze"


def all_cases() -> Iterator[Case]:
    for receiver, tls, others in (
        ("rsyslog", "tls-ossl", ("relp", "relp+tls", "udp")),
        ("syslog-ng", "tls", ("udp", "unix", "unix-stream")),
    ):
        yield Case(f"{receiver}/tcp-naive", receiver, "tcp", is_naive=True)
        for scheme, way in (("tcp", "tcp"), ("tls", tls)):
            yield Case(f"{receiver}/{scheme}", receiver, way)
            for hold_s in (0.0, 3.0):
                yield Case(f"{receiver}/{scheme}-hold-{hold_s:g}", receiver, way, hold_s)
        for way in others:
            yield Case(f"{receiver}/{way}", receiver, way)


class NaiveSink:
    """Sent is what the own system has taken: what a library's `drain()` waits for."""

    def __init__(self, section: SyslogSection) -> None:
        self.name = "naive"
        address = urlsplit(section.url[0])
        assert address.hostname
        assert address.port
        self._address = (address.hostname, address.port)
        self._to_messages = build_format(
            section,
            max_bytes=max_bytes(section),
            may_hold_newlines=True,
            scenario_of=lambda _: "",
        )
        self._stream: SocketStream | None = None
        self._unsent: deque[bytes] = deque()

    async def open(self, mark: bytes | None) -> bytes | None:
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        if not self._unsent:
            messages = [message for batch in batches for message in self._to_messages(batch)]
            self._unsent.extend(octet_counted(messages))
        try:
            if self._stream is None:
                self._stream = await anyio.connect_tcp(*self._address)
            while self._unsent:
                await self._stream.send(self._unsent[0])
                self._unsent.popleft()
        except (OSError, anyio.BrokenResourceError) as error:
            await self.aclose()
            raise TransientSinkError(str(error)) from error
        return None

    async def aclose(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


def sink_for(case: Case, url: str, certificates: Certificates) -> Sink:
    way = case.speaks
    client = certificates.client if way.asks_for_certificate else None
    section = SyslogSection(
        url=(url,),
        ack_hold_s=case.hold_s,
        tls_ca_file=certificates.ca_file if way.is_encrypted else None,
        tls_cert_file=client.cert_file if client else None,
        tls_key_file=client.key_file if client else None,
    )
    if case.is_naive:
        return NaiveSink(section)

    def fail(*gap: object) -> None:
        raise AssertionError(f"gap: {gap}")

    return build_syslog_sink(
        section, name="syslog", clock=clock, scenario_of=lambda _: "churn", on_gap=fail
    )


async def bring(sink: Sink, trial: str, lines: int, *, at_once: bool) -> None:
    """Returns when everything counts as delivered."""
    spool = MemorySpool(sinks=[sink.name], max_bytes=1 << 30)

    async def feed() -> None:
        start_ns = clock.wall_ns()
        for first in range(0, lines, BATCH_LINES):
            numbers = range(first, min(first + BATCH_LINES, lines))
            times_ns = [start_ns + number for number in numbers]
            entries = [
                Entry(
                    format_ns(time_ns), "pod-1", "main", "stdout", f"{trial} {number} {PADDING}\n"
                )
                for number, time_ns in zip(numbers, times_ns, strict=True)
            ]
            await spool.append(TARGET, entries, times_ns, watermark_ns=0)
            if not at_once:
                await clock.sleep(BATCH_EVERY_S)
        spool.close_input()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        await deliver(sink, spool, clock=clock, wanted=lambda batch: batch)


class Written:
    """What a receiver has added to its file since this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = self._counted_to = path.stat().st_size if path.exists() else 0
        self.count = 0

    def grow(self) -> bool:
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            file.seek(self._counted_to)
            added = file.read()
        self._counted_to += len(added)
        self.count += added.count(b"\n")
        return bool(added)

    def ids(self, trial: str) -> dict[int, list[str]]:
        """Of each number the ids with which it came. A kill may cut a line in two."""
        content = self._path.read_bytes()[self._start :].decode() if self._path.exists() else ""
        found: dict[int, list[str]] = {}
        for line in re.split(r'\n|(?={"pri)', content):
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            of_trial, number, _ = fields["msg"].split()
            match = re.search(r' id="([0-9a-f-]+)"', fields["sd"])
            assert match, line
            if of_trial == trial:
                found.setdefault(int(number), []).append(match[1])
        return found


@dataclass(slots=True)
class Result:
    before: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    changed_ids: int = 0


def strike(receiver: Receiver, fault: str, portal: BlockingPortal) -> None:
    if fault == "stop":
        receiver.stop()
    else:
        if fault == "freeze":
            receiver.freeze()
            portal.call(clock.sleep, FROZEN_S)
        receiver.kill()
    receiver.start()


@dataclass(frozen=True, slots=True)
class Rig:
    """The sender has a loop in a thread of its own; receivers live and die by the main thread."""

    case: Case
    receiver: Receiver
    file: Path
    certificates: Certificates
    portal: BlockingPortal
    rng: random.Random
    at_once: bool

    def run_trial(self, trial: str, fault: str, lines: int, result: Result) -> None:
        written = Written(self.file)
        wanted = round(self.rng.uniform(*STRIKE_SHARES) * lines)
        sink = sink_for(self.case, self.receiver.urls[self.case.way], self.certificates)
        began_s = perf_counter()
        done = self.portal.start_task_soon(partial(bring, sink, trial, lines, at_once=self.at_once))
        while written.count < wanted:
            if done.done():
                done.result()  # it counts all as sent, while much of it is still on its way
                self._pause(LOOK_S)
            wait([done], timeout=LOOK_S)
            assert perf_counter() < began_s + PATIENCE_S, (
                f"{self.case.name}: {self.receiver.output}"
            )
            written.grow()
        assert written.count < lines, f"{self.case.name}: all was there before the fault"
        result.before.append(written.count)
        strike(self.receiver, fault, self.portal)
        done.result(PATIENCE_S)
        result.seconds.append(perf_counter() - began_s)
        ids = self._all_written(written, trial, lines)
        result.lost.append(lines - len(ids))
        result.repeated.append(sum(map(len, ids.values())) - len(ids))
        result.changed_ids += sum(len(set(each)) > 1 for each in ids.values())

    def _all_written(self, written: Written, trial: str, lines: int) -> dict[int, list[str]]:
        """Once nothing more comes: what was delivered may still be on its way to the file."""
        self._until_quiet(written, QUIET_S)
        ids = written.ids(trial)
        if len(ids) < lines:
            self._until_quiet(written, QUIET_AFTER_LOSS_S)
            ids = written.ids(trial)
        return ids

    def _until_quiet(self, written: Written, quiet_s: float) -> None:
        self._pause(quiet_s)
        while written.grow():
            self._pause(quiet_s)

    def _pause(self, seconds: float) -> None:
        self.portal.call(clock.sleep, seconds)


@contextmanager
def rigged(case: Case, folder: Path, seed: int, *, at_once: bool) -> Iterator[Rig]:
    certificates = make_certificates(folder / "certificates")
    with (
        RUNNING[case.receiver](folder / case.receiver, certificates) as receiver,
        start_blocking_portal() as portal,
    ):
        file = folder / case.receiver / f"{case.way}.jsonl"
        rng = random.Random(f"{seed} {case.name}")
        yield Rig(case, receiver, file, certificates, portal, rng, at_once)


def measure(case: Case, given: argparse.Namespace) -> dict[str, Result]:
    lines = min(given.lines, LINES_UDP) if case.speaks.scheme == "udp" else given.lines
    results: dict[str, Result] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        rigged(case, Path(folder), given.seed, at_once=given.at_once) as rig,
    ):
        for fault in given.faults.split(","):
            result = results[fault] = Result()
            for number in range(given.trials):
                rig.run_trial(f"{fault}-{number}", fault, lines, result)
            print(  # noqa: T201
                f"{case.name} {fault}: {given.trials} x {lines} lines; "
                f"received before {span(result.before)}, lost {span(result.lost)}, "
                f"repeated {span(result.repeated)}, other ids {result.changed_ids}, "
                f"{max(result.seconds):.1f} s at most",
                flush=True,
            )
    return results


def span(counts: Sequence[int]) -> str:
    """`7`, or `1-9 (45)` with the total of all trials."""
    if min(counts) == max(counts):
        return f"{counts[0]:,}"
    return f"{min(counts):,}–{max(counts):,} ({sum(counts):,})"  # noqa: RUF001 - as in print


def table(measured: dict[str, dict[str, Result]], faults: Sequence[str]) -> str:
    titles = {"kill": "SIGKILL", "stop": "SIGTERM", "freeze": "SIGSTOP 1 s, SIGKILL"}
    rows = [["receiver/transport", *(f"{titles[fault]}: lost / repeated" for fault in faults)]]
    rows.append(["---"] * len(rows[0]))
    for name, results in measured.items():
        cells = (f"{span(each.lost)} / {span(each.repeated)}" for each in results.values())
        rows.append([name, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only",
        default="*",
        help="patterns of cases: " + ", ".join(case.name for case in all_cases()),
    )
    parser.add_argument("--faults", default="kill,stop,freeze")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    patterns = given.only.split(",")
    cases = [case for case in all_cases() if any(fnmatch(case.name, each) for each in patterns)]
    measured = {case.name: measure(case, given) for case in cases}
    print(table(measured, given.faults.split(",")))  # noqa: T201
    bad = [
        f"{case.name} {fault}"
        for case in cases
        for fault, result in measured[case.name].items()
        if result.changed_ids or (sum(result.lost) and not case.may_lose(fault))
    ]
    for each in bad:
        print(f"BAD: {each}")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
