"""Scripting the simulator: add lines, and query the lines that it has shown."""

import ssl

import pytest
import trustme
from msgspec import UNSET
from support.simulator_caller import calling, pass_time, patient_session, quiet, simulator
from support.virtual_time import START_NS

from tailer.model import Kind, Target
from tailer.simulator import TokenSettings

D1 = Target("default", Kind.DEPLOYMENT, "d1")
LOGS = "/v2/lm/deployments/d1/logs?end=2030-01-01T00:00:00Z"
TRUTH = "/simulator/truth?target=deployment/d1"
SECOND = 10**9


async def test_a_line_put_in_is_shown_from_the_time_given() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        sim.add_line(D1, START_NS, "late", visible_at_ns=START_NS + 5 * SECOND)
        before = await caller.get(LOGS)
        await pass_time(5)
        after = await caller.get(LOGS)

    assert (before.lines, after.lines) == ([], ["late"])


async def test_a_line_put_in_shows_the_fields_given_and_no_others() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        sim.add_line(D1, START_NS, "x", pod=None, container=UNSET, extra={"node": {"zone": "a"}})
        reply = await caller.get(LOGS)

    assert reply.json["data"]["result"] == [
        {
            "timestamp": "2023-11-14T22:13:20.000000000+00:00",
            "pod": None,
            "msg": "x",
            "node": {"zone": "a"},
        }
    ]


async def test_an_entry_put_in_is_sent_as_it_is() -> None:
    sim = simulator(targets=(quiet(),))
    odd = {"msg": None, "level": 3}
    async with calling(sim) as caller:
        sim.add_entry(D1, odd, at_ns=START_NS)
        reply = await caller.get(LOGS)

    assert reply.json == {"data": {"result": [odd]}}
    assert sim.shown(D1) == [odd]


async def test_shown_lines_are_served_without_credentials_up_to_a_given_time() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim, logged_in=False) as caller:
        sim.add_line(D1, START_NS - 2, "a")
        sim.add_line(D1, START_NS - 1, "b")
        sim.add_line(D1, START_NS + SECOND, "not yet shown")
        reply = await caller.get(f"{TRUTH}&until=2023-11-14T22:13:19.999999999Z")
        everything = await caller.get(TRUTH)

    assert [entry["msg"] for entry in reply.json] == ["a"]
    assert everything.json == sim.shown(D1)[:2]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/simulator/truth?target=deployment/no", 404), (f"{TRUTH}&until=soon", 400)],
)
async def test_an_invalid_query_for_shown_lines_is_rejected(path: str, status: int) -> None:
    async with calling(simulator(targets=(quiet(),))) as caller:
        assert (await caller.get(path)).status == status


async def test_the_stats_count_requests_by_kind() -> None:
    sim = simulator(targets=(quiet(),))
    async with calling(sim) as caller:
        for path in (LOGS, LOGS, "/v2/lm/deployments/$count", "/v2/lm/deployments/d1"):
            await caller.get(path)
        reply = await caller.get("/simulator/stats")

    assert reply.json == sim.stats()
    assert reply.json["requests"] == {"token": 1, "logs": 2, "count": 1, "get": 1}


async def test_the_printed_credentials_are_accepted() -> None:
    sim = simulator(token=TokenSettings(client_id="me", client_secret="s3cret"))
    async with calling(sim, logged_in=False) as caller:
        given = sim.credentials(caller.url)
        reply = await caller.log_in(given["AICORE_CLIENT_ID"], given["AICORE_CLIENT_SECRET"])

    assert reply.status == 200
    assert given["AICORE_AUTH_URL"] == f"{caller.url}/oauth/token"
    assert given["AICORE_BASE_URL"] == f"{caller.url}/v2"
    assert given["AICORE_RESOURCE_GROUP"] == "default"


async def test_over_tls_a_client_certificate_stands_in_for_the_secret() -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    authority.configure_trust(server_tls)
    server_tls.verify_mode = ssl.CERT_OPTIONAL
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    authority.issue_cert("client@example.com").configure_cert(client_tls)
    sim = simulator(token=TokenSettings(client_secret="unknown to the client"))
    form = {"grant_type": "client_credentials", "client_id": "me"}
    async with (
        sim.serving(ssl_context=server_tls) as url,
        patient_session() as session,
        session.post(f"{url}/oauth/token", data=form, ssl=client_tls) as response,
    ):
        assert url.startswith("https://127.0.0.1:")
        assert response.status == 200
