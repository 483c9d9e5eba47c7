"""Which request goes wrong, and how. Pure, apart from the faults that a test has ordered."""

from collections import deque
from collections.abc import Collection
from enum import StrEnum
from random import Random

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


class OrderedFaults:
    """Faults that the next requests meet for certain, first ordered, first met."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Fault, Collection[RequestKind]]] = deque()

    def order(self, fault: Fault, *, on: Collection[RequestKind], count: int) -> None:
        self._waiting.extend([(fault, on)] * count)

    def cancel(self) -> None:
        self._waiting.clear()

    def take(self, kind: RequestKind) -> Fault | None:
        for place, (fault, on) in enumerate(self._waiting):
            if not on or kind in on:
                del self._waiting[place]
                return fault
        return None
