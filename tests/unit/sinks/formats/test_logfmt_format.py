"""The logfmt format; every line can be parsed back."""

import json
import re

from hypothesis import given
from support.batches import any_batches, batch, line, whole

from tailer.model import Batch, Entry, Kind, Target
from tailer.sinks.formats.build import FormatSettings, build_formatter

LOGFMT = build_formatter(FormatSettings(format="logfmt"), [])
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')


def parsed(text: str) -> dict[str, str]:
    fields, at = {}, 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        assert pair is not None, f"not logfmt at {at}: {text!r}"
        key, value = pair.groups()
        fields[key] = json.loads(value) if value.startswith('"') else value
        at = pair.end()
    return fields


@given(any_batches)
def test_every_line_reads_back_field_by_field(source: Batch) -> None:
    page = LOGFMT(source).decode()

    assert [parsed(each) for each in page.split("\n")[:-1]] == [
        expected(source.target, entry) for entry in source.entries
    ]


def expected(target: Target, entry: Entry) -> dict[str, object]:
    fields = {
        "ts": entry.timestamp,
        "group": target.resource_group,
        "target": target.name,
        "pod": entry.pod,
        "container": entry.container,
        "stream": entry.stream,
        "msg": entry.msg.removesuffix("\n") if isinstance(entry.msg, str) else entry.msg,
    }
    return {key: whole(value) for key, value in fields.items() if isinstance(value, str)}


def test_a_line_reads_as_documented() -> None:
    page = LOGFMT(batch(line('said "hi"\tand left\n')))

    assert page == (
        b"ts=2024-09-18T16:06:50.914532860+00:00 group=default target=deployment/d1a2 "
        b'pod=pod-a container=main stream=stdout msg="said \\"hi\\"\\tand left"\n'
    )


def test_a_name_with_a_space_is_quoted() -> None:
    page = LOGFMT(batch(Entry(msg="x"), target=Target("team a", Kind.EXECUTION, "e1")))

    assert page == b'group="team a" target=execution/e1 msg="x"\n'
