"""HTTP responses as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The API refuses the request with `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(content: Any, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(content))


def text_response(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8")


def error_response(status: int, code: str, message: str, *, path: str) -> Response:
    """The documented error object; `code` is a number in a string, and not the HTTP status."""
    error = {"code": code, "message": message, "requestId": "5e1f-0000", "target": path}
    return json_response({"error": error}, status)


def bad_request(message: str, *, path: str) -> RefusedError:
    return RefusedError(error_response(400, "01010001", message, path=path))


def not_found(message: str, *, path: str) -> RefusedError:
    return RefusedError(error_response(404, "01010004", message, path=path))
