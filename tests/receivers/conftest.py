"""Real syslog services in real time, one for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.receivers.certificates import Certificates, make_certificates
from support.receivers.receiver import Receiver
from support.receivers.running import RUNNING


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("receivers") / "certificates")


@pytest.fixture
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> Iterator[Receiver]:
    """The receiver named by the test's parameter."""
    with RUNNING[request.param](tmp_path / request.param, certificates) as receiver:
        yield receiver
