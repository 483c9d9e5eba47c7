"""Faults of the simulated service: random shares, and faults ordered by a test."""

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulator_caller import Caller, calling, pass_time, patient_session, simulator

from tailer.simulator import Fault, FaultSettings
from tailer.simulator import default_targets as world
from tailer.simulator.faults import choose_fault

LOGS = f"/v2/lm/deployments/{world.INFERENCE.id}/logs"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.TOO_MANY_REQUESTS, 429),
        (Fault.UNAVAILABLE, 503),
        (Fault.SERVER_ERROR, 500),
        (Fault.BAD_GATEWAY, 502),
        (Fault.EXPIRED_TOKEN, 401),
    ],
)
async def test_an_ordered_refusal_occurs_once(fault: Fault, status: int) -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(fault)
        refused = await caller.get(LOGS)
        await caller.log_in()
        granted = await caller.get(LOGS)

    assert (refused.status, granted.status) == (status, 200)


@pytest.mark.parametrize("fault", [Fault.TOO_MANY_REQUESTS, Fault.UNAVAILABLE])
async def test_a_429_has_a_retry_after_header(fault: Fault) -> None:
    sim = simulator(faults=FaultSettings(retry_after_s=7))
    async with calling(sim) as caller:
        sim.fail_next(fault)

        assert (await caller.get(LOGS)).headers["Retry-After"] == "7"


async def test_a_reset_connection_gives_no_answer_at_all() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.RESET, count=2)  # aiohttp asks a second time by itself

        with pytest.raises(aiohttp.ClientOSError):
            await caller.get(LOGS)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_a_cut_body_is_shorter_than_it_promised(coding: str) -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.CUT_BODY)

        with pytest.raises(aiohttp.ClientPayloadError):
            await caller.get(LOGS, Accept_Encoding=coding)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_cut_content_looks_whole_to_http_but_cannot_be_decoded(coding: str) -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.CUT_CONTENT)
        headers = {**caller.headers, "Accept-Encoding": coding}
        async with (
            patient_session() as session,
            session.get(caller.url + LOGS, headers=headers) as response,
        ):
            body = await response.read()

    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body)


async def test_a_login_page_can_come_with_status_200() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.HTML)
        reply = await caller.get(LOGS)

    assert reply.status == 200
    assert reply.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("requests_before", range(4))
async def test_a_wrong_shape_is_never_mistaken_for_an_empty_page(requests_before: int) -> None:
    sim = simulator()
    async with calling(sim) as caller:
        for _ in range(requests_before):
            await caller.get("/v2/lm/meta")
        sim.fail_next(Fault.WRONG_SHAPE)
        content = (await caller.get(LOGS)).json

    has_list = isinstance(content, dict) and isinstance(content["data"]["result"], list)
    assert not has_list or not all(isinstance(it, dict) for it in content["data"]["result"])


async def test_a_slow_answer_is_complete() -> None:
    sim = simulator(faults=FaultSettings(slow_s=40))
    async with calling(sim) as caller:
        before = (await caller.get("/v2/lm/meta")).headers["Date"]
        sim.fail_next(Fault.SLOW)
        slow = await caller.get(LOGS)

    assert before == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert slow.headers["Date"] == "Tue, 14 Nov 2023 22:14:00 GMT"
    assert slow.lines


async def test_an_expired_token_stays_expired() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.EXPIRED_TOKEN)
        replies = [await caller.get(LOGS) for _ in range(2)]

    assert [(it.status, it.text) for it in replies] == [(401, "Jwt is expired")] * 2


async def test_an_ordered_fault_waits_for_its_kind_of_request() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.SERVER_ERROR, on=["logs"], count=2)
        statuses = [(await caller.get(path)).status for path in ("/v2/lm/meta", LOGS, LOGS, LOGS)]

    assert statuses == [200, 500, 500, 200]


async def test_heal_removes_ordered_faults() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        sim.fail_next(Fault.SERVER_ERROR, count=10**9)
        sim.heal()

        assert (await caller.get(LOGS)).status == 200


async def test_the_token_endpoint_can_fail_too() -> None:
    sim = simulator(faults=FaultSettings(unavailable=1.0, on=("token",)))
    async with calling(sim, logged_in=False) as caller:
        assert (await caller.log_in()).status == 503
        assert (await caller.get(LOGS)).text == "Jwt verification fails"


async def test_one_share_mixes_all_faults_and_the_same_seed_repeats_them() -> None:
    assert await fates(seed=7) == await fates(seed=7)
    assert await fates(seed=7) != await fates(seed=8)


async def fates(*, seed: int) -> list[int]:
    """The statuses of sixty requests, 0 for no whole answer."""
    sim = simulator(seed=seed, fault_share=0.5, targets=())
    async with calling(sim, logged_in=False) as caller:
        return [await fate(caller) for _ in range(60)]


async def fate(caller: Caller) -> int:
    await pass_time(1)
    try:
        return (await caller.get(LOGS)).status
    except aiohttp.ClientError:
        return 0


@given(seed=st.integers())
def test_a_mixed_share_meets_every_fault_about_equally_often(seed: int) -> None:
    fates = [
        choose_fault(FaultSettings(), share=0.55, seed=seed, kind="logs", number=number)
        for number in range(600)
    ]

    counts = [fates.count(fault) for fault in Fault]
    assert min(counts) >= 5
    assert 200 < sum(counts) < 460


def test_a_fault_affects_only_its_kinds_of_request() -> None:
    settings = FaultSettings(server_error=1.0, on=("logs",))

    assert choose_fault(settings, share=0, seed=1, kind="get", number=1) is None
