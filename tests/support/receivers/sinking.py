"""The syslog sink itself, set up for one way into a receiver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.receivers.certificates import Certificates
from support.receivers.hostile import scenario_of
from support.receivers.ways import Way

from tailer.clock import SystemClock
from tailer.config import SyslogSection
from tailer.sinks.contract import Sink
from tailer.sinks.syslog.build import build_syslog_sink


def section_for(way: Way, url: str, certificates: Certificates, **more: Any) -> SyslogSection:
    client = certificates.client if way.asks_for_certificate else None
    return SyslogSection(
        url=(url,),
        format=way.format,
        framing=way.framing or "auto",
        tls_ca_file=certificates.ca_file if way.is_encrypted else None,
        tls_cert_file=client.cert_file if client else None,
        tls_key_file=client.key_file if client else None,
        **{"ack_hold_s": 0.0, "datagrams_per_s": 0.0, **more},
    )


@asynccontextmanager
async def sending(section: SyslogSection) -> AsyncIterator[Sink]:
    sink = build_syslog_sink(
        section,
        name="syslog",
        clock=SystemClock(),
        scenario_of=scenario_of,
        on_gap=lambda *gap: pytest.fail(f"a gap: {gap}"),
    )
    await sink.open(None)
    try:
        yield sink
    finally:
        await sink.aclose()
