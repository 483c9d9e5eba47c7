"""A syslog service in a process of its own, which the test may stop, kill, freeze and restart."""

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.receivers.received import Received

from tailer.clock import SystemClock
from tailer.timestamp import NS_PER_S

PATIENCE_S = 30.0  # for what must happen soon: a machine may be busy
_LOOK_S = 0.005
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None)


def _die_with_the_test() -> None:
    """In the child: whoever kills the test outright leaves no receiver behind."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Service:
    """How to run it, and which ways cannot be used yet. It stays in the foreground."""

    command: Sequence[str]
    environ: Mapping[str, str]
    not_ready: Callable[[], list[str]]
    log: Path  # what it says about itself


class Receiver:
    """`urls` has a syslog address for each transport; `read` makes sense of a line of its files.

    Started from the main thread only: it dies with the thread that started it.
    """

    def __init__(
        self,
        service: Service,
        *,
        urls: Mapping[str, str],
        folder: Path,
        read: Callable[[str, dict[str, Any]], Received],
    ) -> None:
        self._service = service
        self._folder = folder
        self._read = read
        self._process: subprocess.Popen[bytes] | None = None
        self._growing: dict[str, _GrowingFile] = {}
        self.urls = urls

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def output(self) -> str:
        return self._service.log.read_text(errors="replace")

    def port(self, transport: str) -> int:
        return int(self.urls[transport].rpartition(":")[2])

    def start(self) -> None:
        """Returns when it can be reached by every transport."""
        assert self._process is None or self._process.poll() is not None, "it still runs"
        with self._service.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._service.command,
                env=self._service.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_test,  # noqa: PLW1509 - one thread, and one call in it
            )
        not_ready = self._service.not_ready
        self.wait_until(lambda: not not_ready(), lambda: f"not reached by {not_ready()}")

    def stop(self) -> None:
        """In good order: what it had taken is written when this returns."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """On the same ports, with the same files."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: the kernel still accepts connections; the process does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def received(self, transport: str) -> list[Received]:
        """What is written by now, in order."""
        lines = read_lines(self._folder / f"{transport}.jsonl")
        return [self._read(transport, json.loads(line)) for line in lines]

    def wait_for(self, transport: str, count: int) -> list[Received]:
        """Wait until at least `count` messages are written, and return them."""
        self.wait_to_have(transport, count)
        return self.received(transport)

    def wait_to_have(self, transport: str, count: int) -> None:
        growing = self._growing.setdefault(
            transport, _GrowingFile(self._folder / f"{transport}.jsonl")
        )
        self.wait_until(
            lambda: growing.lines() >= count,
            lambda: f"has {growing.lines()} messages of {count} in {growing.path}",
        )

    def wait_for_output(self, text: str) -> None:
        self.wait_until(lambda: text in self.output, lambda: f"does not say {text!r}")

    def _end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def wait_until(self, claim: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        clock = SystemClock()
        end_ns = clock.wall_ns() + round(PATIENCE_S * NS_PER_S)
        while not claim():
            try:
                code = self.process.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                assert clock.wall_ns() < end_ns, f"{otherwise()}: {self.output}"
            else:
                assert claim(), f"ended with {code}: {self.output}"


class _GrowingFile:
    """Counts its lines without reading any of them twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_bytes = 0
        self._lines = 0

    def lines(self) -> int:
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._read_bytes)
            fresh = file.read()
            self._read_bytes += len(fresh)
            self._lines += fresh.count(b"\n")
        return self._lines


def minimal_environ(**more: str) -> dict[str, str]:
    """The test's own time zone: RFC 3164 has local times without an offset."""
    zone = {name: os.environ[name] for name in ("TZ",) if name in os.environ}
    return {**zone, "LC_ALL": "C.UTF-8", **more}


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file that may still grow, or not exist yet."""
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")  # the rest may end in half a character
    except FileNotFoundError:
        return []
    return whole.decode().split("\n") if whole else []


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    """Whatever the test did to it: at the end it does not run."""
    try:
        receiver.start()
        yield receiver
    finally:
        receiver.clean_up()
