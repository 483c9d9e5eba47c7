"""What a fault makes of an answer. Pure; the connection's own faults are left to the server."""

from collections.abc import Mapping
from dataclasses import replace

from tailer.simulator.answers import HTML_TYPE, Answer, error_answer, text_answer
from tailer.simulator.faults import Fault
from tailer.simulator.settings import RequestKind

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
_GIVEN: Mapping[Fault, Answer] = {
    Fault.TOO_MANY_REQUESTS: text_answer("local_rate_limited", 429),
    Fault.UNAVAILABLE: text_answer("no healthy upstream", 503),
    Fault.SERVER_ERROR: error_answer(500, "01010099", "internal error", path="/v2/lm"),
    Fault.BAD_GATEWAY: text_answer("upstream connect error or disconnect before headers", 502),
    Fault.HTML: Answer(200, _LOGIN_PAGE, HTML_TYPE),
    Fault.EXPIRED_TOKEN: text_answer("Jwt is expired", 401),
}
_ASKS_FOR_PATIENCE = frozenset({Fault.TOO_MANY_REQUESTS, Fault.UNAVAILABLE})


def answer_instead(
    fault: Fault | None, kind: RequestKind, *, number: int, retry_after_s: int
) -> Answer | None:
    """The answer that never comes from the service proper; None for any other fault.

    An expired token is nothing to the token endpoint.
    """
    if fault is None or (fault is Fault.EXPIRED_TOKEN and kind == "token"):
        return None
    if fault is Fault.WRONG_SHAPE:
        return Answer(200, _WRONG_SHAPES[number % len(_WRONG_SHAPES)])
    given = _GIVEN.get(fault)
    if fault in _ASKS_FOR_PATIENCE and given is not None:
        return replace(given, headers={"Retry-After": str(retry_after_s)})
    return given
