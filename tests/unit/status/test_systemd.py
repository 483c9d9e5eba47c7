"""Notifications of systemd, received at a real socket; time is virtual."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import pytest
from support.virtual_time import VirtualClock

from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.model import Kind, Target
from tailer.status.systemd import Supervisor, status_line, supervisor_from

PROCESS_ID = 4711
WATCHDOG_S = 60.0


@dataclass
class Ear:
    """The receiving end of the socket, and the state that the service reports."""

    socket: socket.socket
    address: str
    status: str = "all is quiet"
    is_healthy: bool = True

    def notifications(self) -> list[str]:
        """Datagrams received since the last call."""
        output = []
        with suppress(BlockingIOError):
            while True:
                output.append(self.socket.recv(4096).decode())
        return output

    async def received_in(self, seconds: float, clock: VirtualClock) -> list[str]:
        """The kernel keeps but a few datagrams, so it listens all the time."""
        output = []
        end_s = clock.monotonic_s() + seconds
        while clock.monotonic_s() < end_s:
            await clock.sleep(1)
            output += self.notifications()
        return output

    @asynccontextmanager
    async def notified_by(self, supervisor: Supervisor) -> AsyncIterator[None]:
        notify = partial(
            supervisor.keep_notifying,
            status=lambda: self.status,
            is_healthy=lambda: self.is_healthy,
        )
        async with anyio.create_task_group() as telling:
            telling.start_soon(notify)
            yield
            telling.cancel_scope.cancel()


@contextmanager
def listening(address: str) -> Iterator[Ear]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(address.replace("@", "\0"))
        opened.setblocking(False)
        yield Ear(opened, address)


@pytest.fixture(params=["a path", "an abstract name"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    address = f"{tmp_path}/notify"
    with listening(address if request.param == "a path" else f"@{address}") as made:
        yield made


@pytest.fixture
def supervisor(ear: Ear, clock: VirtualClock) -> Iterator[Supervisor]:
    made = Supervisor(clock, address=ear.address, watchdog_s=WATCHDOG_S)
    yield made
    made.close()


def test_ready_and_stopping_are_sent(ear: Ear, supervisor: Supervisor) -> None:
    supervisor.ready()
    supervisor.stopping()

    assert ear.notifications() == ["READY=1", "STOPPING=1"]


async def test_a_reload_begins_with_the_time_and_ends_with_ready(
    ear: Ear, supervisor: Supervisor, clock: VirtualClock
) -> None:
    """systemd takes READY=1 for the end of a reload only if it is younger than its own signal."""
    await clock.sleep(12.5)
    supervisor.reloading()
    supervisor.ready()

    assert ear.notifications() == ["RELOADING=1\nMONOTONIC_USEC=12500000", "READY=1"]


async def test_a_healthy_service_pings_at_least_twice_in_a_watchdog_period(
    ear: Ear, supervisor: Supervisor, clock: VirtualClock
) -> None:
    async with ear.notified_by(supervisor):
        pings = [
            (await ear.received_in(WATCHDOG_S / 2, clock)).count("WATCHDOG=1") for _ in range(10)
        ]

    assert min(pings) >= 1


async def test_an_unhealthy_service_does_not_ping(
    ear: Ear, supervisor: Supervisor, clock: VirtualClock
) -> None:
    has_pinged = []
    async with ear.notified_by(supervisor):
        for is_healthy in (True, False, True):
            ear.is_healthy = is_healthy
            has_pinged.append("WATCHDOG=1" in await ear.received_in(2 * WATCHDOG_S, clock))

    assert has_pinged == [True, False, True]


async def test_a_status_line_is_sent_when_it_has_changed(
    ear: Ear, supervisor: Supervisor, clock: VirtualClock
) -> None:
    async with ear.notified_by(supervisor):
        output = await ear.received_in(WATCHDOG_S, clock)
        ear.status = "something happened"
        output += await ear.received_in(WATCHDOG_S, clock)

    sent = [text for text in output if text.startswith("STATUS=")]
    assert sent == ["STATUS=all is quiet", "STATUS=something happened"]


async def test_a_status_line_that_changes_often_is_sent_every_five_seconds(
    ear: Ear, clock: VirtualClock
) -> None:
    """Also with a short watchdog, for which it pings more often."""
    supervisor = Supervisor(clock, address=ear.address, watchdog_s=0.2)
    output: list[str] = []
    async with ear.notified_by(supervisor):
        for number in range(600):
            ear.status = f"{number} things happened"
            await clock.sleep(0.1)
            output += ear.notifications()
        output += await ear.received_in(10, clock)
    supervisor.close()

    sent = [text for text in output if text.startswith("STATUS=")]
    assert sent[-1] == "STATUS=599 things happened"
    assert 10 <= len(sent) <= 15


async def test_stopping_is_queued_while_the_socket_is_full(
    ear: Ear, supervisor: Supervisor, clock: VirtualClock
) -> None:
    async with ear.notified_by(supervisor):
        await clock.sleep(5 * WATCHDOG_S)  # unread: the buffer of the socket is full
        supervisor.stopping()
        output = await ear.received_in(WATCHDOG_S, clock)

    assert output.count("STOPPING=1") == 1


async def test_ready_is_queued_while_the_socket_is_absent(
    tmp_path: Path, clock: VirtualClock
) -> None:
    address = f"{tmp_path}/later"
    supervisor = Supervisor(clock, address=address, watchdog_s=WATCHDOG_S)
    supervisor.ready()

    with listening(address) as ear:
        async with ear.notified_by(supervisor):
            await clock.sleep(1)
        supervisor.close()
        output = ear.notifications()

    assert output[0] == "READY=1"


async def test_without_a_notify_socket_nothing_is_sent(clock: VirtualClock) -> None:
    supervisor = supervisor_from({}, clock=clock, process_id=PROCESS_ID)
    supervisor.ready()

    await supervisor.keep_notifying(status=lambda: "", is_healthy=lambda: True)  # and returns


def test_its_variables_are_removed_from_the_environment(clock: VirtualClock) -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "60000000",
        "WATCHDOG_PID": str(PROCESS_ID),
        "HOME": "/",
    }
    supervisor_from(environ, clock=clock, process_id=PROCESS_ID)

    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(PROCESS_ID + 1)},
    ],
    ids=lambda watchdog: " ".join(map("=".join, watchdog.items())) or "none",
)
async def test_a_watchdog_of_another_process_gets_no_pings(
    tmp_path: Path, clock: VirtualClock, watchdog: dict[str, str]
) -> None:
    with listening(f"{tmp_path}/notify") as ear:
        environ = {"NOTIFY_SOCKET": ear.address, **watchdog}
        supervisor = supervisor_from(environ, clock=clock, process_id=PROCESS_ID)
        async with ear.notified_by(supervisor):
            await clock.sleep(2 * WATCHDOG_S)
        supervisor.close()

        assert ear.notifications() == ["STATUS=all is quiet"]


@pytest.mark.parametrize("address", ["vsock:2:1234", "notify", ""])
async def test_an_address_that_is_no_unix_socket_counts_as_none(
    clock: VirtualClock, address: str
) -> None:
    supervisor = supervisor_from({"NOTIFY_SOCKET": address}, clock=clock, process_id=PROCESS_ID)
    supervisor.ready()

    await supervisor.keep_notifying(status=lambda: "", is_healthy=lambda: True)  # and returns


@pytest.mark.usefixtures("ear")
def test_a_program_that_is_started_does_not_have_the_socket(supervisor: Supervisor) -> None:
    supervisor.ready()
    assert supervisor._socket is not None
    look = f"import os; print(os.path.exists('/proc/self/fd/{supervisor._socket.fileno()}'))"
    output = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, check=True, close_fds=False
    )

    assert output.stdout == b"False\n"


BLOCKED = """
import sys, time, anyio
from tailer.clock import SystemClock
from tailer.status.systemd import Supervisor

supervisor = Supervisor(SystemClock(), address=sys.argv[1], watchdog_s=0.4)

def healthy():
    print("pings", flush=True)
    return True

async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: supervisor.keep_notifying(status=lambda: "", is_healthy=healthy))
        await anyio.sleep(1)
        print("hangs", flush=True)
        time.sleep(3600)

anyio.run(main)
"""


def test_a_loop_that_hangs_in_a_call_sends_no_pings(tmp_path: Path) -> None:
    """In real time, for a loop that stands still cannot be played."""
    with (
        listening(f"{tmp_path}/notify") as ear,
        subprocess.Popen([sys.executable, "-c", BLOCKED, ear.address], stdout=-1) as process,
    ):
        assert process.stdout is not None
        while process.stdout.readline() != b"hangs\n":
            pass
        before = ear.notifications()
        ear.socket.settimeout(2)  # five times what its watchdog allows
        with pytest.raises(TimeoutError):
            ear.socket.recv(4096)
        process.kill()

    assert before.count("WATCHDOG=1") >= 3


def test_a_status_counts_targets_by_phase_and_undelivered_lines() -> None:
    health = Health(has_begun=True)
    for number, phase in enumerate([Phase.FOLLOWING, Phase.BACKING_OFF, Phase.FOLLOWING]):
        health.of(Target("default", Kind.DEPLOYMENT, f"d{number}")).phase = phase
    health.of_sink("file").lag_lines = 12
    health.of_sink("syslog").lag_lines = 12_345

    line = status_line(health)

    assert line == "targets: 2 following, 1 backing off; undelivered: 12,345 lines"


def test_a_status_of_nothing() -> None:
    line = status_line(Health(has_begun=True))

    assert line == "targets: none yet; undelivered: nothing"


def test_a_status_before_the_spool_is_open() -> None:
    assert status_line(Health()) == "opening the spool"
