"""TOML text: the line of every key, and the remedy where the text is not TOML. Pure."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[str | int, ...]  # the path to a value: ("sink", 0, "path")

_TOKEN: Final = re.compile(  # whatever may contain a newline or a bracket
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|"""
    r"""#[^\n]*|[\[{}\]\n]""",
    re.DOTALL,
)
_KEY: Final = re.compile(r"""(?:[^=#"'\n]|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')+=""")
_WHERE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_VALUE_OF = r"\n[\w.-]+\s*=\s*"
_REMEDIES: Final = {  # by the reason of tomllib, else by the line, which follows a newline
    r"\AUnescaped '\\' in a string": r"write \\ for a backslash, or use single quotes: '\d+'",
    r"\ACannot overwrite a value": "the key appears twice; keep one",
    r"\ACannot (?:declare|mutate)": "the section appears twice; merge the two",
    r"\AUnclosed array": "close it with ], and separate its values by commas",
    r"\A(?:Unterminated|This statement|Illegal character '\\n')": "close the quotes or the bracket",
    r"\A.*(?:table|array) declaration": "write [name] or [[name]] alone on the line",
    r"\n[\w.-]+\s*:": "write = between a key and its value",
    _VALUE_OF + r"(?i:true|yes|on)\b": "write true",
    _VALUE_OF + r"(?i:false|no|off)\b": "write false",
    _VALUE_OF + r"(?i:none|null|nil)\b": "leave the key out",
    _VALUE_OF + r"(?:#|$)": 'write a value; "" is an empty text',
    r"\n\w+(?<!_per)_s\s*=\s*[0-9]": 'put a duration in quotes, as in "90s"',
    r"\n\w+_bytes\s*=\s*[0-9]": 'put a size in quotes, as in "64MiB"',
    _VALUE_OF + r"[0-9][0-9_.]*\s*[A-Za-z]": "write a number without a unit",
    _VALUE_OF + r"[^\s\"'\[{0-9]": 'put text in quotes, as in key = "text"',
    r"": "a line is [section], key = value or # comment",
}


def parse_toml(text: str) -> dict[str, Any]:
    """Raises: ValueError, or RecursionError, where `text` is not TOML."""
    return tomllib.loads(text + "\n")  # without it an error in the last line has no line number


class LineIndex:
    """The line of each place in a text that is TOML: each value is replaced by its line."""

    def __init__(self, text: str) -> None:
        lines, key_of_header = [], max(re.findall("_+", text), default="") + "_"
        for line, source in _statements(text):
            if source.lstrip().startswith("["):
                lines.append(f"{source}\n{key_of_header} = {line}")
            elif key := _KEY.match(source):
                lines.append(f"{key[0]} {line}")
        self._document = parse_toml("\n".join(lines))

    def of(self, place: Place) -> int:
        """The line of a key, else of the section that contains it, else 1."""
        line, node = 1, self._document
        with suppress(LookupError, TypeError):
            for step in place:
                node = node[step]  # type: ignore[index]
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
        depth += (token[0] in "[{") - (token[0] in "]}")
        if token[0] == "\n" and depth <= 0:
            yield line, text[begin : token.end()]
            line += text.count("\n", begin, token.end())
            begin, depth = token.end(), 0
    yield line, text[begin:]


def explain(text: str, error: Exception) -> tuple[int, str]:
    """The line of `error` and `what is wrong; what would be right`, without quoting a secret."""
    if isinstance(error, RecursionError):
        return 1, "nested too deeply; no key needs more than one list"
    begin = next((line for line, source in _statements(text) if not _is_toml(source)), 1)
    what, at = str(error), _WHERE.search(str(error))
    what, line = (what[: at.start()], int(at[1] or 0)) if at else (what, 0)
    if not line:
        line, what = begin, "This statement does not end"
    source = "".join(text.split("\n")[line - 1 : line]).strip()
    remedies = (said for seen, said in _REMEDIES.items() if re.search(seen, f"{what}\n{source}"))
    inside = f", in the statement that begins in line {begin}" if 1 < begin < line else ""
    return line, f"{what[:1].lower()}{what[1:]}{inside}; {next(remedies)}"


def _is_toml(text: str) -> bool:
    try:
        return parse_toml(text) is not None
    except (ValueError, RecursionError):
        return False
