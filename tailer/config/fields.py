r"""Templates with {fields}: paths of file sinks, lines, header fields of syslog messages. Pure.

In a line template, `{{` and `}}` are braces, `\n`, `\t` and `\\` are escapes, and a field may
have a least width: `{pod:30}`. Not `str.format`, which reads attributes and pads without limit.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from tailer.errors import ConfigError

# fmt: off
PATH_FIELDS: Final = ("resource_group", "kind", "id", "pod", "container", "date")
LINE_FIELDS: Final = (
    "time", "timestamp", "resource_group", "kind", "id", "target", "pod", "container", "stream",
    "msg",
)
HEADER_FIELDS: Final = (
    "resource_group", "kind", "id", "target", "scenario", "pod", "container", "stream",
)
# fmt: on

_TOKEN: Final = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<text>[^{}]+)|(?P<brace>[{}])")
_LINE_TOKEN: Final = re.compile(
    r"(?P<escape>\{\{|\}\}|\\[nt\\])|\{(?P<field>[^{}]*)\}|(?P<text>[^{}\\]+|\\)|(?P<brace>[{}])"
)
_ESCAPES: Final = {"{{": "{", "}}": "}", r"\n": "\n", r"\t": "\t", r"\\": "\\"}
_WIDTH: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_EXTENSION: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9_-]{0,19}\Z", re.ASCII)
_RESERVED: Final = frozenset({".gz", ".tmp"})  # suffixes of rotated files


class Field(NamedTuple):
    name: str
    width: int = 0


Template: TypeAlias = tuple[str | Field, ...]


class PathParts(NamedTuple):
    """`base` is the directory before the first field; `components` are the names below it.

    The last component is without `extension`.
    """

    base: str
    components: tuple[Template, ...]
    extension: str


def parse_line_template(text: str) -> Template:
    """Raises: ConfigError."""
    return parse_template(text, LINE_FIELDS, _LINE_TOKEN)


def parse_header_template(text: str) -> Template:
    """Raises: ConfigError."""
    return parse_template(text, HEADER_FIELDS)


def parse_path(text: str) -> PathParts:
    """Raises: ConfigError for unknown fields, and for paths that name no file."""
    if "\0" in text:
        raise ConfigError("the path contains NUL", hint="remove it")
    constant = text.partition("{")[0]
    base, _, below = constant.rpartition("/")
    base = base or ("/" if text.startswith("/") else ".")
    parts = (below + text[len(constant) :]).split("/")
    components = [parse_template(part, PATH_FIELDS) for part in parts]
    if parts[-1] == "":
        raise ConfigError(f"{text!r} names no file", hint=f"add a file name: {text}{{id}}.log")
    for part in parts:
        if part in {"", ".", ".."}:
            raise ConfigError(
                f"{text!r} has the component {part!r} below {base}", hint="remove that component"
            )
    *above, last = components
    end = last[-1] if isinstance(last[-1], str) else ""
    found = _EXTENSION.search(end)
    is_whole_name = found is not None and len(last) == 1 and found.start() == 0
    if found is None or is_whole_name or found[0] in _RESERVED:
        raise ConfigError(
            f"the file name of {text!r} has no extension",
            hint='add one such as ".log"; .gz and .tmp are for rotated files',
        )
    stem = end[: found.start()]
    return PathParts(base, (*above, (*last[:-1], stem)), found[0])


def closest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or all known words. A mapping has the spelling to show."""
    shown = dict(known) if isinstance(known, Mapping) else {}
    close = difflib.get_close_matches(word.lower(), known, n=1)
    names = ", ".join(str(shown.get(name, name)) for name in close or known)
    return f"did you mean {names}?" if close else f"known: {names}"


def parse_template(text: str, known: tuple[str, ...], token: re.Pattern[str] = _TOKEN) -> Template:
    """Raises: ConfigError for a field that is not one of `known`, and for a single brace."""
    pieces: list[str | Field] = []
    for found in token.finditer(text):
        match found.lastgroup:
            case "field":
                pieces.append(_field(found["field"], known))
            case "escape":
                pieces.append(_ESCAPES[found[0]])
            case "text":
                pieces.append(found[0])
            case _:
                literal = "; {{ and }} are literal braces" if token is _LINE_TOKEN else ""
                raise ConfigError(
                    f"{found[0]!r} at position {found.start()} has no partner",
                    hint=f"a field is written {{name}}{literal}",
                )
    return tuple(pieces)


def _field(text: str, known: tuple[str, ...]) -> Field:
    name, colon, width = text.partition(":")
    if name not in known:
        raise ConfigError(f"there is no field {name!r}", hint=closest(name, known))
    if colon and known is not LINE_FIELDS:
        raise ConfigError(f"a width is not possible for {name!r} here", hint=f"write {{{name}}}")
    if colon and not _WIDTH.fullmatch(width):
        raise ConfigError(
            f"{width!r} is not a width for {name!r}",
            hint=f"write {{{name}}}, or a number of columns as in {{{name}:20}}",
        )
    return Field(name, int(width or 0))
