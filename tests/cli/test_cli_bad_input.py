"""Bad input: one line on stderr, the right exit code, never a traceback, never a secret."""

from pathlib import Path

import pytest
from support.command_line import Serve, World, run
from support.long import long_after

from tailer.model import Kind
from tailer.simulator import TokenSettings

SECRET = "hunter2/+=&%"
A_TARGET = "deployment/d1234567"

# What is given, and what the one line has to say about it.
SLIPS = {
    "no target": ([], "no TARGET given"),
    "no kind of target": (["model/d1234567"], "'model/d1234567' is not a target"),
    "no id": (["deployment/"], "'deployment/' is not a target"),
    "an id that climbs": (["deployment/a/../b"], "is not a target"),
    "a control character": (["deployment/\x1b[2J"], r"'deployment/\x1b[2J' is not a target"),
    "no time": (["--since", "yesterday", A_TARGET], "'yesterday' is not a time"),
    "no date": (["--since", "2026-13-01T00:00:00Z", A_TARGET], "is not a time"),
    "an endless time": (["--since", "9" * 400, A_TARGET], "is not a time"),
    "no duration": (["--timeout", "-5s", A_TARGET], "'-5s' is not a duration"),
    "an endless duration": (["--lateness", "9" * 400, A_TARGET], "is not a duration"),
    "no number": (["--tail", "-1", A_TARGET], "-1 is not in the range x>=0"),
    "no regular expression": (["-i", "(", A_TARGET], "--include '(' is not a regular expression"),
    "no field": (["--template", "{nope}", A_TARGET], "there is no field 'nope'"),
    "half a brace": (["--template", "{msg", A_TARGET], "has no partner"),
    "no time zone": (["--timezone", "Mars/Port", A_TARGET], "no time zone is named 'Mars/Port'"),
    "no form": (["-o", "xml", A_TARGET], "'xml' is not one of"),
    "follow until": (["-f", "--until", "5m", A_TARGET], "--until and --follow exclude"),
    "two forms": (["-o", "json", "--template", "{msg}", A_TARGET], "exclude each other"),
}


@pytest.mark.parametrize(("words", "remark"), long_after(6, SLIPS.values()), ids=SLIPS.keys())
def test_a_mistake_is_reported_before_any_request(
    tmp_path: Path, words: list[str], remark: str
) -> None:
    """There are not even credentials here."""
    ended = run("logs", *words, environ={"HOME": str(tmp_path)})

    assert (ended.code, ended.out) == (2, "")
    assert remark in ended.complaint


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        (["--since", "1s", "--until", "1m"], "--since is not before --until"),
        (["--until", "2h"], "the default of --since is 1h"),
        (["--since", "2999-01-01T00:00:00Z"], "--since is not in the past"),
    ],
)
def test_an_empty_time_range_is_rejected(world: World, words: list[str], remark: str) -> None:
    world.add()

    ended = world.run("logs", A_TARGET, *words)

    assert ended.code == 2
    assert remark in ended.complaint


@pytest.mark.parametrize("word", ["deployment/d7654321", "execution/d1234567", "d7654321"])
def test_an_unknown_target_is_4(world: World, word: str) -> None:
    world.add()

    ended = world.run("logs", "-f", word)

    assert ended.code == 4
    assert "`tailer list` shows all targets" in ended.complaint


def test_an_ambiguous_id_is_rejected(world: World) -> None:
    world.add(Kind.DEPLOYMENT, "a1234567")
    world.add(Kind.EXECUTION, "a1234567")

    ended = world.run("logs", "a1234567")

    assert ended.code == 2
    assert "write deployment/a1234567 or execution/a1234567" in ended.complaint


@pytest.mark.parametrize("words", [["logs", A_TARGET], ["list"]])
def test_a_forbidden_resource_group_is_4(serve: Serve, words: list[str]) -> None:
    world = serve(forbidden_resource_groups=("secret",))

    ended = world.run(*words, "-g", "secret")

    assert ended.code == 4
    assert "resource group secret" in ended.complaint
    assert "403" in ended.complaint


def test_without_credentials_all_searched_places_are_named(tmp_path: Path) -> None:
    ended = run("list", environ={"HOME": str(tmp_path)})

    places = ("AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "~/.aicore/config.json", "VCAP_SERVICES")
    assert ended.code == 3
    assert [place for place in places if place not in ended.complaint] == []


def test_incomplete_credentials_are_reported(world: World) -> None:
    environ = {**world.environ}
    del environ["AICORE_CLIENT_SECRET"]

    ended = run("list", environ=environ)

    assert ended.code == 3
    assert "AICORE_CLIENT_SECRET" in ended.complaint


def test_a_wrong_secret_is_3_and_is_not_printed(serve: Serve) -> None:
    world = serve(token=TokenSettings(client_id="me", client_secret="another"))

    ended = world.run("list", more_environ={"AICORE_CLIENT_SECRET": SECRET})

    assert ended.code == 3
    assert "401" in ended.complaint
    assert "hunter2" not in ended.complaint


KEYS = {
    "missing": (None, "No such file"),
    "no JSON": (SECRET, "is not a JSON object"),
    "a list": ("[]", "is not a JSON object"),
    "cut": ('{"clientid": "a", "clientsecret": "hunter2', "is not a JSON object"),
    "without addresses": (
        '{"clientid": "a", "clientsecret": "hunter2"}',
        "missing serviceurls.AI_API_URL, url",
    ),
    "not UTF-8": (b"\xff\xfe", "not UTF-8 text"),
}


@pytest.mark.parametrize(("content", "remark"), long_after(2, KEYS.values()), ids=KEYS.keys())
def test_a_bad_service_key_file_is_3_and_is_named(
    tmp_path: Path, content: str | bytes | None, remark: str
) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    ended = run("list", "--service-key-file", str(path), environ={"HOME": str(tmp_path)})

    assert ended.code == 3
    assert "key.json" in ended.complaint
    assert remark in ended.complaint
    assert "hunter2" not in ended.complaint


def test_http_is_refused_except_on_loopback(world: World) -> None:
    ended = world.run("list", more_environ={"AICORE_BASE_URL": "http://aicore.example"})

    assert ended.code == 3
    assert "is http://, which would show the credentials" in ended.complaint


def test_a_password_in_an_address_is_not_repeated(world: World) -> None:
    address = {"AICORE_BASE_URL": "https://me:hunter2@aicore.example"}

    ended = world.run("list", more_environ=address)

    assert ended.code == 3
    assert "hunter2" not in ended.complaint
