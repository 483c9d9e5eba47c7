"""The receiver configurations in deploy/, tested with the real receivers."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.receivers.certificates import Certificates
from support.receivers.ready import (
    DEPLOY,
    RSYSLOG,
    SYSLOG_NG,
    Ready,
    ready_rsyslog,
    ready_syslog_ng,
)
from support.receivers.sending import send

_READY = {"rsyslog": ready_rsyslog, "syslog-ng": ready_syslog_ng}
both = pytest.mark.parametrize("ready", ["rsyslog", "syslog-ng"], indirect=True)
every_way = pytest.mark.parametrize(
    ("ready", "way"),
    [*(("rsyslog", way) for way in RSYSLOG), *(("syslog-ng", way) for way in SYSLOG_NG)],
    indirect=["ready"],
)
ODD_POD, ESCAPED_POD = 'p"q]r\\s', r"p\"q\]r\\s"
TIMESTAMP = "2026-01-02T03:04:05.123456789Z"


@pytest.fixture
def ready(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> Iterator[Ready]:
    with _READY[request.param](tmp_path / request.param, certificates) as ready:
        yield ready


def message(
    target: str, text: str, *, group: str = "default", id_: str = "8a1f-1", more: str = ""
) -> bytes:
    """As tailer sends it; `more` is further structured data."""
    return (
        f"<134>1 2026-01-02T03:04:05.123456Z pod-1 {target} main AICORE "
        f'[aicore@32473 id="{id_}" timestamp="{TIMESTAMP}" resource_group="{group}" '
        f'kind="execution" target="{target}" scenario="churn" pod="{ESCAPED_POD}" container="main" '
        f'stream="stdout"{more}] {text}'
    ).encode()


def send_all(ready: Ready, messages: list[bytes], certificates: Certificates, way: str) -> None:
    tls = certificates.trusted_by(certificates.client)
    send(ready.ways[way], ready.receiver.urls[way], messages, tls=tls)


def send_and_stop(ready: Ready, messages: list[bytes], certificates: Certificates) -> None:
    """Each to a file that is there only when it has been taken, the last of them at the end."""
    send_all(ready, [*messages, message("end", "end")], certificates, "tls")
    ready.receiver.wait_until(lambda: "default/execution/end.log" in ready.files, lambda: "no end")
    ready.receiver.stop()


@every_way
def test_each_target_has_a_file_of_its_own_with_every_field_of_every_line(
    ready: Ready, way: str, certificates: Certificates
) -> None:
    odd = 'hellö \ttab "quoted" [x] \\ 😀'
    messages = [
        message("e1", odd, id_="8a1f-1"),
        message("e2", "other", id_="8a1f-2", group="team-a"),
        message("e1", "cut", id_="8a1f-3", more=' truncated="17"'),
    ]
    send_all(ready, messages, certificates, way)
    paths = ("default/execution/e1.log", "team-a/execution/e2.log")
    ready.receiver.wait_until(lambda: ready.files.issuperset(paths), lambda: "not written")
    ready.receiver.stop()

    common = {
        "timestamp": TIMESTAMP,
        "resource_group": "default",
        "kind": "execution",
        "target": "e1",
        "scenario": "churn",
        "pod": ODD_POD,
        "container": "main",
        "stream": "stdout",
        "severity": "info",
    }
    assert {path: ready.lines(path) for path in paths} == {
        paths[0]: [
            {**common, "id": "8a1f-1", "msg": odd},
            {**common, "id": "8a1f-3", "msg": "cut", "truncated": "17"},
        ],
        paths[1]: [
            {
                **common,
                "id": "8a1f-2",
                "msg": "other",
                "resource_group": "team-a",
                "target": "e2",
            }
        ],
    }


@pytest.mark.parametrize("ready", ["rsyslog"], indirect=True)
@pytest.mark.parametrize("way", RSYSLOG)
def test_a_certificate_for_another_name_is_rejected(
    ready: Ready, way: str, certificates: Certificates
) -> None:
    tls = certificates.trusted_by(certificates.unnamed_client)
    with suppress(OSError, AssertionError):  # whichever of them hears of it first
        send(ready.ways[way], ready.receiver.urls[way], [message("e1", "x")], tls=tls)
    send_and_stop(ready, [], certificates)

    assert ready.files == {"default/execution/end.log"}


@both
def test_a_message_of_128_kib_arrives_whole(ready: Ready, certificates: Certificates) -> None:
    text = "x" * (128 * 1024 - len(message("e1", "")))
    send_and_stop(ready, [message("e1", text)], certificates)

    assert [line["msg"] for line in ready.lines("default/execution/e1.log")] == [text]


@both
def test_names_in_messages_cannot_escape_the_directory(
    ready: Ready, certificates: Certificates, tmp_path: Path
) -> None:
    messages = [
        message("../../../../out", "1", group="../../../.."),
        message("/out", "2", group=".."),
        message("..", "3", group="."),
    ]
    send_and_stop(ready, messages, certificates)

    outside = [path for path in tmp_path.rglob("*") if "out" in path.name]
    assert [path for path in outside if not path.is_relative_to(ready.logs)] == []


@both
def test_messages_of_other_senders_have_another_file(
    ready: Ready, certificates: Certificates
) -> None:
    foreign = b"<131>1 2026-01-02T03:04:05.123456Z host app - - - hello"
    send_and_stop(ready, [foreign], certificates)

    (line,) = ready.lines("other/host/app.log")
    assert (line["hostname"], line["severity"], line["msg"]) == ("host", "err", "hello")


@both
def test_the_command_in_its_comment_drops_repeats_and_nothing_else(
    ready: Ready, certificates: Certificates, request: pytest.FixtureRequest
) -> None:
    first, second = message("e1", "same", id_="a-1"), message("e1", "same", id_="a-1-2")
    quoting = message("e1", '{"id":"a-1"}', id_="a-2")
    send_and_stop(ready, [first, second, quoting, first, second], certificates)

    path = ready.logs / "default/execution/e1.log"
    folder = request.node.callspec.params["ready"]
    (command,) = [
        line.removeprefix("#").strip()
        for line in (DEPLOY / folder / "tailer.conf").read_text().splitlines()
        if "awk" in line
    ]
    kept = subprocess.run(
        ["bash", "-c", command.replace("FILE", str(path))], capture_output=True, check=True
    ).stdout.splitlines()
    assert kept == path.read_bytes().splitlines()[:3]
