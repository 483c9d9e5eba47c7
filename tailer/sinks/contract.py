"""What every sink promises, and nothing else."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tailer.model import Batch


class Sink(Protocol):
    """Takes batches in order, some at a time, so that what one write costs is shared by many.

    `write` returns only when all the lines are out of tailer's hands: the caller then counts
    them as delivered. What it returns is the sink's *mark*, such as a file's committed
    length, which is stored together with that fact and comes back through `open`. None
    is a mark too: nothing to remember.

    A write that is canceled, or that raised, may have got part of its batches through.

    Resources: a constructor opens nothing. `aclose` ends what `open` began, may be called
    twice, and leaves alone what was handed in.

    Errors: TransientSinkError when the same batches, written again, may go through. Any
    other SinkError when retrying does not help.
    """

    name: str

    async def open(self, mark: bytes | None) -> bytes | None:
        """Make ready to write; `mark` is what the last commit stored, None at first.

        Returns the mark to store now: most often the same.
        """

    async def write(self, batches: Sequence[Batch]) -> bytes | None: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Reopening(Protocol):
    """A sink that writes to files, which may be moved away by their owner."""

    async def reopen(self) -> None:
        """They were; what is written from now on begins new ones. At any time.

        Raises: SinkError.
        """
