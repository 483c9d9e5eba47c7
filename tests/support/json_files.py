"""What file sinks have written, to be compared with what the service showed."""

import json
from collections import Counter
from pathlib import Path

from support.daemon_bench import LINE_FIELDS, Line


def shown_in_files(folder: Path) -> Counter[Line]:
    """The lines of all JSON files below `folder`."""
    lines = [
        json.loads(text)
        for path in folder.rglob("*.log")
        for text in path.read_text(encoding="utf-8").splitlines()
    ]
    return Counter(tuple(line.get(name) for name in LINE_FIELDS) for line in lines)


def without_newlines(lines: Counter[Line]) -> Counter[Line]:
    """As files have them: the newline that ends a message is not part of the line."""
    return Counter((*fields, msg.removesuffix("\n")) for *fields, msg in lines.elements())
