"""Finds the syslog services on this machine, or skips with the remedy."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = "TAILER_TEST_REQUIRE_RECEIVERS"  # set where a service that is missing is a mistake
SYSLOG_NG = "TAILER_TEST_SYSLOG_NG"  # the root of an unpacked syslog-ng
_RSYSLOG_MODULES = {
    "imtcp.so": "rsyslog",
    "imrelp.so": "rsyslog-relp",
    "lmnsd_gtls.so": "rsyslog-gnutls",
    "lmnsd_ossl.so": "rsyslog-openssl",
}
_RSYSLOG_PACKAGES = tuple(_RSYSLOG_MODULES.values())  # as Debian and Ubuntu call them
_DIRECTORIES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class Program:
    """`options` are what it needs because of the place that it is in, and `environ` too."""

    path: Path
    options: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


def skip_or_fail(what: str, remedy: str) -> NoReturn:
    """Skip the test with the missing program and the remedy. In CI, fail."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, but {REQUIRED} is set: {remedy}", pytrace=False)
    pytest.skip(f"{what}: {remedy}")


def find_rsyslog() -> Program:
    found = shutil.which("rsyslogd", path=_DIRECTORIES)
    folders = [*Path("/usr").glob("lib*/rsyslog"), *Path("/usr/lib").glob("*/rsyslog")]
    for module, package in _RSYSLOG_MODULES.items():
        if found is None or not any((folder / module).exists() for folder in folders):
            skip_or_fail(
                f"{package} is not installed", f"apt-get install {' '.join(_RSYSLOG_PACKAGES)}"
            )
    assert found is not None
    return Program(Path(found))


def find_syslog_ng() -> Program:
    """The tree named by the variable, else the tree of .ci/install, else the one on PATH."""
    named = os.environ.get(SYSLOG_NG)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(named) if named else cache / "tailer" / "syslog-ng"
    if (root / "usr/sbin/syslog-ng").exists():
        return _unpacked(root)
    found = shutil.which("syslog-ng", path=_DIRECTORIES)
    if found is None:
        skip_or_fail("syslog-ng is not installed", ".ci/install, or apt-get install syslog-ng-core")
    return Program(Path(found))


def config_version(syslog_ng: Program) -> str:
    """The `@version` that it takes without a warning."""
    output = subprocess.run(
        [syslog_ng.path, *syslog_ng.options, "--version"],
        env={**os.environ, **syslog_ng.environ},
        capture_output=True,
        check=True,
    ).stdout.decode()
    version = re.search(r"^Config version: (\S+)$", output, re.MULTILINE)
    assert version, output
    return version[1]


def _unpacked(root: Path) -> Program:
    libraries = root / "usr/lib/syslog-ng"
    modules = sorted(module.parent for module in libraries.glob("*/libsyslogformat.so"))
    assert modules, f"no modules in {libraries}"
    return Program(
        root / "usr/sbin/syslog-ng",
        (f"--module-path={modules[-1]}",),
        {"LD_LIBRARY_PATH": str(libraries)},
    )
