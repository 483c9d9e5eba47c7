import json

import pytest
from aiohttp import web
from support.fake_service import TARGET, Caller, FakeService, Reply, respond

from tailer.aicore.paths import LIST_TOP
from tailer.model import Kind, ListFilter, Status, Workload


def deployment(number: int) -> dict[str, str]:
    return {"id": f"d{number:04}", "status": "RUNNING", "scenarioId": "churn"}


def listing(total: int, *, count: bool = True, cap: int = 10**6) -> Reply:
    """A service with `total` deployments that obeys `$top` and `$skip`."""

    async def reply(request: web.Request) -> web.StreamResponse:
        skip, top = int(request.query["$skip"]), min(cap, int(request.query["$top"]))
        numbers = range(total)[skip : skip + top]
        body: dict[str, object] = {"resources": [deployment(number) for number in numbers]}
        if count:
            body["count"] = total
        return web.json_response(body)

    return reply


async def listed(caller: Caller) -> list[Workload]:
    return await caller.client.list(Kind.DEPLOYMENT, "team-a", on_retry=caller.troubles)


async def test_a_list_request_has_its_filters(service: FakeService, caller: Caller) -> None:
    service.usual_reply = listing(1)

    await caller.client.list(
        Kind.EXECUTION,
        "team-a",
        ListFilter(
            scenario_id="a&b",
            executable_ids=("x1", "x2"),
            status=Status.RUNNING,
        ),
        on_retry=caller.troubles,
    )

    (asked,) = service.asked
    assert asked.raw_path == (
        "/v2/lm/executions?$top=1000&$skip=0&scenarioId=a%26b&executableIds=x1%2Cx2&status=RUNNING"
    )
    assert asked.headers["AI-Resource-Group"] == "team-a"


@pytest.mark.parametrize("total", [0, 1, LIST_TOP - 1, LIST_TOP, LIST_TOP + 1, 3 * LIST_TOP])
@pytest.mark.parametrize("counted", [True, False])
async def test_a_list_of_any_length_is_read_whole(
    total: int,
    counted: bool,
    service: FakeService,
    caller: Caller,
) -> None:
    service.usual_reply = listing(total, count=counted)

    assert len({one.target.id for one in await listed(caller)}) == total


async def test_a_service_with_smaller_pages_is_read_whole(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = listing(2500, cap=100)

    assert len(await listed(caller)) == 2500


async def test_a_service_that_ignores_skip_does_not_cause_a_loop(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = respond({"count": 5, "resources": [deployment(1), deployment(2)]})

    assert len(await listed(caller)) == 2
    assert len(service.asked) <= 6


async def test_an_item_that_moved_between_pages_is_found_by_a_second_pass(
    service: FakeService, caller: Caller
) -> None:
    """After the first page one deployment on it is deleted, so all the others move up."""

    async def shifting(request: web.Request) -> web.StreamResponse:
        numbers = range(1500) if len(service.asked) == 1 else range(1, 1500)
        skip = int(request.query["$skip"])
        chosen = list(numbers)[skip : skip + LIST_TOP]
        body = {"count": len(numbers), "resources": [deployment(number) for number in chosen]}
        return web.json_response(body)

    service.usual_reply = shifting

    found = {one.target.id for one in await listed(caller)}

    assert {f"d{number:04}" for number in range(1, 1500)} <= found | {"d1000"}


async def test_a_page_that_fails_is_asked_again_and_nothing_twice(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = listing(1500)
    service.replies.append(respond("", 500))

    assert len(await listed(caller)) == 1500
    assert len(service.asked) == 3


async def test_a_workload_is_got_whole_or_by_its_status(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = respond({"id": "d1a2", "status": "DEAD", "statusMessage": "no image"})

    workload = await caller.client.get(TARGET, on_retry=caller.troubles)
    await caller.client.get(TARGET, only_status=True, on_retry=caller.troubles)

    assert workload == Workload(TARGET, Status.DEAD, status_message="no image")
    assert [asked.raw_path for asked in service.asked] == [
        "/v2/lm/deployments/d1a2",
        "/v2/lm/deployments/d1a2?$select=status",
    ]


async def test_a_count_request_has_its_filters(service: FakeService, caller: Caller) -> None:
    service.usual_reply = respond("17")

    plain = await caller.client.count(Kind.EXECUTION, "g", on_retry=caller.troubles)
    dead = ListFilter(status=Status.DEAD)
    await caller.client.count(Kind.EXECUTION, "g", dead, on_retry=caller.troubles)

    assert plain == 17
    assert [asked.raw_path for asked in service.asked] == [
        "/v2/lm/executions/$count",
        "/v2/lm/executions/$count?status=DEAD",
    ]


def groups(*ids: str, count: int | None = None) -> str:
    resources = [{"resourceGroupId": one, "status": "PROVISIONED"} for one in ids]
    return json.dumps({"count": count, "resources": resources})


async def test_resource_groups_usually_come_in_one_answer(
    service: FakeService, caller: Caller
) -> None:
    service.usual_reply = respond(groups("default", "team-a", count=2))

    assert await caller.client.resource_groups(on_retry=caller.troubles) == ["default", "team-a"]
    assert [asked.raw_path for asked in service.asked] == ["/v2/admin/resourceGroups"]


async def test_a_paged_list_of_groups_uses_the_token_but_not_the_address(
    service: FakeService, caller: Caller
) -> None:
    link = '<https://evil.example.com/v2/admin/resourceGroups?continueToken=a%2Fb>; rel="next"'
    service.replies.extend([respond(groups("default"), Link=link), respond(groups("team-a"))])

    assert await caller.client.resource_groups(on_retry=caller.troubles) == ["default", "team-a"]
    assert service.asked[1].raw_path == "/v2/admin/resourceGroups?continueToken=a%2Fb"


async def test_a_list_of_groups_shorter_than_its_count_is_continued_with_skip(
    service: FakeService, caller: Caller
) -> None:
    service.replies.extend([respond(groups("a", "b", count=3)), respond(groups("c", count=3))])

    assert await caller.client.resource_groups(on_retry=caller.troubles) == ["a", "b", "c"]


async def test_a_service_that_repeats_its_groups_does_not_cause_a_loop(
    service: FakeService, caller: Caller
) -> None:
    link = '<x?continueToken=same>; rel="next"'
    service.usual_reply = respond(groups("a", count=9), Link=link)

    assert await caller.client.resource_groups(on_retry=caller.troubles) == ["a"]
