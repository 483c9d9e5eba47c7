"""What the simulated containers say: plausible, and awkward where real logs are awkward."""

import bisect
import itertools
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias, TypeVar

from tailer.model import Status
from tailer.simulator.settings import StoryName

Saying: TypeAlias = tuple[int, str, str]
"""Which of the containers (counted round), its stream, and the message with its newline."""

_Teller: TypeAlias = Callable[[Random, float], Saying]
"""Makes a saying, given the age of the target in seconds."""

_T = TypeVar("_T")

_MAIN: Final = 0
_SIDECAR: Final = 1
_WITHOUT_NEWLINE_SHARE: Final = 0.1  # newer recordings of the service have none at all
_MODELS: Final = ("churn", "churn-eu", "preise", "Größenberater", "需要予測")
_STATUS: Final = (*[200] * 17, 422, 404, 503)
_STEPS_PER_EPOCH: Final = 400
_EPOCH_S: Final = 20
_ODDITIES: Final = (
    *["\n"] * 3,
    *["\x1b[32mINFO\x1b[0m:     application \x1b[1mready\x1b[0m\n"] * 3,
    *["Prüfung abgeschlossen: 3 Ausreißer → 東京, Zürich 🚀\n"] * 3,
    '\tindented,  with  spaces, a \\ and a "quote"\r\n',
    "progress  10 %\rprogress 100 %\n",
    f"embedding=[{'0.0173, -1.2044, 0.5561, ' * 400}]\n",  # somebody printed it: 10 kB
)


class Story:
    """Tellers and how often each has the word, relative to each other."""

    def __init__(self, tellers: Mapping[_Teller, float]) -> None:
        self._tellers = tuple(tellers)
        self._until = tuple(itertools.accumulate(tellers.values()))

    def tell(self, rng: Random, age_s: float) -> Saying:
        place = bisect.bisect_right(self._until, rng.random() * self._until[-1])
        return self._tellers[place](rng, age_s)


def _request(rng: Random, _age_s: float) -> Saying:
    client = f"10.0.{int(rng.random() * 8)}.{int(rng.random() * 250) + 2}"
    request = f'"POST /v1/models/{_model(rng)}:predict HTTP/1.1"'
    text = f"{client} - - {request} {_one_of(_STATUS, rng)} {_took_ms(rng):.1f}ms"
    return _MAIN, "stdout", _ended(rng, text)


def _proxied(rng: Random, _age_s: float) -> Saying:
    text = (
        f'{{"level":"info","logger":"queueproxy","model":"{_model(rng)}",'
        f'"status":{_one_of(_STATUS, rng)},"latency_ms":{_took_ms(rng):.2f},'
        f'"trace":"{rng.getrandbits(64):016x}"}}'
    )
    return _SIDECAR, "stdout", _ended(rng, text)


def _queueing(rng: Random, _age_s: float) -> Saying:
    took_ms = _took_ms(rng)
    text = f"WARNING: a batch of {int(took_ms)} for {_model(rng)} waited {took_ms:.0f} ms"
    return _MAIN, "stderr", _ended(rng, text)


def _step(rng: Random, age_s: float) -> Saying:
    epoch, within_s = divmod(age_s, _EPOCH_S)
    step = int(within_s / _EPOCH_S * _STEPS_PER_EPOCH) + 1
    loss = _loss(rng, epoch)
    text = f"epoch {int(epoch) + 1} step {step}/{_STEPS_PER_EPOCH} loss={loss:.4f}"
    return _MAIN, "stdout", _ended(rng, text)


def _validation(rng: Random, age_s: float) -> Saying:
    epoch = age_s // _EPOCH_S
    auc = 1 - _loss(rng, epoch) / 4
    text = f'{{"event":"validation","epoch":{int(epoch) + 1},"auc":{auc:.4f},"note":"Güte ✓"}}'
    return _SIDECAR, "stdout", _ended(rng, text)


def _memory(rng: Random, _age_s: float) -> Saying:
    gpu = int(rng.random() * 4)
    text = f"W gpu:{gpu} memory {70 + rng.random() * 29:.1f} % of 16 GiB, {60 + gpu} °C"
    return _MAIN, "stderr", _ended(rng, text)


def _odd(rng: Random, _age_s: float) -> Saying:
    return _MAIN, "stdout", _one_of(_ODDITIES, rng)


def _model(rng: Random) -> str:
    return _one_of(_MODELS, rng)


def _one_of(choices: tuple[_T, ...], rng: Random) -> _T:
    """`rng.choice`, several times as fast."""
    return choices[int(rng.random() * len(choices))]


def _took_ms(rng: Random) -> float:
    return 4 + rng.expovariate(0.05)


def _loss(rng: Random, epoch: float) -> float:
    return 0.15 + 2 / (1 + epoch) + rng.random() * 0.02


def _ended(rng: Random, text: str) -> str:
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

STORIES: Final[Mapping[StoryName, Story]] = {
    "inference": Story({_request: 70, _proxied: 14, _queueing: 8, _odd: 8}),
    "training": Story({_step: 75, _validation: 10, _memory: 7, _odd: 8}),
}

LAST_WORDS: Final[Mapping[Status, tuple[Saying, ...]]] = {
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
