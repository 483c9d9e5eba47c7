"""Where one message ends and the next begins on a stream: RFC 6587. Pure."""

from collections.abc import Sequence


def octet_counted(messages: Sequence[bytes]) -> list[bytes]:
    """`LEN MSG`: the length in bytes goes ahead, so a message may hold anything."""
    return [b"%d %b" % (len(message), message) for message in messages]


def lf_ended(messages: Sequence[bytes]) -> list[bytes]:
    """For messages of a format that was told that they may not hold newlines."""
    return [b"%b\n" % message for message in messages]
