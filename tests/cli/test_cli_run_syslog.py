"""`tailer run` with unreachable syslog servers: starts, reports each once, connects later."""

import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from anyio.from_thread import BlockingPortal, start_blocking_portal
from support.command_line import World
from support.receivers.ports import reserved_places
from support.receivers.ways import Way
from support.syslog.fake_servers import RelpServer, serving

PLACES = {"away": Way("relp"), "distrusted": Way("relp+tls")}


@pytest.fixture
def urls() -> Iterator[dict[str, str]]:
    with reserved_places(PLACES) as places:
        yield places.urls


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def config(folder: Path, urls: dict[str, str]) -> Path:
    path = folder / "tailer.toml"
    path.write_text(
        f"""
[[watch]]
targets = ["deployment/d1234567"]
[poll]
interval_s = 0.2
idle_interval_s = 0.5
[spool]
path = "{folder}/state/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
path = "{folder}/logs/{{id}}.log"
format = "raw"
[[sink]]
kind = "syslog"
name = "unknown"
url = "tcp://logs.invalid:514"
[[sink]]
kind = "syslog"
name = "away"
url = "{urls["away"]}"
[[sink]]
kind = "syslog"
name = "distrusted"
url = "{urls["distrusted"]}"
tls_ca_file = "{folder}/ca.pem"
[daemon]
shutdown_timeout_s = 2.0
""",
        encoding="utf-8",
    )
    return path


def test_unreachable_servers_are_logged_once_and_connected_later(
    world: World, tmp_path: Path, urls: dict[str, str], portal: BlockingPortal
) -> None:
    authority, away, distrusted = trustme.CA(), RelpServer(), RelpServer()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    world.say(world.add(), "hello", ago_s=1)
    ports = {name: int(url.rpartition(":")[2]) for name, url in urls.items()}
    untrusting = serving(distrusted, context=context, port=ports["distrusted"])
    words = ("run", "--config", str(config(tmp_path, urls)), "--log-format", "console")

    with (
        portal.wrap_async_context_manager(untrusting),
        world.running(*words) as process,
    ):
        for name in ("unknown", "away", "distrusted"):
            process.wait_for(f"sink {name}: ", on="err")
        world.wait_until_asked("logs", times=5)
        in_file = (tmp_path / "logs" / "d1234567.log").read_text(encoding="utf-8")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        with portal.wrap_async_context_manager(serving(away, port=ports["away"])):
            for name in ("away", "distrusted"):
                process.wait_for(f"sink {name}: recovered", on="err")
            process.process.send_signal(signal.SIGTERM)
            ended = process.end()

    output = [line.partition(" ")[2] for line in ended.err.splitlines()]
    about_sinks = sorted(line for line in output if line.startswith("sink "))
    beginnings = [
        f"sink away: connected to {urls['away']}",
        "sink away: recovered after ",
        f"sink away: {urls['away']}: connection refused (",
        f"sink distrusted: connected to {urls['distrusted']}",
        "sink distrusted: recovered after ",
        f"sink distrusted: {urls['distrusted']}: the server's certificate is signed by an ",
        "sink unknown: tcp://logs.invalid:514: the name does not resolve: ",
    ]
    assert [
        line[: len(beginning)] for line, beginning in zip(about_sinks, beginnings, strict=True)
    ] == beginnings
    assert in_file == "hello\n"
    assert [each.rpartition(b"] ")[2] for each in away.taken] == [b"hello"]
    assert [each.rpartition(b"] ")[2] for each in distrusted.taken] == [b"hello"]
    assert ended.code == 0
