"""The configurations in deploy/ as their users run them: only places and certificates differ."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.receivers.certificates import Certificates
from support.receivers.ports import reserved_places
from support.receivers.programs import config_version, find_rsyslog, find_syslog_ng
from support.receivers.receiver import Receiver, Service, read_lines, running
from support.receivers.rsyslog import rsyslog_service
from support.receivers.syslog_ng import syslog_ng_service
from support.receivers.ways import Way

DEPLOY = Path(__file__).parents[3] / "deploy"
RSYSLOG = {
    "relp+tls": Way("relp+tls", asks_for_certificate=True),
    "tls": Way("tls", "octet-counting", asks_for_certificate=True),
}
SYSLOG_NG = {"tls": RSYSLOG["tls"]}
_PORTS = {"relp+tls": "2514", "tls": "6514"}

# As in Debian, and more modules than a drop-in should have to care about.
_RSYSLOG_MAIN = """\
module(load="imuxsock" sysSock.use="off")
global(workDirectory="{folder}" localHostname="receiver.example.com")
include(file="{shipped}")
"""
_SYSLOG_NG_MAIN = """\
@version: {version}
options {{ chain-hostnames(off); flush-lines(0); use-dns(no); stats-freq(0); }};
@include "{shipped}"
"""


@dataclass(frozen=True, slots=True)
class Ready:
    receiver: Receiver
    ways: Mapping[str, Way]
    logs: Path

    def lines(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in read_lines(self.logs / path)]

    @property
    def files(self) -> set[str]:
        found = (path for path in self.logs.rglob("*") if path.is_file())
        return {str(path.relative_to(self.logs)) for path in found}


@contextmanager
def ready_rsyslog(folder: Path, certificates: Certificates) -> Iterator[Ready]:
    program = find_rsyslog()
    with reserved_places(RSYSLOG) as places:
        ports = {_PORTS[name]: port for name, port in places.ports.items()}
        shipped = _adapt(
            DEPLOY / "rsyslog" / "tailer.conf",
            folder,
            certificates,
            ports={f'port="{usual}"': f'port="{port}"' for usual, port in ports.items()},
            tls_folder="/etc/rsyslog-tls",
        )
        config = folder / "rsyslog.conf"
        config.write_text(_RSYSLOG_MAIN.format(folder=folder, shipped=shipped))
        service = rsyslog_service(program, config, places)
        with running(_receiver(service, places.urls, folder)) as receiver:
            yield Ready(receiver, RSYSLOG, folder / "logs")


@contextmanager
def ready_syslog_ng(folder: Path, certificates: Certificates) -> Iterator[Ready]:
    program = find_syslog_ng()
    with reserved_places(SYSLOG_NG) as places, TemporaryDirectory(prefix="tailer-") as short:
        ports = {_PORTS[name]: port for name, port in places.ports.items()}
        shipped = _adapt(
            DEPLOY / "syslog-ng" / "tailer.conf",
            folder,
            certificates,
            ports={f"port({usual})": f"port({port})" for usual, port in ports.items()},
            tls_folder="/etc/syslog-ng/tls",
        )
        config = folder / "syslog-ng.conf"
        main = _SYSLOG_NG_MAIN.format(version=config_version(program), shipped=shipped)
        config.write_text(main)
        service = syslog_ng_service(program, config, places, control=f"{short}/control")
        with running(_receiver(service, places.urls, folder)) as receiver:
            yield Ready(receiver, SYSLOG_NG, folder / "logs")


def _adapt(
    shipped: Path,
    folder: Path,
    certificates: Certificates,
    *,
    ports: Mapping[str, str],
    tls_folder: str,
) -> Path:
    """Fails when one of these is not there to be replaced: the file would serve elsewhere."""
    folder.mkdir(parents=True)
    text = shipped.read_text()
    replaced = {
        **ports,
        '"/var/log/aicore/': f'"{folder}/logs/',
        f"{tls_folder}/ca.pem": str(certificates.ca_file),
        f"{tls_folder}/server.pem": str(certificates.server.cert_file),
        f"{tls_folder}/server.key": str(certificates.server.key_file),
    }
    for usual, here in replaced.items():
        assert usual in text, usual
        text = text.replace(usual, here)
    adapted = folder / shipped.name
    adapted.write_text(text)
    return adapted


def _receiver(service: Service, urls: Mapping[str, str], folder: Path) -> Receiver:
    def read(*_: object) -> Any:
        raise AssertionError("it writes a file for each target")

    return Receiver(service, urls=urls, folder=folder, read=read)
