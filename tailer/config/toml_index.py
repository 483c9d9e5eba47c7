"""TOML text: the line of every key, and what to write where the text is not TOML. Pure.

`tomllib` gives no line numbers. One pass over the tokens that may contain a newline or a
bracket splits the text into statements. Each value is then replaced by its line number, and
`tomllib` parses the result: a document of the same shape whose values are lines.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The path to a value: `("poll", "interval_s")`, `("sink", 0, "path")`."""

_TOKEN: Final = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|"""
    r"""#[^\n]*|[\[{}\]\n]""",
    re.DOTALL,
)
_KEY: Final = re.compile(r"""(?:[^=#"'\n]|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')+=""")
_WHERE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_VALUE_OF = r"[\w.-]+\s*=\s*"
_REMEDIES_BY_REASON: Final = {
    r"Unescaped '\\' in a string": r"write \\ for a backslash, or use single quotes: '\d+'",
    r"Cannot overwrite a value": "the key appears twice; keep one",
    r"Cannot (?:declare|mutate)": "the section appears twice; merge the two",
    r"Unclosed array": "close it with ], and separate its values by commas",
    r"Unterminated|does not end|Illegal character '\\n'": "close the quotes or the bracket",
    r"table declaration|array declaration": "write [name] or [[name]] alone on the line",
}
_REMEDIES_BY_SHAPE: Final = {
    r"[\w.-]+\s*:": "write = between a key and its value",
    _VALUE_OF + r"(?i:true|yes|on)\b": "write true",
    _VALUE_OF + r"(?i:false|no|off)\b": "write false",
    _VALUE_OF + r"(?i:none|null|nil)\b": "leave the key out",
    _VALUE_OF + r"(?:#|$)": 'write a value; "" is an empty text',
    r"\w+(?<!_per)_s\s*=\s*[0-9]": 'put a duration in quotes, as in "90s"',
    r"\w+_bytes\s*=\s*[0-9]": 'put a size in quotes, as in "64MiB"',
    _VALUE_OF + r"[0-9][0-9_.]*\s*[A-Za-z]": "write a number without a unit",
    _VALUE_OF + r"[^\s\"'\[{0-9]": 'put text in quotes, as in key = "text"',
    r"": "a line is [section], key = value or # comment",
}


def parse_toml(text: str) -> dict[str, Any]:
    """Raises: ValueError, or RecursionError, where `text` is not TOML."""
    return tomllib.loads(text + "\n")  # without it an error in the last line has no line number


class LineIndex:
    """The line of each place in a text that is TOML, counted from 1."""

    def __init__(self, text: str) -> None:
        lines, key_of_header = [], "line"  # the line of a header is noted below it
        while key_of_header in text:
            key_of_header += "_"
        for line, source in _statements(text):
            if source.lstrip().startswith("["):
                lines.append(f"{source}\n{key_of_header} = {line}")
            elif key := _KEY.match(source):
                lines.append(f"{key[0]} {line}")
        self._document = parse_toml("\n".join(lines))

    def of(self, place: Place) -> int:
        """The line of a key, else of what contains it, else 1."""
        line, node = 1, self._document
        for step in place:
            try:
                node = node[step]  # type: ignore[index]
            except (LookupError, TypeError):
                break
            line = _first_line(node)
        return line


def _first_line(node: Any) -> int:
    while isinstance(node, list):
        node = node[0]
    return min(map(_first_line, node.values())) if isinstance(node, dict) else int(node)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the number of its first line."""
    line, begin, depth = 1, 0, 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth <= 0:
                yield line, text[begin : token.end()]
                line += text.count("\n", begin, token.end())
                begin, depth = token.end(), 0
    yield line, text[begin:]


def explain(text: str, error: Exception) -> tuple[int, str]:
    """The line, and `what is wrong; what would be right`, of a `text` refused with `error`.

    Never quotes the text: it may be a secret.
    """
    if isinstance(error, RecursionError):
        return 1, "nested too deeply; no key needs more than one list"
    begin = next((line for line, source in _statements(text) if not _is_toml(source)), 1)
    where = _WHERE.search(str(error))
    what = str(error)[: where.start()] if where else str(error)
    line = int(where[1]) if where and where[1] else 0
    if not line:
        line, what = begin, "this statement does not end"
    elif 1 < begin < line:
        what += f", in the statement that begins in line {begin}"
    source = text.split("\n")[line - 1 : line]
    reasons = (remedy for why, remedy in _REMEDIES_BY_REASON.items() if re.search(why, what))
    shapes = (
        remedy
        for shape, remedy in _REMEDIES_BY_SHAPE.items()
        if re.match(shape, "".join(source).strip())
    )
    return line, f"{what[:1].lower()}{what[1:]}; {next(reasons, None) or next(shapes)}"


def _is_toml(text: str) -> bool:
    try:
        parse_toml(text)
    except (ValueError, RecursionError):
        return False
    return True
