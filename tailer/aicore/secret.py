"""A string that does not print: a repr ends up in logs and tracebacks."""

import hmac
import json
from base64 import b64encode
from html import escape
from typing import NoReturn
from urllib.parse import quote, quote_plus


class Secret:
    """Readable through `reveal` only; cannot be pickled or deep-copied."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def is_in(self, body: bytes) -> bool:
        """Whether `body` contains it, plain or encoded as in a form, JSON, HTML or base64."""
        text = self._text
        encodings = (
            text,
            quote(text),
            quote(text, safe=""),
            quote_plus(text),
            json.dumps(text)[1:-1],
            escape(text),
            b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("="),
        )
        lowered = body.lower()
        return any(one.encode("utf-8", "surrogatepass").lower() in lowered for one in encodings)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (one.reveal().encode("utf-8", "surrogatepass") for one in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret does not leave the process")
