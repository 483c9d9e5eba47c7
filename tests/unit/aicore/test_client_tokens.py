import json
import logging
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import anyio
import pytest
import structlog
from support.fake_service import (
    CLIENT_SECRET,
    TARGET,
    Caller,
    FakeService,
    calling,
    lines,
    respond,
)
from support.virtual_time import VirtualClock

from tailer.aicore.api import TOKENS_REFUSED_TIMEOUT_S
from tailer.aicore.secret import Secret
from tailer.aicore.token import REFRESH_SHARE, Token, TokenCache
from tailer.clock import Clock
from tailer.errors import AuthError, TransientApiError, UnreachableError
from tailer.model import Target


async def pass_time(seconds: float) -> None:
    await VirtualClock().sleep(seconds)


async def test_the_token_request_is_a_form(service: FakeService, caller: Caller) -> None:
    await caller.logs()

    (asked,) = service.token_requests
    assert asked.body == (
        "grant_type=client_credentials&client_id=sb-x%21b1%7Caicore%21b2"
        "&client_secret=hunter2%24%3D"
    )
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in asked.headers


async def test_one_token_serves_all_requests_of_its_life(
    service: FakeService, caller: Caller
) -> None:
    for _ in range(5):
        await caller.logs()
        await pass_time(1000)

    assert len(service.token_requests) == 1


async def test_a_token_of_ten_seconds_is_renewed_before_it_ends(
    service: FakeService, caller: Caller
) -> None:
    service.token_life_s = 10
    for _ in range(20):
        await caller.logs()
        await pass_time(1)

    assert len(service.token_requests) == 3
    assert [asked.headers["Authorization"] for asked in service.asked[7:9]] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_fifty_refused_callers_cause_one_refresh(
    service: FakeService, caller: Caller
) -> None:
    await caller.logs()
    service.good_tokens = {"token-2"}

    async with anyio.create_task_group() as callers:
        for number in range(50):
            callers.start_soon(caller.logs, Target("g", TARGET.kind, f"d{number:03}"))

    assert len(service.token_requests) == 2
    assert caller.troubles.errors == []


async def test_a_request_that_was_queued_uses_the_current_token(
    service: FakeService, caller: Caller
) -> None:
    """Four hundred at once wait for twenty seconds; a token lives for ten."""
    service.token_life_s = 10

    async with anyio.create_task_group() as callers:
        for number in range(400):
            callers.start_soon(caller.logs, Target("g", TARGET.kind, f"d{number:03}"))

    granted_s = {f"Bearer token-{n}": it.at_s for n, it in enumerate(service.token_requests, 1)}
    ages_s = [it.at_s - granted_s[it.headers["Authorization"]] for it in service.asked]
    assert len(ages_s) == 400
    assert max(ages_s) < 10


async def test_fifty_callers_without_a_token_cause_one_fetch(
    service: FakeService, caller: Caller
) -> None:
    async with anyio.create_task_group() as callers:
        for number in range(50):
            callers.start_soon(caller.logs, Target("g", TARGET.kind, f"d{number:03}"))

    assert len(service.token_requests) == 1


async def test_a_service_that_rejects_every_token_is_a_credentials_error(
    service: FakeService, caller: Caller
) -> None:
    service.good_tokens = set()

    with pytest.raises(AuthError, match=r"Jwt is expired.* refuses a new token") as refused:
        await caller.logs()

    assert len(service.asked) == 2
    assert refused.value.exit_code == 3


async def test_transient_401s_after_a_success_are_retried(
    service: FakeService, caller: Caller
) -> None:
    await caller.logs()
    service.replies.extend([respond("Jwt issuer is not configured", 401)] * 5 + [lines("back")])

    messages = await caller.messages()

    assert messages == ["back"]
    assert 1 <= len(caller.troubles.errors) <= 3


async def test_repeated_401s_with_fresh_tokens_are_a_credentials_error(
    service: FakeService, caller: Caller
) -> None:
    await caller.logs()
    service.good_tokens = set()

    with pytest.raises(AuthError, match="refuses a new token"):
        await caller.logs()

    assert TOKENS_REFUSED_TIMEOUT_S <= anyio.current_time() < TOKENS_REFUSED_TIMEOUT_S + 31


REFUSALS = [
    (401, {"error": "unauthorized", "error_description": "Bad credentials"}),
    (400, {"error": "invalid_client"}),
    (403, "forbidden"),
]
WRONG_ADDRESSES = [(404, "<html>no such tenant</html>"), (302, ""), (405, "")]


@pytest.mark.parametrize(("status", "body"), [*REFUSALS, *WRONG_ADDRESSES])
async def test_credentials_rejected_from_the_start_are_an_error(
    status: int, body: object, service: FakeService, caller: Caller
) -> None:
    service.token_replies.append(respond(body, status))

    with pytest.raises(AuthError, match=rf"client id from the test: .*/oauth/token: {status}"):
        await caller.logs()


@pytest.mark.parametrize(("status", "body"), REFUSALS)
async def test_credentials_rejected_after_a_success_are_an_error(
    status: int, body: object, service: FakeService, caller: Caller
) -> None:
    await caller.logs()
    service.good_tokens = set()
    service.token_replies.append(respond(body, status))

    with pytest.raises(AuthError, match=rf"client id from the test: .*/oauth/token: {status}"):
        await caller.logs()


@pytest.mark.parametrize(("status", "body"), WRONG_ADDRESSES)
async def test_a_404_of_a_token_address_that_worked_before_is_transient(
    status: int, body: object, service: FakeService, caller: Caller
) -> None:
    await caller.logs()
    service.good_tokens = {"token-3"}
    service.token_replies.append(respond(body, status))

    await caller.logs()

    assert [error.status for error in caller.troubles.errors] == [status]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"busy"),
        (429, b"slow down"),
        (200, b"<html>maintenance</html>"),
        (200, b'{"access_token": "abc'),
        (200, b'{"expires_in": 100}'),
        (200, b'{"access_token": null}'),
        (200, b'{"access_token": "two\\nlines"}'),
        (200, b"[]"),
        (200, b"[" * 100_000),
    ],
)
async def test_a_failing_token_endpoint_is_retried(
    status: int, body: bytes, service: FakeService, caller: Caller
) -> None:
    service.token_replies.extend([respond(body, status)] * 2)

    await caller.logs()

    assert len(caller.troubles.errors) == 2
    assert "abc" not in str(caller.troubles.errors[0])


@pytest.mark.parametrize("expires_in", [None, "soon", [], "NaN", 1e999])
async def test_a_token_without_expires_in_has_a_default_lifetime(
    expires_in: object, service: FakeService, caller: Caller
) -> None:
    service.token_replies.append(respond({"access_token": "t", "expires_in": expires_in}))

    await caller.logs()
    await pass_time(60)
    await caller.logs()

    assert len(service.token_requests) == 1


async def test_expires_in_may_be_text(service: FakeService, caller: Caller) -> None:
    service.token_replies.append(respond({"access_token": "t", "expires_in": "100"}))

    await caller.logs()
    await pass_time(90)
    await caller.logs()

    assert len(service.token_requests) == 2


@pytest.mark.parametrize("spelled", [str, quote_plus, quote, json.dumps])
async def test_neither_secret_nor_token_shows_in_a_traceback_or_a_log(
    service: FakeService,
    caplog: pytest.LogCaptureFixture,
    spelled: Callable[[str], str],
) -> None:
    caplog.set_level(logging.DEBUG)
    service.token_replies.append(respond(f"bad form with {spelled(CLIENT_SECRET)}", 401))
    with structlog.testing.capture_logs() as events:
        async with calling(service.credentials()) as caller:
            with pytest.raises(AuthError) as refused:
                await caller.logs()

    shown = "".join(
        traceback.TracebackException.from_exception(refused.value, capture_locals=True).format()
    )
    assert CLIENT_SECRET not in str(refused.value)
    assert spelled(CLIENT_SECRET) not in str(refused.value)
    assert CLIENT_SECRET not in caplog.text + str(events)
    assert f"Secret({CLIENT_SECRET}" not in shown


class Endpoint:
    """Grants tokens t1, t2, … after a second each, unless told to fail."""

    def __init__(self) -> None:
        self.fetches = 0
        self.failure: TransientApiError | None = None

    async def fetch(self) -> Token:
        self.fetches += 1
        number = self.fetches
        await pass_time(1)
        if self.failure is not None:
            raise self.failure
        return Token(Secret(f"t{number}"), 100)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def keeper(endpoint: Endpoint, clock: Clock) -> TokenCache:
    return TokenCache(endpoint.fetch, clock=clock)


async def test_during_an_early_refresh_other_requests_use_the_old_token(
    keeper: TokenCache, endpoint: Endpoint
) -> None:
    await keeper.current()
    await pass_time(100 * REFRESH_SHARE)
    got: list[str] = []

    async def ask() -> None:
        got.append((await keeper.current()).reveal())

    async with anyio.create_task_group() as callers:
        for _ in range(3):
            callers.start_soon(ask)

    assert got == ["t1", "t1", "t2"]
    assert endpoint.fetches == 2


async def test_a_failed_early_refresh_is_postponed_while_the_old_token_is_valid(
    keeper: TokenCache, endpoint: Endpoint
) -> None:
    await keeper.current()
    await pass_time(100 * REFRESH_SHARE)
    endpoint.failure = TransientApiError("down")

    got = [(await keeper.current()).reveal() for _ in range(5)]

    assert got == ["t1"] * 5
    assert endpoint.fetches == 2


async def test_an_expired_token_is_not_used(keeper: TokenCache, endpoint: Endpoint) -> None:
    await keeper.current()
    await pass_time(101)
    endpoint.failure = TransientApiError("down")

    with pytest.raises(TransientApiError, match="down"):
        await keeper.current()


async def test_callers_that_waited_for_a_failed_fetch_get_its_error(
    keeper: TokenCache, endpoint: Endpoint
) -> None:
    """Or fifty targets would try a hanging endpoint one after the other."""
    endpoint.failure = UnreachableError("down", retry_after_s=3)
    failures: list[TransientApiError] = []

    async def ask() -> None:
        try:
            await keeper.current()
        except TransientApiError as error:
            failures.append(error)

    async with anyio.create_task_group() as callers:
        for _ in range(50):
            callers.start_soon(ask)

    assert endpoint.fetches == 1
    assert {(type(error), error.retry_after_s) for error in failures} == {(UnreachableError, 3)}
    assert len({id(error) for error in failures}) == len(failures) == 50


async def test_a_canceled_fetch_releases_the_lock(
    keeper: TokenCache,
) -> None:
    with anyio.move_on_after(0.5):
        await keeper.current()

    assert (await keeper.current()).reveal() == "t2"


async def test_a_token_refused_after_it_was_replaced_causes_no_fetch(
    keeper: TokenCache, endpoint: Endpoint
) -> None:
    old = await keeper.current()
    new = await keeper.replace_refused(old)

    assert await keeper.replace_refused(old) is new
    assert endpoint.fetches == 2
