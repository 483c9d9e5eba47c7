import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import given

from tailer.config.toml_index import LineIndex, Place, explain, parse_toml

NAMES = st.sampled_from(
    ["a", "b-c", '"d.e"', "'f g'", '"\\u0068"', '"#"', "'='", '"["', '"x\\"y"', "0"]
)
SCALARS = st.sampled_from(
    [
        *("1", "-2.5e3", "true", "2026-01-01T00:00:00Z", "'#'", '"] = ["', '"\\""', "''"),
        *('"""\n[a]\nb = 1\n"""', "'''\n# no comment, \n'''", '"""x"""', '"""a\\\n   b"""'),
    ]
)
ARRAYS = st.lists(SCALARS, max_size=3).map(
    lambda items: "[ # [\n" + "".join(f"  {item}, # ]\n\n" for item in items) + "]"
)
INLINE = st.dictionaries(
    st.sampled_from("pqr"), st.sampled_from(["1", "'}'", '"#"', "[1, 2]"]), max_size=3
).map(lambda items: "{" + ", ".join(f"{name} = {value}" for name, value in items.items()) + "}")
VALUES = st.one_of(SCALARS, ARRAYS, INLINE)
FILLER = st.sampled_from(["", "\n", "# a = 1\n", "  \n# [b]\n", "# ends in a comma,\n"])


@dataclass(frozen=True)
class Statement:
    header: str
    text: str


def headers() -> st.SearchStrategy[Statement]:
    dotted = st.lists(NAMES, min_size=1, max_size=3).map(" . ".join)
    return st.tuples(dotted, st.sampled_from(["[{}]", " [ {} ] # x", "[[{}]]"])).map(
        lambda drawn: Statement("header", drawn[1].format(drawn[0]))
    )


def assignments() -> st.SearchStrategy[Statement]:
    dotted = st.lists(NAMES, min_size=1, max_size=2).map(".".join)
    return st.tuples(dotted, VALUES, st.sampled_from(["", " # x", "  "])).map(
        lambda drawn: Statement("", f"{drawn[0]} = {drawn[1]}{drawn[2]}")
    )


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[int]]:
    """TOML made statement by statement, and the lines on which the statements begin."""
    text, began = "", []
    for statement in draw(st.lists(headers() | assignments(), max_size=10)):
        before = text + draw(FILLER)
        longer = f"{before}{statement.text}\n"
        try:
            tomllib.loads(longer)
        except tomllib.TOMLDecodeError:
            continue  # contradicts what is there already
        text = longer
        began.append(before.count("\n") + 1)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return text.replace("\n", newline), began


def places_in(value: object, place: Place = ()) -> Iterator[Place]:
    """All tables, keys and elements of a parsed document."""
    if place:
        yield place
    parts: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    if isinstance(value, list):
        parts = list(enumerate(value))
    for step, part in parts:
        yield from places_in(part, (*place, step))


@given(documents())
def test_a_statement_has_the_number_of_its_first_line(document: tuple[str, list[int]]) -> None:
    text, began = document
    index = LineIndex(text)

    assert {index.of(place) for place in places_in(tomllib.loads(text))} <= set(began)


@given(documents())
def test_a_key_is_indexed_by_the_line_of_its_statement(
    document: tuple[str, list[int]],
) -> None:
    text, began = document
    lines = text.split("\n")
    known = {
        start: set(places_in(tomllib.loads("\n".join(lines[: start - 1]).removesuffix("\r"))))
        for start in began
    }
    known[len(lines) + 1] = set(places_in(tomllib.loads(text)))
    ends = dict(zip(began, [*began, len(lines) + 1][1:], strict=True))
    index = LineIndex(text)

    for place in known[len(lines) + 1]:
        assert place not in known[index.of(place)]
        assert place in known[ends[index.of(place)]]


@given(st.text(alphabet="a.=[]{}\"'\\#\n\r, 1", max_size=40))
def test_any_text_has_an_index_or_an_explanation(text: str) -> None:
    try:
        parsed = parse_toml(text)
    except ValueError as error:
        line, sentence = explain(text, error)

        assert 1 <= line <= text.count("\n") + 1
        assert "; " in sentence
    else:
        index = LineIndex(text)

        assert all(1 <= index.of(place) <= text.count("\n") + 1 for place in places_in(parsed))


def test_a_missing_key_has_the_line_of_its_section() -> None:
    index = LineIndex("# one\n\n[poll]\ninterval_s = 1\n")

    assert index.of(("poll", "lateness_s")) == 3


def test_a_missing_section_has_the_first_line() -> None:
    assert LineIndex("\n\n[poll]\n").of(("spool", "path")) == 1


def test_a_long_list_is_parsed_once() -> None:
    targets = "".join(f'  "d{number}",\n' for number in range(20_000))
    index = LineIndex(f"[[watch]]\ntargets = [\n{targets}]\nresource_group = 1\n")

    assert index.of(("watch", 0, "resource_group")) == 20_004
