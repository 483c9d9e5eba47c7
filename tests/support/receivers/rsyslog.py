"""rsyslog on loopback: every input it has, and a file of JSON lines for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.receivers.certificates import CLIENT_NAME, Certificates
from support.receivers.ports import Places, reserved_places
from support.receivers.programs import Program, find_rsyslog
from support.receivers.received import Received
from support.receivers.receiver import Receiver, Service, minimal_environ, running
from support.receivers.ways import RSYSLOG

_CONFIG = """\
global(
  workDirectory="{folder}"
  {max_message_size}
  # What was really sent, not what rsyslog makes of it.
  parser.escapeControlCharactersOnReceive="off"
  net.enableDNS="off"
  localHostname="receiver.example.com"  # or it asks the network for it, before it listens
  preserveFQDN="on"
)
module(load="imtcp" maxSessions="200")
module(load="imudp")
module(load="imrelp")
module(load="imuxsock" sysSock.use="off")

template(name="fields" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="hostname" name="hostname" format="jsonf")
  property(outname="appname" name="app-name" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}}
template(name="file" type="string" string="{folder}/%inputname%.jsonl")
# Direct and synchronous: what was acknowledged is in the file, and in order.
ruleset(name="write" queue.type="direct") {{
  action(type="omfile" dynaFile="file" template="fields" asyncWriting="off" flushOnTXEnd="on")
}}
# That input has no name of its own.
ruleset(name="write-unix" queue.type="direct") {{
  action(type="omfile" file="{folder}/unix.jsonl" template="fields" asyncWriting="off"
         flushOnTXEnd="on")
}}

input(type="imtcp" name="tcp" port="{tcp}" address="127.0.0.1" ruleset="write")
input(type="imtcp" name="tcp-lf" port="{tcp-lf}" address="127.0.0.1" ruleset="write"
      supportOctetCountedFraming="off")
input(type="imtcp" name="rfc3164" port="{rfc3164}" address="127.0.0.1" ruleset="write"
      supportOctetCountedFraming="off")
input(type="imtcp" name="tls-ossl" port="{tls-ossl}" address="127.0.0.1" ruleset="write"
      streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon"
      streamDriver.CAFile="{ca}" streamDriver.certFile="{cert}" streamDriver.keyFile="{key}")
input(type="imtcp" name="tls-gtls" port="{tls-gtls}" address="127.0.0.1" ruleset="write"
      streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"
      streamDriver.CAFile="{ca}" streamDriver.certFile="{cert}" streamDriver.keyFile="{key}")
# Not ossl: 8.2302 sometimes accepts a certificate of an untrusted authority.
input(type="imtcp" name="mtls" port="{mtls}" address="127.0.0.1" ruleset="write"
      streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name"
      permittedPeer=["{client_name}"]
      streamDriver.CAFile="{ca}" streamDriver.certFile="{cert}" streamDriver.keyFile="{key}")
input(type="imrelp" name="relp" port="{relp}" address="127.0.0.1" ruleset="write"
      {max_data_size})
input(type="imrelp" name="relp+tls" port="{relp+tls}" address="127.0.0.1" ruleset="write"
      {max_data_size} tls="on" tls.authMode="name" tls.permittedPeer=["{client_name}"]
      tls.caCert="{ca}" tls.myCert="{cert}" tls.myPrivKey="{key}")
input(type="imudp" name="udp" port="{udp}" address="127.0.0.1" ruleset="write"
      rcvbufSize="8m")
# Without these three it takes the message for one of an old libc and dates it anew.
input(type="imuxsock" socket="{unix}" ruleset="write-unix"
      useSpecialParser="off" useSysTimeStamp="off" ignoreTimestamp="off")
"""


@contextmanager
def running_rsyslog(
    folder: Path, certificates: Certificates, *, max_bytes: int | None = 131_072
) -> Iterator[Receiver]:
    """With no `max_bytes`, as long messages as rsyslog takes by default."""
    program = find_rsyslog()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rsyslog.conf"
    server = certificates.server
    with reserved_places(RSYSLOG) as places:
        config.write_text(
            _CONFIG.format(
                **places.as_text,
                folder=folder,
                max_message_size=f'maxMessageSize="{max_bytes}"' if max_bytes else "",
                max_data_size=f'maxDataSize="{max_bytes}"' if max_bytes else "",
                client_name=CLIENT_NAME,
                ca=certificates.ca_file,
                cert=server.cert_file,
                key=server.key_file,
            )
        )
        service = rsyslog_service(program, config, places)
        with running(Receiver(service, urls=places.urls, folder=folder, read=_read)) as receiver:
            yield receiver


def rsyslog_service(program: Program, config: Path, places: Places) -> Service:
    return Service(
        [str(program.path), "-n", "-f", str(config), "-i", str(config.parent / "pid")],
        minimal_environ(),
        places.not_taken,
        config.parent / "rsyslog.log",
    )


def _read(transport: str, fields: dict[str, Any]) -> Received:
    if transport == "rfc3164":
        fields["msg"] = fields["msg"].removeprefix(" ")  # RFC 3164, 5.3: what ends the tag
    return Received(transport=transport, **{**fields, "pri": int(fields["pri"])})
