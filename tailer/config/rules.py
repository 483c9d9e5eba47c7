"""Rules across keys: what is missing, contradictory or without effect. Pure.

`right` has the values of a table that are right by themselves; `written` has all that the
table contains, because a wrong value is not a missing one.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from tailer.config.mistakes import Mistakes
from tailer.config.schema import SINK_KEYS
from tailer.config.settings import ALL_GROUPS, SELECTOR_KEYS, PaceSettings

Right: TypeAlias = Mapping[str, Any]
Tables: TypeAlias = Sequence[tuple[Right, Mapping[str, Any]]]  # right and written

_TLS: Final = ("tls", "relp+tls")
_STREAMS: Final = ("tcp", "tls", "unix")
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
_LONGEST_MESSAGE: Final = {"udp": 65_507, "relp": 131_072, "relp+tls": 131_072}
_UNVERIFIED: Final = "tls_dangerously_accept_any_certificate"


def check_presence(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    if not document.get("watch"):
        mistakes.add((), 'no [[watch]] exists; add one with targets = ["deployment/ID"]')
    if not document.get("sink"):
        mistakes.add((), 'no [[sink]] exists; add one with kind = "file" and a path')


def check_poll(right: Right, written: Right, mistakes: Mistakes) -> None:
    """An idle interval that is not given follows the interval."""
    if "idle_interval_s" not in right or ("interval_s" in written and "interval_s" not in right):
        return
    interval_s = right.get("interval_s", PaceSettings().interval_s)
    if right["idle_interval_s"] < interval_s:
        mistakes.add(
            ("poll", "idle_interval_s"),
            f"must not be smaller than interval_s ({interval_s:g}), but is "
            f"{right['idle_interval_s']:g}; write {interval_s:g} or more, or leave it out",
        )


def check_watches(watches: Tables, mistakes: Mistakes) -> None:
    first_watch_of: dict[tuple[str | None, str], int] = {}
    for number, (right, written) in enumerate(watches):
        place = ("watch", number, "targets")
        selecting = next((key for key in SELECTOR_KEYS if key in written), None)
        if selecting is None and not written.get("targets"):
            mistakes.add(
                place,
                'the watch selects nothing; write targets = ["deployment/ID"] (`tailer list` '
                'prints IDs), or kind = "execution" for all executions',
            )
        elif selecting is not None and "targets" in written:
            mistakes.add(
                ("watch", number, selecting),
                "a watch cannot have both targets and a selector; remove one of them, or move it "
                "to a second [[watch]]",
            )
        groups = right.get("resource_group") or ()
        sentence = ""
        if right.get("targets") and (ALL_GROUPS in groups or len(groups) > 1):
            sentence = "a watch with targets has one resource group; write a [[watch]] for each"
        elif ALL_GROUPS in groups and len(groups) > 1:
            sentence = f'"{ALL_GROUPS}" includes all other groups; write "{ALL_GROUPS}" only'
        if sentence:
            mistakes.add(("watch", number, "resource_group"), sentence)
        for target in right.get("targets", ()):
            first = first_watch_of.setdefault((groups or None, target), number)
            if right["targets"].count(target) > 1:
                mistakes.add(place, f'"{target}" appears twice in the list; remove one')
            elif first != number:
                other = mistakes.title("watch", first)
                mistakes.add(place, f'"{target}" is already in {other}; remove one')


def check_sinks(sinks: Tables, mistakes: Mistakes) -> None:
    first_of_path: dict[PurePosixPath, int] = {}
    first_of_name: dict[str, int] = {}
    for number, (right, written) in enumerate(sinks):
        found = list(_syslog_mistakes(right)) if right.get("kind") == "syslog" else []
        path = PurePosixPath(right.get("path", f"{number}"))
        if (first := first_of_path.setdefault(path, number)) != number:
            other = mistakes.title("sink", first)
            found.append(("path", f"{other} writes to the same files; use a different path"))
        if "template" in right and right.get("format", "text") != "text":
            sentence = f'conflicts with format = "{right["format"]}"; remove one of them'
            found.append(("template", sentence))
        name = None if "name" in written and "name" not in right else sink_name(right)
        if name and (first := first_of_name.setdefault(name, number)) != number:
            is_default = "" if "name" in written else "is missing, and the default "
            sentence = (
                f'{is_default}"{name}" is the name of {mistakes.title("sink", first)}; write a '
                f'unique name such as "{name}-{number + 1}", and do not change it later'
            )
            found.append(("name", sentence))
        for key, sentence in found:
            mistakes.add(("sink", number, key), sentence)


def sink_name(right: Right) -> str | None:
    """The sink's name, else its kind: a number would change with the order in the file."""
    name: str | None = right.get("name", right.get("kind"))
    return name


def _syslog_mistakes(right: Right) -> Iterator[tuple[str, str]]:
    changed = {key for key, value in right.items() if value != SINK_KEYS["syslog"][key].default}
    if urls := right.get("url"):
        yield from _transport_mistakes(urls, right, changed)
    if right.get("format") == "rfc3164":
        for key in changed & {"msgid", "enterprise_id", "byte_order_mark"}:
            yield key, 'has no effect with format = "rfc3164"; remove it'
    if _UNVERIFIED in changed:
        for key in changed & {"tls_ca_file", "tls_server_name"}:
            yield key, f"has no effect with {_UNVERIFIED}; remove one of them"
    for key, other in (("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")):
        if key in changed and other not in changed:
            yield key, f"has no effect without {other}; set both"


def _transport_mistakes(
    urls: Sequence[str], right: Right, changed: set[str]
) -> Iterator[tuple[str, str]]:
    scheme, *others = dict.fromkeys(urlsplit(url).scheme for url in urls)
    if others:
        named = " and ".join(f"{each}://" for each in (scheme, *others))
        yield "url", f"{named} cannot be mixed in one sink; use one scheme for all servers"
    for twice in {url for url in urls if urls.count(url) > 1}:
        yield "url", f'"{twice}" appears twice in the list; remove one'
    longest = _LONGEST_MESSAGE.get(scheme, right.get("max_message_bytes", 0))
    if right.get("max_message_bytes", 0) > longest:
        yield "max_message_bytes", f"is too large for {scheme}://; write {longest} or less"
    for key, possible in _SCHEMES_OF.items():
        if key in changed and scheme not in possible:
            named = ", ".join(f"{each}://" for each in possible)
            yield key, f"has an effect for {named} only; remove it"
