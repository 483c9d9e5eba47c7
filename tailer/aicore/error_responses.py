"""From an answer other than 200 to the error that says who must act. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from tailer.aicore.decode import shown_text
from tailer.errors import ApiError, NotFoundError, PermanentApiError, TransientApiError
from tailer.timestamp import NS_PER_S

_ASK_AGAIN = {
    HTTPStatus.UNAUTHORIZED,  # a new token is what helps, and the caller sees to that
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_SECONDS = re.compile(r"\d{1,9}(?:\.\d*)?", re.ASCII)


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, subject: str, wall_ns: int
) -> ApiError:
    """What `status` means for `subject`, in the words of the service where it has some.

    `wall_ns` is for a `Retry-After` that is a date while the answer itself has none.
    """
    reason = f"{subject}: {status} {_phrase(status)}{_explanation(body)}"
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return TransientApiError(f"{reason}, where 200 was expected", status=status)
    if status < HTTPStatus.BAD_REQUEST:
        return PermanentApiError(
            f"{reason}: the service answers with a redirect",
            hint="the API address is wrong; redirects are not followed, they would carry the token",
            status=status,
        )
    if status in _ASK_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wish_s = retry_after_s(headers, wall_ns=wall_ns)
        return TransientApiError(reason, status=status, retry_after_s=wish_s)
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(reason, status=status)
    hint = ""
    if status == HTTPStatus.FORBIDDEN:
        hint = "may this client read that resource group? Check the AI-Resource-Group and the key"
    return PermanentApiError(reason, hint=hint, status=status)


def retry_after_s(headers: Mapping[str, str], *, wall_ns: int) -> float | None:
    """The service's wish: seconds, or an HTTP date as seen from the answer's own `Date`."""
    wish = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(wish):
        return float(wish)
    then_ns = http_date_ns(wish)
    if then_ns is None:
        return None
    now_ns = http_date_ns(headers.get("Date", ""))
    return max(0.0, (then_ns - (wall_ns if now_ns is None else now_ns)) / NS_PER_S)


@lru_cache(maxsize=64)  # a second has many answers
def http_date_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of a `Date` header; None if it is missing or not a date."""
    try:
        date = parsedate_to_datetime(text)
        return round(date.replace(tzinfo=date.tzinfo or UTC).timestamp()) * NS_PER_S
    except (ValueError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"


def _explanation(body: bytes) -> str:
    """`{"error": {"code", "message", "requestId"}}`, its variants, or a gateway's bare text."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        text = shown_text(body)
        return f": {text}" if text else ""
    inner = whole.get("error")
    error: dict[str, Any] = inner if isinstance(inner, dict) else whole
    code = _shown(error, "code")
    message = _shown(error, "message", "error_description", "error")
    request = _shown(error, "requestId", "requestID", "request_id")
    parts = (f" [{code}]" if code else "", f": {message}" if message else "")
    return "".join(parts) + (f" (request {request})" if request else "")


def _shown(error: Mapping[str, Any], *names: str) -> str:
    value = next((error[name] for name in names if error.get(name)), "")
    return shown_text(str(value).encode("utf-8", "replace")) if value else ""
