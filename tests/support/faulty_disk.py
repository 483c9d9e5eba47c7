"""Disks that fail at a chosen call: by an error, or by the plug being pulled."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from tailer.sinks.file.disk import Disk

CALLS = frozenset(name for name in vars(Disk) if not name.startswith("_"))


class PlugPulledError(BaseException):
    """A simulated power failure: code under test must not catch it."""


class CountingDisk(Disk):
    """Knows how many calls were made, and gives each to `_made` with its number."""

    def __init__(self) -> None:
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        call = super().__getattribute__(name)
        if name not in CALLS:
            return call
        return partial(self._counted, name, call)

    def _counted(self, name: str, call: Callable[..., Any], *args: Any) -> Any:
        self.calls += 1
        return self._made(self.calls, name, call, *args)

    def _made(self, number: int, name: str, call: Callable[..., Any], *args: Any) -> Any:
        return call(*args)


class DyingDisk(CountingDisk):
    """The process dies before call `at`, or after it, of a write then only half is done."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self._at = at
        self._after = after

    def _made(self, number: int, name: str, call: Callable[..., Any], *args: Any) -> Any:
        if number < self._at:
            return call(*args)
        if number == self._at and self._after:
            if name == "write":
                fd, page = args
                call(fd, page[: len(page) // 2])
            else:
                result = call(*args)
                if name.startswith("open"):
                    os.close(result)
        raise PlugPulledError


class StumblingDisk(CountingDisk):
    """Call `at` fails, once, a write after half of its bytes."""

    def __init__(self, at: int, error: int) -> None:
        super().__init__()
        self._at = at
        self._error = error

    def _made(self, number: int, name: str, call: Callable[..., Any], *args: Any) -> Any:
        if number != self._at:
            return call(*args)
        if name == "write":
            fd, page = args
            call(fd, page[: len(page) // 2])
        raise OSError(self._error, os.strerror(self._error))


class RefusingDisk(CountingDisk):
    """Calls named `refused` fail with that error, a write after half of its bytes."""

    def __init__(self, refused: str, error: int) -> None:
        super().__init__()
        self._refused = refused
        self._error = error
        self.is_broken = False
        self.is_short = False
        self.then: RefusingDisk | None = None  # one more thing that may break

    def _made(self, number: int, name: str, call: Callable[..., Any], *args: Any) -> Any:
        if not self.is_broken or name != self._refused:
            return self.then._made(number, name, call, *args) if self.then else call(*args)
        if name == "write" and not self.is_short:
            self.is_short = True
            fd, page = args
            return call(fd, page[: max(1, len(page) // 2)])
        self.is_short = False
        raise OSError(self._error, os.strerror(self._error))
