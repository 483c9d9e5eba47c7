"""The systemd unit is valid, hardened as documented, and matches tailer."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tailer.config import Config, FileSection, parse_config

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/tailer.service"
MANUAL = ROOT / "docs/deploying.md"
REQUIRED = "TAILER_TEST_REQUIRE_SYSTEMD"  # set where a machine without it is a mistake
COMPRESSION_S = 10  # what a compression under way may take beyond shutdown_timeout_s


def skip_or_fail(what: str) -> NoReturn:
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, but {REQUIRED} is set: .ci/install", pytrace=False)
    pytest.skip(f"{what}: apt-get install systemd")


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        skip_or_fail("systemd-analyze is not installed")
    return found


@pytest.fixture
def unit_here(tmp_path: Path) -> Path:
    """The unit, with the tailer that is installed here: verify looks whether it can be run."""
    text = UNIT.read_text(encoding="utf-8")
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/tailer/bin", str(Path(sys.executable).parent)), "utf-8")
    return copy


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    """The settings of [Service], as far as each is there but once."""
    _, _, section = UNIT.read_text(encoding="utf-8").partition("[Service]\n")
    lines = section.partition("\n[")[0].splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def described() -> Config:
    """The configuration that the unit's comment asks for."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    asked = asked[asked.index("[aicore]") :]
    text = "\n".join([*asked, "[[watch]]", 'targets = ["deployment/d1"]'])
    return parse_config(text, name="the unit's comment", environ={})


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_systemd_analyze_accepts_the_unit(systemd_analyze: str, unit_here: Path) -> None:
    verified = run(systemd_analyze, "verify", "--man=no", unit_here)

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_exposure_is_at_most_the_documented_one(systemd_analyze: str, unit_here: Path) -> None:
    """Another version of systemd may count in another way, so less is fine, too."""
    reported = re.search(r"exposure level of \*\*(\d\.\d)\*\*", MANUAL.read_text(encoding="utf-8"))
    assert reported
    rated = run(systemd_analyze, "security", "--offline=true", "--no-pager", unit_here)
    level = re.search(r"Overall exposure level for tailer.service: (\d+\.\d)", rated.stdout)
    assert level, rated.stderr

    assert float(level[1]) <= float(reported[1])


def test_the_stop_timeout_covers_the_shutdown_timeout(
    service: dict[str, str], described: Config
) -> None:
    assert int(service["TimeoutStopSec"]) > described.daemon.shutdown_timeout_s + COMPRESSION_S


def test_configured_paths_are_writable(service: dict[str, str], described: Config) -> None:
    (sink,) = described.sinks
    assert isinstance(sink.to, FileSection)

    assert described.spool.path.parent == Path("/var/lib", service["StateDirectory"])
    assert sink.to.path.startswith(f"/var/log/{service['LogsDirectory']}/")


def test_the_configuration_names_the_credential_that_is_loaded(
    service: dict[str, str], described: Config
) -> None:
    name, _, _ = service["LoadCredential"].partition(":")

    assert described.aicore.service_key_file == Path("/run/credentials", UNIT.name, name)


def test_the_example_configuration_writes_where_the_unit_may(service: dict[str, str]) -> None:
    text = (ROOT / "tailer/config/example.toml").read_text(encoding="utf-8")
    paths = [
        sink.to.path
        for sink in parse_config(text, name="example", environ={}).sinks
        if isinstance(sink.to, FileSection)
    ]

    assert all(path.startswith(f"/var/log/{service['LogsDirectory']}/") for path in paths)
