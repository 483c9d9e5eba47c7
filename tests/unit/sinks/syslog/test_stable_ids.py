"""Stable message ids, by which a receiver can drop duplicates."""

from dataclasses import replace

from hypothesis import given
from msgspec import UNSET
from support.batches import TIME_NS, batch, line, lines
from support.syslog.formatted import whole_batches

from tailer.model import Batch, Entry
from tailer.sinks.lines import LineFilter
from tailer.sinks.syslog.fields import stable_ids


def at_once(*entries: Entry) -> Batch:
    return replace(batch(*entries), times_ns=(TIME_NS,) * len(entries))


@given(whole_batches)
def test_ids_are_unique_in_a_batch_and_the_same_when_it_is_sent_again(source: Batch) -> None:
    ids = stable_ids(source)

    assert len(set(ids)) == len(ids) == len(source.entries)
    assert stable_ids(replace(source)) == ids


@given(whole_batches)
def test_no_other_batch_has_the_same_ids(source: Batch) -> None:
    later = replace(source, position=source.position + 1)

    assert not set(stable_ids(source)) & set(stable_ids(later))


def test_ids_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert stable_ids(lines("started")) == ["621262bcc85780da-1"]
    assert stable_ids(batch(Entry())) == ["9a5ef94645191baf-1"]
    assert stable_ids(batch(line("größer \ud800", pod="\u0378"))) == ["6772eacc372d555d-1"]


def test_twins_are_numbered() -> None:
    first, second, third = stable_ids(at_once(line("x"), line("x"), line("x")))

    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_a_filter_changes_no_id() -> None:
    source = at_once(line("a"), line("b"), line("a"), line("b"))
    only_b = LineFilter(pods=(), streams=frozenset({"stderr"}))
    mixed = at_once(line("a"), line("b", stream="stderr"), line("a"), line("b", stream="stderr"))

    assert stable_ids(only_b.narrow(mixed)) == stable_ids(mixed)[1::2]
    assert stable_ids(only_b.narrow(source)) == []


def test_missing_null_empty_and_literal_values_have_different_ids() -> None:
    values = (UNSET, None, "", "UNSET", "None", "\n")
    in_each_place = [
        Entry(**{name: value})
        for name in ("pod", "container", "stream", "msg")
        for value in values[1:]
    ]

    ids = stable_ids(at_once(Entry(), *in_each_place))

    assert len({id_.partition("-")[0] for id_ in ids}) == len(ids)


def test_names_that_contain_separators_have_different_ids() -> None:
    ids = stable_ids(at_once(Entry(pod="a", container="b"), Entry(pod="a', 'b", container="")))

    assert ids[0].partition("-")[0] != ids[1].partition("-")[0]


def test_the_spelling_of_a_timestamp_does_not_change_the_id() -> None:
    one, other = Entry("2024-09-18T16:06:50Z", msg="x"), Entry("2024-09-18T18:06:50+02:00", msg="x")

    assert stable_ids(batch(one)) == stable_ids(batch(other))
