"""Ids, names and statuses for shell completion: queried within a time limit, then cached.

A forked child queries the service and is killed at the time limit. A thread would not do: a
name server that hangs keeps a thread, and the interpreter waits for its threads. The cache
files hold ids, names and statuses only.
"""

import hashlib
import os
import select
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar

import anyio
import msgspec

from tailer.aicore.credentials import Credentials
from tailer.clock import Clock
from tailer.errors import TailerError
from tailer.model import Kind, Workload
from tailer.timestamp import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from tailer.aicore.client import AiCoreClient

_CHUNK_BYTES = 65_536

Write: TypeAlias = Callable[[bytes], None]
TimedQuery: TypeAlias = Callable[[Write], Awaitable[None]]


def output_within(seconds: float, query: TimedQuery, *, clock: Clock) -> bytes:
    """The output of `query` after at most `seconds`, even if it fails or hangs."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _run_child(query, writing)
    os.close(writing)
    try:
        return _read(reading, deadline_ns=clock.wall_ns() + round(seconds * NS_PER_S), clock=clock)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _run_child(query: TimedQuery, fd: int) -> NoReturn:
    def write(text: bytes) -> None:
        while text:
            text = text[os.write(fd, text) :]

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        anyio.run(query, write)
    finally:
        os._exit(0)


def _read(fd: int, *, deadline_ns: int, clock: Clock) -> bytes:
    output = b""
    readable = select.poll()
    readable.register(fd, select.POLLIN)
    while (left_ns := deadline_ns - clock.wall_ns()) > 0 and readable.poll(left_ns // NS_PER_MS):
        chunk = os.read(fd, _CHUNK_BYTES)
        if not chunk:
            break
        output += chunk
    return output


_TIMEOUT_S = 1.3  # a user waits about 1.5 s after a key, and starting takes 0.2 s
_MAX_TIMEOUT_S = 60.0
_TIMEOUT_VARIABLE = "TAILER_COMPLETION_TIMEOUT_S"
_MAX_AGE_NS = 5 * NS_PER_S  # covers the next few keystrokes at the same word

_Row = TypeVar("_Row")
_Query: TypeAlias = "Callable[[AiCoreClient, Write], Awaitable[None]]"


class CompletionCache:
    """Cache of one client's targets in these resource groups; None means all groups."""

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
        self._directory = _directory(environ)
        self._timeout_s = _timeout_s(environ)
        self._clock = clock

    def workloads(self) -> list[Workload]:
        """All deployments and executions, in no order."""

        async def query(client: "AiCoreClient", write: Write) -> None:
            from tailer.backoff import OutageNotice

            async def query_one(group: str, kind: Kind) -> None:
                with suppress(TailerError):
                    for one in await client.list(kind, group, on_retry=OutageNotice()):
                        write(_line(one))

            groups = self._groups
            if groups is None:
                groups = await client.resource_groups(on_retry=OutageNotice())
            async with anyio.create_task_group() as tasks:
                for group, kind in product(groups, Kind):
                    tasks.start_soon(query_one, group, kind)

        return self._cached(("workloads", self._groups), query, Workload)

    def resource_groups(self) -> list[str]:
        """All resource groups that the client may read."""

        async def query(client: "AiCoreClient", write: Write) -> None:
            from tailer.backoff import OutageNotice

            for group in await client.resource_groups(on_retry=OutageNotice()):
                write(_line(group))

        return self._cached(("resource groups",), query, str)

    def _cached(self, what: Sequence[object], query: _Query, row: type[_Row]) -> list[_Row]:
        async def connect_and_query(write: Write) -> None:
            from tailer.cli.context import client_for

            async with client_for(self._credentials) as client:
                await query(client, write)

        client = self._credentials
        identity = (client.token_url, client.api_url, client.client_id, *what)
        digest = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()
        path = None if self._directory is None else self._directory / f"{digest[:32]}.jsonl"
        rows_text = None if path is None else self._read(path)
        if rows_text is None:
            rows_text = output_within(self._timeout_s, connect_and_query, clock=self._clock)
            if path is not None:
                with suppress(OSError):
                    _write(path, rows_text)
        rows = []
        for line in rows_text.splitlines():
            # The last row may be cut off, and the file may be damaged.
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rows.append(msgspec.json.decode(line, type=row))
        return rows

    def _read(self, path: Path) -> bytes | None:
        """The cached rows; None if the file is missing or too old."""
        try:
            age_ns = self._clock.wall_ns() - path.stat().st_mtime_ns
            return path.read_bytes() if 0 <= age_ns < _MAX_AGE_NS else None
        except OSError:
            return None


def _timeout_s(environ: Mapping[str, str]) -> float:
    try:
        wanted_s = float(environ.get(_TIMEOUT_VARIABLE, ""))
    except ValueError:  # a completion must not print an error
        return _TIMEOUT_S
    return wanted_s if 0 < wanted_s <= _MAX_TIMEOUT_S else _TIMEOUT_S


def _directory(environ: Mapping[str, str]) -> Path | None:
    cache, home = Path(environ.get("XDG_CACHE_HOME", "")), Path(environ.get("HOME", ""))
    if cache.is_absolute():  # XDG Base Directory Specification: ignore relative paths
        return cache / "tailer"
    return home / ".cache" / "tailer" if home.is_absolute() else None


def _line(row: Workload | str) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _write(path: Path, text: bytes) -> None:
    """Replace the file atomically; only its owner may read it."""
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
