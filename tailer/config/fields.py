r"""Templates with {fields}: paths of file sinks, lines, header fields of syslog messages. Pure.

In a line template, `{{` and `}}` are braces, `\n`, `\t` and `\\` are escapes, and a field may
have a least width: `{pod:30}`. Not `str.format`, which reads attributes and pads without limit.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from tailer.errors import ConfigError

_TARGET: Final = ("resource_group", "kind", "id", "target")
PATH_FIELDS: Final = ("resource_group", "kind", "id", "pod", "container", "date")
LINE_FIELDS: Final = ("time", "timestamp", *_TARGET, "pod", "container", "stream", "msg")
HEADER_FIELDS: Final = (*_TARGET, "scenario", "pod", "container", "stream")

_TOKEN: Final = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<text>[^{}]+)|(?P<brace>[{}])")
_LINE_TOKEN: Final = re.compile(
    r"(?P<escape>\{\{|\}\}|\\[nt\\])|\{(?P<field>[^{}]*)\}|(?P<text>[^{}\\]+|\\)|(?P<brace>[{}])"
)
_ESCAPES: Final = {"{{": "{", "}}": "}", r"\n": "\n", r"\t": "\t", r"\\": "\\"}
_WIDTH: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
# At the end of a longer name; .gz and .tmp are the suffixes of rotated files.
_EXTENSION: Final = re.compile(r"(?<=.)\.(?!gz\Z|tmp\Z)[A-Za-z][A-Za-z0-9_-]{0,19}\Z", re.ASCII)


class Field(NamedTuple):
    name: str
    width: int = 0


Template: TypeAlias = tuple[str | Field, ...]


class PathParts(NamedTuple):
    base: str  # the directory before the first field
    components: tuple[Template, ...]  # the names below it, without the extension
    extension: str


def parse_path(text: str) -> PathParts:
    """Raises: ConfigError for unknown fields, and for a path that names no file."""
    base, slash, _ = text.partition("{")[0].rpartition("/")
    *above, name = text.removeprefix(base + slash).split("/")
    if "\0" in text:
        raise ConfigError("the path contains NUL", hint="remove it")
    if not {"", ".", ".."}.isdisjoint((*above, name)):
        raise ConfigError(
            f"the path {text!r} has an empty, '.' or '..' component below {base}/",
            hint="write a name after each slash, and a file name at the end",
        )
    extension = _EXTENSION.search(name)
    if extension is None:
        raise ConfigError(
            f"the file name of {text!r} needs an extension other than .gz and .tmp",
            hint='end it with one such as ".log"',
        )
    parts = (*above, name[: extension.start()])
    components = tuple(parse_template(part, PATH_FIELDS) for part in parts)
    return PathParts(base or slash or ".", components, extension[0])


def parse_template(text: str, known: tuple[str, ...]) -> Template:
    """Raises: ConfigError for a field that is not one of `known`, and for a single brace."""
    is_line = known is LINE_FIELDS
    pieces: list[str | Field] = []
    for found in (_LINE_TOKEN if is_line else _TOKEN).finditer(text):
        match found.lastgroup:
            case "field":
                pieces.append(_field(found["field"], known))
            case "escape":
                pieces.append(_ESCAPES[found[0]])
            case "text":
                pieces.append(found[0])
            case _:
                literal = "; {{ and }} are literal braces" if is_line else ""
                raise ConfigError(
                    f"{found[0]!r} has no partner in {text!r}",
                    hint=f"a field is written {{name}}{literal}",
                )
    return tuple(pieces)


def _field(text: str, known: tuple[str, ...]) -> Field:
    name, colon, width = text.partition(":")
    if name not in known:
        raise ConfigError(f"there is no field {name!r}", hint=closest(name, known))
    if colon and not (known is LINE_FIELDS and _WIDTH.fullmatch(width)):
        example = f", or a number of columns as in {{{name}:20}}" if known is LINE_FIELDS else ""
        raise ConfigError(
            f"{width!r} is not a width for {name!r}", hint=f"write {{{name}}}{example}"
        )
    return Field(name, int(width or 0))


def closest(word: str, known: Iterable[str], spelled: Callable[[str], str] = str) -> str:
    """`did you mean X?`, or all known words."""
    close = difflib.get_close_matches(word.lower(), known, n=1)
    names = ", ".join(map(spelled, close or known))
    return f"did you mean {names}?" if close else f"known: {names}"
