"""Folders, spool, status address, sinks.

Places on this machine: folders that can be written, the spool, the status address. Blocks.

Sinks, each tried as far as that leaves no record: connected to, or a folder written to.
"""

import errno
import fcntl
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from stat import S_ISSOCK
from typing import assert_never
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from tailer.check.runner import (
    Check,
    Finding,
    FindingLevel,
    LastError,
    failed,
    failed_by,
    passed,
    warning,
)
from tailer.clock import Clock
from tailer.config import FileSection, SinkSection, SpoolSection, SyslogSection
from tailer.errors import ConfigError, NotFoundError, SinkError, TransientSinkError
from tailer.sinks.file.paths import PathTemplate
from tailer.sinks.syslog.build import build_transport
from tailer.spool.open import lock_path_of
from tailer.spool.schema import VERSION
from tailer.status.client import HostPort, UnixPath, ask_for_status, parse_address
from tailer.text import size_text

_MIB = 1 << 20
_LEAST_BYTES = _MIB  # with less there is no beginning
_GREETING = b"SQLite format 3\x00"
_VERSION_AT = 60  # in SQLite's header: a big-endian number of ours
_UNWRITABLE, _MISTAKEN = 5, 2
_REMEDIES = {
    errno.EACCES: "tailer's user needs the right to write there",
    errno.EPERM: "tailer's user needs the right to write there",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "raise the quota, or make room",
    errno.ENOTDIR: "something on the way is a file",
}


@dataclass(frozen=True, slots=True)
class Room:
    """Of a folder that can be written. `is_new`: it will be made."""

    free_bytes: int
    is_new: bool

    def __str__(self) -> str:
        can_be = "can be made" if self.is_new else "writable"
        return f"{can_be}, {size_text(self.free_bytes)} free"


def try_folder(folder: Path) -> Room:
    """Make something there, or where it would be made, and remove it again.

    Its name is one that no path template can have: it begins with a dot, and has no extension.

    Raises:
        SinkError: It cannot be written.
    """
    existing = folder
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        probe = existing / f".tailer-check-{os.getpid()}-{token_hex(4)}"
        if existing == folder:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            probe.unlink()
        else:
            probe.mkdir(mode=0o700)
            probe.rmdir()
        disk = os.statvfs(existing)
    except OSError as error:
        number = error.errno or 0
        raise SinkError(
            f"{folder} cannot be written: {error.strerror}", hint=_REMEDIES.get(number, "")
        ) from error
    if disk.f_files and not disk.f_favail:
        raise SinkError(f"the disk of {folder} has no room for another file", hint="make room")
    return Room(disk.f_bavail * disk.f_frsize, is_new=existing != folder)


def room_finding(room: Room, what: str, *, wanted_bytes: int, reason: str) -> Finding:
    """How it stands with a folder that can be written, and is to hold so much."""
    if room.free_bytes < _LEAST_BYTES:
        return failed(f"{what}: {room}", "make room on that disk", exit_code=_UNWRITABLE)
    if room.free_bytes < wanted_bytes:
        return warning(f"{what}: {room}", reason)
    return passed(f"{what}: {room}")


def look_at_spool(section: SpoolSection) -> Finding:
    """Touches neither the spool nor its lock, of which another process may be the owner."""
    try:
        path = section.path.resolve()
        room = try_folder(path.parent)
        is_running, owner = _owner(lock_path_of(path))
        version = _version(path)
    except SinkError as error:
        return failed_by(error)
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None) or 0
        remedy = _REMEDIES.get(number, "is [spool] path right?")
        return failed(f"{section.path} cannot be used: {error}", remedy, exit_code=_UNWRITABLE)
    if version is not None and version > VERSION:
        return failed(
            f"{path} was made by a newer tailer: its version is {version}, ours {VERSION}",
            "install that newer version again, or move the spool away to begin anew",
            exit_code=_MISTAKEN,
        )
    if version is None and path.exists() and path.stat().st_size:
        return warning(f"{path} is damaged", "the next start sets it aside, and begins a new one")
    in_use = f", in use by a running tailer, process {owner or 'unknown'}" if is_running else ""
    return room_finding(
        room,
        f"{path}{in_use}",
        wanted_bytes=section.max_bytes,
        reason=f"make room for max_bytes = {size_text(section.max_bytes)}, or lower that",
    )


def _owner(lock_path: Path) -> tuple[bool, str]:
    """Whether somebody has the lock, and his number. It is ours for a moment, if it is free."""
    try:
        fd = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False, ""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True, os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    finally:
        os.close(fd)
    return False, ""


def _version(path: Path) -> int | None:
    """Of the spool; None when there is none. Read without SQLite, which would leave files."""
    try:
        with path.open("rb") as file:
            header = file.read(_VERSION_AT + 4)
    except FileNotFoundError:
        return None
    if not header.startswith(_GREETING) or len(header) < _VERSION_AT + 4:
        return None
    found: int = struct.unpack_from(">I", header, _VERSION_AT)[0]
    return found


def look_at_status_address(listen: str) -> Finding:
    if not listen:
        return passed("turned off")
    address = parse_address(listen)
    reason = _why_taken(address)
    if reason is None:
        return passed(f"{address} is free")
    with suppress(NotFoundError):
        ask_for_status(address)
        return passed(f"{address}: a running tailer answers")
    return failed(
        f"nothing can be served at {address}: {reason}",
        "end what has it, or change [status] listen",
        exit_code=ConfigError.exit_code,
    )


def _why_taken(address: HostPort | UnixPath) -> str | None:
    try:
        if isinstance(address, HostPort):
            _try_port(address)
        else:
            _try_path(address.path)
    except (OSError, SinkError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return None


def _try_port(address: HostPort) -> None:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, endpoint in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(endpoint)


def _try_path(path: Path) -> None:
    try_folder(path.parent)
    if not path.exists():
        return
    if not S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, which is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        with suppress(ConnectionRefusedError):  # left behind: it will be replaced
            probe.connect(os.fspath(path))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


_WITHIN_S = 10.0
_SERVERS_WITHIN_S = 8.0
_ROOM_BYTES = 100_000_000  # with less, somebody should look


def sink_check(section: SinkSection, *, clock: Clock) -> Check:
    match section.to:
        case FileSection() as file:
            look = partial(_file, file)
        case SyslogSection() as syslog:
            look = partial(_syslog, syslog, clock)
        case _:
            assert_never(section.to)
    return Check(f"sink {section.name}", look, _WITHIN_S, SinkError.exit_code)


async def _file(section: FileSection, _: LastError) -> Finding:
    base = Path(PathTemplate(section.path).base)
    room = await to_thread.run_sync(try_folder, base, abandon_on_cancel=True)
    return room_finding(
        room,
        str(base),
        wanted_bytes=max(_ROOM_BYTES, section.rotate_bytes),
        reason="when the disk is full, this sink waits, and then reading waits",
    )


async def _syslog(section: SyslogSection, clock: Clock, _: LastError) -> Finding:
    """All servers, not only the first that works: the others are there for its failure."""
    failures: dict[str, SinkError] = {}

    async def look(url: str) -> None:
        transport = build_transport(section, url, clock=clock)
        try:
            with anyio.fail_after(_SERVERS_WITHIN_S):
                connection = await transport.connect()
        except TimeoutError:
            failures[url] = TransientSinkError(
                f"{transport.server}: no answer within {_SERVERS_WITHIN_S:g} s",
                hint="does a firewall let us through?",
            )
        except SinkError as error:
            failures[url] = error
        else:
            await connection.aclose()

    async with anyio.create_task_group() as looking:
        for url in section.url:
            looking.start_soon(look, url)
    well = [url for url in section.url if url not in failures]
    said = "; ".join(_said(url) for url in well)
    if failures:
        verdict = FindingLevel.WARN if well else FindingLevel.FAIL
        broken = [failures[url] for url in section.url if url in failures]
        what = "; ".join([*(error.message for error in broken), *([said] if said else [])])
        hints = "; ".join(dict.fromkeys(error.hint for error in broken if error.hint))
        hint = hints or "is it running, and is the url right?"
        code = SinkError.exit_code
        return (
            warning(what, hint)
            if verdict is FindingLevel.WARN
            else failed(what, hint, exit_code=code)
        )
    if section.tls_dangerously_accept_any_certificate:
        return warning(
            f"{said}, whoever that is: no certificate is checked",
            "remove tls_dangerously_accept_any_certificate",
        )
    return passed(said)


def _said(url: str) -> str:
    """What is known of a server that could be connected to; no user, no password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"{url} is connected"
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    match parts.scheme:
        case "udp":
            return f"{where} is an address; whether anybody listens, UDP cannot tell"
        case "relp" | "relp+tls":
            return f"{where} speaks RELP{' over TLS' if parts.scheme == 'relp+tls' else ''}"
        case "tls":
            return f"{where} is connected, over TLS"
        case _:
            return f"{where} is connected"
