"""Path templates: the file of a line, also for hostile pod names."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import TARGET, TIME_NS, any_text, batch, line
from support.file_store import Store, batch_for, fast_folder

from tailer.errors import ConfigError
from tailer.model import Entry, Kind, Target
from tailer.sinks.file.paths import (
    MAX_NEW_FILES,
    PathTemplate,
    Router,
    day_of,
    safe_component,
)
from tailer.sinks.file.rotation import closed_name, closed_number, closed_numbers

HOSTILE = [
    "..",
    ".",
    ".hidden",
    "-rf",
    "../../etc",
    "a/b",
    "a\0b",
    "a\nb",
    "a" * 300,
    "ä",
    "a\u202eb",
    "\ud800",
    "a b",
    "_",
    "a_0123456789abcdef",
]


def path_of(template: str, entry: Entry, *, target: Target = TARGET, time_ns: int = TIME_NS) -> str:
    parsed = PathTemplate(template)
    return parsed.path(target, parsed.names(entry, time_ns))


@pytest.mark.parametrize(
    ("template", "base", "path"),
    [
        ("/var/log/x.log", "/var/log", "x.log"),
        ("/x.log", "/", "x.log"),
        ("x.log", ".", "x.log"),
        ("/logs/{resource_group}/{kind}/{id}.log", "/logs", "default/deployment/d1a2.log"),
        ("/logs/core-{id}.log", "/logs", "core-d1a2.log"),
        ("/logs/{pod}/{container}.json.log", "/logs", "pod-a/main.json.log"),
        ("/logs/a/{date}/all.log", "/logs/a", "2024-09-18/all.log"),
    ],
)
def test_fields_are_filled_in_below_the_base_directory(template: str, base: str, path: str) -> None:
    assert PathTemplate(template).base == base
    assert path_of(template, line("x")) == path


def test_the_date_is_the_lines_own_in_utc() -> None:
    midnight_ns = 1_726_704_000 * 10**9

    assert [day_of(midnight_ns - 1), day_of(midnight_ns)] == ["2024-09-18", "2024-09-19"]


@pytest.mark.parametrize(
    ("time_ns", "day"), [(-(10**22), "0001-01-01"), (10**22, "9999-12-31"), (-1, "1969-12-31")]
)
def test_any_time_has_a_date(time_ns: int, day: str) -> None:
    assert day_of(time_ns) == day


def test_a_line_without_a_pod_has_a_file_of_its_own() -> None:
    assert path_of("/logs/{pod}.log", Entry(msg="x", pod=None)) == "_.log"


@pytest.mark.parametrize("value", ["d1a2", "Pod-A", "a.b_c-d", "0", "a" * 100])
def test_a_safe_value_stays_as_it_is(value: str) -> None:
    assert safe_component(value) == value


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_becomes_one_harmless_name(value: str) -> None:
    name = safe_component(value)

    assert name != value
    assert name.isascii()
    assert len(name) <= 117
    assert "/" not in name
    assert not name.startswith((".", "-"))


@given(any_text | st.sampled_from(HOSTILE), any_text | st.sampled_from(HOSTILE))
def test_two_values_never_get_one_name(one: str, other: str) -> None:
    assert (safe_component(one) == safe_component(other)) == (one == other)


@given(any_text | st.sampled_from(HOSTILE))
def test_a_value_equal_to_an_escaped_name_gets_another_name(value: str) -> None:
    name = safe_component(value)

    assert name in {value, "_"} or safe_component(name) != name


@given(any_text, any_text, any_text)
def test_any_path_has_the_components_of_its_template(group: str, id_: str, pod: str) -> None:
    template = "/logs/{resource_group}/{kind}-{id}-{pod}{pod}{pod}.log"
    path = path_of(template, line("x", pod=pod), target=Target(group, Kind.EXECUTION, id_))

    assert len(path.split("/")) == 2
    assert all(0 < len(part) < 220 and part[0] != "." for part in path.split("/"))


@pytest.mark.parametrize("pod", ["a.000001", "a.1234567"])
def test_a_pod_name_cannot_collide_with_a_closed_file(pod: str) -> None:
    name = path_of("/logs/{pod}.log", line("x", pod=pod))

    assert closed_number(name, "a.log") is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("/logs/{podd}.log", r"no field 'podd' \(did you mean pod\?\)"),
        ("/logs/{}.log", "no field ''"),
        ("/logs/{pod.log", "'{' has no partner"),
        ("/logs/{id}/pod}.log", "'}' has no partner"),
        ("/logs/{id}/../x.log", "component below"),
        ("/logs/{id}//x.log", "component below"),
        ("/logs/{id}/", "component below"),
        ("/logs/{id}", "needs an extension"),
        ("/logs/{id}.gz", "needs an extension"),
        ("/logs/{id}/.log", "needs an extension"),
        ("/logs/x.1", "needs an extension"),
        ("", "component below"),
        ("/logs/\0.log", "NUL"),
    ],
)
def test_an_invalid_path_is_rejected(template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PathTemplate(template)


@given(st.text("{}/.poda-1"))
def test_any_template_is_rejected_or_works(template: str) -> None:
    try:
        path = path_of(template, line("x"))
    except ConfigError:
        return

    assert not {"", ".", ".."} & set(path.split("/"))


def parts(max_new: int, there: str = "") -> dict[str, list[object]]:
    source = batch(*(line(str(number), pod=f"p{number % 4}") for number in range(8)))
    router = Router(PathTemplate("{pod}.log"), exists=lambda path: path == there)
    router.route([], now_ns=TIME_NS)
    router.record(Counter({TARGET: MAX_NEW_FILES - max_new}))
    found, _ = router.route([source], now_ns=TIME_NS)
    return {path: [entry.msg for entry in part.entries] for path, part in found}


def test_the_number_of_new_files_is_limited() -> None:
    assert parts(2) == {
        "p0.log": ["0", "4"],
        "p1.log": ["1", "5"],
        "other.log": ["2", "3", "6", "7"],
    }


def test_existing_files_do_not_count_against_the_limit() -> None:
    assert parts(0, there="p3.log") == {
        "other.log": ["0", "1", "2", "4", "5", "6"],
        "p3.log": ["3", "7"],
    }


def test_batches_of_one_write_share_the_limit_of_new_files() -> None:
    with fast_folder() as folder:
        store = Store(folder)
        store.deliver(
            store.start(),
            [
                batch_for(1, *((f"a{number}", "x") for number in range(MAX_NEW_FILES - 1))),
                batch_for(2, ("b1", "x"), ("b2", "x"), ("a1", "x")),
                batch_for(3, ("b3", "x"), ("b1", "x")),
                batch_for(4, ("b1", "x"), ("b2", "x"), id_="d2"),
            ],
            at_once=4,
        )
        found = {path: page.count(b"x") for path, page in store.read().items()}

    assert [found[f"d1/{name}.log"] for name in ("a0", "a1", "b1", "other")] == [1, 2, 2, 2]
    assert len(found) == MAX_NEW_FILES + 1 + 2


def test_the_limit_of_new_files_is_per_day() -> None:
    router = Router(PathTemplate("{pod}.log"), exists=lambda _: False)
    batches = [batch(line("x", pod="p"))]
    router.route(batches, now_ns=TIME_NS)
    router.record(Counter({TARGET: MAX_NEW_FILES}))
    [(then, _)], _ = router.route(batches, now_ns=TIME_NS)
    [(next_day, _)], _ = router.route(batches, now_ns=TIME_NS + 86_400 * 10**9)

    assert (then, next_day) == ("other.log", "p.log")


def test_closed_files_are_listed_in_order_before_the_active_file() -> None:
    names = [closed_name("d1.log", 2), "d1.log", closed_name("d1.log", 1) + ".gz"]

    assert sorted(names) == ["d1.000001.log.gz", "d1.000002.log", "d1.log"]


def test_closed_files_of_other_files_are_not_listed() -> None:
    names = ["d1.000007.log", "d1.000007.log.gz", "d1.1000000.log.gz", "d1.log", "d1.7.log"]
    others = ["d2.000003.log", "d1.x.000004.log", "d1.000005.txt", "d1.000006.log.gz.tmp"]

    assert closed_numbers([*names, *others], "d1.log") == [7, 1_000_000]
