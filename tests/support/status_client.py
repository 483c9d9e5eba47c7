"""A plain client of status pages; requests and answers are bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.abc
import msgspec
from prometheus_client.parser import text_string_to_metric_families

_MANY_BYTES = 65_536


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def samples(self) -> dict[tuple[str, ...], float]:
        """By name and values of labels, as Prometheus' own parser reads them."""
        families = text_string_to_metric_families(self.body.decode())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


async def ask(place: Path, path: str, *, method: str = "GET") -> HttpResponse:
    async with await anyio.connect_unix(place) as stream:
        await stream.send(f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        return parse_response(await everything(stream))


async def everything(stream: anyio.abc.ByteStream) -> bytes:
    """Until the other side has closed."""
    received = b""
    while True:
        try:
            received += await stream.receive(_MANY_BYTES)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


def parse_response(answer: bytes) -> HttpResponse:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return HttpResponse(int(first.split()[1]), headers, body)


@contextmanager
def short_folder() -> Iterator[Path]:
    """The path of a socket has little room."""
    with TemporaryDirectory(prefix="tailer") as folder:
        yield Path(folder)
