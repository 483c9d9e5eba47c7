"""Contract of a syslog transport: `Transport`, `Connection` and the messages still unconfirmed.

Messages arrive complete and formatted, without framing: the transport adds its own framing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

# If a server rejects a message this often and accepts a later one, it rejects only that message.
_MAX_REJECTIONS = 5
# The last few messages have none that follows. Only time separates a rejected message from a
# server that rejects everything.
_FEW_MESSAGES = 10
_FEW_MESSAGES_S = 600.0


@dataclass(slots=True)
class Rejection:
    """How often servers rejected a message, since when, and the last reason.

    `is_singled_out`: a server accepted another message after this one, so the server works.
    """

    reason: str
    since_s: float
    times: int = 0
    is_singled_out: bool = False


class UnconfirmedMessages:
    """Numbered messages, in order, that are not yet delivered. Outlives connections.

    The next connection sends all that the broken connection had not delivered.
    """

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._pending = dict(enumerate(messages))
        self._rejections: dict[int, Rejection] = {}
        self._last_rejections: list[Rejection] = []  # since the last delivered message

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def pending(self) -> list[tuple[int, bytes]]:
        """Number and message of each undelivered message, in order."""
        return list(self._pending.items())

    def start_attempt(self) -> None:
        """Forget the order of earlier rejections: another connection may be another server."""
        self._last_rejections = []

    def confirm(self, numbers: Iterable[int]) -> None:
        """Remove messages that the transport counts as delivered."""
        for number in numbers:
            self._pending.pop(number, None)
            self._rejections.pop(number, None)
        for rejection in self._last_rejections:
            rejection.is_singled_out = True
        self._last_rejections = []

    def reject(self, number: int, reason: str, *, now_s: float) -> None:
        """Count a rejection by a server. The message stays until `drop_rejected`."""
        rejection = self._rejections.setdefault(number, Rejection(reason, now_s))
        rejection.reason, rejection.times = reason, rejection.times + 1
        self._last_rejections.append(rejection)

    def reject_permanently(self, number: int, reason: str) -> None:
        """Mark a message that no server can accept."""
        self._rejections[number] = Rejection(reason, 0.0, _MAX_REJECTIONS, is_singled_out=True)

    def drop_rejected(self, *, now_s: float) -> list[tuple[bytes, Rejection]]:
        """Remove messages that no retry can deliver, so that they do not block the others.

        A server that rejects everything, for example because its disk is full, drops nothing.
        """
        are_few = len(self._pending) <= _FEW_MESSAGES
        dropped = [
            number
            for number, rejection in self._rejections.items()
            if rejection.times >= _MAX_REJECTIONS
            and (
                rejection.is_singled_out
                or (are_few and now_s - rejection.since_s >= _FEW_MESSAGES_S)
            )
        ]
        return [(self._pending.pop(number), self._rejections.pop(number)) for number in dropped]


class Connection(Protocol):
    """Connection to one server, for one task. Closed after an error or a canceled `send`."""

    async def send(self, unconfirmed: UnconfirmedMessages) -> None:
        """Return when all messages are delivered in the transport's sense. May be canceled.

        Raises: TransientSinkError. The undelivered messages stay in `unconfirmed`.
        """

    async def is_open(self) -> bool:
        """False when no `send` can succeed, for example after a FIN. Never waits."""

    async def aclose(self) -> None:
        """Close, in an orderly way if that is quick. Never raises; may be called twice."""


class Transport(Protocol):
    """A server and how to connect to it. `server` is its URL, for messages."""

    @property
    def server(self) -> str: ...

    async def connect(self) -> Connection:
        """Connect; resolve the host name again. Raises: TransientSinkError, in one line."""
