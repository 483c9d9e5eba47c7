"""What an answer to the question `follow which?` means."""

import pytest

from tailer.cli.choose import found, named, picked
from tailer.model import Kind, Status, Target, Workload


def workload(id_: str, *, scenario: str = "churn") -> Workload:
    target = Target("default", Kind.DEPLOYMENT, id_)
    return Workload(target, Status.RUNNING, scenario_id=scenario, configuration_name="Prices v2")


SHOWN = [workload(id_) for id_ in ("d1", "d2", "d3", "d4")]


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        ("2", "d2"),
        (" 3 ", "d3"),
        ("1,3", "d1 d3"),
        ("4 1", "d4 d1"),
        ("1, 2 ,4", "d1 d2 d4"),
        ("2-4", "d2 d3 d4"),
        ("4-2", "d2 d3 d4"),
        ("1 - 2, 2", "d1 d2"),
        ("a", "d1 d2 d3 d4"),
        ("ALL", "d1 d2 d3 d4"),
    ],
)
def test_numbers_ranges_and_a_select_rows(answer: str, ids: str) -> None:
    chosen = picked(answer, SHOWN)

    assert chosen is not None
    assert " ".join(one.target.id for one in chosen) == ids


@pytest.mark.parametrize("answer", ["0", "5", "1-5", "1 99", "1-999999999"])
def test_a_number_without_a_row_is_a_mistake(answer: str) -> None:
    with pytest.raises(ValueError, match="not between 1 and 4"):
        picked(answer, SHOWN)


@pytest.mark.parametrize("answer", ["churn", "d1", "1b", "-", "1-", "9" * 5000, "٣"])
def test_other_input_is_a_search_text(answer: str) -> None:
    assert picked(answer, SHOWN) is None


@pytest.mark.parametrize("text", ["PRICES", "v2 d1", "deployment/d1 running", "default"])
def test_a_search_text_matches_word_by_word_in_all_columns(text: str) -> None:
    assert found(text, SHOWN)[:1] == SHOWN[:1]


def test_a_word_without_a_match_finds_nothing() -> None:
    assert found("prices nowhere", SHOWN) == []


@pytest.mark.parametrize("text", ["d3", "deployment/d3", " d3 "])
def test_a_complete_name_matches_exactly(text: str) -> None:
    assert named(text, [*SHOWN, workload("d33")]) == [SHOWN[2]]
