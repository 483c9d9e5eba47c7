"""docs/events.md lists exactly the events that the code logs; each has a console sentence."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tailer.cli.notices import SENTENCES

ROOT = Path(__file__).parents[2]
CATALOG = (ROOT / "docs/events.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
LEVELS = {"debug", "info", "warning", "error"}


def logged() -> Iterator[tuple[str, str, set[str]]]:
    """Name, level and fields of each `log.<level>("name", field=…)` in the package.

    An OutageNotice logs two events: a warning when requests fail, an info when they recover.
    """
    for path in sorted((ROOT / "tailer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str(name))],
                ) if level in LEVELS:
                    yield name, level, {word.arg for word in node.keywords if word.arg}
                case ast.Call(
                    func=ast.Name(id="OutageNotice"),
                    args=[ast.Constant(value=str(failing)), ast.Constant(value=str(recovered))],
                ):
                    yield failing, "warning", {"error", "for_s", "retry_in_s"}
                    yield recovered, "info", {"after_s"}
                case ast.Call(func=ast.Name(id="OutageNotice"), args=[]):
                    yield "service_unavailable", "warning", {"error", "for_s", "retry_in_s"}


def documented() -> dict[str, tuple[str, set[str]]]:
    return {
        name: (level, set(re.findall(r"`(\w+)`", fields)))
        for name, level, fields in ROW.findall(CATALOG)
    }


def test_the_documentation_lists_exactly_the_logged_events_with_levels() -> None:
    assert {(name, level) for name, level, _ in logged()} == {
        (name, level) for name, (level, _) in documented().items()
    }


def test_every_field_is_documented() -> None:
    rows = documented()

    assert [(name, field) for name, _, fields in logged() for field in fields - rows[name][1]] == []


def test_the_catalog_is_sorted() -> None:
    names = [name for name, _, _ in ROW.findall(CATALOG)]

    assert names == sorted(names)


def test_exactly_the_logged_events_have_a_console_sentence() -> None:
    assert {name for name, _, _ in logged()} == set(SENTENCES)


def test_an_event_gives_its_cause_as_error_or_reason() -> None:
    assert [name for name, _, fields in logged() if fields & {"why", "detail", "cause"}] == []
