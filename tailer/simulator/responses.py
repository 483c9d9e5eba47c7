"""What goes back over the wire, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"

RBAC_DENIED = "RBAC: access denied"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The request cannot be granted; `answer` says so in the service's words."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(content: Any, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(content))


def text_answer(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), TEXT_TYPE)


def page_answer(entries: list[bytes]) -> Response:
    return Response(200, b'{"data":{"result":[' + b",".join(entries) + b"]}}")


def error_answer(status: int, code: str, message: str, *, path: str) -> Response:
    """The documented shape; `code` is a number in a string, and not the HTTP status."""
    error = {"code": code, "message": message, "requestId": "5e1f-0000", "target": path}
    return json_answer({"error": error}, status)


def bad_request(message: str, *, path: str) -> RefusedError:
    return RefusedError(error_answer(400, "01010001", message, path=path))


def not_found(message: str, *, path: str) -> RefusedError:
    return RefusedError(error_answer(404, "01010004", message, path=path))
