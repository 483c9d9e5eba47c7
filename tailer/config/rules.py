"""Rules across keys: what is missing, contradictory or without effect. Pure.

`right` has the correct values of a table, `written` all: a wrong value is not a missing one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from tailer.config.settings import ALL_GROUPS, SELECTOR_KEYS, SINK_KEYS, PaceSettings
from tailer.config.toml_index import Place

Table: TypeAlias = Mapping[str, Any]
Tables: TypeAlias = Sequence[tuple[Table, Table]]  # right and written
Title: TypeAlias = Callable[[str, int], str]  # of the watch or sink with this number
Broken: TypeAlias = Iterator[tuple[Place, str]]

_NEEDED: Final = {"watch": 'targets = ["deployment/ID"]', "sink": 'kind = "file" and a path'}
_UNVERIFIED: Final = "tls_dangerously_accept_any_certificate"
_SCHEMES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("framing", "ack_hold_s"), ("tcp", "tls", "unix")),
    "datagrams_per_s": ("udp",),
    "relp_window": ("relp", "relp+tls"),
    **{key: ("tls", "relp+tls") for key in SINK_KEYS["syslog"] if key.startswith("tls_")},
}
_LONGEST_MESSAGE: Final = {"udp": 65_507, "relp": 131_072, "relp+tls": 131_072}


def check(document: Table, tables: Mapping[str, Tables], title: Title) -> Broken:
    if document.keys() <= tables.keys():  # else a missing section may be a misspelled one
        for section, example in _NEEDED.items():
            if document.get(section, []) == []:
                yield (), f"no [[{section}]] exists; add one with {example}"
    yield from _broken_in_poll(*tables["poll"][0])
    yield from _broken_in_watches(tables["watch"], title)
    yield from _broken_in_sinks(tables["sink"], title)


def _broken_in_poll(right: Table, written: Table) -> Broken:
    interval_s = right.get("interval_s", PaceSettings().interval_s)
    idle_s = right.get("idle_interval_s", interval_s)
    if idle_s < interval_s and ("interval_s" in right or "interval_s" not in written):
        sentence = f"must not be smaller than interval_s ({interval_s:g}), but is {idle_s:g}"
        remedy = f"write {interval_s:g} or more, or leave it out"
        yield ("poll", "idle_interval_s"), f"{sentence}; {remedy}"


def _broken_in_watches(watches: Tables, title: Title) -> Broken:
    first_watch_of: dict[tuple[object, str], int] = {}
    for number, (right, written) in enumerate(watches):
        place = ("watch", number, "targets")
        targets: Counter[str] = Counter(right.get("targets", ()))
        groups = right.get("resource_group") or ()
        selecting = next((key for key in SELECTOR_KEYS if key in written), None)
        if selecting is None and not written.get("targets"):
            sentence = 'the watch selects nothing; write targets = ["deployment/ID"] (`tailer list`'
            yield place, f'{sentence} prints IDs), or kind = "execution" for all executions'
        elif selecting is not None and "targets" in written:
            sentence = "a watch cannot have both targets and a selector; remove one of them"
            yield ("watch", number, selecting), f"{sentence}, or move it to a second [[watch]]"
        if targets and (ALL_GROUPS in groups or len(groups) > 1):
            sentence = "a watch with targets has one resource group; write a [[watch]] for each"
            yield ("watch", number, "resource_group"), sentence
        elif ALL_GROUPS in groups and len(groups) > 1:
            sentence = f'"{ALL_GROUPS}" includes all other groups; write "{ALL_GROUPS}" only'
            yield ("watch", number, "resource_group"), sentence
        for target, count in targets.items():
            first = first_watch_of.setdefault((groups, target), number)
            if count > 1:
                yield place, f'"{target}" appears twice in the list; remove one'
            elif first != number:
                yield place, f'"{target}" is already in {title("watch", first)}; remove one'


def _broken_in_sinks(sinks: Tables, title: Title) -> Broken:
    first_of: dict[object, int] = {}  # by path, and by name
    for number, (right, written) in enumerate(sinks):
        for key, sentence in _broken_in_syslog(right) if right.get("kind") == "syslog" else ():
            yield ("sink", number, key), sentence
        path = PurePosixPath(right.get("path", f"{number}"))
        if (first := first_of.setdefault(path, number)) != number:
            sentence = f"{title('sink', first)} writes to the same files; use a different path"
            yield ("sink", number, "path"), sentence
        if "template" in right and right.get("format", "text") != "text":
            sentence = f'conflicts with format = "{right["format"]}"; remove one of them'
            yield ("sink", number, "template"), sentence
        name = right.get("name")
        if name and (first := first_of.setdefault(name, number)) != number:
            is_default = "" if "name" in written else "is missing, and the default "
            sentence = f'{is_default}"{name}" is the name of {title("sink", first)}; write a unique'
            remedy = f'name such as "{name}-{number + 1}", and do not change it later'
            yield ("sink", number, "name"), f"{sentence} {remedy}"


def _broken_in_syslog(right: Table) -> Iterator[tuple[str, str]]:
    changed = {key for key, value in right.items() if value != SINK_KEYS["syslog"][key].default}
    if "url" in right:
        yield from _broken_with_transport(right, changed)
    if right.get("format") == "rfc3164":
        for key in changed & {"msgid", "enterprise_id", "byte_order_mark"}:
            yield key, 'has no effect with format = "rfc3164"; remove it'
    if _UNVERIFIED in changed:
        for key in changed & {"tls_ca_file", "tls_server_name"}:
            yield key, f"has no effect with {_UNVERIFIED}; remove one of them"
    for key, other in (("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")):
        if key in changed and other not in changed:
            yield key, f"has no effect without {other}; set both"


def _broken_with_transport(right: Table, changed: set[str]) -> Iterator[tuple[str, str]]:
    scheme, *others = dict.fromkeys(urlsplit(url).scheme for url in right["url"])
    if others:
        named = " and ".join(f"{each}://" for each in (scheme, *others))
        yield "url", f"{named} cannot be mixed in one sink; use one scheme for all servers"
    for twice in {url for url in right["url"] if right["url"].count(url) > 1}:
        yield "url", f'"{twice}" appears twice in the list; remove one'
    longest = _LONGEST_MESSAGE.get(scheme)
    if longest and right.get("max_message_bytes", 0) > longest:
        yield "max_message_bytes", f"is too large for {scheme}://; write {longest} or less"
    for key in changed & _SCHEMES_OF.keys():
        if scheme not in _SCHEMES_OF[key]:
            named = ", ".join(f"{each}://" for each in _SCHEMES_OF[key])
            yield key, f"has an effect for {named} only; remove it"
