"""What to say about a file that is not TOML. Pure."""

import re
from typing import Final

from tailer.config.statements import locate

_WHERE: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")

_AFTER_EQUALS = r"[\w.-]+\s*=\s*"
_BY_REASON: Final = (
    (r"Unescaped '\\' in a string", r"write \\ for a backslash, or take single quotes: '\d+'"),
    (r"Cannot overwrite a value", "the key is there twice; keep one"),
    (r"Cannot (?:declare|mutate)", "the section is there twice; put its keys together"),
    (r"Unclosed array", "close it with ], and put commas between its values"),
    (r"Unterminated|does not end|Illegal character '\\n'", "close the quotes or the bracket"),
    (r"table declaration|array declaration", "a section is [name] or [[name]], alone on its line"),
)
_BY_SHAPE: Final = (
    (r"[\w.-]+\s*:", "write = between a key and its value"),
    (_AFTER_EQUALS + r"(?i:true|yes|on)\b", "write true, in small letters"),
    (_AFTER_EQUALS + r"(?i:false|no|off)\b", "write false, in small letters"),
    (_AFTER_EQUALS + r"(?i:none|null|nil)\b", "leave the key out"),
    (_AFTER_EQUALS + r"(?:#|$)", 'write a value; "" is an empty text'),
    (_AFTER_EQUALS + r"[0-9][0-9_.]*\s*[A-Za-z]", "write no unit: it is in the key's name"),
    (_AFTER_EQUALS + r"[^\s\"'\[{0-9]", 'a text needs quotes, as in key = "text"'),
)


def explain(text: str, error: Exception) -> tuple[int, str]:
    """The line, and `what is wrong; what would be right`, of a `text` refused with `error`.

    Never quotes what is written there: it may be a secret.
    """
    if isinstance(error, RecursionError):
        return 1, "nested too deeply; no key needs more than one list"
    lines = locate(text)
    where = _WHERE.search(str(error))
    what = str(error)[: where.start()] if where else str(error)
    if where is not None and where["line"]:
        line = int(where["line"])
        if lines.unfinished is not None and lines.unfinished < line:
            what = f"{what}, in what begins at line {lines.unfinished}"
    else:
        line = lines.unfinished or 1
        what = "what begins here does not end"
    written = (text.split("\n")[line - 1 : line] or [""])[0]
    return line, f"{what[:1].lower()}{what[1:]}; {_remedy(what, written.strip())}"


def _remedy(what: str, written: str) -> str:
    for pattern, remedy in _BY_REASON:
        if re.search(pattern, what):
            return remedy
    for pattern, remedy in _BY_SHAPE:
        if re.match(pattern, written):
            return remedy
    return "a line is [section], key = value or # comment"
