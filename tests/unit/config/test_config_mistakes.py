"""Every kind of mistake in the file, its place and its remedy: the cases are in `mistakes/`.

There, `#` begins a case and `->` an expected mistake; `…` stands for any text. The first case
of each kind has the full sentence. A watch or sink that the case does not need is added to it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailer.config import parse_config
from tailer.errors import ConfigError

WATCH = '[[watch]]\ntargets = ["d1"]\n'
SINK = '[[sink]]\nkind = "file"\npath = "/var/log/aicore/{id}.log"\n'
HAS_REMEDY = re.compile(r"; \S|: must be \S|: is missing; ")


def mistakes() -> Iterator[object]:
    for path in sorted((Path(__file__).parent / "mistakes").glob("*.txt")):
        for block in path.read_text().removeprefix("# ").split("\n\n# "):
            title, *lines = block.splitlines()
            written = "".join(f"{line}\n" for line in lines if not line.startswith("-> "))
            expected = [line.removeprefix("-> ") for line in lines if line.startswith("-> ")]
            yield pytest.param(written, expected, id=f"{path.stem}: {title}")


def completed(text: str) -> str:
    """With the watch and the sink that every configuration needs."""
    sink = "" if "[sink" in text else SINK
    watch = "" if "[watch" in text else WATCH
    return text + sink + watch


def refusal_of(text: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, name="tailer.toml", environ={})
    return str(refusal.value)


@pytest.mark.parametrize(("written", "expected"), list(mistakes()))
def test_every_mistake_is_reported_with_its_place_and_its_remedy(
    written: str, expected: list[str]
) -> None:
    found = refusal_of(completed(written)).split("\n")

    assert [line for line in found if not HAS_REMEDY.search(line)] == []
    assert len(found) == len(expected)
    for line, wanted in zip(found, expected, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), line), line


def test_the_table_is_valid_without_the_mistake() -> None:
    config = parse_config(completed(""), name="tailer.toml", environ={})

    assert [sink.name for sink in config.sinks] == ["file"]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file() -> None:
    found = refusal_of(
        '[spool]\nmax_bytes = "big"\npath = "spool.db"\n'
        "[pol]\n[[watch]]\ntargets = []\n[[sink]]\nkind = 'file'\ncompress = 1\n"
    )

    assert [line.split(":")[1] for line in found.split("\n")] == [
        "2 [spool] max_bytes",
        "3 [spool] path",
        "4 [pol]",
        "6 [[watch]] 1 targets",
        "7 [[sink]] 1 path",
        "9 [[sink]] 1 compress",
    ]


def test_a_file_without_watches_and_sinks_is_a_mistake() -> None:
    assert refusal_of("") == (
        'tailer.toml:1: no [[sink]] exists; add one with kind = "file" and a path\n'
        'tailer.toml:1: no [[watch]] exists; add one with targets = ["deployment/ID"]'
    )


def test_a_misspelled_section_is_not_called_missing_as_well() -> None:
    found = refusal_of('[[wach]]\ntargets = ["d1"]\n' + SINK)

    assert found == "tailer.toml:1 [[wach]]: there is no such section; did you mean [[watch]]?"


@pytest.mark.parametrize(
    "text",
    [
        '[aicore]\nclient_secret = "hush-hush"\n',
        '[aicore]\nClientSecret = ["hush-hush"]\n',
        '[aicore.more]\npassword = "hush-hush"\n',
        '[[sink]]\nkind = "syslog"\nurl = "tls://u:hush-hush@h:1"\n',
        '[[sink]]\nkind = "syslog"\nurl = ["tls://a:1", "tls://u:hush-hush@h:1"]\n',
        '[[sink]]\nkind = "syslog"\nurl = "https://hush-hush@h:1"\n',
        "[aicore]\nservice_key_file = '''{'clientsecret': 'hush-hush'}'''\n",
        "[aicore]\nclient_secret = hush-hush\n",
        '[aicore]\nclient_secret = "hush-hush\n',
        '[aicore]\ntoken "hush-hush"\n',
    ],
)
def test_a_secret_is_never_repeated(text: str) -> None:
    assert "hush" not in refusal_of(completed(text))


def test_a_byte_order_mark_is_no_mistake() -> None:
    config = parse_config("\ufeff" + completed(""), name="tailer.toml", environ={})

    assert config.watches[0].targets == ("d1",)


@pytest.mark.parametrize(
    "text",
    [
        *("a = " + "[" * 5000, "a = " + "9" * 5000, '"\\n" = 1', "sink = [1]", "watch = 1"),
        *("[a.b.c]", "[[a.b]]", "poll = [[1]]", "sink = [{}, {}]", "watch = {}", "[poll.a]"),
        *('[[sink]]\n"\\u0000" = 1', "poll.a.b = [{c = 1}]", "[sink.kind]", "[[watch.kind]]"),
        "sink = ['-----BEGIN PRIVATE KEY-----']",
    ],
)
def test_no_file_causes_a_traceback(text: str) -> None:
    assert re.match(r"tailer\.toml:[12]\b", refusal_of(text))
