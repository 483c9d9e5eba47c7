"""The Sink protocol."""

from collections.abc import Sequence
from typing import Protocol

from tailer.model import Batch


class Sink(Protocol):
    """Takes batches in order, several per write, so that they share the cost of a write.

    `write` returns only when all lines are out of tailer's hands; the caller then counts them
    as delivered. It returns the sink's *mark*, such as a file's committed length. The mark is
    stored in the same transaction as the sink's position, and passed to the next `open`. None
    is a valid mark: no state to store.

    A write that was canceled or that raised may have delivered some of its batches.

    Resources: a constructor opens nothing. `aclose` closes what `open` opened, may be called
    twice, and does not close what the constructor was given.

    Errors: TransientSinkError when a retry of the same batches may succeed; any other SinkError
    when a retry cannot help.
    """

    name: str

    async def open(self, mark: bytes | None) -> bytes | None:
        """Prepare for writing. `mark` is the last stored one, None at first.

        Returns the mark to store now, which is usually the same.
        """

    async def write(self, batches: Sequence[Batch]) -> bytes | None: ...

    async def aclose(self) -> None: ...
