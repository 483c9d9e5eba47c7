"""Static checks of the Dockerfile; tests/stress/follow_image_steps.py runs its steps."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner
from support.dockerfile import DOCKERFILE, ROOT, Instruction, only, stages

from tailer import __version__
from tailer.cli.main import tailer
from tailer.config import FileSection, parse_config

BUILD, RUNTIME = stages()
LISTEN_PORT = 9464


@contextmanager
def answering(code: int) -> Iterator[int]:
    """A service at whose /healthz this is the status; gives its port."""

    class Healthz(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Healthz) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def healthcheck(port: int, **environ: str) -> int:
    words = [
        word.replace(str(LISTEN_PORT), str(port)) for word in only(RUNTIME, "HEALTHCHECK").words
    ]
    assert words[0] == "python"
    done = subprocess.run(
        [sys.executable, *words[1:]], env=environ, capture_output=True, check=False
    )
    return done.returncode


def test_it_runs_as_a_number_that_is_not_root() -> None:
    uid, gid = only(RUNTIME, "USER").text.split(":")

    assert int(uid) > 0
    assert int(gid) > 0


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_the_process_gets_signals_without_a_shell(name: str) -> None:
    assert only(RUNTIME, name).words


def test_the_entry_point_exists() -> None:
    command = only(RUNTIME, "CMD").words[0]

    assert only(RUNTIME, "ENTRYPOINT").words == ["tailer"]
    assert CliRunner().invoke(tailer, [command, "--help"]).exit_code == 0


def test_persistent_directories_are_volumes_of_its_user() -> None:
    """The folders in the example configuration: nothing else can be written in the image."""
    text = (ROOT / "tailer/config/example.toml").read_text(encoding="utf-8")
    config = parse_config(text, name="example", environ={})
    folders = {str(config.spool.path.parent)} | {
        sink.to.path.partition("/{")[0] for sink in config.sinks if isinstance(sink.to, FileSection)
    }
    uid = only(RUNTIME, "USER").text.partition(":")[0]
    made = only(RUNTIME, "RUN").text

    assert set(only(RUNTIME, "VOLUME").words) == folders
    assert all(re.search(rf"-o {uid} -g {uid} -m 07[05]0 {folder}\b", made) for folder in folders)


def test_copied_files_exist_and_the_context_has_no_others() -> None:
    copied = {name for each in BUILD if each.name == "COPY" for name in each.text.split()[:-1]}
    ignore = DOCKERFILE.with_name(".dockerignore").read_text(encoding="utf-8")
    let_in = {line[1:] for line in ignore.splitlines() if line.startswith("!")}

    assert let_in == copied
    assert "\n*\n" in ignore
    assert all((ROOT / name).exists() for name in copied)


def test_it_names_no_package_index() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")

    assert "index" not in text
    assert "://" not in re.sub(r"http://127\.0\.0\.1", "", text)


def test_it_has_the_standard_labels_and_the_version_of_the_package() -> None:
    text = only(RUNTIME, "LABEL").text
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))

    assert labels.keys() >= {"title", "description", "version", "licenses"}
    assert labels["version"] == "${VERSION}"
    assert only(RUNTIME, "ARG").text == f"VERSION={__version__}"


def test_both_stages_have_the_same_python() -> None:
    """The environment of the first points to the interpreter of the second."""
    images = [
        Instruction("FROM", only(stage, "FROM").text).text.split()[0] for stage in (BUILD, RUNTIME)
    ]

    assert images[0] == images[1]


@pytest.mark.parametrize(("code", "exit_code"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_returns_the_result_of_healthz(code: int, exit_code: int) -> None:
    with answering(code) as port:
        assert healthcheck(port) == exit_code


def test_the_health_check_fails_without_a_listener() -> None:
    with answering(200) as port:
        pass

    assert healthcheck(port) == 1


def test_the_health_check_ignores_proxies() -> None:
    with answering(200) as port:
        assert healthcheck(port, http_proxy="http://127.0.0.1:1") == 0
