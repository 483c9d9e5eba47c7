"""Batches to write and entries to find in them, made up."""

from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tailer.model import Batch, Entry, ExtendedEntry, Kind, Target

TARGET = Target("default", Kind.DEPLOYMENT, "d1a2")
TIME_NS = 1_726_675_610_914_532_860  # 2024-09-18T16:06:50.914532860Z


def line(msg: str, *, pod: str = "pod-a", container: str = "main", stream: str = "stdout") -> Entry:
    return Entry("2024-09-18T16:06:50.914532860+00:00", pod, container, stream, msg)


def batch(*entries: Entry, target: Target = TARGET, time_ns: int = TIME_NS) -> Batch:
    times_ns = tuple(time_ns + index for index in range(len(entries)))
    return Batch(1, target, entries, times_ns)


def lines(*messages: str) -> Batch:
    return batch(*(line(f"{message}\n") for message in messages))


any_text = st.text(st.characters() | st.sampled_from('\x1b\r\n\t"\\ =\x9b\u202e\ud800'))
_field = any_text | st.none() | st.just(UNSET)

plain_entries = st.builds(Entry, _field, _field, _field, _field, _field)
odd_entries = st.builds(
    ExtendedEntry,
    _field,
    _field,
    _field,
    _field,
    _field,
    st.sampled_from(
        [
            Raw(b"{}"),
            Raw(b'{"level": "info", "n": 1.50}'),
            Raw(b'{"nested": {"a":\n [1,\r\n 2]}}'),
            Raw(b'{"half \\ud800": "\\udfff"}'),
            Raw('{"höhe": "\u202e\x9b"}'.encode()),
        ]
    ),
)
entries = plain_entries | odd_entries
targets = st.builds(Target, any_text, st.sampled_from(Kind), any_text)
any_batches = st.builds(
    lambda target, some: batch(*some, target=target), targets, st.lists(entries, max_size=5)
)


def whole(text: object) -> object:
    """As JSON reads it: two halves of a surrogate pair side by side are one character."""
    if not isinstance(text, str):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
