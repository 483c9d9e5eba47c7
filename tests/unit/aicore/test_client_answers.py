import gzip
import itertools
import json
from email.utils import formatdate

import anyio
import pytest
from aiohttp import web
from support.fake_service import (
    CLIENT_SECRET,
    TARGET,
    Caller,
    FakeService,
    RecordedRequest,
    Reply,
    calling,
    lines,
    respond,
)
from support.virtual_time import START_NS

from tailer import __version__
from tailer.aicore.connect import ClientSettings
from tailer.backoff import RETRY_AFTER_MAX_S
from tailer.errors import NotFoundError, PermanentApiError, TransientApiError, UnreachableError
from tailer.model import Kind, Order, Target


async def test_a_page_request_has_the_documented_parameters(
    service: FakeService, caller: Caller
) -> None:
    await caller.client.logs(
        Target("team-a", Kind.EXECUTION, "e3/f4"),
        start_ns=START_NS,
        end_ns=START_NS + 1,
        order=Order.DESC,
        top=17,
        on_retry=caller.troubles,
    )

    (asked,) = service.asked
    assert asked.raw_path == (
        "/v2/lm/executions/e3%2Ff4/logs?$top=17"
        "&start=2023-11-14T22:13:20.000Z&end=2023-11-14T22:13:20.000000001Z&$order=desc"
    )
    assert asked.headers["Authorization"] == "Bearer token-1"
    assert asked.headers["AI-Resource-Group"] == "team-a"
    assert asked.headers["AI-Client-Type"] == f"tailer/{__version__}"
    assert asked.headers["Accept-Encoding"] == "gzip"
    assert "Cookie" not in asked.headers


async def test_lines_come_as_a_page_in_the_order_received(
    service: FakeService, caller: Caller
) -> None:
    service.replies.append(lines("b\n", "a\n"))

    page = await caller.logs(top=100)

    assert [entry.msg for entry in page.entries] == ["b\n", "a\n"]
    assert page.top == 100
    assert caller.troubles.errors == []


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_by_length(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"data":{"result":[]}}')
    assert request.transport is not None
    request.transport.close()
    return response


async def cut_chunk(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b'{"data":{"result":[]}}')
    assert request.transport is not None
    request.transport.close()
    return response


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await anyio.sleep(1)  # noqa: TID251 - the server's own pace


async def silence(_: web.Request) -> web.StreamResponse:
    await anyio.sleep_forever()
    return web.Response()


PACKED = gzip.compress(b'{"data":{"result":[]}}')
FAULTS: dict[str, tuple[Reply, str]] = {
    "500": (respond({"error": {"code": "1", "message": "oops"}}, 500), r"500 .* \[1\]: oops"),
    "502 of a gateway": (
        respond("<html>bad gateway</html>", 502),
        "502 Bad Gateway: an HTML page",
    ),
    "429": (respond("slow down", 429), "429 Too Many Requests: slow down"),
    "408": (respond("", 408), "408"),
    "204": (respond("", 204), "204 No Content, where 200 was expected"),
    "HTML with 200": (respond("<html>login</html>"), "damaged response: not JSON"),
    "half a page": (
        respond(b'{"data":{"result":[{"msg":"a'),
        "damaged response: not JSON, or cut",
    ),
    "another object": (respond({"message": "no healthy upstream"}), "something else"),
    "not UTF-8": (respond(b'{"data":{"result":[{"msg":"\xff"}]}}'), "not UTF-8"),
    "reset": (reset, "closed the connection|connection lost"),
    "cut by length": (cut_by_length, "cut short"),
    "cut chunk": (cut_chunk, "cut short"),
    "cut gzip": (respond(PACKED[:-12], Content_Encoding="gzip"), "cut"),
    "not gzip": (respond(b"plain", Content_Encoding="gzip"), "cannot be unpacked"),
    "drip": (drip, "no complete response within 60 s"),
    "silence": (silence, "silent for 20 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_any_transient_fault_is_reported_and_retried(
    fault: str, service: FakeService, caller: Caller
) -> None:
    reply, words = FAULTS[fault]
    service.replies.extend([reply, reply, lines("at last")])

    messages = await caller.messages()

    assert messages == ["at last"]
    assert caller.troubles.errors  # aiohttp by itself asks once more on a kept connection
    with pytest.raises(TransientApiError, match=words):
        raise caller.troubles.errors[0]


async def test_a_slow_drip_ends_at_the_total_timeout(service: FakeService, caller: Caller) -> None:
    service.replies.append(drip)

    await caller.logs()

    assert 60 <= service.asked[1].at_s <= 62


@pytest.mark.parametrize("status", [400, 403, 405, 410, 413, 301, 307])
async def test_a_permanent_error_is_raised_at_once(
    status: int, service: FakeService, caller: Caller
) -> None:
    body = {"error": {"code": "7", "message": "no such thing", "requestId": "r1"}}
    service.replies.append(respond(body, status, Location="http://169.254.169.254/"))

    with pytest.raises(PermanentApiError, match=r"deployment/d1a2 in resource group team-a: \d+"):
        await caller.logs()

    assert len(service.asked) == 1
    assert caller.troubles.errors == []


async def test_a_404_is_raised_to_the_caller(service: FakeService, caller: Caller) -> None:
    service.replies.append(respond({"error": {"code": "7", "message": "no such thing"}}, 404))

    with pytest.raises(NotFoundError, match="no such thing"):
        await caller.logs()


async def test_a_redirect_is_not_followed(service: FakeService, caller: Caller) -> None:
    service.replies.append(respond("", 302, Location=f"{service.url}/elsewhere"))

    with pytest.raises(PermanentApiError, match="API address is wrong"):
        await caller.logs()

    assert [asked.raw_path.partition("?")[0] for asked in service.asked] == [
        "/v2/lm/deployments/d1a2/logs"
    ]


async def test_an_outage_of_an_hour_ends_within_seconds_of_its_end(
    service: FakeService, caller: Caller
) -> None:
    async def down_for_an_hour(request: web.Request) -> web.StreamResponse:
        if anyio.current_time() < 3600:
            return web.Response(status=503)
        return await lines("back")(request)

    service.usual_reply = down_for_an_hour

    messages = await caller.messages()

    assert messages == ["back"]
    assert service.asked[-1].at_s < 3600 + 32
    assert 100 < len(service.asked) < 400


def gaps(asked: list[RecordedRequest]) -> list[float]:
    return [later.at_s - sooner.at_s for sooner, later in itertools.pairwise(asked)]


async def test_retry_after_is_obeyed(service: FakeService, caller: Caller) -> None:
    service.replies.append(respond("", 429, Retry_After="7"))

    await caller.logs()

    assert 7 <= gaps(service.asked)[0] < 8
    assert 7 <= caller.troubles.waits_s[0] < 8


async def test_a_retry_after_date_is_relative_to_the_services_clock(
    service: FakeService, caller: Caller
) -> None:
    """Its clock is a year ahead of ours."""
    ahead_s = START_NS / 1e9 + 365 * 86400
    service.replies.append(
        respond(
            "",
            503,
            Date=formatdate(ahead_s, usegmt=True),
            Retry_After=formatdate(ahead_s + 9, usegmt=True),
        )
    )

    await caller.logs()

    assert 9 <= gaps(service.asked)[0] < 10


async def test_an_excessive_retry_after_is_limited(service: FakeService, caller: Caller) -> None:
    service.replies.append(respond("", 503, Retry_After="86400"))

    await caller.logs()

    assert RETRY_AFTER_MAX_S <= gaps(service.asked)[0] < RETRY_AFTER_MAX_S + 1


async def test_a_wrong_address_is_reported_within_seconds(service: FakeService) -> None:
    """A port that is free, because its server was there and is gone."""
    async with FakeService().serving() as gone:
        url = gone.url
    async with calling(service.credentials(api_url=f"{url}/v2")) as caller:
        with pytest.raises(UnreachableError, match="no connection: Connect") as refused:
            await caller.logs()

    assert refused.value.exit_code == 3
    assert 5 <= anyio.current_time() < 25
    assert caller.troubles.errors != []


async def test_a_wrong_token_address_is_reported_within_seconds(service: FakeService) -> None:
    async with FakeService().serving() as gone:
        url = gone.url
    async with calling(service.credentials(token_url=f"{url}/oauth/token")) as caller:
        with pytest.raises(UnreachableError):
            await caller.logs()

    assert anyio.current_time() < 25


async def test_a_name_that_does_not_resolve_is_unreachable(service: FakeService) -> None:
    credentials = service.credentials(api_url="https://api.invalid/v2")
    settings = ClientSettings(first_contact_timeout_s=0)
    async with calling(credentials, settings=settings) as caller:
        with pytest.raises(UnreachableError, match=r"api\.invalid: the name cannot be resolved"):
            await caller.logs()


async def test_an_outage_after_a_success_is_retried_without_limit() -> None:
    service = FakeService()
    async with service.serving():
        credentials = service.credentials()
        connection = calling(credentials)
        caller = await connection.__aenter__()
        await caller.logs()
    async with anyio.create_task_group() as tasks:

        async def come_back() -> None:
            await anyio.sleep(3600)  # noqa: TID251 - the server's own pace
            async with service.serving():
                service.usual_reply = lines("back")
                await returned.wait()

        returned = anyio.Event()
        tasks.start_soon(come_back)
        messages = await caller.messages()
        returned.set()
    await connection.__aexit__(None, None, None)

    assert messages == ["back"]
    assert {type(error) for error in caller.troubles.errors} <= {
        UnreachableError,
        TransientApiError,
    }


async def test_no_secret_shows_in_any_error(service: FakeService, caller: Caller) -> None:
    echo = f"you sent Bearer token-1 and {CLIENT_SECRET}"
    service.token_replies.append(respond(echo, 500))
    service.replies.extend([respond(echo, 500), respond(f"oh {echo}"), respond(echo, 400)])

    with pytest.raises(PermanentApiError) as refused:
        await caller.logs()

    shown = json.dumps([str(error) for error in [*caller.troubles.errors, refused.value]])
    assert "token-1" not in shown
    assert CLIENT_SECRET not in str(caller.troubles.errors[0])


async def test_a_group_that_is_no_header_value_is_refused_before_it_is_sent(
    service: FakeService, caller: Caller
) -> None:
    with pytest.raises(PermanentApiError, match="not a resource group id"):
        await caller.logs(Target("a\r\nX: y", TARGET.kind, TARGET.id))

    assert service.asked == []
