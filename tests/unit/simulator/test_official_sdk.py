"""SAP's own client works with the simulator. In real time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from ai_api_client_sdk.exception import AIAPINotFoundException
from ai_api_client_sdk.models.base_models import Order
from ai_api_client_sdk.models.status import Status as SdkStatus
from ai_core_sdk.ai_core_v2_client import AICoreV2Client
from anyio.from_thread import start_blocking_portal

from tailer.clock import SystemClock
from tailer.model import Kind
from tailer.simulator import Simulator, SimulatorSettings, TargetSettings
from tailer.simulator import default_targets as world


@contextmanager
def serving(simulator: Simulator) -> Iterator[AICoreV2Client]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(simulator.serving()) as url,
    ):
        credentials = portal.call(simulator.credentials, url)
        yield AICoreV2Client(
            base_url=credentials["AICORE_BASE_URL"],
            auth_url=credentials["AICORE_AUTH_URL"],
            client_id=credentials["AICORE_CLIENT_ID"],
            client_secret=credentials["AICORE_CLIENT_SECRET"],
            resource_group=credentials["AICORE_RESOURCE_GROUP"],
            num_request_retries=0,
        )


@pytest.fixture(scope="module")
def client() -> Iterator[AICoreV2Client]:
    simulator = Simulator(SimulatorSettings(rate_per_s=30, backlog_s=600), SystemClock())
    with serving(simulator) as client:
        yield client


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_it_lists_deployments(client: AICoreV2Client) -> None:
    found = client.deployment.query(scenario_id="churn", status=SdkStatus.RUNNING)

    assert found.count == len(found.resources)
    assert world.INFERENCE.id in {it.id for it in found.resources}


def test_it_lists_executions_page_by_page(client: AICoreV2Client) -> None:
    found = client.execution.query(top=2, skip=1)

    assert [it.id for it in found.resources] == [world.COMPLETING.id, world.STOPPED.id]


def test_it_gets_one_of_each_kind(client: AICoreV2Client) -> None:
    stopped = client.deployment.get(world.LONG_STOPPED.id)
    completed = client.execution.get(world.LONG_COMPLETED.id)

    assert (stopped.status, completed.status) == (SdkStatus.STOPPED, SdkStatus.COMPLETED)
    assert completed.completion_time > completed.start_time


def test_it_gets_the_status_alone(client: AICoreV2Client) -> None:
    deployment = client.deployment.get(world.INFERENCE.id, select="status")
    execution = client.execution.get(world.LONG_COMPLETED.id, select="status")

    assert (deployment.status, execution.status) == (SdkStatus.RUNNING, SdkStatus.COMPLETED)


def test_it_counts_both_kinds(client: AICoreV2Client) -> None:
    assert client.deployment.count() == 3
    assert client.execution.count(scenario_id="churn") == 5


def test_it_reads_the_logs_of_a_deployment_in_both_orders(client: AICoreV2Client) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the SDK takes no clock
    window = {"start": now - timedelta(minutes=5), "end": now - timedelta(seconds=5)}
    asc, desc = (
        client.deployment.query_logs(world.INFERENCE.id, top=5000, order=order, **window)
        for order in (Order.ASC, Order.DESC)
    )

    lines = [(it.timestamp, it.msg) for it in asc.data.result]
    assert lines
    assert lines == [(it.timestamp, it.msg) for it in desc.data.result][::-1]


def test_it_reads_the_logs_of_an_old_execution_from_the_beginning(client: AICoreV2Client) -> None:
    start = datetime(1990, 1, 1, tzinfo=UTC)
    logs = client.execution.query_logs(world.LONG_COMPLETED.id, top=5000, start=start)

    assert logs.data.result[-1].msg == "model written to /app/model/model.bin\n"


def test_it_sees_the_resource_groups_and_what_is_in_the_other_one(client: AICoreV2Client) -> None:
    groups = client.resource_groups.query()
    found = client.execution.query(resource_group="team-a")

    assert [it.resource_group_id for it in groups.resources] == ["default", "team-a"]
    assert [it.id for it in found.resources] == [world.TEAM_TRAINING.id]


def test_it_gets_an_error_for_a_missing_object(client: AICoreV2Client) -> None:
    with pytest.raises(AIAPINotFoundException, match="not found"):
        client.deployment.get("d0000000000404")


def test_it_creates_an_execution_with_the_planned_life_cycle() -> None:
    simulator = Simulator(SimulatorSettings(targets=()), SystemClock())
    with serving(simulator) as client:
        simulator.offer(TargetSettings(kind=Kind.EXECUTION, configuration_id="c-nightly"))
        created = client.execution.create("c-nightly", resource_group="team-a")
        found = client.execution.get(created.id, resource_group="team-a")

    assert (found.configuration_id, found.status) == ("c-nightly", SdkStatus.RUNNING)


def test_without_a_configuration_it_creates_nothing() -> None:
    simulator = Simulator(SimulatorSettings(targets=()), SystemClock())

    with serving(simulator) as client, pytest.raises(AIAPINotFoundException):
        client.execution.create("c-nightly")
