"""The command line as processes: their streams, and a simulated service for the test."""

import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import anyio
import msgspec
from anyio.from_thread import BlockingPortal

from tailer.clock import SystemClock
from tailer.model import Kind, Status, Target
from tailer.simulator import Fault, Simulator, Stage, TargetSettings
from tailer.timestamp import NS_PER_MS, NS_PER_S

TAILER = (sys.executable, "-m", "tailer")
PATIENCE_S = 30.0  # for what must happen soon: a machine may be busy
_PIECE_BYTES = 65_536
_LOOK_S = 0.02


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What a newline ends; log lines may well hold other things that Python splits at."""
        return self.out.split("\n")[:-1]

    @property
    def json(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.lines]

    @property
    def complaint(self) -> str:
        """What it says on stderr, if that is the one line that it should be."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("tailer: "), self.err
        return lines[0]


class World:
    """A simulator in a thread of its own; its targets say only what the test makes them say."""

    def __init__(
        self, portal: BlockingPortal, simulator: Simulator, url: str, *, home: Path
    ) -> None:
        self._portal = portal
        self._simulator = simulator
        self.url = url
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **simulator.credentials(url),
        }

    def call(self, function: Callable[[Simulator], Any]) -> Any:
        """In the simulator's own thread."""
        return self._portal.call(function, self._simulator)

    def add(self, kind: Kind = Kind.DEPLOYMENT, name: str = "d1234567", **plan: Any) -> Target:
        settings = TargetSettings(kind=kind, id=name, **{"rate_per_s": 0.0, **plan})
        added = self.call(lambda simulator: simulator.add_target(settings))
        assert isinstance(added, Target)
        return added

    def say(self, target: Target, *messages: str, ago_s: float = 0.0, **fields: Any) -> None:
        """One line a millisecond, the last of them `ago_s` before now."""
        last_ns = SystemClock().wall_ns() - round(ago_s * NS_PER_S)
        for number, message in enumerate(reversed(messages)):
            at_ns = last_ns - number * NS_PER_MS
            add_line = partial(self._simulator.add_line, target, at_ns, message, **fields)
            self._portal.call(add_line)

    def saturated(self, target: Target, lines: int, *, ago_s: float) -> None:
        """So many different lines, all at one instant."""
        at_ns = SystemClock().wall_ns() - round(ago_s * NS_PER_S)

        def add_all() -> None:
            for number in range(lines):
                self._simulator.add_line(target, at_ns, f"line {number}")

        self._portal.call(add_all)

    def add_entry(self, target: Target, entry: dict[str, Any], *, at_ns: int) -> None:
        self._portal.call(partial(self._simulator.add_entry, target, entry, at_ns=at_ns))

    def shown(self, target: Target) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call(lambda simulator: simulator.shown(target))
        return found

    def turn(self, target: Target, status: Status) -> None:
        self.call(lambda simulator: simulator.set_status(target, status))

    def remove(self, target: Target) -> None:
        self.call(lambda simulator: simulator.remove_target(target))

    def requests(self, kind: str) -> int:
        """How many of this kind have come in."""
        count: int = self.call(lambda simulator: simulator.stats()["requests"].get(kind, 0))
        return count

    def break_down(self) -> None:
        """From now on every request fails, but none of those for tokens."""
        self.call(
            lambda simulator: simulator.fail_next(
                Fault.BAD_GATEWAY, on=("list", "get", "logs"), count=1_000_000
            )
        )

    def wait_until_asked(self, kind: str, *, times: int) -> None:
        """Returns when that many requests of this kind have come in."""
        clock = SystemClock()

        async def wait() -> None:
            with anyio.fail_after(PATIENCE_S):
                while self._simulator.stats()["requests"].get(kind, 0) < times:
                    await clock.sleep(_LOOK_S)

        self._portal.call(wait)

    def run(self, *words: str, **choices: Any) -> Ended:
        return run(*words, environ=self.environ, **choices)

    @contextmanager
    def running(self, *words: str, **choices: Any) -> Iterator["Running"]:
        with running(*words, environ=self.environ, **choices) as process:
            yield process


Serve = Callable[..., World]
"""Starts a simulator with the settings given, and by default without a target."""


def lived(*stages: tuple[float, Status]) -> tuple[Stage, ...]:
    return tuple(Stage(at_s=at_s, status=status) for at_s, status in stages)


def run(
    *words: str,
    environ: Mapping[str, str],
    more_environ: Mapping[str, str] | None = None,
    timeout_s: float = PATIENCE_S,
) -> Ended:
    done = subprocess.run(
        [*TAILER, *words],
        env={**environ, **(more_environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def shell(
    script: str,
    *,
    environ: Mapping[str, str],
    timeout_s: float = PATIENCE_S,
) -> Ended:
    """A bash script in which `$tailer` is the command; pipes give the code of their first part."""
    done = subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"],
        env={**environ, "tailer": " ".join(TAILER)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A running process and its output so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._received = {"out": b"", "err": b""}

    def wait_for(self, text: str, *, on: str = "out", timeout_s: float = PATIENCE_S) -> str:
        """All it has said on that stream, as soon as `text` is in it."""
        stream: IO[bytes] | None = self.process.stdout if on == "out" else self.process.stderr
        assert stream is not None
        clock = _Stopwatch(timeout_s)
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while text.encode() not in self._received[on]:
                assert selector.select(clock.left_s()), f"no {text!r} in {self._received[on]!r}"
                piece = os.read(stream.fileno(), _PIECE_BYTES)
                assert piece, f"no {text!r} in all of {self._received[on]!r}"
                self._received[on] += piece
        return self._received[on].decode()

    def end(self, *, timeout_s: float = PATIENCE_S) -> Ended:
        """What it said in all, once it has ended by itself or after a signal."""
        out, err = self.process.communicate(timeout=timeout_s)
        received = self._received
        return Ended(
            self.process.returncode,
            (received["out"] + (out or b"")).decode(),
            (received["err"] + (err or b"")).decode(),
        )


@contextmanager
def running(
    *words: str,
    environ: Mapping[str, str],
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Iterator[Running]:
    with subprocess.Popen(
        [*TAILER, *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


class _Stopwatch:
    def __init__(self, total_s: float) -> None:
        self._end_ns = SystemClock().wall_ns() + round(total_s * NS_PER_S)

    def left_s(self) -> float:
        return max(0.0, (self._end_ns - SystemClock().wall_ns()) / NS_PER_S)
