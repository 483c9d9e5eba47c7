"""Reload of a running service: by SIGHUP, or by a changed service key file."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from stress.reload_under_load import reloads
from support.command_line import World

Write = Callable[..., None]


@pytest.fixture
def write(world: World, tmp_path: Path) -> Write:
    """Writes the configuration, and with `secret` a service key."""

    def write_all(watched: str, *, secret: str | None = None) -> None:
        if secret is not None:
            given = world.environ
            key: dict[str, Any] = {
                "clientid": given["AICORE_CLIENT_ID"],
                "clientsecret": secret,
                "url": given["AICORE_AUTH_URL"].removesuffix("/oauth/token"),
                "serviceurls": {"AI_API_URL": given["AICORE_BASE_URL"].removesuffix("/v2")},
            }
            (tmp_path / "key.json").write_text(json.dumps(key), encoding="utf-8")
        (tmp_path / "tailer.toml").write_text(
            f"""
[aicore]
service_key_file = "{tmp_path}/key.json"
[[watch]]
targets = {watched}
[spool]
path = "{tmp_path}/state/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
path = "{tmp_path}/logs/{{id}}.log"
""",
            encoding="utf-8",
        )

    return write_all


def test_sighup_applies_a_valid_file_and_rejects_an_invalid_one(
    world: World, write: Write, tmp_path: Path
) -> None:
    write('["d1234567"]', secret="first")
    world.add()
    with world.running("run", "--config", f"{tmp_path}/tailer.toml") as process:
        process.wait_for('"following"', on="err")
        write("7")
        process.process.send_signal(signal.SIGHUP)
        process.wait_for('"reload_rejected"', on="err")
        write('["d1234567", "d7654321"]')
        process.process.send_signal(signal.SIGHUP)
        process.wait_for('"targets": 2', on="err")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end()

    assert ended.code == 0
    assert "targets: must be a list, not 7" in ended.err


def test_a_new_service_key_is_noticed(world: World, write: Write, tmp_path: Path) -> None:
    write('["d1234567"]', secret="first")
    world.add()
    with world.running("run", "--config", f"{tmp_path}/tailer.toml") as process:
        process.wait_for('"following"', on="err")
        write('["d1234567"]', secret="second")
        output = process.wait_for('"credentials_changed"', on="err", timeout_s=15)
        process.process.send_signal(signal.SIGTERM)
        ended = process.end()

    assert ended.code == 0
    assert "second" not in output + ended.err


@pytest.mark.long
def test_reloads_under_load_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert anyio.run(reloads, 8, 5, tmp_path) == 0
