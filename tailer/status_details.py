"""What the service says of a failure, out of JSON that may have any shape. Pure.

`statusDetails` is documented as an object and nothing more. So whatever in it looks like a
reason, a message or an exit code is taken, with the name of what it belongs to.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

_MOST_REASONS = 10
_MAX_CHARACTERS = 300  # of one reason
_MOST_PLACES = 10_000  # looked at
_MOST_NAMES = 3  # before one reason: the innermost

# Letters only and in lower case: `exit_code`, `exitCode` and `ExitCode` are one.
_NAMES = ("podname", "pod", "containername", "name", "nodename", "displayname")
_WHAT = ("reason",)
_SAID = ("message", "messages", "error", "errors", "errormessage", "detail")
_EXIT_CODE = "exitcode"


def reasons(details: object, *, told: str = "") -> tuple[str, ...]:
    """One short line for each thing that is said to be wrong; `told` is known already.

    What is nested gets the names of what it is in. Where nothing looks like a reason, it is
    the beginning of the JSON itself.
    """
    found: dict[str, None] = {}
    for names, what in _found(details):
        where = "/".join(names)
        text = _cut(f"{where}: {what}" if where else what)
        if what != told.strip():
            found.setdefault(text)
    if not found and details and not told:
        with suppress(RecursionError):  # nested so deeply that nobody would read it anyhow
            found.setdefault(_cut(json.dumps(details, ensure_ascii=False, default=str)))
    lines = list(found)
    more = len(lines) - _MOST_REASONS
    return (*lines[:_MOST_REASONS], f"… and {more} more") if more > 0 else tuple(lines)


def _found(details: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names and what is said there, outermost first, in the order of the document."""
    if isinstance(details, str) and details.strip():
        yield (), " ".join(details.split())
    places: list[tuple[object, tuple[str, ...]]] = [(details, ())]
    for _ in range(_MOST_PLACES):
        if not places:
            return
        place, names = places.pop()
        inner: list[object] = []
        if isinstance(place, Mapping):
            fields = {_plain(key): value for key, value in place.items()}
            own = _first(fields, _NAMES)
            if own and own not in names:
                names = (*names, own)[-_MOST_NAMES:]
            what = _what(fields)
            if what:
                yield names, what
            inner = [*place.values()]
        elif isinstance(place, list):
            inner = place
        places += [(one, names) for one in reversed(inner) if isinstance(one, (Mapping, list))]


def _what(fields: Mapping[str, object]) -> str:
    """`OOMKilled, exit code 137: memory limit reached`; nothing where all is well."""
    reason, said = _first(fields, _WHAT), _first(fields, _SAID)
    code = fields.get(_EXIT_CODE)
    if not _is_code(code):
        return f"{reason}: {said}" if reason and said else reason or said
    if str(code).strip() == "0":
        return said
    head = f"{reason}, exit code {code}" if reason else f"exit code {code}"
    return f"{head}: {said}" if said else head


def _is_code(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(key: object) -> str:
    return "".join(char for char in str(key).lower() if char.isalpha())


def _first(fields: Mapping[str, object], keys: Sequence[str]) -> str:
    """The text of the first of `keys` that has one; lists of texts count too."""
    for key in keys:
        value = fields.get(key)
        texts = value if isinstance(value, list) else [value]
        text = "; ".join(" ".join(one.split()) for one in texts if isinstance(one, str))
        if text:
            return text
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
