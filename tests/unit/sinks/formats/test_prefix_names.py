"""Names without what they have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.sinks.formats.prefix import PrefixNames


def learned(names: list[str]) -> PrefixNames:
    known = PrefixNames()
    for name in names:
        known.learn(name)
    return known


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["d1-predictor-abc", "d1-predictor-def"], ["abc", "def"]),
        (["a-main-x", "b-main-x"], ["a", "b"]),
        (["web", "web-canary"], ["web", "web-canary"]),
        (["a-b-c", "a-c"], ["b-c", "c"]),
        (["abc1", "abc2"], ["abc1", "abc2"]),
        (["a-a", "a-a-a"], ["a", "a-a"]),
    ],
)
def test_a_common_prefix_up_to_a_hyphen_is_dropped(names: list[str], short: list[str]) -> None:
    known = learned(names)

    assert [known.short(name) for name in names] == short


@given(st.lists(st.text("ab-", max_size=6), min_size=1, unique=True))
def test_different_names_stay_different_and_something_is_left_of_each(names: list[str]) -> None:
    known = learned(names)
    short = [known.short(name) for name in names]

    assert len(set(short)) == len(names)


@given(st.lists(st.text("ab-", max_size=6), min_size=1))
def test_there_are_several_names_once_two_differ(names: list[str]) -> None:
    assert learned(names).several == (len(set(names)) > 1)


@given(st.lists(st.text("ab-", max_size=6), min_size=1), st.text("ab-", max_size=6))
def test_learn_returns_true_exactly_if_a_name_changes(names: list[str], another: str) -> None:
    known = learned(names)
    before = (known.several, [known.short(name) for name in names])
    news = known.learn(another)
    after = (known.several, [known.short(name) for name in names])

    assert news or before == after
