"""What every way to a syslog server promises, and nothing else.

Messages are whole and formatted, without framing: that is the transport's own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

_PATIENCE = 5  # a server that refuses a message so often, over all connections, means it


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often servers have refused a message, and what the last one said."""

    times: int
    reason: str


class Outbox:
    """Messages in order, and which of them are not yet delivered. Outlives connections.

    What a connection had not delivered when it broke is what the next one sends.
    """

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._waiting = dict(enumerate(messages))
        self._refusals: dict[int, Refusal] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[tuple[int, bytes]]:
        """Number and message of what is still to be delivered, in order."""
        return list(self._waiting.items())

    def deliver(self, numbers: Iterable[int]) -> None:
        """These are out of our hands, as far as the transport can know."""
        for number in numbers:
            self._waiting.pop(number, None)

    def refuse(self, number: int, reason: str, *, for_good: bool = False) -> None:
        """A server will not have this one, or never can. It stays in until it is given up."""
        known = self._refusals.get(number)
        times = _PATIENCE if for_good else 1 + (known.times if known else 0)
        self._refusals[number] = Refusal(times, reason)

    def give_up_refused(self) -> list[tuple[bytes, Refusal]]:
        """Takes out what was refused too often, so that the rest can go on."""
        hopeless = [
            (self._waiting.pop(number), refusal)
            for number, refusal in self._refusals.items()
            if number in self._waiting and refusal.times >= _PATIENCE
        ]
        self._refusals = {n: known for n, known in self._refusals.items() if n in self._waiting}
        return hopeless


class Connection(Protocol):
    """To one server. Used by one task; after an error or a cancelled `send` it is not open."""

    async def send(self, outbox: Outbox) -> None:
        """Returns when the outbox is empty: all of it is delivered, as this transport means it.

        May be cancelled. Raises: TransientSinkError, with the rest still in the outbox.
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
