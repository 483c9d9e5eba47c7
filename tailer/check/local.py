"""Checks of this machine: sinks, directories, spool and status address.

Sinks are checked without sending a line: a connection to each syslog server, a probe file in
each directory. Checks that block run in a thread.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TypeVar, assert_never
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from tailer.check.runner import Check, Finding, LastError, Work, failed, failed_by, passed, warning
from tailer.clock import Clock
from tailer.config import Config, FileSection, SinkSection, SpoolSection, SyslogSection
from tailer.errors import ConfigError, NotFoundError, SinkError, TransientSinkError
from tailer.sinks.file.disk import HINTS, cannot_write
from tailer.sinks.file.paths import PathTemplate
from tailer.sinks.syslog.build import build_transport
from tailer.spool.open import lock_path_of
from tailer.spool.schema import VERSION
from tailer.status.client import ask_for_status, parse_address
from tailer.status.server import serving
from tailer.text import size_text

_Argument = TypeVar("_Argument")

_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 8.0  # of one syslog server; all are tried at once
_MIN_FREE_BYTES = 1 << 20  # below it, the check fails
_SINK_FREE_BYTES = 100_000_000  # below it, the check warns
_SQLITE_MAGIC = b"SQLite format 3\x00"
_USER_VERSION_OFFSET = 60  # in SQLite's header: big-endian, set to the schema version


def local_checks(config: Config, clock: Clock) -> list[Check]:
    return [
        *(_sink_check(section, clock) for section in config.sinks),
        Check("spool", _in_thread(_spool, config.spool), _TIMEOUT_S, SinkError.exit_code),
        Check(
            "status page",
            partial(_status_page, config.status.listen),
            _TIMEOUT_S,
            ConfigError.exit_code,
        ),
    ]


def _sink_check(section: SinkSection, clock: Clock) -> Check:
    work: Work
    match section.to:
        case FileSection() as file:
            work = _in_thread(_file, file)
        case SyslogSection() as syslog:
            work = partial(_syslog, syslog, clock)
        case _:
            assert_never(section.to)
    return Check(f"sink {section.name}", work, _TIMEOUT_S, SinkError.exit_code)


def _in_thread(find: Callable[[_Argument], Finding], argument: _Argument) -> Work:
    async def work(_: LastError) -> Finding:
        return await to_thread.run_sync(find, argument, abandon_on_cancel=True)

    return work


def _file(section: FileSection) -> Finding:
    base = Path(PathTemplate(section.path).base)
    return _directory(
        base,
        str(base),
        wanted_bytes=max(_SINK_FREE_BYTES, section.rotate_bytes),
        remedy="when the disk is full, this sink waits, and when the spool is full, polling waits",
    )


def _directory(directory: Path, subject: str, *, wanted_bytes: int, remedy: str) -> Finding:
    """Whether the directory can be written or created, and has enough free space.

    Raises:
        SinkError: It cannot be written.
    """
    free_bytes = _try_directory(directory)
    state = "writable" if directory.exists() else "can be created"
    text = f"{subject}: {state}, {size_text(free_bytes)} free"
    if free_bytes < _MIN_FREE_BYTES:
        return failed(text, HINTS[errno.ENOSPC], exit_code=SinkError.exit_code)
    return passed(text) if free_bytes >= wanted_bytes else warning(text, remedy)


def _try_directory(directory: Path) -> int:
    """Create and remove a probe in the directory or its first existing parent; free bytes.

    No path template can have the name of the probe: a leading dot and no extension.

    Raises:
        SinkError: The directory cannot be written or created.
    """
    existing = directory
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        probe = existing / f".tailer-check-{os.getpid()}-{token_hex(4)}"
        if existing == directory:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            probe.unlink()
        else:
            probe.mkdir(mode=0o700)
            probe.rmdir()
        disk = os.statvfs(existing)
    except OSError as error:
        error.filename = str(directory)
        raise cannot_write(error) from error
    if disk.f_files and not disk.f_favail:
        raise SinkError(f"no free inodes on the disk of {directory}", hint="delete files there")
    return disk.f_bavail * disk.f_frsize


def _spool(section: SpoolSection) -> Finding:
    """Reads the spool's header only: opening it would create files and take its lock."""
    try:
        path = section.path.resolve()
        owner = _owner(lock_path_of(path))
        version = _version(path)
        if version is not None and version > VERSION:
            return failed(
                f"{path} was made by a newer tailer: its version is {version}, not {VERSION}",
                "install that newer version again, or move the spool away",
                exit_code=ConfigError.exit_code,
            )
        if version is None and path.exists() and path.stat().st_size:
            return warning(
                f"{path} is damaged", "the next start moves it aside and creates a new one"
            )
        in_use = "" if owner is None else f", in use by a running tailer, process {owner}"
        return _directory(
            path.parent,
            f"{path}{in_use}",
            wanted_bytes=section.max_bytes,
            remedy=f"free space for max_bytes = {size_text(section.max_bytes)}, or lower it",
        )
    except SinkError as error:
        return failed_by(error)
    except (OSError, RuntimeError) as error:  # a symlink loop is either, by version of Python
        text = f"{section.path} cannot be used: {error}"
        remedy = "is [spool] path right, and may tailer's user read it?"
        return failed(text, remedy, exit_code=SinkError.exit_code)


def _owner(lock_path: Path) -> str | None:
    """Process id of the lock's owner; None when free. Takes a free lock, shared, for a moment."""
    try:
        fd = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(fd)
    return None


def _version(path: Path) -> int | None:
    """Schema version of the spool; None when it is missing or damaged."""
    try:
        with path.open("rb") as file:
            header = file.read(_USER_VERSION_OFFSET + 4)
    except FileNotFoundError:
        return None
    if not header.startswith(_SQLITE_MAGIC) or len(header) < _USER_VERSION_OFFSET + 4:
        return None
    version: int = struct.unpack_from(">I", header, _USER_VERSION_OFFSET)[0]
    return version


async def _status_page(listen: str, _: LastError) -> Finding:
    """Listen as the service does, and stop at once."""
    if not listen:
        return passed("turned off")
    address = parse_address(listen)
    try:
        async with serving(listen, {}):
            return passed(f"{address} is free")
    except ConfigError as error:
        with suppress(NotFoundError):
            await to_thread.run_sync(ask_for_status, address, abandon_on_cancel=True)
            return passed(f"{address}: a running tailer responds")
        return failed_by(error)


async def _syslog(section: SyslogSection, clock: Clock, _: LastError) -> Finding:
    """Connect to every server, because the others serve only when the first one fails."""
    failures: dict[str, SinkError] = {}

    async def connect(url: str) -> None:
        transport = build_transport(section, url, clock=clock)
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_S):
                connection = await transport.connect()
        except TimeoutError:
            failures[url] = TransientSinkError(
                f"{transport.server}: no response within {_CONNECT_TIMEOUT_S:g} s",
                hint="is a firewall in between?",
            )
        except SinkError as error:
            failures[url] = error
        else:
            await connection.aclose()

    async with anyio.create_task_group() as connecting:
        for url in section.url:
            connecting.start_soon(connect, url)
    connected = [_connected_text(url) for url in section.url if url not in failures]
    text = "; ".join(connected)
    if failures:
        errors = [failures[url] for url in section.url if url in failures]
        text = "; ".join([*(error.message for error in errors), *connected])
        hints = "; ".join(dict.fromkeys(error.hint for error in errors if error.hint))
        remedy = hints or "is it running, and is the url right?"
        if not connected:
            return failed(text, remedy, exit_code=SinkError.exit_code)
        return warning(text, remedy)
    if section.tls_dangerously_accept_any_certificate:
        return warning(
            f"{text}; the certificate of the server is not verified",
            "remove tls_dangerously_accept_any_certificate",
        )
    return passed(text)


def _connected_text(url: str) -> str:
    """What a connection has shown; without the user and password of the url."""
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if parts.scheme == "unix":
        return f"{url} is connected"
    return f"{server} {_CONNECTED.get(parts.scheme, 'is connected')}"


_CONNECTED = {
    "udp": "is an address; UDP cannot show whether a server listens there",
    "relp": "speaks RELP",
    "relp+tls": "speaks RELP over TLS",
    "tls": "is connected over TLS",
}
