"""The catalogue of log events, docs/events.md, is compared with the calls in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CATALOGUE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
LEVELS = {"debug", "info", "warning", "error"}


def logged() -> Iterator[tuple[str, str, set[str]]]:
    """Name, level and fields of each `log.<level>("name", field=…)` in the package."""
    for path in sorted((ROOT / "tailer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str(name))],
                ) if level in LEVELS:
                    yield name, level, {word.arg for word in node.keywords if word.arg}


def documented() -> dict[str, tuple[str, set[str]]]:
    return {
        name: (level, set(re.findall(r"`(\w+)`", fields)))
        for name, level, fields in ROW.findall(CATALOGUE)
    }


def test_every_event_is_documented_with_its_level_and_no_other() -> None:
    assert {(name, level) for name, level, _ in logged()} == {
        (name, level) for name, (level, _) in documented().items()
    }


def test_every_field_is_documented() -> None:
    rows = documented()

    assert [(name, field) for name, _, fields in logged() for field in fields - rows[name][1]] == []


def test_the_catalogue_is_sorted() -> None:
    names = [name for name, _, _ in ROW.findall(CATALOGUE)]

    assert names == sorted(names)
