"""Which request fails, and the response of each fault."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from tailer.simulator.responses import Response, error_response, text_response
from tailer.simulator.settings import FaultSettings, RequestKind


class Fault(StrEnum):
    """Each value is also the name of its probability in `FaultSettings`."""

    TOO_MANY_REQUESTS = "too_many_requests"  # 429 with Retry-After
    UNAVAILABLE = "unavailable"  # 503 with Retry-After
    SERVER_ERROR = "server_error"  # 500, JSON
    BAD_GATEWAY = "bad_gateway"  # 502, text
    RESET = "reset"  # the connection is reset before the response
    CUT_BODY = "cut_body"  # fewer bytes than Content-Length promises
    CUT_CONTENT = "cut_content"  # valid HTTP, but the gzip or JSON in the body is cut off
    HTML = "html"  # a login page with status 200
    WRONG_SHAPE = "wrong_shape"  # status 200 and valid JSON of another structure
    SLOW = "slow"  # a correct response, delayed by `slow_s`
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - 401 before the token's lifetime ends; no secret


def choose_fault(
    settings: FaultSettings, *, share: float, seed: int, kind: RequestKind, number: int
) -> Fault | None:
    """The random fault of the `number`th request: the same for the same seed."""
    if kind not in settings.on:
        return None
    roll = Random(f"{seed}/{number}").random()
    for fault in Fault:
        roll -= getattr(settings, fault.value) + share / len(Fault)
        if roll < 0:
            return fault
    return None


@dataclass(slots=True)
class _Planned:
    fault: Fault
    kinds: Collection[RequestKind]
    left: int


class FaultQueue:
    """Faults planned for the next requests, first in, first out."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def add(self, fault: Fault, *, kinds: Collection[RequestKind], count: int) -> None:
        """Plan `fault` for the next `count` requests of these kinds; no kinds mean all kinds."""
        self._planned.append(_Planned(fault, kinds, count))

    def clear(self) -> None:
        self._planned.clear()

    def take(self, kind: RequestKind) -> Fault | None:
        for planned in self._planned:
            if planned.left > 0 and (not planned.kinds or kind in planned.kinds):
                planned.left -= 1
                return planned.fault
        return None


_LOGIN_PAGE = b"""\
<!DOCTYPE html><html lang="en"><head><title>Sign in</title></head>
<body><h1>Sign in</h1><form method="post" action="/saml"></form></body></html>
"""
_WRONG_SHAPES = (
    b"[]",
    b'"ok"',
    b'{"data":{"result":{"status":"warming up"}},"resources":"none","access_token":[]}',
    b'{"data":{"result":["no object"]},"resources":["no object"],"access_token":{}}',
)
_RESPONSES = {
    Fault.TOO_MANY_REQUESTS: text_response("local_rate_limited", 429),
    Fault.UNAVAILABLE: text_response("no healthy upstream", 503),
    Fault.SERVER_ERROR: error_response(500, "01010099", "internal error", path="/v2/lm"),
    Fault.BAD_GATEWAY: text_response("upstream connect error or disconnect before headers", 502),
    Fault.HTML: Response(200, _LOGIN_PAGE, "text/html; charset=utf-8"),
    Fault.EXPIRED_TOKEN: text_response("Jwt is expired", 401),
}


def fault_response(
    fault: Fault | None, kind: RequestKind, *, number: int, retry_after_s: int
) -> Response | None:
    """The response that replaces the API's; None if the fault leaves the API's response."""
    if fault is Fault.WRONG_SHAPE:
        return Response(200, _WRONG_SHAPES[number % len(_WRONG_SHAPES)])
    if fault is None or (fault is Fault.EXPIRED_TOKEN and kind == "token"):
        return None
    response = _RESPONSES.get(fault)
    if response is not None and fault in {Fault.TOO_MANY_REQUESTS, Fault.UNAVAILABLE}:
        return replace(response, headers={"Retry-After": str(retry_after_s)})
    return response
