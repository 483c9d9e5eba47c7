"""What every way to a syslog server promises, and nothing else.

Messages are whole and formatted, without framing: that is the transport's own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

# A server that takes what comes after a message, and refuses that one so often, means it.
_MOST_REFUSALS = 5
# A few with nothing behind them cannot be told from a server that refuses everything, but
# by time.
_FEW = 10
_FEW_S = 600.0


@dataclass(slots=True)
class Rejection:
    """How often servers have refused a message, since when, and what the last one said.

    `is_singled_out`: another message was taken after it, so it is not the server's day.
    """

    reason: str
    since_s: float
    times: int = 0
    is_singled_out: bool = False


class Outbox:
    """Messages in order, and which of them are not yet delivered. Outlives connections.

    What a connection had not delivered when it broke is what the next one sends.
    """

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._waiting = dict(enumerate(messages))
        self._refusals: dict[int, Rejection] = {}
        self._just_refused: list[Rejection] = []  # and nothing was taken since

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[tuple[int, bytes]]:
        """Number and message of what is still to be delivered, in order."""
        return list(self._waiting.items())

    def begin(self) -> None:
        """Another connection, or another attempt: what it takes says nothing of the last."""
        self._just_refused = []

    def deliver(self, numbers: Iterable[int]) -> None:
        """These are out of our hands, as far as the transport can know."""
        for number in numbers:
            self._waiting.pop(number, None)
        for refusal in self._just_refused:
            refusal.is_singled_out = True
        self._just_refused = []

    def refuse(self, number: int, reason: str, *, now_s: float) -> None:
        """A server will not have this one. It stays in until it is given up."""
        refusal = self._refusals.setdefault(number, Rejection(reason, now_s))
        refusal.reason, refusal.times = reason, refusal.times + 1
        self._just_refused.append(refusal)

    def refuse_for_good(self, number: int, reason: str) -> None:
        """No server can ever have this one."""
        self._refusals[number] = Rejection(reason, 0.0, _MOST_REFUSALS, is_singled_out=True)

    def give_up_refused(self, *, now_s: float) -> list[tuple[bytes, Rejection]]:
        """Takes out what is hopeless, so that the rest can go on.

        Never because a server refuses everything, as one with a full disk does.
        """
        are_few = len(self._waiting) <= _FEW
        hopeless = [
            (self._waiting.pop(number), refusal)
            for number, refusal in self._refusals.items()
            if number in self._waiting
            and refusal.times >= _MOST_REFUSALS
            and (refusal.is_singled_out or (are_few and now_s - refusal.since_s >= _FEW_S))
        ]
        self._refusals = {n: known for n, known in self._refusals.items() if n in self._waiting}
        return hopeless


class Connection(Protocol):
    """To one server. Used by one task; after an error or a canceled `send` it is not open."""

    async def send(self, outbox: Outbox) -> None:
        """Returns when the outbox is empty: all of it is delivered, as this transport means it.

        May be canceled. Raises: TransientSinkError, with the rest still in the outbox.
        """

    async def is_open(self) -> bool:
        """False when it can take no more, such as when the server has ended it. Never waits."""

    async def aclose(self) -> None:
        """In good order if that is quick; never raises, may be called twice."""


class Transport(Protocol):
    """A server and how to reach it. `server` names it in messages: its URL."""

    server: str

    async def connect(self) -> Connection:
        """Asks for the name's address anew. Raises: TransientSinkError, in one clear line."""
