"""Sinks, each tried as far as that leaves no record: connected to, or a folder written to."""

from functools import partial
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from tailer.checks.finding import Finding, Verdict, failed, fine, odd
from tailer.checks.places import room_finding, try_folder
from tailer.checks.running import Check, Trouble
from tailer.clock import Clock
from tailer.config import FileSection, SinkSection, SyslogSection
from tailer.errors import SinkError, TransientSinkError
from tailer.sinks.file.path_template import PathTemplate
from tailer.sinks.syslog.building import build_transport

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


async def _file(section: FileSection, _: Trouble) -> Finding:
    base = Path(PathTemplate(section.path).base)
    room = await to_thread.run_sync(try_folder, base, abandon_on_cancel=True)
    return room_finding(
        room,
        str(base),
        wanted_bytes=max(_ROOM_BYTES, section.rotate_bytes),
        why="when the disk is full, this sink waits, and then reading waits",
    )


async def _syslog(section: SyslogSection, clock: Clock, _: Trouble) -> Finding:
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
        verdict = Verdict.WARN if well else Verdict.FAIL
        broken = [failures[url] for url in section.url if url in failures]
        what = "; ".join([*(error.message for error in broken), *([said] if said else [])])
        hints = "; ".join(dict.fromkeys(error.hint for error in broken if error.hint))
        hint = hints or "is it running, and is the url right?"
        code = SinkError.exit_code
        return odd(what, hint) if verdict is Verdict.WARN else failed(what, hint, exit_code=code)
    if section.tls_dangerously_accept_any_certificate:
        return odd(
            f"{said}, whoever that is: no certificate is checked",
            "remove tls_dangerously_accept_any_certificate",
        )
    return fine(said)


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
