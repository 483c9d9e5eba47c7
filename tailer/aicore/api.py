"""One authorized, rate-limited GET: new token after a 401, statistics, the service's clock."""

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
_FIRST_GATEWAY_STATUS = 500  # a proxy may date such a response, by another clock
_RATE_LIMITED = {429, 503}
TOKENS_REFUSED_TIMEOUT_S = 60.0  # a rollout of the gateway's signing keys takes less


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Address of the service and the tokens for it; `base_url` ends in `/v2`."""

    tokens: TokenCache
    base_url: str
    proxy: str | None


class ApiRequests:
    """What all requests of one client share. Requests are sent in the order of their calls.

    A 401 causes one new token and one retry, at once. If the service has accepted tokens
    before and now refuses new ones, that is transient for 60 s (the gateway may be replacing
    its signing keys); after that the credentials are wrong.
    """

    def __init__(
        self,
        *,
        transport: HttpTransport,
        access: ApiAccess,
        rate_limiter: RateLimiter,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self.access = access  # may be replaced; a request under way finishes with its own
        self.rate_limiter = rate_limiter
        self._clock = clock
        self._queue = anyio.Lock()
        self._server_clock = ServerClock()
        self._was_accepted = False
        self._refused_since_s: float | None = None
        self.was_reached = False  # the service has answered, with any status
        self.statistics = RequestStatistics()

    async def get(self, path: str, *, subject: str, resource_group: str | None) -> HttpResponse:
        """The response with status 200 to GET `path`, which is below `/v2` and quoted already.

        `subject` names the requested object in errors.

        Raises:
            AuthError: No token, or the service refuses new tokens.
            PermanentApiError: The service refuses the request.
            TransientApiError: A retry may help.
        """
        if resource_group is not None and not (
            resource_group.isascii() and resource_group.isprintable()
        ):
            raise PermanentApiError(f"not a resource group id: {resource_group!r}")
        access = self.access
        url = URL(access.base_url + path, encoded=True)
        token = await self._wait_for_turn(access)
        response = await self._send(url, token, resource_group, access.proxy)
        if response.status == _UNAUTHORIZED:
            await access.tokens.replace_refused(token)
            self.statistics.retries += 1
            token = await self._wait_for_turn(access)
            response = await self._send(url, token, resource_group, access.proxy)
        if response.status != _UNAUTHORIZED:
            self._refused_since_s = None
        if response.status == _OK:
            self._was_accepted = True
            return response
        error = error_from_response(
            response.status,
            response.headers,
            response.body,
            subject=subject,
            wall_ns=self._clock.wall_ns(),
        )
        if response.status == _UNAUTHORIZED:
            self._raise_if_tokens_stay_refused(error.message)
        raise error

    def server_now_ns(self, moment_s: float) -> int | None:
        """A lower bound of the service's time at the monotonic `moment_s`.

        None before its first response. Without a Date header the service is assumed to share
        this machine's clock.
        """
        if not self.was_reached:
            return None
        bound_ns = self._server_clock.bound_ns(moment_s)
        if bound_ns is not None:
            return bound_ns
        age_s = self._clock.monotonic_s() - moment_s
        return self._clock.wall_ns() - round(age_s * NS_PER_S)

    async def _send(
        self, url: URL, token: Secret, resource_group: str | None, proxy: str | None
    ) -> HttpResponse:
        headers = {
            "Authorization": f"Bearer {token.reveal()}",
            "Accept-Encoding": "gzip",  # not br: slower to unpack, and not always installed
            "AI-Client-Type": f"tailer/{__version__}",
        }
        if resource_group is not None:
            headers["AI-Resource-Group"] = resource_group
        self.statistics.requests += 1
        try:
            response = await self._transport.send("GET", url, headers=headers, proxy=proxy)
        except TransientApiError:
            self.statistics.answers[0] += 1
            raise
        self.statistics.answers[response.status] += 1
        self.was_reached = True
        date_ns = http_date_ns(response.headers.get("Date", ""))
        if date_ns is not None and response.status < _FIRST_GATEWAY_STATUS:
            self._server_clock.observe(date_ns, received_s=response.received_s)
        if response.status in _RATE_LIMITED:
            self.rate_limiter.halve(self._clock.monotonic_s(), sent_s=response.sent_s)
        return response

    async def _wait_for_turn(self, access: ApiAccess) -> Secret:
        """Wait in the queue, then return a valid token.

        A token may expire in the queue. It is fetched before the queue too, so that no turn
        is spent on waiting for a token.
        """
        await access.tokens.current()
        now_s = self._clock.monotonic_s()
        if not self._queue.locked() and not self.rate_limiter.wait_s(now_s):
            self.rate_limiter.take(now_s)
        else:
            ticket = self.statistics.queue.enter(now_s)
            try:
                async with self._queue:  # one waits for the limiter; a halved rate reaches all
                    while wait_s := self.rate_limiter.wait_s(self._clock.monotonic_s()):
                        await self._clock.sleep(wait_s)
                    self.rate_limiter.take(self._clock.monotonic_s())
            finally:
                self.statistics.queue.leave(ticket, self._clock.monotonic_s())
        return await access.tokens.current()

    def _raise_if_tokens_stay_refused(self, message: str) -> None:
        now_s = self._clock.monotonic_s()
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        is_late = now_s - self._refused_since_s >= TOKENS_REFUSED_TIMEOUT_S
        if is_late or not self._was_accepted:
            raise AuthError(
                f"{message}: the service refuses a new token",
                hint="do the API address and the token address belong to the same service key?",
            )
