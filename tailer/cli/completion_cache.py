"""Ids for the shell, within a time limit, cached.

A question that gets as long as somebody waits for a key, and no longer.

A child process asks it, and is killed when time is up, whatever it hangs in: a name server
is asked in a thread, and no process ends before its threads do.

What there is at the service, for a shell that completes a word: at once, or not at all.

It is remembered for the next few keystrokes, in files that hold ids, names and statuses only.
"""

import hashlib
import os
import select
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import anyio
import msgspec

from tailer.aicore.credentials import Credentials
from tailer.clock import Clock
from tailer.errors import TailerError
from tailer.model import Kind, Workload
from tailer.timestamp import NS_PER_MS, NS_PER_S

_PIECE_BYTES = 65_536

Tell: TypeAlias = Callable[[bytes], None]
TimedQuery: TypeAlias = Callable[[Tell], Awaitable[None]]


def told_within(seconds: float, question: TimedQuery, *, clock: Clock) -> bytes:
    """What `question` has told by then; it may fail or hang, and says nothing on stderr."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _ask(question, writing)
    os.close(writing)
    try:
        return _read(reading, deadline_ns=clock.wall_ns() + round(seconds * NS_PER_S), clock=clock)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _ask(question: TimedQuery, fd: int) -> NoReturn:
    def tell(text: bytes) -> None:
        while text:
            text = text[os.write(fd, text) :]

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        anyio.run(question, tell)
    finally:
        os._exit(0)


def _read(fd: int, *, deadline_ns: int, clock: Clock) -> bytes:
    told = b""
    readable = select.poll()
    readable.register(fd, select.POLLIN)
    while (left_ns := deadline_ns - clock.wall_ns()) > 0 and readable.poll(left_ns // NS_PER_MS):
        piece = os.read(fd, _PIECE_BYTES)
        if not piece:
            break
        told += piece
    return told


_PATIENCE_S = 1.3  # somebody has pressed a key; starting up has taken its part of 1.5 s
_LONGEST_PATIENCE_S = 60.0
_PATIENCE_VARIABLE = "TAILER_COMPLETION_TIMEOUT_S"  # for who would rather wait
_FRESH_NS = 5 * NS_PER_S  # as long as one goes on typing at the same word

_Row = TypeVar("_Row", bound="CachedIds | CachedGroup")


class CachedIds(msgspec.Struct, frozen=True):
    """A deployment or execution."""

    kind: Kind
    id: str
    status: str
    scenario: str
    executable: str
    configuration: str
    created_at: str

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.id}"


class CachedGroup(msgspec.Struct, frozen=True):
    id: str


class CompletionCache:
    """Of one client at one service, and of these resource groups; None is all of them."""

    def __init__(
        self,
        credentials: Credentials,
        resource_groups: Sequence[str] | None,
        *,
        environ: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._credentials = credentials
        self._groups = resource_groups
        self._folder = _folder(environ)
        self._patience_s = _patience_s(environ)
        self._clock = clock

    def workloads(self) -> list[CachedIds]:
        """In no order."""

        async def ask(tell: Tell) -> None:
            from tailer.backoff import OutageNotice
            from tailer.cli.context import client_for

            async def ask_one(group: str, kind: Kind) -> None:
                with suppress(TailerError):
                    for one in await client.list(kind, group, on_retry=OutageNotice()):
                        tell(_line(_known(one)))

            async with client_for(self._credentials) as client:
                groups = self._groups
                if groups is None:
                    groups = await client.resource_groups(on_retry=OutageNotice())
                async with anyio.create_task_group() as asking:
                    for group, kind in product(groups, Kind):
                        asking.start_soon(ask_one, group, kind)

        return self._recalled(("workloads", self._groups), ask, CachedIds)

    def resource_groups(self) -> list[CachedGroup]:
        """All that there are."""

        async def ask(tell: Tell) -> None:
            from tailer.backoff import OutageNotice
            from tailer.cli.context import client_for

            async with client_for(self._credentials) as client:
                for group in await client.resource_groups(on_retry=OutageNotice()):
                    tell(_line(CachedGroup(group)))

        return self._recalled(("resource groups",), ask, CachedGroup)

    def _recalled(self, what: Sequence[object], ask: TimedQuery, row: type[_Row]) -> list[_Row]:
        us = (self._credentials.token_url, self._credentials.api_url, self._credentials.client_id)
        digest = hashlib.sha256(msgspec.json.encode([*us, *what])).hexdigest()
        path = None if self._folder is None else self._folder / f"{digest[:32]}.jsonl"
        told = None if path is None else self._read(path)
        if told is None:
            told = told_within(self._patience_s, ask, clock=self._clock)
            if path is not None:
                with suppress(OSError):
                    _write(path, told)
        rows = []
        for line in told.splitlines():
            # The last one may be cut short, and a disk or another program may have its own idea.
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rows.append(msgspec.json.decode(line, type=row))
        return rows

    def _read(self, path: Path) -> bytes | None:
        """None if it is not there or too old."""
        try:
            age_ns = self._clock.wall_ns() - path.stat().st_mtime_ns
            return path.read_bytes() if 0 <= age_ns < _FRESH_NS else None
        except OSError:
            return None


def _patience_s(environ: Mapping[str, str]) -> float:
    try:
        wanted_s = float(environ.get(_PATIENCE_VARIABLE, ""))
    except ValueError:  # nobody could be told: the shell waits for words
        return _PATIENCE_S
    return wanted_s if 0 < wanted_s <= _LONGEST_PATIENCE_S else _PATIENCE_S


def _folder(environ: Mapping[str, str]) -> Path | None:
    cache, home = Path(environ.get("XDG_CACHE_HOME", "")), Path(environ.get("HOME", ""))
    if cache.is_absolute():  # the others must be ignored, says the XDG Base Directory Specification
        return cache / "tailer"
    return home / ".cache" / "tailer" if home.is_absolute() else None


def _known(workload: Workload) -> CachedIds:
    return CachedIds(
        kind=workload.target.kind,
        id=workload.target.id,
        status=workload.status,
        scenario=workload.scenario_id,
        executable=workload.executable_id,
        configuration=workload.configuration_name,
        created_at=workload.created_at,
    )


def _line(row: CachedIds | CachedGroup) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _write(path: Path, text: bytes) -> None:
    """Whoever looks finds the old file or the whole new one, and only its owner looks."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
