"""Which request fails, and how it looks.

Which request goes wrong, and how. Pure, apart from the faults that a test has ordered.

What a fault makes of an answer. Pure; the connection's own faults are left to the server.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from tailer.simulator.responses import HTML_TYPE, Response, error_answer, text_answer
from tailer.simulator.settings import FaultSettings, RequestKind


class Fault(StrEnum):
    """Each value is also the name of its probability in `FaultSettings`."""

    TOO_MANY_REQUESTS = "too_many_requests"  # 429 with Retry-After
    UNAVAILABLE = "unavailable"  # 503 with Retry-After
    SERVER_ERROR = "server_error"  # 500, JSON
    BAD_GATEWAY = "bad_gateway"  # 502, text
    RESET = "reset"  # the connection, before the answer
    CUT_BODY = "cut_body"  # fewer bytes than Content-Length promises
    CUT_CONTENT = "cut_content"  # HTTP is whole, but the gzip or JSON in it is not
    HTML = "html"  # a login page with status 200
    WRONG_SHAPE = "wrong_shape"  # status 200 and valid JSON, but of something else
    SLOW = "slow"  # right, but late
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - 401 long before its time; the name of a fault


def choose_fault(
    settings: FaultSettings, *, share: float, seed: int, kind: RequestKind, number: int
) -> Fault | None:
    """The fate of the `number`th request: the same for the same seed."""
    if kind not in settings.on:
        return None
    roll = Random(f"{seed}/{number}").random()
    for fault in Fault:
        roll -= getattr(settings, fault.value) + share / len(Fault)
        if roll < 0:
            return fault
    return None


@dataclass(slots=True)
class _Order:
    fault: Fault
    on: Collection[RequestKind]
    left: int


class OrderedFaults:
    """Faults that the next requests meet for certain, first ordered, first met."""

    def __init__(self) -> None:
        self._waiting: list[_Order] = []

    def order(self, fault: Fault, *, on: Collection[RequestKind], count: int) -> None:
        """For the next `count` requests of the kinds in `on`, or of any kind if that is empty."""
        self._waiting.append(_Order(fault, on, count))

    def cancel(self) -> None:
        self._waiting.clear()

    def take(self, kind: RequestKind) -> Fault | None:
        for order in self._waiting:
            if order.left > 0 and (not order.on or kind in order.on):
                order.left -= 1
                self._waiting = [it for it in self._waiting if it.left > 0]
                return order.fault
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
_GIVEN: Mapping[Fault, Response] = {
    Fault.TOO_MANY_REQUESTS: text_answer("local_rate_limited", 429),
    Fault.UNAVAILABLE: text_answer("no healthy upstream", 503),
    Fault.SERVER_ERROR: error_answer(500, "01010099", "internal error", path="/v2/lm"),
    Fault.BAD_GATEWAY: text_answer("upstream connect error or disconnect before headers", 502),
    Fault.HTML: Response(200, _LOGIN_PAGE, HTML_TYPE),
    Fault.EXPIRED_TOKEN: text_answer("Jwt is expired", 401),
}
_ASKS_FOR_PATIENCE = frozenset({Fault.TOO_MANY_REQUESTS, Fault.UNAVAILABLE})


def answer_instead(
    fault: Fault | None, kind: RequestKind, *, number: int, retry_after_s: int
) -> Response | None:
    """The answer that never comes from the service proper; None for any other fault.

    An expired token is nothing to the token endpoint.
    """
    if fault is None or (fault is Fault.EXPIRED_TOKEN and kind == "token"):
        return None
    if fault is Fault.WRONG_SHAPE:
        return Response(200, _WRONG_SHAPES[number % len(_WRONG_SHAPES)])
    given = _GIVEN.get(fault)
    if fault in _ASKS_FOR_PATIENCE and given is not None:
        return replace(given, headers={"Retry-After": str(retry_after_s)})
    return given
