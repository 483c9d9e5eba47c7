"""RELP's frames, from bytes and to bytes. Pure.

`TXNR SP COMMAND SP DATALEN [SP DATA] LF`, as in librelp's doc/relp.md. Law: however the
bytes are cut into pieces, the same frames come out, and no more than one frame is kept.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_DATA_BYTES: Final = 128 * 1024  # "in relp version 1, it is always 128K"
LAST_TXNR: Final = 999_999_999  # "after that TXNR, the next TXNR is 1"; 0 is for hints

_SHOWN_BYTES: Final = 40
_HEADER: Final = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})([ \n])")
_BEGUN_HEADER: Final = re.compile(rb"(?:[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: (?:[0-9]{1,9})?)?)?)?)?")
_STATUS: Final = re.compile(rb"([0-9]{3})(?![0-9]) ?([^\n]*)\n?")
_NEWLINE: Final = 0x0A


class RelpError(ValueError):
    """The other side does not speak RELP, or not as it is written."""


@dataclass(frozen=True, slots=True)
class Frame:
    txnr: int
    command: bytes
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class RelpStatus:
    """Of an answer. `rest` is what follows its first line: the offers, after `open`."""

    code: int
    said: bytes
    rest: bytes


def encoded(frame: Frame) -> bytes:
    if not frame.content:
        return b"%d %b 0\n" % (frame.txnr, frame.command)
    return b"%d %b %d %b\n" % (frame.txnr, frame.command, len(frame.content), frame.content)


def txnr_after(txnr: int) -> int:
    return 1 if txnr >= LAST_TXNR else txnr + 1


def status_of(answer: Frame) -> RelpStatus:
    """What a `rsp` says. Raises: RelpError."""
    found = _STATUS.match(answer.content)
    if found is None:
        raise RelpError(f"an answer without a code: {_shown(answer.content)}")
    return RelpStatus(int(found[1]), found[2], answer.content[found.end() :])


class FrameReader:
    """Puts frames together again. After a RelpError it is of no more use."""

    def __init__(self, *, max_data_bytes: int = MAX_DATA_BYTES) -> None:
        self._max_data_bytes = max_data_bytes
        self._kept = bytearray()

    def read(self, received: bytes) -> list[Frame]:
        """The frames that are complete with `received`. Raises: RelpError."""
        self._kept += received
        frames, start = [], 0
        while found := _HEADER.match(self._kept, start):
            length = int(found[3])
            if length > self._max_data_bytes:
                raise RelpError(
                    f"a frame of {length} bytes, where at most {self._max_data_bytes} may come"
                )
            end = found.end()
            content = b""
            if found[4] == b" ":  # written by some even where nothing follows
                content = bytes(self._kept[end : end + length])
                end += length + 1
                if len(self._kept) < end:
                    break
                if self._kept[end - 1] != _NEWLINE:
                    raise RelpError(f"no end where a frame should end: {_shown(content)}")
            elif length:
                raise RelpError(f"nothing where {length} bytes should be")
            frames.append(Frame(int(found[1]), found[2], content))
            start = end
        del self._kept[:start]
        if found is None and not _BEGUN_HEADER.fullmatch(self._kept):
            raise RelpError(f"not a frame: {_shown(bytes(self._kept))}")
        return frames


def _shown(received: bytes) -> str:
    return ascii(received[:_SHOWN_BYTES])[1:]
