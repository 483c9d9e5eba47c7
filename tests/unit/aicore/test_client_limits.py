import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator

import anyio
import pytest
from aiohttp import web
from support.fake_service import TARGET, Caller, FakeService, Reply, calling, lines, respond
from support.virtual_time import START_NS, VirtualClock

from tailer.aicore.connect import ClientSettings
from tailer.model import DEFAULT_TOP, MAX_TOP, Kind, Target

MAX_BODY_BYTES = 100_000


async def pass_time(seconds: float) -> None:
    await VirtualClock().sleep(seconds)


@pytest.fixture
async def small_caller(service: FakeService) -> AsyncIterator[Caller]:
    settings = ClientSettings(max_body_bytes=MAX_BODY_BYTES)
    async with calling(service.credentials(), settings=settings) as connected:
        yield connected


def asked_tops(service: FakeService) -> list[int]:
    return [int(asked.raw_path.partition("$top=")[2].partition("&")[0]) for asked in service.asked]


def lines_of(line_bytes: int, *, available: int = 10**6) -> Reply:
    """As many lines as asked for, of that size."""

    async def reply(request: web.Request) -> web.StreamResponse:
        count = min(available, int(request.query["$top"]))
        entries = [{"msg": "x" * line_bytes}] * count
        return web.json_response({"data": {"result": entries}})

    return reply


async def test_a_page_over_the_limit_is_requested_again_with_half_the_lines(
    service: FakeService, small_caller: Caller
) -> None:
    service.usual_reply = lines_of(100)

    page = await small_caller.logs()

    assert asked_tops(service) == [5000, 2500, 1250, 625]
    assert (page.top, len(page.entries)) == (625, 625)
    assert small_caller.troubles.errors == []


async def test_the_next_pages_start_small_and_grow_back_slowly(
    service: FakeService, small_caller: Caller
) -> None:
    service.usual_reply = lines_of(100)
    await small_caller.logs()
    service.usual_reply = lines("short")

    tops = [(await small_caller.logs()).top for _ in range(30)]

    assert tops[:2] == [704, 793]
    assert tops == sorted(tops)
    assert tops[-1] == MAX_TOP


async def test_other_targets_keep_their_full_pages(
    service: FakeService, small_caller: Caller
) -> None:
    service.usual_reply = lines_of(100)
    await small_caller.logs()
    service.usual_reply = lines("short")

    page = await small_caller.logs(Target("team-a", Kind.EXECUTION, TARGET.id))

    assert page.top == MAX_TOP


async def test_one_line_over_the_limit_is_reported_and_retried(
    service: FakeService, small_caller: Caller
) -> None:
    service.usual_reply = lines_of(MAX_BODY_BYTES, available=2)
    with anyio.move_on_after(60):
        await small_caller.logs()

    assert len(small_caller.troubles.errors) > 3
    assert small_caller.troubles.errors[-1].hint == "one log line is larger than max_body_bytes"


async def test_a_decompression_bomb_is_not_unpacked(
    service: FakeService, small_caller: Caller
) -> None:
    bomb = gzip.compress(b'{"data":{"result":[{"msg":"' + b"0" * (64 << 20), compresslevel=9)
    service.replies.append(respond(bomb, Content_Encoding="gzip"))
    await small_caller.logs(top=1)
    service.asked.clear()
    service.replies.append(respond(bomb, Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        await small_caller.logs()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 4 << 20
    assert len(service.asked) == 2


async def test_a_long_error_page_is_not_read_to_its_end(
    service: FakeService, caller: Caller
) -> None:
    service.replies.append(respond("x" * (10 << 20), 500))

    await caller.logs()

    assert len(str(caller.troubles.errors[0])) < 300


async def test_a_full_page_of_the_default_size_shows_that_top_was_ignored(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = lines_of(1, available=DEFAULT_TOP)

    assert (await caller.logs(top=5000)).top == DEFAULT_TOP
    assert (await caller.logs(top=DEFAULT_TOP)).top == DEFAULT_TOP
    assert (await caller.logs(top=10)).top == 10


async def test_all_targets_share_one_budget_first_come_first_served(service: FakeService) -> None:
    settings = ClientSettings(requests_per_s=10)
    async with calling(service.credentials(), settings=settings) as caller:
        await caller.logs()
        await pass_time(10)
        service.asked.clear()
        async with anyio.create_task_group() as callers:
            for number in range(45):
                callers.start_soon(caller.logs, Target("g", Kind.EXECUTION, f"e{number:03}"))

    ids = [asked.raw_path.split("/")[4] for asked in service.asked]
    assert ids[5:] == [f"e{number:03}" for number in range(5, 45)]
    assert service.asked[-1].at_s - service.asked[0].at_s == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(("status", "slower"), [(429, True), (503, True), (500, False)])
async def test_a_429_halves_the_request_rate(
    status: int,
    slower: bool,
    service: FakeService,
) -> None:
    settings = ClientSettings(requests_per_s=10)
    async with calling(service.credentials(), settings=settings) as caller:
        service.replies.append(respond("", status))
        await caller.logs()
        start_s = anyio.current_time()
        async with anyio.create_task_group() as callers:
            for number in range(25):
                callers.start_soon(caller.logs, Target("g", Kind.EXECUTION, f"e{number:03}"))
        took_s = anyio.current_time() - start_s

    assert (took_s > 3) is slower


async def test_the_services_clock_is_read_from_its_responses(caller: Caller) -> None:
    assert caller.client.server_now_ns() is None
    await pass_time(100.7)

    page = await caller.logs()
    await pass_time(50)

    assert page.server_now_ns == START_NS + 100 * 10**9
    assert caller.client.server_now_ns() == START_NS + 150 * 10**9


async def test_a_page_has_the_time_of_its_request(service: FakeService, caller: Caller) -> None:
    """Lines may have arrived while the answer was on its way."""

    async def slow(request: web.Request) -> web.StreamResponse:
        await pass_time(10)
        return await lines("late")(request)

    service.replies.append(slow)

    page = await caller.logs()

    assert page.server_now_ns == START_NS


async def test_a_gateways_clock_is_not_the_services(service: FakeService, caller: Caller) -> None:
    service.replies.append(respond("", 502, Date="Fri, 31 Dec 2100 23:59:59 GMT"))

    page = await caller.logs()

    assert page.server_now_ns <= START_NS + 10**9


async def test_a_service_without_dates_is_taken_to_share_our_clock(
    service: FakeService, caller: Caller
) -> None:
    async def undated(request: web.Request) -> web.StreamResponse:
        body = json.dumps({"data": {}}).encode()
        assert request.transport is not None
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await pass_time(1)
        request.transport.close()
        return web.Response()

    service.usual_reply = undated
    await pass_time(5)

    page = await caller.logs()

    assert page.server_now_ns == START_NS + 5 * 10**9
