"""Message texts of the simulated containers, including the unusual ones of real logs."""

import bisect
import itertools
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias, TypeVar

from tailer.model import Status
from tailer.simulator.settings import StoryName

Message: TypeAlias = tuple[int, str, str]
"""Index of the container (modulo their number), stream, and text with its newline."""

_MakeMessage: TypeAlias = Callable[[Random, float], Message]
"""Make a message, given the age of the target in seconds."""

_T = TypeVar("_T")

_MAIN: Final = 0
_SIDECAR: Final = 1
_WITHOUT_NEWLINE_SHARE: Final = 0.1  # newer recordings of the service contain none
_MODELS: Final = ("churn", "churn-eu", "preise", "Größenberater", "需要予測")
_STATUS: Final = (*[200] * 17, 422, 404, 503)
_STEPS_PER_EPOCH: Final = 400
_EPOCH_S: Final = 20
_UNUSUAL_TEXTS: Final = (
    *["\n"] * 3,
    *["\x1b[32mINFO\x1b[0m:     application \x1b[1mready\x1b[0m\n"] * 3,
    *["Prüfung abgeschlossen: 3 Ausreißer → 東京, Zürich 🚀\n"] * 3,
    '\tindented,  with  spaces, a \\ and a "quote"\r\n',
    "progress  10 %\rprogress 100 %\n",
    f"embedding=[{'0.0173, -1.2044, 0.5561, ' * 400}]\n",  # a printed vector: 10 kB
)


class MessageMix:
    """A random choice between kinds of messages, by weight."""

    def __init__(self, weights: Mapping[_MakeMessage, float]) -> None:
        self._makers = tuple(weights)
        self._until = tuple(itertools.accumulate(weights.values()))

    def choose(self, rng: Random, age_s: float) -> Message:
        index = bisect.bisect_right(self._until, rng.random() * self._until[-1])
        return self._makers[index](rng, age_s)


def _request(rng: Random, _age_s: float) -> Message:
    client = f"10.0.{int(rng.random() * 8)}.{int(rng.random() * 250) + 2}"
    request = f'"POST /v1/models/{_one_of(_MODELS, rng)}:predict HTTP/1.1"'
    text = f"{client} - - {request} {_one_of(_STATUS, rng)} {_took_ms(rng):.1f}ms"
    return _MAIN, "stdout", _with_newline(rng, text)


def _proxied(rng: Random, _age_s: float) -> Message:
    text = (
        f'{{"level":"info","logger":"queueproxy","model":"{_one_of(_MODELS, rng)}",'
        f'"status":{_one_of(_STATUS, rng)},"latency_ms":{_took_ms(rng):.2f},'
        f'"trace":"{rng.getrandbits(64):016x}"}}'
    )
    return _SIDECAR, "stdout", _with_newline(rng, text)


def _queueing(rng: Random, _age_s: float) -> Message:
    took_ms = _took_ms(rng)
    text = f"WARNING: a batch of {int(took_ms)} for {_one_of(_MODELS, rng)} waited {took_ms:.0f} ms"
    return _MAIN, "stderr", _with_newline(rng, text)


def _step(rng: Random, age_s: float) -> Message:
    epoch, within_s = divmod(age_s, _EPOCH_S)
    step = int(within_s / _EPOCH_S * _STEPS_PER_EPOCH) + 1
    loss = _loss(rng, epoch)
    text = f"epoch {int(epoch) + 1} step {step}/{_STEPS_PER_EPOCH} loss={loss:.4f}"
    return _MAIN, "stdout", _with_newline(rng, text)


def _validation(rng: Random, age_s: float) -> Message:
    epoch = age_s // _EPOCH_S
    auc = 1 - _loss(rng, epoch) / 4
    text = f'{{"event":"validation","epoch":{int(epoch) + 1},"auc":{auc:.4f},"note":"Güte ✓"}}'
    return _SIDECAR, "stdout", _with_newline(rng, text)


def _memory(rng: Random, _age_s: float) -> Message:
    gpu = int(rng.random() * 4)
    text = f"W gpu:{gpu} memory {70 + rng.random() * 29:.1f} % of 16 GiB, {60 + gpu} °C"
    return _MAIN, "stderr", _with_newline(rng, text)


def _unusual(rng: Random, _age_s: float) -> Message:
    return _MAIN, "stdout", _one_of(_UNUSUAL_TEXTS, rng)


def _one_of(choices: tuple[_T, ...], rng: Random) -> _T:
    """`rng.choice`, but several times faster."""
    return choices[int(rng.random() * len(choices))]


def _took_ms(rng: Random) -> float:
    return 4 + rng.expovariate(0.05)


def _loss(rng: Random, epoch: float) -> float:
    return 0.15 + 2 / (1 + epoch) + rng.random() * 0.02


def _with_newline(rng: Random, text: str) -> str:
    return text if rng.random() < _WITHOUT_NEWLINE_SHARE else text + "\n"


_TRACEBACK: Final = """\
Traceback (most recent call last):
  File "/app/train.py", line 214, in <module>
    main()
  File "/app/train.py", line 187, in main
    model.fit(frames, epochs=args.epochs)
  File "/app/churn/model.py", line 93, in fit
    batch = self._normalize(next(frames))
  File "/app/churn/frames.py", line 41, in _normalize
    return (frame - self.mean) / self.scale
ValueError: operands could not be broadcast together with shapes (512,38) (37,)"""

MESSAGE_MIXES: Final[Mapping[StoryName, MessageMix]] = {
    "inference": MessageMix({_request: 70, _proxied: 14, _queueing: 8, _unusual: 8}),
    "training": MessageMix({_step: 75, _validation: 10, _memory: 7, _unusual: 8}),
}

LAST_MESSAGES: Final[Mapping[Status, tuple[Message, ...]]] = {
    Status.DEAD: tuple((_MAIN, "stderr", line + "\n") for line in _TRACEBACK.splitlines()),
    Status.COMPLETED: (
        (_MAIN, "stdout", "training finished, best auc=0.9312\n"),
        (_MAIN, "stdout", "model written to /app/model/model.bin\n"),
    ),
    Status.STOPPED: (
        (_MAIN, "stderr", "received SIGTERM, shutting down\n"),
        (_MAIN, "stdout", "last checkpoint kept\n"),
    ),
}
