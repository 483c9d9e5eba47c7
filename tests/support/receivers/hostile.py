"""Hostile log lines (forged records, escapes, odd encodings), the same in every run."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from msgspec import UNSET

from tailer.model import Batch, Entry, Kind, Target, Text
from tailer.timestamp import NS_PER_S

LINES = 10_000
_SEED = 5424
_LINES_PER_BATCH = 400
_START_NS = 1_767_323_045_123_456_789  # 2026-01-02T03:04:05.123456789Z
_LONG_BYTES = 1 << 20

# A name that would not fit into any message; between this and the others there is nothing,
# so that what is left out does not hang on a byte.
FAR_TOO_LONG = 200_000

_CONTROLS = [*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"]
_PIECES = [
    *_CONTROLS,
    *("\x1b[31m", "\x1b]0;title\x07", "\x1bc", "\r\n", "\n", "\r", "\t", "\0"),
    *("\ud800", "\udfff", "\udc00\ud800", "\ud83d", "\ude00"),
    *("😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "e\u0301", "\U0010ffff", "\uffff", "ﷺ", "\u00a0"),
    *("\u202eabc\u202c", "שלום", "مرحبا", "\u200f", "\u200b", "\ufeff"),
    *('"', "]", "\\", '"]\\', "\\n", "\\x1b", "#033", "#", "%", "{}", "$MSG", "%msg%", "`id`"),
    *(" ", "  ", "a", "Zz", "0", "-", "=", "[", "<", ">", ":", "ä", "ß", "€"),
]
_RECORDS = [
    "<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - BOM'su root' failed",
    "\n<130>1 2026-01-02T03:04:05Z host sudo - - - root granted",
    "\r\n<130>1 2026-01-02T03:04:05Z host sudo - - - root granted\n",
    "\0<130>1 2026-01-02T03:04:05Z host sudo - - - root granted\0",
    "\n45 <34>1 2026-01-02T03:04:05Z h sudo - - - granted",
    "45 <34>1 2026-01-02T03:04:05Z h sudo - - - granted",
    "0 ",
    "99999999999 ",
    "<0>",
    "<191>Jan  2 03:04:05 host su[1]: root granted",
    "\n2 syslog 5 hello\n",
    "1 open 0\n",
    "3 serverclose 0\n",
    "2 rsp 6 200 OK\n",
    '[aicore@32473 id="forged"] hello',
    '"] [aicore@32473 id="forged" pod="x"] hello',
    '"] forged',
    "- - - -",
    "-",
    "- hello",
    "BOM",
    "\ufeffhello",
    "\ufeff",
    "\ufeff\ufeff",
    " leading and trailing ",
    "   ",
    "a\n\n",
    "a\n\n\n",
    "a\r\n",
    "\n",
    "\n\n",
    "",
    "line one\nline two\n\tline three\n",
    '{"level": "info", "msg": "a \\"quoted\\" \\u0000 word"}',
    "2022-11-04T12:49:51.440561519Z stderr F Starting",
    "2022-11-04T12:49:51.440561519Z stdout P half of",
    "last message repeated 3 times",
    "--MARK--",
    "x" * 300,
    "é" * 1000,
]
_LONG = [
    "x" * _LONG_BYTES,
    "€" * (_LONG_BYTES // 3),
    "\x1b" * 40_000,  # four bytes each when they are spelled out
    "<34>1 - - - - - - \n" * 8_000,
    "😀\n" * 20_000,
    *("y" * size for size in range(7_600, 8_200, 25)),
]
_PODS: list[Text] = [
    "predictor-00001-deployment-5d9c8f7b6-x2x4z",
    "p" * 63,
    "p" * 255,
    "p" * 256,
    "p" * 300,
    "pöd",
    "pod with spaces",
    'p"]\\',
    "p\n<34>1 - - - - - - forged",
    "p\x00\x1b\ud800",
    "😀" * 30,
    "192.0.2.1",
    "-",
    "",
    None,
    UNSET,
]
_CONTAINERS: list[Text] = [
    *("main", "kserve-container", "c" * 128, "c" * 129),
    *("c[1]:", "c d", 'c"]\\\n', "ü", "", None, UNSET),
]
_NO_TIMES: list[Text] = ["yesterday", "", 'x"]\\\n', "9" * 41, "é" * 30, None, UNSET]
_STREAMS: list[Text] = ["stdout", "stderr", "stderr", "STDERR", 'x"]\n', "", None, UNSET]
_TARGETS = [
    (Target("default", Kind.DEPLOYMENT, "d0123456789abcde"), "churn"),
    (Target("default", Kind.EXECUTION, "e0123456789abcde"), ""),
    (Target('team "a]\\ ü', Kind.EXECUTION, "e" * 60), 'sc"]\\ enario\n'),
]


@dataclass(frozen=True, slots=True)
class HostileLine:
    """`is_dated` when its own timestamp is a time; `time_ns` is that time then."""

    target: Target
    scenario: str
    entry: Entry
    time_ns: int
    is_dated: bool


def scenario_of(target: Target) -> str:
    return dict(_TARGETS)[target]


@cache
def hostile_lines(count: int = LINES) -> tuple[HostileLine, ...]:
    """Each kind of line is among the first thousand."""
    return tuple(line for lines in _by_target(count) for line in lines)


def hostile_batches(
    lines: Sequence[HostileLine], *, lines_per_batch: int = _LINES_PER_BATCH
) -> Iterator[Batch]:
    """In the same order; a batch has one target."""
    position, waiting = 0, iter(lines)
    following = next(waiting, None)
    while following is not None:
        position += 1
        batch = [following]
        following = next(waiting, None)
        while (
            following is not None
            and following.target == batch[0].target
            and len(batch) < lines_per_batch
        ):
            batch.append(following)
            following = next(waiting, None)
        yield Batch(
            position,
            batch[0].target,
            tuple(line.entry for line in batch),
            tuple(line.time_ns for line in batch),
        )


def _by_target(count: int) -> Iterator[list[HostileLine]]:
    rng = random.Random(_SEED)
    output = _messages(rng)
    made = 0
    while made < count:
        target, scenario = _TARGETS[(made // _LINES_PER_BATCH) % len(_TARGETS)]
        size = min(_LINES_PER_BATCH, count - made)
        messages = islice(output, size)
        yield [
            _line(rng, target, scenario, message, number)
            for number, message in enumerate(messages, start=made)
        ]
        made += size


def _messages(rng: random.Random) -> Iterator[Text]:
    """First everything once, then at random, and as good as never a long one."""
    everything: list[Text] = [None, UNSET, *_PIECES, *_RECORDS, *_LONG]
    rng.shuffle(everything)
    yield from everything
    while True:
        mixed = "".join(rng.choices(_PIECES, k=rng.randrange(1, 25)))
        match rng.randrange(4):
            case 0:
                yield rng.choice(_RECORDS)
            case 1:
                yield mixed + rng.choice(_RECORDS) + "\n"
            case _:
                yield mixed


def _line(
    rng: random.Random, target: Target, scenario: str, message: Text, number: int
) -> HostileLine:
    time_ns = _START_NS + number * 1_000_003
    timestamp, is_dated, time_ns = _dated(rng, time_ns)
    pod, container = rng.choice(_PODS), rng.choice(_CONTAINERS)
    if number % 97 == 0:
        pod = "p" * FAR_TOO_LONG
    if number % 101 == 0:
        container = "c" * FAR_TOO_LONG
    entry = Entry(timestamp, pod, container, rng.choice(_STREAMS), message)
    return HostileLine(target, scenario, entry, time_ns, is_dated)


def _dated(rng: random.Random, time_ns: int) -> tuple[Text, bool, int]:
    """A timestamp, whether it is one, and the time that it means."""
    second, rest_ns = divmod(time_ns, NS_PER_S)
    minute, seconds = divmod(second - _START_NS // NS_PER_S + 5, 60)
    base = f"2026-01-02T{{hour}}:{4 + minute:02}:{seconds:02}"
    match rng.randrange(12):
        case 0:
            return rng.choice(_NO_TIMES), False, time_ns
        case 1:
            return base.format(hour="03") + "Z", True, second * NS_PER_S
        case 2:
            millis = rest_ns // 1_000_000
            at_ns = second * NS_PER_S + millis * 1_000_000
            return base.format(hour="03") + f".{millis:03}Z", True, at_ns
        case 3:
            return base.format(hour="05") + f".{rest_ns:09}+02:00", True, time_ns
        case 4 | 5 | 6:
            return base.format(hour="03") + f".{rest_ns:09}+00:00", True, time_ns
        case _:
            return base.format(hour="03") + f".{rest_ns:09}Z", True, time_ns
