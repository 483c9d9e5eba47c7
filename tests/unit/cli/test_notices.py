"""A notice is one line without control characters, for people and as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tailer.cli.notices import Style, start_notices
from tailer.cli.stderr import NoticeStream

STYLES: tuple[Style, ...] = ("people", "logfmt", "json")
HOSTILE = "a\x1b[2Jb\rc\nd\x7fe\x9b31mf\u202eg\u2028h\ud800i\x00ü"


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def written(style: Style, folder: Path, **fields: object) -> str:
    path = folder / "notices"
    with path.open("w") as stream:
        start_notices(style=style, quiet=False, in_color=False, stream=NoticeStream(stream))
        structlog.get_logger().info("odd_thing", **fields)
    return path.read_bytes().decode()


@pytest.mark.parametrize("style", STYLES)
def test_control_characters_are_escaped(style: Style, tmp_path: Path) -> None:
    text = written(style, tmp_path, target=HOSTILE, reason=HOSTILE, names=[HOSTILE])

    assert text.endswith("\n")
    assert all(character.isprintable() for character in text[:-1])
    assert "ü" in text


def test_json_keeps_its_value(tmp_path: Path) -> None:
    text = written("json", tmp_path, reason=HOSTILE)

    assert json.loads(text)["reason"] == HOSTILE


@pytest.mark.parametrize("style", STYLES)
def test_a_harmless_notice_is_not_changed(style: Style, tmp_path: Path) -> None:
    assert "Größe \\ 5" in written(style, tmp_path, reason="Größe \\ 5").replace("\\\\", "\\")
