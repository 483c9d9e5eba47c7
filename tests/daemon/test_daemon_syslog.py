"""Syslog servers that are down, unresolvable, untrusted or silent do not affect the service."""

import os
import random
import ssl
import sys
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from structlog.testing import capture_logs
from support.daemon_bench import FIRST, POLL, SECOND, SHUTDOWN_S, Bench, Line, everything
from support.json_files import shown_in_files, without_newlines
from support.receivers.ports import reserved_places
from support.receivers.ways import Way
from support.steady_service import SteadyService
from support.syslog.fake_servers import (
    WELCOME,
    Behavior,
    Keeper,
    Names,
    RelpServer,
    serving,
    whole_messages,
)
from support.syslog.rfc5424_reader import read
from support.virtual_time import VirtualClock

from tailer.aicore.credentials import find_credentials
from tailer.clock import Clock
from tailer.config import (
    Config,
    FileSection,
    SinkSection,
    SpoolSection,
    StatusSection,
    SyslogSection,
    Watch,
)
from tailer.daemon.daemon import run_daemon
from tailer.daemon.reload import Setup
from tailer.daemon.sinks import ConfiguredSink, build_sinks
from tailer.health.health import Health
from tailer.model import Batch
from tailer.sinks.contract import Sink
from tailer.sinks.syslog.build import build_syslog_sink
from tailer.sinks.syslog.relp_frames import Frame, FrameReader, encoded
from tailer.timestamp import NS_PER_S

AWAY_FROM_S, AWAY_S = 10.0, 300.0
SPOKEN_S, WATCHED_S = 330, 400
LINES = SPOKEN_S * 1000
QUICK = replace(POLL, edge_s=1, lateness_s=8)  # few lines are read again: a quick test
LAG_BOUND_S = QUICK.pace.interval_s + 0.5  # until a line is in its file: one poll, and the writing
# What the lines of the outage take in memory, by any reckoning, is more than that.
BOUND_BYTES = 100 * 1024 * 1024
LONGEST_WAIT_S = 30.0  # of a sink between two attempts
MARGIN_S = 0.1
UNCHANGED: dict[str, Any] = {"control_characters": "raw", "max_message_bytes": 100_000}
UNKNOWN_NAME = "Name or service not known (check the name, and this machine's name server)"
UNKNOWN_AUTHORITY = (
    "signed by an authority that is not trusted here "
    "(set tls_ca_file to the certificate of that authority)"
)


class NumberedLines:
    """Of each number how often it came, and of its id whether it was always the same."""

    def __init__(self, count: int) -> None:
        self.times = array("H", bytes(2 * count))
        self.ids_changed = 0
        self._id_hashes = array("q", bytes(8 * count))

    def take(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            number = int(message[message.rindex(b" ") :])
            start = message.index(b' id="')
            id_hash = hash(message[start : message.index(b'"', start + 5)])
            self.ids_changed += self.times[number] > 0 and self._id_hashes[number] != id_hash
            self._id_hashes[number] = id_hash
            self.times[number] += 1

    async def over_tcp(self, stream: ByteStream) -> None:
        rest = b""
        while True:
            rest += await stream.receive()
            messages = whole_messages(rest)
            rest = rest[sum(len(b"%d " % len(each)) + len(each) for each in messages) :]
            self.take(messages)

    async def over_relp(self, stream: ByteStream) -> None:
        reader = FrameReader()
        while True:
            frames = reader.read(await stream.receive())
            self.take([frame.content for frame in frames if frame.command == b"syslog"])
            answers = (
                Frame(frame.txnr, b"rsp", WELCOME if frame.command == b"open" else b"200 OK")
                for frame in frames
            )
            await stream.send(b"".join(map(encoded, answers)))


class MuteRelpServer(RelpServer):
    """Takes messages, and answers to nothing but `open`."""

    def __init__(self) -> None:
        super().__init__(answers_at_once=sys.maxsize)
        self.notifications: list[bytes] = []

    async def __call__(self, stream: ByteStream) -> None:
        frames = FrameReader()
        while True:
            for frame in frames.read(await stream.receive()):
                if frame.command == b"syslog":
                    self.notifications.append(frame.content)
                else:
                    await self.answer_command(stream, frame)


@dataclass(slots=True)
class WatchedSink:
    """Another sink, and how late its lines were written at most, and with how much memory."""

    name: str
    sink: Sink
    clock: Clock
    longest_lag_s: float = 0.0
    resident_bytes: list[int] = field(default_factory=list)

    async def open(self, mark: bytes | None) -> bytes | None:
        return await self.sink.open(mark)

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        mark = await self.sink.write(batches)
        lag_s = (self.clock.wall_ns() - batches[0].times_ns[0]) / NS_PER_S
        self.longest_lag_s = max(self.longest_lag_s, lag_s)
        self.resident_bytes.append(resident_bytes())
        return mark

    async def aclose(self) -> None:
        await self.sink.aclose()


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def port() -> Iterator[int]:
    """A reserved port without a listener until the test starts one."""
    with reserved_places({"here": Way("tcp")}) as places:
        yield places.ports["here"]


def sections(folder: Path, url: str, **settings: Any) -> tuple[SinkSection, ...]:
    return (
        SinkSection(name="file", to=FileSection(path=f"{folder}/logs/{{id}}.log")),
        SinkSection(name="syslog", to=SyslogSection(url=(url,), **settings)),
    )


def fill(bench: Bench, folder: Path, url: str, **settings: Any) -> None:
    """A bench with two targets, a file sink, and a syslog sink beside it that changes no text."""
    bench.config = replace(bench.config, sinks=sections(folder, url, **UNCHANGED, **settings))
    bench.sinks = build_sinks(bench.config, clock=bench.clock, health=bench.health)
    bench.watch(FIRST, SECOND)


def lines_in(messages: Sequence[bytes]) -> Counter[Line]:
    found = map(read, messages)
    names = ("timestamp", "pod", "container", "stream")
    return Counter((*(one.params.get(name) for name in names), one.msg) for one in found)


def troubles(events: Sequence[Any]) -> list[str]:
    return [
        ": ".join(filter(None, (f"{event['event']} {event['sink']}", event.get("error"))))
        for event in events
        if event["event"].startswith("sink_")
    ]


@asynccontextmanager
async def appearing(
    behave: Behavior, port: int, clock: Clock, *, from_s: float
) -> AsyncIterator[None]:
    """A server that listens there from then on."""

    async def appear() -> None:
        await clock.sleep(from_s)
        async with serving(behave, port=port):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(appear)
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.long
async def test_everything_arrives_after_an_outage_under_load(
    tmp_path: Path, clock: VirtualClock, port: int
) -> None:
    taken = NumberedLines(LINES)
    behave = taken.over_tcp
    config = Config(
        watches=(Watch(targets=(FIRST,)),),
        poll=QUICK,
        spool=SpoolSection(path=tmp_path / "spool.db"),
        status=StatusSection(listen=""),
        sinks=sections(tmp_path, f"tcp://127.0.0.1:{port}"),
    )
    health = Health()
    file, syslog = build_sinks(config, clock=clock, health=health)
    watched = WatchedSink(file.sink.name, file.sink, clock)
    service = SteadyService(clock, until_s=SPOKEN_S)

    async def stop() -> None:
        async with serving(behave, port=port):
            await clock.sleep(AWAY_FROM_S)
        await clock.sleep(AWAY_S)
        async with serving(behave, port=port):
            await clock.sleep(WATCHED_S - AWAY_FROM_S - AWAY_S)

    async with service.serving() as url:
        await run_daemon(
            Setup(
                config=config,
                credentials=find_credentials(service.credentials(url), home=tmp_path),
                sinks=(replace(file, sink=watched), syslog),
            ),
            clock=clock,
            rng=random.Random(1),
            environ={},
            stop=stop,
            health=health,
        )

    assert 0 not in taken.times
    assert taken.ids_changed == 0
    assert sum(shown_in_files(tmp_path / "logs").values()) == LINES
    assert watched.longest_lag_s <= LAG_BOUND_S
    assert max(watched.resident_bytes) - min(watched.resident_bytes) < BOUND_BYTES


async def test_a_refused_connection_is_logged_once_and_retried(
    bench: Bench, tmp_path: Path, port: int
) -> None:
    url = f"relp://127.0.0.1:{port}"
    fill(bench, tmp_path, url)
    server = RelpServer()

    with capture_logs() as events:
        async with appearing(server, port, bench.clock, from_s=60):
            await bench.run_to_the_end()

    assert troubles(events) == [
        f"sink_retrying syslog: {url}: connection refused (is a server listening on that port?)",
        "sink_recovered syslog",
    ]
    assert lines_in(server.taken) == without_newlines(bench.shown)
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


async def test_an_unresolvable_name_is_logged_once_and_retried(
    bench: Bench, tmp_path: Path, port: int
) -> None:
    url = "tcp://logs.invalid:514"
    fill(bench, tmp_path, url)
    server = Keeper()
    sink = build_syslog_sink(
        SyslogSection(url=(url,), **UNCHANGED),
        name="syslog",
        clock=bench.clock,
        scenario_of=bench.health.scenario_of,
        on_gap=lambda *gap: pytest.fail(f"gap: {gap}"),
        resolve=Names(port, from_attempt=4),
    )
    bench.sinks = (
        bench.sinks[0],
        ConfiguredSink(sink, everything, drops=False),
    )

    with capture_logs() as events:
        async with serving(server, port=port):
            await bench.run_to_the_end()

    assert troubles(events) == [
        f"sink_retrying syslog: {url}: the name does not resolve: {UNKNOWN_NAME}",
        "sink_recovered syslog",
    ]
    assert lines_in(server.messages) == without_newlines(bench.shown)
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


async def test_an_untrusted_server_is_logged_once_and_accepted_with_its_authority(
    bench: Bench, tmp_path: Path, port: int
) -> None:
    url, ca_file = f"tls://127.0.0.1:{port}", tmp_path / "ca.pem"
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trustme.CA().cert_pem.write_to_path(ca_file)
    fill(bench, tmp_path, url, tls_ca_file=ca_file)
    server = Keeper()

    async def repair_and_wait() -> None:
        await bench.clock.sleep(60)
        authority.cert_pem.write_to_path(ca_file)
        await bench.end_and_wait(LONGEST_WAIT_S)

    with capture_logs() as events:
        async with serving(server, context=context, port=port):
            await bench.run(repair_and_wait)

    assert troubles(events) == [
        f"sink_retrying syslog: {url}: the server's certificate is {UNKNOWN_AUTHORITY}",
        "sink_recovered syslog",
    ]
    assert lines_in(server.messages) == without_newlines(bench.shown)
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


async def test_a_stop_during_an_outage_is_in_time_and_its_lines_arrive_later(
    bench: Bench, tmp_path: Path, port: int
) -> None:
    fill(bench, tmp_path, f"relp://127.0.0.1:{port}")
    server = RelpServer()
    took_s = await bench.run_for(15)

    async with serving(server, port=port):
        await bench.run_to_the_end()

    assert took_s < SHUTDOWN_S + MARGIN_S
    assert lines_in(server.taken) == without_newlines(bench.shown)
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


async def test_unconfirmed_messages_are_sent_after_a_restart_with_the_same_ids(
    bench: Bench, tmp_path: Path, port: int
) -> None:
    mute, server = MuteRelpServer(), RelpServer()
    fill(bench, tmp_path, f"relp://127.0.0.1:{port}")
    async with serving(mute, port=port):
        took_s = await bench.run_for(15)

    async with serving(server, port=port):
        await bench.run_to_the_end()

    assert took_s < SHUTDOWN_S + MARGIN_S
    assert len(mute.notifications) > 0
    assert set(mute.notifications) <= set(server.taken)
    assert lines_in(server.taken) == without_newlines(bench.shown)
