"""The simulated service answers as the documentation says, and refuses as it does."""

import base64

import pytest
from support.simulator_caller import calling, pass_time, patient_session, quiet, simulator
from support.virtual_time import START_NS

from tailer.model import Kind, Status, Target
from tailer.simulator import Dialect, Stage, TargetSettings, TokenSettings
from tailer.simulator import default_targets as world

D1 = Target("default", Kind.DEPLOYMENT, "d1")
LOGS = "/v2/lm/deployments/d1/logs"
ALL = "start=2020-01-01T00:00:00Z&end=2030-01-01T00:00:00Z"
SECOND = 10**9


async def test_a_token_has_three_parts_like_a_jwt_and_an_expiry() -> None:
    async with calling(simulator(), logged_in=False) as caller:
        token = (await caller.log_in()).json

    assert token["access_token"].count(".") == 2
    assert (token["token_type"], token["expires_in"]) == ("bearer", 43_199)


async def test_the_client_may_use_basic_authentication() -> None:
    sim = simulator(token=TokenSettings(client_id="me", client_secret="s3:cret"))
    basic = "Basic " + base64.b64encode(b"me:s3:cret").decode()
    async with calling(sim, logged_in=False) as caller, patient_session() as session:
        form, headers = {"grant_type": "client_credentials"}, {"Authorization": basic}
        async with session.post(caller.url + "/oauth/token", data=form, headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("client_id", "secret"), [("me", "wrong"), ("you", "right"), ("me", "")])
async def test_wrong_credentials_are_refused_as_by_xsuaa(client_id: str, secret: str) -> None:
    sim = simulator(token=TokenSettings(client_id="me", client_secret="right"))
    async with calling(sim, logged_in=False) as caller:
        reply = await caller.log_in(client_id, secret)

    assert reply.status == 401
    assert reply.json == {"error": "unauthorized", "error_description": "Bad credentials"}


@pytest.mark.parametrize(
    "authorization", [None, "Bearer x.y.z", "Bearer é", "Bearer \udcff", "Basic eDp5", "x"]
)
async def test_without_a_genuine_token_the_gateway_answers_in_plain_text(
    authorization: str | None,
) -> None:
    async with calling(simulator()) as caller:
        reply = await caller.get("/v2/lm/deployments", Authorization=authorization)

    assert (reply.status, reply.text) == (401, "Jwt verification fails")


async def test_a_token_can_expire_earlier_than_it_promised() -> None:
    async with calling(simulator(token=TokenSettings(lives_s=60))) as caller:
        await pass_time(59)
        before = await caller.get("/v2/lm/meta")
        await pass_time(2)
        after = await caller.get("/v2/lm/meta")

    assert before.status == 200
    assert (after.status, after.text) == (401, "Jwt is expired")


@pytest.mark.parametrize("group", [None, "foreign", "forbidden"])
async def test_a_missing_and_a_foreign_resource_group_are_refused_alike(group: str | None) -> None:
    async with calling(simulator(forbidden_resource_groups=("forbidden",))) as caller:
        reply = await caller.get("/v2/lm/executions", AI_Resource_Group=group)

    assert (reply.status, reply.text) == (403, "RBAC: access denied")


@pytest.mark.parametrize("path", ["/v2/lm/executions/e404", "/v2/lm/executions/e404/logs"])
async def test_an_unknown_id_is_not_found_in_the_documented_shape(path: str) -> None:
    async with calling(simulator()) as caller:
        reply = await caller.get(path)

    assert reply.status == 404
    assert reply.json["error"]["message"] == "Execution ID e404 not found"
    assert reply.json["error"]["target"] == path


async def test_an_id_is_known_in_its_own_resource_group_only() -> None:
    async with calling(simulator()) as caller:
        path = f"/v2/lm/deployments/{world.TEAM_INFERENCE.id}"

        assert (await caller.get(path)).status == 404
        assert (await caller.get(path, AI_Resource_Group="team-a")).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "$top=0",
        "$top=5001",
        "top=many",
        "%24top=-1",
        "$order=up",
        "start=yesterday",
        "end=2023-11-14",
        "start=2023-11-14T22:00:00.000+00:00",  # a raw plus is a space
    ],
)
async def test_an_impossible_log_query_is_a_bad_request(query: str) -> None:
    async with calling(simulator(targets=(quiet(),))) as caller:
        reply = await caller.get(f"{LOGS}?{query}")

    assert reply.status == 400
    assert reply.json["error"]["code"].isdigit()


@pytest.mark.parametrize("dollar", ["$", "%24", ""])
async def test_top_and_order_work_with_an_encoded_dollar(dollar: str) -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        for number in range(3):
            sim.add_line(D1, START_NS - 9 + number, f"line {number}")
        reply = await caller.get(f"{LOGS}?{ALL}&{dollar}top=2&{dollar}order=desc")

    assert reply.lines == ["line 2", "line 1"]


async def test_an_encoded_plus_in_a_time_is_understood() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        sim.add_line(D1, START_NS - SECOND, "here")
        reply = await caller.get(f"{LOGS}?start=2023-11-15T00:13:00.000%2B02:00")

    assert reply.lines == ["here"]


async def test_the_default_range_is_an_hour_and_the_default_page_1000_lines() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        sim.add_line(D1, START_NS - 3601 * SECOND, "older than an hour")
        for _ in range(1001):
            sim.add_line(D1, START_NS - 3000 * SECOND, "within")
        reply = await caller.get(LOGS)

    assert reply.lines == ["within"] * 1000


@pytest.mark.parametrize(
    ("resolution", "timestamp"),
    [
        ("ns", "2023-11-14T22:13:20.123456780+00:00"),
        ("ms", "2023-11-14T22:13:20.123+00:00"),
    ],
)
async def test_timestamps_are_of_fixed_width_with_an_offset(
    resolution: str, timestamp: str
) -> None:
    sim = simulator(targets=(quiet(),), dialect=Dialect(resolution=resolution))  # type: ignore[arg-type]
    async with calling(sim) as caller:
        sim.add_line(D1, START_NS + 123_456_780, "tick", visible_at_ns=START_NS)
        reply = await caller.get(f"{LOGS}?{ALL}")

    assert [entry["timestamp"] for entry in reply.json["data"]["result"]] == [timestamp]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["d1", "d2", "d3"]),
        ("status=STOPPED", ["d3"]),
        ("scenarioId=fraud", ["d2"]),
        ("configurationId=c-7", ["d3"]),
        ("executableIds=x1%2Cx2", ["d1", "d2"]),
        ("$top=1&$skip=1", ["d2"]),
        ("top=2&skip=2", ["d3"]),
    ],
)
async def test_a_list_is_filtered_and_paged(query: str, expected: list[str]) -> None:
    stopped = (Stage(at_s=-5, status=Status.STOPPED),)
    targets = (
        quiet(id="d1", executable_id="x1"),
        quiet(id="d2", executable_id="x2", scenario_id="fraud"),
        quiet(id="d3", executable_id="x3", configuration_id="c-7", life=stopped),
        quiet(id="e1", kind=Kind.EXECUTION),
    )
    async with calling(simulator(targets=targets)) as caller:
        reply = await caller.get(f"/v2/lm/deployments?{query}")

    assert [it["id"] for it in reply.json["resources"]] == expected


async def test_the_count_is_plain_text_and_ignores_paging() -> None:
    async with calling(simulator()) as caller:
        reply = await caller.get("/v2/lm/executions/$count?$top=1&status=RUNNING")

    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.text == "3"


async def test_selecting_the_status_leaves_only_what_belongs_to_it() -> None:
    async with calling(simulator()) as caller:
        reply = await caller.get(f"/v2/lm/executions/{world.CRASHING.id}?%24select=status")

    expected = {"id", "configurationId", "status", "createdAt", "modifiedAt", "statusDetails"}
    assert set(reply.json) == expected


async def test_the_resource_groups_are_the_visible_ones() -> None:
    async with calling(simulator(forbidden_resource_groups=("team-a",))) as caller:
        reply = await caller.get("/v2/admin/resourceGroups", AI_Resource_Group=None)

    assert [it["resourceGroupId"] for it in reply.json["resources"]] == ["default"]


async def test_the_date_is_the_services_own_not_the_machines() -> None:
    async with calling(simulator(clock_skew_s=-3600)) as caller:
        reply = await caller.get("/v2/lm/meta")
        lost = await caller.get("/no/such/page")

    assert reply.headers["Date"] == "Tue, 14 Nov 2023 21:13:20 GMT"
    assert lost.headers["Date"] == "Tue, 14 Nov 2023 21:13:20 GMT"


@pytest.mark.parametrize(("accepted", "expected"), [("gzip, deflate", "gzip"), ("identity", None)])
async def test_a_page_is_compressed_if_the_client_accepts_gzip(
    accepted: str, expected: str | None
) -> None:
    async with calling(simulator()) as caller:
        path = f"/v2/lm/deployments/{world.INFERENCE.id}/logs"
        reply = await caller.get(path, Accept_Encoding=accepted)

    assert reply.headers.get("Content-Encoding") == expected
    assert len(reply.lines) == 1000


@pytest.mark.parametrize(("wish", "status"), [("empty", 200), ("not_found", 404)])
async def test_before_the_first_run_there_are_no_logs(wish: str, status: int) -> None:
    life = (Stage(at_s=0, status=Status.PENDING), Stage(at_s=10, status=Status.RUNNING))
    target = TargetSettings(kind=Kind.DEPLOYMENT, id="d1", life=life)
    dialect = Dialect(before_running=wish)  # type: ignore[arg-type]
    async with calling(simulator(targets=(target,), dialect=dialect)) as caller:
        early = await caller.get(LOGS)
        await pass_time(12)
        late = await caller.get(LOGS)

    assert early.status == status
    assert late.lines


async def test_a_future_target_is_unknown() -> None:
    target = quiet(life=(Stage(at_s=5, status=Status.UNKNOWN),))
    async with calling(simulator(targets=(target,))) as caller:
        early = await caller.get("/v2/lm/deployments/d1")
        await pass_time(5)
        later = await caller.get("/v2/lm/deployments/d1")

    assert (early.status, later.json["status"]) == (404, "UNKNOWN")
