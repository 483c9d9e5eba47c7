"""Which request goes wrong, and how. Pure, apart from the faults that a test has ordered."""

from collections.abc import Collection
from dataclasses import dataclass
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
