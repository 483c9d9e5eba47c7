"""A plain HTTP client for the simulator: sends given requests, returns raw answers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from support.virtual_time import VirtualClock
from tailer.simulator import Simulator, SimulatorSettings, TargetSettings

ANY_SECRET = "sesame"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)

    @property
    def lines(self) -> list[str]:
        return [entry["msg"] for entry in self.json["data"]["result"]]


def patient_session() -> aiohttp.ClientSession:
    """In virtual time five minutes are over as soon as this machine is busy elsewhere."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))


class Caller:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url
        self.headers = {"AI-Resource-Group": "default"}

    async def log_in(self, client_id: str = "somebody", client_secret: str = ANY_SECRET) -> Reply:
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        async with self._session.post(f"{self.url}/oauth/token", data=form) as response:
            reply = Reply(response.status, response.headers, await response.text())
        if reply.status == 200 and "access_token" in reply.text:
            self.headers["Authorization"] = f"Bearer {reply.json['access_token']}"
        return reply

    async def get(self, path: str, **headers: str | None) -> Reply:
        """`headers` lay over the usual ones, with `_` for `-`; None leaves one out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {k: v for k, v in {**self.headers, **named}.items() if v is not None}
        url = URL(self.url + path, encoded=True)
        async with self._session.get(url, headers=sent) as response:
            return Reply(response.status, response.headers, await response.text())


async def pass_time(seconds: float) -> None:
    await VirtualClock().sleep(seconds)


def quiet(**choices: Any) -> TargetSettings:
    """A target that says only what the test makes it say."""
    return TargetSettings(**{"kind": "deployment", "id": "d1", "rate_per_s": 0.0, **choices})


def simulator(**choices: Any) -> Simulator:
    return Simulator(SimulatorSettings(**choices), VirtualClock())


@asynccontextmanager
async def calling(sim: Simulator, *, logged_in: bool = True) -> AsyncIterator[Caller]:
    async with sim.serving() as url, patient_session() as session:
        caller = Caller(session, url)
        if logged_in:
            await caller.log_in()
        yield caller
