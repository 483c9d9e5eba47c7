"""The way from a question to an answer of 200: budget, token, one request, and what it teaches."""

from dataclasses import dataclass

import anyio
from yarl import URL

from tailer import __version__
from tailer.aicore.error_responses import error_from_response, http_date_ns
from tailer.aicore.rate_limit import RateLimiter, RequestStatistics
from tailer.aicore.secret import Secret
from tailer.aicore.server_clock import ServerClock
from tailer.aicore.token import TokenCache
from tailer.aicore.transport import HttpResponse, HttpTransport
from tailer.clock import Clock
from tailer.errors import AuthError, PermanentApiError, TransientApiError
from tailer.timestamp import NS_PER_S

_OK, _UNAUTHORIZED = 200, 401
_FIRST_OF_GATEWAYS = 500  # such answers may be dated by a proxy, whose clock is another
_TOO_MUCH = {429, 503}
REFUSED_PATIENCE_S = 60.0  # a rollout of the gateway's keys is over by then


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Who we are to the service, and where it is; `base_url` ends in `/v2`."""

    tokens: TokenCache
    base_url: str
    proxy: str | None


class ApiRequests:
    """Everything that all requests of one client share. First come, first served.

    A 401 costs one new token and one more try, at once. If the service has accepted tokens
    before and now refuses even new ones, that passes for trouble of the gateway for a
    minute (its signing keys are rolled over, say), and for wrong credentials after that.
    """

    def __init__(
        self,
        *,
        transport: HttpTransport,
        access: ApiAccess,
        budget: RateLimiter,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self.access = access  # may be replaced; a request that is under way finishes with its own
        self.budget = budget
        self._clock = clock
        self._line = anyio.Lock()
        self._server_clock = ServerClock()
        self._accepted = False
        self._refused_since_s: float | None = None
        self.was_reached = False  # has the service ever answered, with whatever status
        self.statistics = RequestStatistics()

    async def ask(self, path: str, *, subject: str, resource_group: str | None) -> HttpResponse:
        """The answer to GET `path` below `/v2`, quoted already, if its status is 200.

        `subject` says in errors what was asked for.

        Raises:
            AuthError: No token, or the service refuses fresh ones.
            PermanentApiError: It refuses the question.
            TransientApiError: Asking again may help.
        """
        if resource_group is not None and not (
            resource_group.isascii() and resource_group.isprintable()
        ):
            raise PermanentApiError(f"no id of a resource group: {resource_group!r}")
        access = self.access
        url = URL(access.base_url + path, encoded=True)
        token = await self._turn(access)
        answer = await self._send(url, token, resource_group, access.proxy)
        if answer.status == _UNAUTHORIZED:
            await access.tokens.refused(token)
            self.statistics.retries += 1
            answer = await self._send(url, await self._turn(access), resource_group, access.proxy)
        if answer.status != _UNAUTHORIZED:
            self._refused_since_s = None
        if answer.status == _OK:
            self._accepted = True
            return answer
        error = error_from_response(
            answer.status,
            answer.headers,
            answer.body,
            subject=subject,
            wall_ns=self._clock.wall_ns(),
        )
        if answer.status == _UNAUTHORIZED:
            self._give_up_on_tokens(error.message)
        raise error

    def server_now_ns(self, moment_s: float) -> int | None:
        """A lower bound of the service's time at the monotonic `moment_s`.

        None before its first answer. A service that dates no answer is taken to share this
        machine's clock: there is nothing better.
        """
        if not self.was_reached:
            return None
        bound_ns = self._server_clock.bound_ns(moment_s)
        if bound_ns is not None:
            return bound_ns
        ago_s = self._clock.monotonic_s() - moment_s
        return self._clock.wall_ns() - round(ago_s * NS_PER_S)

    async def _send(
        self, url: URL, token: Secret, resource_group: str | None, proxy: str | None
    ) -> HttpResponse:
        headers = {
            "Authorization": f"Bearer {token.reveal()}",
            "Accept-Encoding": "gzip",  # not br: slower to unpack (and not always there)
            "AI-Client-Type": f"tailer/{__version__}",
        }
        if resource_group is not None:
            headers["AI-Resource-Group"] = resource_group
        self.statistics.requests += 1
        try:
            answer = await self._transport.send("GET", url, headers=headers, proxy=proxy)
        except TransientApiError:
            self.statistics.answers[0] += 1
            raise
        self.statistics.answers[answer.status] += 1
        self.was_reached = True
        date_ns = http_date_ns(answer.headers.get("Date", ""))
        if date_ns is not None and answer.status < _FIRST_OF_GATEWAYS:
            self._server_clock.observe(date_ns, received_s=answer.received_s)
        if answer.status in _TOO_MUCH:
            self.budget.halve(self._clock.monotonic_s(), sent_s=answer.sent_s)
        return answer

    async def _turn(self, access: ApiAccess) -> Secret:
        """Waits for its turn, and gives the token that is good then.

        The one from before may expire in a long line. It is asked for all the same: no turn
        is spent on waiting for a token.
        """
        await access.tokens.current()
        await self._wait_for_turn()
        return await access.tokens.current()

    async def _wait_for_turn(self) -> None:
        """Only the first in line watches the budget, so a cut of the rate reaches all others."""
        now_s = self._clock.monotonic_s()
        if not self._line.locked() and not self.budget.wait_s(now_s):
            self.budget.take(now_s)
            return
        ticket = self.statistics.queue.enter(now_s)
        try:
            async with self._line:
                while wait_s := self.budget.wait_s(self._clock.monotonic_s()):
                    await self._clock.sleep(wait_s)
                self.budget.take(self._clock.monotonic_s())
        finally:
            self.statistics.queue.leave(ticket, self._clock.monotonic_s())

    def _give_up_on_tokens(self, message: str) -> None:
        now_s = self._clock.monotonic_s()
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        if not self._accepted or now_s - self._refused_since_s >= REFUSED_PATIENCE_S:
            raise AuthError(
                f"{message}: the service refuses a fresh token",
                hint="do the API address and the token address belong to the same service key?",
            )
