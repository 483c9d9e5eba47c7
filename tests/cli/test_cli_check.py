"""`tailer check` tests credentials, API, spool, sinks and addresses of a configuration."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.command_line import Ended, Serve, World

from tailer.model import Kind, Status
from tailer.simulator import TokenSettings

Write = Callable[..., Path]


@pytest.fixture
def world(serve: Serve) -> World:
    world = serve(forbidden_resource_groups=("team-b",))
    world.add(Kind.DEPLOYMENT, "d1234567", scenario_id="prices")
    ended = world.add(Kind.EXECUTION, "e1234567", scenario_id="churn")
    world.turn(ended, Status.COMPLETED)
    return world


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port without a listener, reserved until the test ends."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def write_config(tmp_path: Path) -> Write:
    def write(
        more: str = "",
        *,
        watch: str = 'targets = ["d1234567"]',
        logs: str = "logs",
        listen: str = "",
    ) -> Path:
        path = tmp_path / "tailer.toml"
        path.write_text(
            f"""
[[watch]]
{watch}
[spool]
path = "{tmp_path}/state/spool.db"
max_bytes = 1_048_576
[status]
listen = "{listen}"
[[sink]]
kind = "file"
path = "{tmp_path}/{logs}/{{kind}}/{{id}}.log"
rotate_bytes = 4096
{more}
""",
            encoding="utf-8",
        )
        return path

    return write


def verdicts(ended: Ended) -> dict[str, str]:
    return {row["check"]: row["verdict"] for row in ended.json}


def check(world: World, config: Path) -> Ended:
    return world.run("check", "--config", str(config), "-o", "json")


def test_with_a_working_setup_every_line_is_ok(world: World, write_config: Write) -> None:
    ended = world.run("check", "--config", str(write_config()))

    assert (ended.code, ended.err) == (0, "")
    marks = [line.split()[0] for line in ended.lines]
    assert set(marks) <= {"ok", "warn"}  # the disk of a test machine may well be full
    starts = [line[6:].partition("  ")[0] for line in ended.lines]
    assert starts == [
        "configuration",
        "credentials",
        "token",
        "API",
        "clock",
        "resource group default",
        "watch 1",
        "sink file",
        "spool",
        "status page",
    ]


def test_it_leaves_no_files(world: World, write_config: Write, tmp_path: Path) -> None:
    config = write_config()
    before = sorted(tmp_path.rglob("*"))

    check(world, config)

    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_configuration_only_the_account_is_checked(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = world.run("check", "-o", "json")

    assert ended.code == 0
    assert verdicts(ended) == {
        "configuration": "not_checked",
        "credentials": "ok",
        "token": "ok",
        "API": "ok",
        "clock": "ok",
        "resource group default": "ok",
    }


def test_every_mistake_of_a_configuration_has_a_line(world: World, write_config: Write) -> None:
    ended = check(world, write_config('format = "xml"\nrotate_s = -1'))

    mistakes = [row["what"] for row in ended.json if row["verdict"] == "fail"]
    assert ended.code == 2
    assert [mistake.split(": ")[0].split()[-1] for mistake in mistakes] == ["format", "rotate_s"]
    assert verdicts(ended)["spool"] == "not_checked"


def test_a_configuration_that_was_named_must_exist(world: World) -> None:
    ended = world.run("check", "--config", "/nowhere/tailer.toml")

    assert ended.code == 2
    assert ended.lines[0].startswith("FAIL  configuration")


def test_missing_credentials_fail_and_local_checks_still_run(
    world: World, write_config: Write
) -> None:
    for name in [name for name in world.environ if name.startswith("AICORE_")]:
        del world.environ[name]

    ended = check(world, write_config())

    assert ended.code == 3
    assert verdicts(ended) == {
        "configuration": "ok",
        "credentials": "fail",
        "token": "not_checked",
        "API": "not_checked",
        "watches": "not_checked",
        "sink file": verdicts(ended)["sink file"],
        "spool": verdicts(ended)["spool"],
        "status page": "ok",
    }


def test_rejected_credentials_are_reported_without_the_secret(
    serve: Serve, write_config: Write
) -> None:
    world = serve(token=TokenSettings(client_id="me", client_secret="another"))
    world.environ["AICORE_CLIENT_SECRET"] = "wrong-and-secret"

    ended = check(world, write_config())

    assert (ended.code, verdicts(ended)["token"]) == (3, "fail")
    assert "wrong-and-secret" not in ended.out + ended.err


def test_an_unreachable_address_fails(world: World, write_config: Write, closed_port: int) -> None:
    world.environ["AICORE_BASE_URL"] = f"http://127.0.0.1:{closed_port}/v2"

    ended = check(world, write_config())

    found = verdicts(ended)
    assert ended.code == 3
    assert (found["token"], found["API"], found["clock"]) == ("ok", "fail", "not_checked")


@pytest.mark.parametrize(
    ("watch", "verdict", "words"),
    [
        ('kind = "execution"', "ok", "1 now (1 COMPLETED)"),
        ('targets = ["execution/e1234567", "d1234567"]', "ok", "2 now"),
        ('scenario = "typing-error"', "warn", "1 deployment of scenario prices (1 RUNNING)"),
        ('targets = ["d1234567", "d7654321"]', "fail", "not found: d7654321 in default"),
    ],
)
def test_a_watch_reports_its_current_targets(
    world: World, write_config: Write, watch: str, verdict: str, words: str
) -> None:
    ended = check(world, write_config(watch=watch))

    row = next(row for row in ended.json if row["check"] == "watch 1")
    assert (row["verdict"], ended.code) == (verdict, 4 if verdict == "fail" else 0)
    assert words in row["what"]


def test_a_denied_group_fails_and_its_watch_is_not_checked(
    world: World, write_config: Write
) -> None:
    ended = check(world, write_config(watch='resource_group = "team-b"\nkind = "deployment"'))

    found = verdicts(ended)
    assert ended.code == 4
    assert (found["resource group team-b"], found["watch 1"]) == ("fail", "not_checked")


def test_a_directory_that_cannot_be_created_is_exit_code_5(
    world: World, write_config: Write, tmp_path: Path
) -> None:
    (tmp_path / "logs").write_text("a file in the way", encoding="utf-8")

    ended = check(world, write_config())

    assert (ended.code, verdicts(ended)["sink file"]) == (5, "fail")


def test_every_server_of_a_sink_is_tried(
    world: World, write_config: Write, closed_port: int
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        urls = [f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{closed_port}"]
        ended = check(world, write_config(f'[[sink]]\nkind = "syslog"\nurl = {json.dumps(urls)}'))

    row = next(row for row in ended.json if row["check"] == "sink syslog")
    assert (row["verdict"], ended.code) == ("warn", 0)
    assert "connection refused" in row["what"]


def test_an_unreachable_server_is_exit_code_5(
    world: World, write_config: Write, closed_port: int
) -> None:
    sink = f'[[sink]]\nkind = "syslog"\nurl = "relp://127.0.0.1:{closed_port}"'

    ended = check(world, write_config(sink))

    assert (ended.code, verdicts(ended)["sink syslog"]) == (5, "fail")


def test_a_silent_server_times_out(world: World, write_config: Write) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:  # it accepts and says nothing
        url = f"relp://127.0.0.1:{server.getsockname()[1]}"
        ended = check(world, write_config(f'[[sink]]\nkind = "syslog"\nurl = "{url}"'))

    assert (ended.code, verdicts(ended)["sink syslog"]) == (5, "fail")


def test_a_status_address_in_use_is_exit_code_2(world: World, write_config: Write) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0)
        listen = f"127.0.0.1:{server.getsockname()[1]}"
        ended = check(world, write_config(listen=listen))

    assert (ended.code, verdicts(ended)["status page"]) == (2, "fail")


def test_a_running_service_is_reported_and_not_disturbed(world: World, write_config: Write) -> None:
    config = write_config()
    with world.running("run", "--config", str(config)) as service:
        service.wait_for('"following"', on="err")
        ended = check(world, config)
        assert service.process.poll() is None

    row = next(row for row in ended.json if row["check"] == "spool")
    assert ended.code == 0
    assert f"in use by a running tailer, process {service.process.pid}" in row["what"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_names_the_remedy(
    world: World, write_config: Write, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir(mode=0o500)

    ended = check(world, write_config())

    row = next(row for row in ended.json if row["check"] == "sink file")
    assert (row["verdict"], "right to write" in row["remedy"]) == ("fail", True)
