"""Convert responses other than 200 into errors; read Retry-After and Date. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from tailer.aicore.decode import printable_text
from tailer.errors import ApiError, NotFoundError, PermanentApiError, TransientApiError
from tailer.timestamp import NS_PER_S

_TRANSIENT = {
    HTTPStatus.UNAUTHORIZED,  # the caller gets a new token
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_SECONDS = re.compile(r"\d{1,9}(?:\.\d*)?", re.ASCII)


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, subject: str, wall_ns: int
) -> ApiError:
    """The error for `subject`, with the service's own message if it has one.

    `wall_ns` replaces a missing `Date` header if `Retry-After` is a date.
    """
    reason = f"{subject}: {status} {_PHRASES.get(status, '(unknown status)')}{_explanation(body)}"
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return TransientApiError(f"{reason}, where 200 was expected", status=status)
    if status < HTTPStatus.BAD_REQUEST:
        return PermanentApiError(
            f"{reason}: the service redirects",
            hint="the API address is wrong; redirects are not followed, they would carry the token",
            status=status,
        )
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        delay_s = retry_after_s(headers, wall_ns=wall_ns)
        return TransientApiError(reason, status=status, retry_after_s=delay_s)
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(reason, status=status)
    hint = ""
    if status == HTTPStatus.FORBIDDEN:
        hint = "may this client read that resource group? Check the AI-Resource-Group and the key"
    return PermanentApiError(reason, hint=hint, status=status)


def retry_after_s(headers: Mapping[str, str], *, wall_ns: int) -> float | None:
    """`Retry-After`: seconds, or an HTTP date relative to the response's own `Date`."""
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    then_ns = http_date_ns(text)
    if then_ns is None:
        return None
    now_ns = http_date_ns(headers.get("Date", ""))
    return max(0.0, (then_ns - (wall_ns if now_ns is None else now_ns)) / NS_PER_S)


@lru_cache(maxsize=64)  # many responses share a second
def http_date_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of a `Date` header; None if it is missing or not a date."""
    try:
        date = parsedate_to_datetime(text)
        return round(date.replace(tzinfo=date.tzinfo or UTC).timestamp()) * NS_PER_S
    except (ValueError, OverflowError):
        return None


def _explanation(body: bytes) -> str:
    """Text of `{"error": {"code", "message", "requestId"}}`, its variants, or a bare text."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        text = printable_text(body)
        return f": {text}" if text else ""
    inner = whole.get("error")
    error: dict[str, Any] = inner if isinstance(inner, dict) else whole
    code = _printable(error, "code")
    message = _printable(error, "message", "error_description", "error")
    request = _printable(error, "requestId", "requestID", "request_id")
    parts = (f" [{code}]" if code else "", f": {message}" if message else "")
    return "".join(parts) + (f" (request {request})" if request else "")


def _printable(error: Mapping[str, Any], *names: str) -> str:
    value = next((error[name] for name in names if error.get(name)), "")
    return printable_text(str(value).encode("utf-8", "replace")) if value else ""
