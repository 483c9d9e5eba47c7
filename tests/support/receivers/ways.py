"""Every transport into the two receivers, by the names of their files."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Way:
    """How a sender must speak there. `asks_for_certificate`: of the sender, too."""

    scheme: str
    framing: Literal["octet-counting", "lf", ""] = ""
    format: Literal["rfc5424", "rfc3164"] = "rfc5424"
    asks_for_certificate: bool = False

    @property
    def is_encrypted(self) -> bool:
        return self.scheme in {"tls", "relp+tls"}

    @property
    def is_stream(self) -> bool:
        """True for byte streams, whose messages need framing."""
        return bool(self.framing)

    @property
    def has_port(self) -> bool:
        return self.scheme != "unix"


_TCP = Way("tcp", "octet-counting")
_LINES = Way("tcp", "lf")
_OLD_LINES = Way("tcp", "lf", "rfc3164")
_TLS = Way("tls", "octet-counting")
_MUTUAL_TLS = Way("tls", "octet-counting", asks_for_certificate=True)

RSYSLOG: Final = {
    "tcp": _TCP,
    "tcp-lf": _LINES,
    "tls-ossl": _TLS,
    "tls-gtls": _TLS,
    "mtls": _MUTUAL_TLS,
    "relp": Way("relp"),
    "relp+tls": Way("relp+tls", asks_for_certificate=True),
    "rfc3164": _OLD_LINES,
    "udp": Way("udp"),
    "unix": Way("unix"),
}
SYSLOG_NG: Final = {
    "tcp": _TCP,
    "tcp-lf": _LINES,
    "tls": _TLS,
    "mtls": _MUTUAL_TLS,
    "rfc3164": _OLD_LINES,
    "udp": Way("udp"),
    "unix": Way("unix"),
    "unix-stream": Way("unix", "lf"),
}
