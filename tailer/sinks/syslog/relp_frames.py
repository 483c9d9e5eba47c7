"""Parse and encode RELP frames. Pure.

`TXNR SP COMMAND SP DATALEN [SP DATA] LF`, as in librelp's doc/relp.md. Law: the frames do
not depend on how the bytes are divided into reads, and at most one frame is buffered.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_DATA_BYTES: Final = 128 * 1024  # "in relp version 1, it is always 128K"
LAST_TXNR: Final = 999_999_999  # "after that TXNR, the next TXNR is 1"; 0 is for hints

_PRINTED_BYTES: Final = 40
_HEADER: Final = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})([ \n])")
_PARTIAL: Final = re.compile(rb"(?:[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: (?:[0-9]{1,9})?)?)?)?)?")
_STATUS: Final = re.compile(rb"([0-9]{3})(?![0-9]) ?([^\n]*)\n?")
_NEWLINE: Final = 0x0A


class RelpError(ValueError):
    """The peer violates the protocol."""


@dataclass(frozen=True, slots=True)
class Frame:
    txnr: int
    command: bytes
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class RelpStatus:
    """Status of a response. `offers` are the lines after the first, in the response to `open`."""

    code: int
    text: bytes
    offers: bytes


def encoded(frame: Frame) -> bytes:
    if not frame.content:
        return b"%d %b 0\n" % (frame.txnr, frame.command)
    return b"%d %b %d %b\n" % (frame.txnr, frame.command, len(frame.content), frame.content)


def txnr_after(txnr: int) -> int:
    return 1 if txnr >= LAST_TXNR else txnr + 1


def status_of(response: Frame) -> RelpStatus:
    """Raises: RelpError."""
    found = _STATUS.match(response.content)
    if found is None:
        raise RelpError(f"a response without a code: {_printed(response.content)}")
    return RelpStatus(int(found[1]), found[2], response.content[found.end() :])


class FrameReader:
    """Joins reads into frames. Unusable after a RelpError."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, received: bytes) -> list[Frame]:
        """The frames that `received` completes. Raises: RelpError."""
        self._buffer += received
        frames, start = [], 0
        while found := _HEADER.match(self._buffer, start):
            length = int(found[3])
            if length > MAX_DATA_BYTES:
                raise RelpError(f"a frame of {length} bytes; the limit is {MAX_DATA_BYTES}")
            end = found.end()
            content = b""
            if found[4] == b" ":  # some implementations write it even before empty data
                content = bytes(self._buffer[end : end + length])
                end += length + 1
                if len(self._buffer) < end:
                    break
                if self._buffer[end - 1] != _NEWLINE:
                    raise RelpError(f"a frame without its newline: {_printed(content)}")
            elif length:
                raise RelpError(f"a frame without its {length} bytes of data")
            frames.append(Frame(int(found[1]), found[2], content))
            start = end
        del self._buffer[:start]
        if found is None and not _PARTIAL.fullmatch(self._buffer):
            raise RelpError(f"not a frame: {_printed(bytes(self._buffer))}")
        return frames


def _printed(received: bytes) -> str:
    return ascii(received[:_PRINTED_BYTES])[1:]
