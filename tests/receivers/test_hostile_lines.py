"""Hostile lines over every transport into real receivers, compared field by field."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.receivers.certificates import Certificates
from support.receivers.expected import (
    HABITS,
    SD_ID,
    Expected,
    differences,
    differences_in_old_format,
    expect,
    spelled,
)
from support.receivers.hostile import LINES, HostileLine, hostile_batches, hostile_lines
from support.receivers.received import Received
from support.receivers.receiver import Receiver
from support.receivers.running import RUNNING
from support.receivers.sinking import section_for, sending
from support.receivers.ways import RSYSLOG, SYSLOG_NG, Way

from tailer.config import SyslogSection
from tailer.config.settings import ControlCharacters
from tailer.model import Entry
from tailer.sinks.syslog.build import max_bytes

pytestmark = pytest.mark.real_time  # other processes have no part in virtual time

each_receiver = pytest.mark.parametrize("name", ["rsyslog", "syslog-ng"])

WAYS = {"rsyslog": RSYSLOG, "syslog-ng": SYSLOG_NG}
FEWER = 1_000  # still every kind of line
BIG = 131_072
BIG_DATAGRAM = 16_384
DATAGRAMS_AT_ONCE = 40  # 40 long datagrams fit into the smallest receive buffer


async def send(
    receiver: Receiver, way: str, section: SyslogSection, lines: Sequence[HostileLine]
) -> None:
    """Send lines; datagrams no faster than the receiver writes them, or some would be lost."""
    async with sending(section) as sink:
        if not section.url[0].startswith("udp"):
            await sink.write(list(hostile_batches(lines)))
            receiver.wait_to_have(way, len(lines))
            return
        sent = 0
        for batch in hostile_batches(lines, lines_per_batch=DATAGRAMS_AT_ONCE):
            await sink.write([batch])
            sent += len(batch.entries)
            receiver.wait_to_have(way, sent)


@cache
def expected_of(count: int, mode: ControlCharacters, *, may_hold_newlines: bool) -> list[Expected]:
    return [
        expect(line, mode, may_hold_newlines=may_hold_newlines) for line in hostile_lines(count)
    ]


def compared(
    name: str, way: Way, section: SyslogSection, got: list[Received], *, count: int
) -> list[str]:
    """Descriptions of all differences between received and expected messages."""
    counted = way.framing == "octet-counting" or way.scheme.startswith("relp")
    expected = expected_of(count, section.control_characters, may_hold_newlines=counted)
    wrong = [] if len(got) == count else [f"{len(got)} messages of {count}"]
    for number, (line, one, come) in enumerate(
        zip(hostile_lines(count), expected, got, strict=False)
    ):
        if way.format == "rfc3164":
            found = differences_in_old_format(line, one, come, max_bytes=max_bytes(section))
        else:
            found = differences(one, come, max_bytes=max_bytes(section), habits=HABITS[name])
        wrong += [f"{number} {field}: {texts}" for field, texts in found.items()]
    return wrong


async def send_and_compare(
    name: str, receiver: Receiver, certificates: Certificates, *, count: int, **choices: Any
) -> dict[str, list[str]]:
    """Send by every transport in turn; the first five differences of each transport."""
    sections = {}
    for way, how in WAYS[name].items():
        section = section_for(how, receiver.urls[way], certificates, **choices)
        if how.scheme == "udp" and section.max_message_bytes:
            section = replace(section, max_message_bytes=BIG_DATAGRAM)
        await send(receiver, way, section, hostile_lines(count))
        sections[way] = section
    receiver.stop()  # nothing more can come now
    wrong = {
        way: compared(name, how, sections[way], receiver.received(way), count=count)[:5]
        for way, how in WAYS[name].items()
    }
    return {way: found for way, found in wrong.items() if found}


@each_receiver
@pytest.mark.parametrize(("mode", "count"), [("escape", LINES), ("octal", FEWER), ("raw", FEWER)])
@pytest.mark.long
async def test_every_field_of_every_hostile_line_arrives_by_every_transport(
    tmp_path: Path, certificates: Certificates, name: str, mode: ControlCharacters, count: int
) -> None:
    with RUNNING[name](tmp_path / name, certificates, max_bytes=BIG) as receiver:
        wrong = await send_and_compare(
            name,
            receiver,
            certificates,
            count=count,
            control_characters=mode,
            max_message_bytes=BIG,
        )

    assert wrong == {}


@each_receiver
async def test_hostile_lines_arrive_with_default_settings(
    tmp_path: Path, certificates: Certificates, name: str
) -> None:
    with RUNNING[name](tmp_path / name, certificates, max_bytes=None) as receiver:
        wrong = await send_and_compare(name, receiver, certificates, count=FEWER)

    assert wrong == {}


@pytest.mark.parametrize(
    ("receiver", "way"),
    [("rsyslog", "tcp"), ("rsyslog", "relp"), ("syslog-ng", "tcp"), ("syslog-ng", "unix")],
    indirect=["receiver"],
)
async def test_the_parts_of_a_split_line_join_to_the_line(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    lines = [line for line in hostile_lines(FEWER) if len(str(line.entry.msg)) > BIG]
    last = replace(lines[0], entry=Entry(msg="the last one"))
    how = (RSYSLOG | SYSLOG_NG)[way]
    section = section_for(
        how, receiver.urls[way], certificates, max_message_bytes=BIG, oversize="split"
    )
    async with sending(section) as sink:
        await sink.write(list(hostile_batches([*lines, last])))
    receiver.wait_until(
        lambda: [one.msg for one in receiver.received(way)][-1:] == [last.entry.msg],
        lambda: "the last one does not come",
    )

    *parts, _ = receiver.received(way)
    whole: dict[str, list[Received]] = {}
    for part in parts:
        whole.setdefault(part.elements[SD_ID]["id"].rpartition(".")[0], []).append(part)
    assert [
        ("".join(part.msg for part in of_line), [part.elements[SD_ID]["part"] for part in of_line])
        for of_line in whole.values()
    ] == [
        (
            spelled(str(line.entry.msg).removesuffix("\n"), "escape", may_hold_newlines=False),
            [f"{number}/{len(of_line)}" for number in range(1, len(of_line) + 1)],
        )
        for line, of_line in zip(lines, whole.values(), strict=True)
    ]
