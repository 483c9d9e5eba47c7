"""What every way to a syslog server promises, and nothing else.

Messages are whole and formatted, without framing: that is the transport's own.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol


class Outbox:
    """Messages in order, and which of them are not yet delivered. Outlives connections.

    What a connection had not delivered when it broke is what the next one sends.
    """

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._waiting = dict(enumerate(messages))
        self.refusals: dict[int, int] = {}  # how often a server has refused which message

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

    def refuse(self, number: int) -> None:
        """A server answered that it will not have this one. It stays in."""
        self.refusals[number] = self.refusals.get(number, 0) + 1


class Connection(Protocol):
    """To one server. Used by one task; after an error only `aclose` may be called."""

    async def send(self, outbox: Outbox) -> None:
        """Returns when the outbox is empty: all of it is delivered, as this transport means it.

        May be cancelled. Raises: TransientSinkError, with the rest still in the outbox.
        """

    async def is_open(self) -> bool:
        """False when the server has ended the connection while nothing was sent. Never waits."""

    async def aclose(self) -> None:
        """In good order if that is quick; never raises, may be called twice."""


class Transport(Protocol):
    """A server and how to reach it. `server` names it in messages: its URL."""

    server: str

    async def connect(self) -> Connection:
        """Asks for the name's address anew. Raises: TransientSinkError, in one clear line."""
