"""syslog-ng on loopback: every source it has, and a file of JSON lines for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from support.receivers.certificates import Certificates
from support.receivers.ports import Places, reserved_places
from support.receivers.programs import Program, config_version, find_syslog_ng
from support.receivers.received import NIL, Received
from support.receivers.receiver import Receiver, Service, minimal_environ, running
from support.receivers.ways import SYSLOG_NG

_HEAD = """\
@version: {version}
options {{
  chain-hostnames(no); keep-hostname(yes); keep-timestamp(yes); use-dns(no);
  {max_message_size} frac-digits(6); flush-lines(1); stats-freq(0);
}};
template fields {{
  template("$(format-json --scope none {fields})\\n");
  template-escape(no);
}};
"""
# Text is text, also where it looks like a number or a list.
_FIELDS: Final = (
    "pri=int($PRI)",
    *(
        f'{name}=\\"${macro}\\"'
        for name, macro in {
            "timestamp": "S_ISODATE",
            "hostname": "HOST",
            "appname": "PROGRAM",
            "procid": "PID",
            "msgid": "MSGID",
            "sd": "SDATA",
            "msg": "MSG",
        }.items()
    ),
)
_SOURCES: Final = {
    "tcp": 'syslog(ip("127.0.0.1") port({place}) transport("tcp") max-connections(200))',
    "tcp-lf": (
        'network(ip("127.0.0.1") port({place}) transport("tcp") max-connections(200)'
        " flags(syslog-protocol))"
    ),
    "tls": 'syslog(ip("127.0.0.1") port({place}) transport("tls") {tls} peer-verify(no)))',
    "mtls": (
        'syslog(ip("127.0.0.1") port({place}) transport("tls")'
        " {tls} peer-verify(required-trusted)))"
    ),
    "rfc3164": 'network(ip("127.0.0.1") port({place}) transport("tcp"))',
    "udp": 'syslog(ip("127.0.0.1") port({place}) transport("udp") so-rcvbuf(8388608))',
    "unix": 'unix-dgram("{place}" flags(syslog-protocol))',
    "unix-stream": 'unix-stream("{place}" flags(syslog-protocol))',
}
_LOG: Final = """\
log {{
  source {{ {source}; }};
  destination {{ file("{folder}/{name}.jsonl" template(fields)); }};
  flags(flow-control);
}};
"""


@contextmanager
def running_syslog_ng(
    folder: Path, certificates: Certificates, *, max_bytes: int | None = 131_072
) -> Iterator[Receiver]:
    """With no `max_bytes`, as long messages as syslog-ng takes by default."""
    program = find_syslog_ng()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "syslog-ng.conf"
    server = certificates.server
    tls = (
        f'tls(key-file("{server.key_file}") cert-file("{server.cert_file}")'
        f' ca-file("{certificates.ca_file}")'
    )
    size = f"log-msg-size({max_bytes});" if max_bytes else ""
    with reserved_places(SYSLOG_NG) as places, TemporaryDirectory(prefix="tailer-") as short:
        logs = [
            _LOG.format(
                name=name, folder=folder, source=source.format(place=places.as_text[name], tls=tls)
            )
            for name, source in _SOURCES.items()
        ]
        head = _HEAD.format(
            version=config_version(program), max_message_size=size, fields=" ".join(_FIELDS)
        )
        config.write_text(head + "".join(logs))
        service = syslog_ng_service(program, config, places, control=f"{short}/control")
        with running(Receiver(service, urls=places.urls, folder=folder, read=_read)) as receiver:
            yield receiver


def syslog_ng_service(program: Program, config: Path, places: Places, *, control: str) -> Service:
    """Everything that it keeps is beside its configuration; `control` is a socket's short path."""
    return Service(
        [
            str(program.path),
            *program.options,
            *("--foreground", "--stderr", "--no-caps", f"--cfgfile={config}"),
            *(f"--persist-file={config.parent}/persist", f"--pidfile={config.parent}/pid"),
            f"--control={control}",
        ],
        minimal_environ(**program.environ),
        places.not_taken,
        config.parent / "syslog-ng.log",
    )


def _read(transport: str, fields: dict[str, Any]) -> Received:
    names = ("hostname", "appname", "procid", "msgid", "sd")
    nils = {name: fields.get(name) or NIL for name in names}
    return Received(
        transport=transport,
        pri=fields["pri"],
        timestamp=fields["timestamp"],
        msg=fields.get("msg", ""),
        **nils,
    )
