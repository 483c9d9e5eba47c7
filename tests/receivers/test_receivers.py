"""The test receivers themselves, tested with hand-made frames."""

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.receivers.certificates import Certificates
from support.receivers.programs import REQUIRED, find_rsyslog, find_syslog_ng, skip_or_fail
from support.receivers.received import parse_structured_data
from support.receivers.receiver import PATIENCE_S, Receiver
from support.receivers.sending import octet_counted, send, send_stream
from support.receivers.ways import RSYSLOG, SYSLOG_NG, Way

both = pytest.mark.parametrize("receiver", ["rsyslog", "syslog-ng"], indirect=True)
every_way = pytest.mark.parametrize(
    ("receiver", "name", "way"),
    [
        *(
            pytest.param("rsyslog", name, way, id=f"rsyslog-{name}")
            for name, way in RSYSLOG.items()
        ),
        *(
            pytest.param("syslog-ng", name, way, id=f"syslog-ng-{name}")
            for name, way in SYSLOG_NG.items()
            if way.format == "rfc5424"
        ),
    ],
    indirect=["receiver"],
)

COUNT = 300
SD_ID = "aicore@32473"
ODD = 'p"q]r\\s'
ODD_ESCAPED = r"p\"q\]r\\s"


def text(number: int) -> str:
    return f'{number} hellö \x1b[31m\ttab \\ "] 😀 {"x" * number}'


def message(number: int) -> bytes:
    header = f"<131>1 2026-01-02T03:04:05.{number:06}Z pod-1 d1 main AICORE"
    return f'{header} [{SD_ID} id="{number}" pod="{ODD_ESCAPED}"] {text(number)}'.encode()


MESSAGES = [message(number) for number in range(COUNT)]


@every_way
def test_every_field_of_every_message_can_be_read_back(
    receiver: Receiver, name: str, way: Way, certificates: Certificates
) -> None:
    tls = certificates.trusted_by(certificates.client)
    send(way, receiver.urls[name], MESSAGES, tls=tls)

    got = receiver.wait_for(name, COUNT)
    first_us = got[0].time_us
    assert [
        (
            *(one.pri, one.facility, one.severity, one.time_us - first_us),
            *(one.hostname, one.appname, one.procid, one.msgid),
            *(one.elements[SD_ID], one.msg),
        )
        for one in got
    ] == [
        (
            *(131, 16, 3, number),
            *("pod-1", "d1", "main", "AICORE"),
            *({"id": str(number), "pod": ODD}, text(number)),
        )
        for number in range(COUNT)
    ]
    assert first_us == 1_767_323_045_000_000


@pytest.mark.parametrize("receiver", ["syslog-ng"], indirect=True)
def test_the_old_format_has_time_host_tag_and_text(receiver: Receiver) -> None:
    send_stream(receiver.urls["rfc3164"], b"<131>Jan  2 03:04:05 pod-1 d1[main]: hello\n")

    (got,) = receiver.wait_for("rfc3164", 1)
    assert (got.pri, got.hostname, got.appname, got.procid, got.msg) == (
        *(131, "pod-1", "d1", "main"),
        "hello",
    )
    assert got.timestamp[4:19] == "-01-02T03:04:05"


@both
def test_after_a_restart_the_same_ports_lead_to_the_same_files(receiver: Receiver) -> None:
    send_stream(receiver.urls["tcp"], octet_counted(MESSAGES[:1]))
    receiver.wait_for("tcp", 1)
    receiver.restart()
    send_stream(receiver.urls["tcp"], octet_counted(MESSAGES[1:2]))
    receiver.wait_for("tcp", 2)
    receiver.kill()
    receiver.start()
    send_stream(receiver.urls["tcp"], octet_counted(MESSAGES[2:3]))

    got = receiver.wait_for("tcp", 3)
    assert [one.elements[SD_ID]["id"] for one in got] == ["0", "1", "2"]


@both
def test_a_stopped_process_accepts_connections_and_writes_after_sigcont(receiver: Receiver) -> None:
    receiver.freeze()
    send_stream(receiver.urls["tcp"], octet_counted(MESSAGES))
    while_frozen = receiver.received("tcp")
    receiver.thaw()

    assert len(receiver.wait_for("tcp", COUNT)) == COUNT
    assert while_frozen == []


@both
def test_accepted_messages_are_written_at_a_clean_stop(receiver: Receiver) -> None:
    send_stream(receiver.urls["tcp"], octet_counted(MESSAGES))
    receiver.wait_for("tcp", 1)
    receiver.stop()

    assert receiver.process.returncode == 0


_HELD_BY_A_TEST = """
import sys
from pathlib import Path

from support.receivers.certificates import make_certificates
from support.receivers.running import RUNNING

folder = Path(sys.argv[1])
with RUNNING[sys.argv[2]](folder, make_certificates(folder / "certificates")) as receiver:
    print(receiver.process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["rsyslog", "syslog-ng"])
def test_a_receiver_does_not_outlive_a_test_that_was_killed(tmp_path: Path, name: str) -> None:
    {"rsyslog": find_rsyslog, "syslog-ng": find_syslog_ng}[name]()
    source = str(Path(__file__).parents[1])
    with (
        TemporaryDirectory(prefix="tailer-") as short,  # a killed process does not clean up
        subprocess.Popen(
            [sys.executable, "-c", _HELD_BY_A_TEST, tmp_path, name],
            env={**os.environ, "PYTHONPATH": source, "TMPDIR": short},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as test,
    ):
        assert test.stdout is not None
        receiver = os.pidfd_open(int(test.stdout.readline()))
        test.send_signal(signal.SIGKILL)

    with os.fdopen(receiver), selectors.DefaultSelector() as ended:
        ended.register(receiver, selectors.EVENT_READ)
        assert ended.select(PATIENCE_S)


def test_without_a_receiver_a_test_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="not installed: apt-get install rsyslog"):
        skip_or_fail("rsyslogd is not installed", "apt-get install rsyslog")


def test_a_missing_required_receiver_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        skip_or_fail("rsyslogd is not installed", "apt-get install rsyslog")


@pytest.mark.parametrize(
    "text", ['[a b="c"', '[a b="]"]', '[a b="c"] [d]', '[a b="c" b="d"]', "[a][a]", "a"]
)
def test_structured_data_outside_the_grammar_is_not_read_at_all(text: str) -> None:
    with pytest.raises(AssertionError):
        parse_structured_data(text)
