"""Real syslog services in real time, each as long as its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers.certificates import Certificates, make_certificates
from receivers.receiver import Receiver
from receivers.rsyslog import running_rsyslog
from receivers.syslog_ng import running_syslog_ng

RUNNING = {"rsyslog": running_rsyslog, "syslog-ng": running_syslog_ng}


@pytest.fixture
def anyio_backend() -> str:
    """Other processes have no part in virtual time."""
    return "asyncio"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("receivers") / "certificates")


@pytest.fixture
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> Iterator[Receiver]:
    """The one that the test's parameter names."""
    with RUNNING[request.param](tmp_path / request.param, certificates) as receiver:
        yield receiver
