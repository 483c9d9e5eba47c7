"""Keys of a syslog sink that are right by themselves and have no effect, or none together. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tailer.config.complaints import Complaints
from tailer.config.schema import SINK_KEYS

_TLS: Final = ("tls", "relp+tls")
_STREAMS: Final = ("tcp", "tls", "unix")
# A key that is set and does nothing would be believed to do something.
_SCHEMES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "framing": _STREAMS,
    "datagrams_per_s": ("udp",),
    "relp_window": ("relp", "relp+tls"),
    "ack_hold_s": _STREAMS,
    "tls_ca_file": _TLS,
    "tls_cert_file": _TLS,
    "tls_key_file": _TLS,
    "tls_server_name": _TLS,
    "tls_dangerously_accept_any_certificate": _TLS,
}
_MOST_BYTES: Final = {"udp": 65_507, "relp": 131_072, "relp+tls": 131_072}
_ONLY_IN_RFC5424: Final = ("msgid", "enterprise_id", "byte_order_mark")


def check_syslog(number: int, right: Mapping[str, Any], complaints: Complaints) -> None:
    """`right` are the values of the sink `number` that are right by themselves."""
    place = ("sink", number)
    if "url" in right:
        _check_urls(right["url"], number, complaints)
        scheme = urlsplit(right["url"][0]).scheme
        most = _MOST_BYTES.get(scheme)
        if most is not None and right.get("max_bytes", 0) > most:
            complaints.add(
                (*place, "max_bytes"), f"a message over {scheme}:// has at most {most}; write that"
            )
    for key, sentence in _without_effect(right).items():
        complaints.add((*place, key), f"{sentence}; leave it out")
    for key, other in (("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")):
        if key in right and other not in right:
            complaints.add((*place, key), f"is of no use without the other; write {other} too")


def _without_effect(right: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    scheme = urlsplit(right["url"][0]).scheme if "url" in right else None
    for key, schemes in _SCHEMES_OF.items():
        if scheme is not None and scheme not in schemes and _is_set(key, right):
            found[key] = f"is for {' and '.join(f'{each}://' for each in schemes)} only"
    for key in _ONLY_IN_RFC5424:
        if right.get("format") == "rfc3164" and _is_set(key, right):
            found[key] = "is not in an rfc3164 message"
    for key in ("tls_ca_file", "tls_server_name"):
        if right.get("tls_dangerously_accept_any_certificate") and key in right:
            found[key] = "would not be looked at, as any certificate is accepted"
    return found


def _check_urls(urls: Sequence[str], number: int, complaints: Complaints) -> None:
    place = ("sink", number, "url")
    schemes = list(dict.fromkeys(urlsplit(url).scheme for url in urls))
    if len(schemes) > 1:
        named = " and ".join(f"{scheme}://" for scheme in schemes)
        complaints.add(
            place,
            f"{named} promise different things; write the same one for all servers of a sink",
        )
    for url in dict.fromkeys(urls):
        has_secret = "@" in urlsplit(url).netloc  # refused elsewhere, and never quoted
        if list(urls).count(url) > 1 and not has_secret:
            complaints.add(place, f'"{url}" is in the list twice; once is enough')


def _is_set(key: str, right: Mapping[str, Any]) -> bool:
    return key in right and right[key] != SINK_KEYS["syslog"][key].default
