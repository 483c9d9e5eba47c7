"""The recipes of docs/ci.md, executed as printed, for jobs that succeed and that fail."""

import os
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import yaml
from support.ci_recipes import (
    DOCUMENT,
    Place,
    Played,
    Pod,
    block,
    pid_of,
    play_docker,
    play_github,
    play_gitlab,
    play_jenkins,
)
from support.command_line import PATIENCE_S, World, lived
from support.long import long_after, long_values_after

from tailer.clock import SystemClock
from tailer.model import Kind, Status
from tailer.simulator import TargetSettings

CONFIGURATION = "c-nightly"
LIVES_S = 2.0
RECIPES: dict[str, Callable[[Place], Played]] = {
    "github": play_github,
    "gitlab": play_gitlab,
    "jenkins": play_jenkins,
    "docker": play_docker,
    "kubernetes": lambda place: anyio.run(Pod(place).play),
}


@pytest.fixture
def place(world: World, tmp_path: Path) -> Place:
    key = {
        "clientid": world.environ["AICORE_CLIENT_ID"],
        "clientsecret": world.environ["AICORE_CLIENT_SECRET"],
        "url": world.url,
        "serviceurls": {"AI_API_URL": world.url},
    }
    secrets = {
        "AICORE_SERVICE_KEY": msgspec.json.encode(key).decode(),
        "AICORE_RESOURCE_GROUP": "default",
        "CONFIGURATION_ID": CONFIGURATION,
    }
    return Place(tmp_path / "place", secrets)


def offer(world: World, status: Status, *, lives_s: float = LIVES_S) -> None:
    plan = TargetSettings(
        kind=Kind.EXECUTION,
        configuration_id=CONFIGURATION,
        story="training",
        rate_per_s=20.0,
        life=lived((0, Status.PENDING), (0.5, Status.RUNNING), (0.5 + lives_s, status)),
    )
    world.call(lambda simulator: simulator.offer(plan))


def shown(world: World) -> int:
    """How many lines the service has shown, of the one execution that was created."""
    (target,) = world.call(lambda simulator: simulator.targets)
    return len(world.shown(target))


def summary(played: Played) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((played.kept / "summary.json").read_bytes())
    return found


@pytest.mark.parametrize("recipe", long_values_after(2, RECIPES))
@pytest.mark.parametrize(
    ("status", "code"), long_after(1, [(Status.COMPLETED, 0), (Status.DEAD, 10)])
)
def test_a_job_ends_with_the_verdict_and_keeps_its_log(
    world: World, place: Place, recipe: str, status: Status, code: int
) -> None:
    offer(world, status)

    played = RECIPES[recipe](place)

    assert played.code == code, played.output
    assert summary(played)["verdict"] == status
    assert summary(played)["lines"] == shown(world) > 0
    assert played.restarts in {0, 1}  # of a sidecar, if it ends before the job has noticed
    log = (played.kept / "run.log").read_bytes()
    assert (b"ValueError: operands" in log) is (status is Status.DEAD)
    assert ("lines of execution/" in played.output) is (status is Status.DEAD)
    assert world.environ["AICORE_CLIENT_SECRET"] not in played.output


@pytest.mark.parametrize("recipe", long_values_after(1, RECIPES))
def test_a_job_whose_execution_cannot_be_created_fails_and_follows_nothing(
    world: World, place: Place, recipe: str
) -> None:
    played = RECIPES[recipe](place)

    assert played.code not in {0, 10}
    assert world.requests("logs") == 0


def test_the_recipe_installs_this_distribution(world: World, place: Place) -> None:
    offer(world, Status.COMPLETED)

    play_github(place)

    project = tomllib.loads((DOCUMENT.parents[1] / "pyproject.toml").read_text())["project"]
    assert project["name"] in (place.folder / "installed").read_text().split()


@pytest.mark.long
def test_a_canceled_step_leaves_a_summary(world: World, place: Place) -> None:
    target = world.add(Kind.EXECUTION, "e1234567", rate_per_s=20.0)
    (job,) = yaml.safe_load(block("GitHub Actions", "yaml"))["jobs"].values()
    (step,) = (one for one in job["steps"] if one.get("name") == "Follow it to its end")

    with place.start(step["run"], {**place.secrets, "ID": target.id}) as process:
        anyio.run(wait_for_lines, place.job)
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_S)

    place.keep(["summary.json"])
    assert code == 130
    assert summary(Played(code, "", place.kept))["verdict"] == "INTERRUPTED"


async def wait_for_lines(folder: Path) -> None:
    log, clock = folder / "run.log", SystemClock()
    with anyio.fail_after(PATIENCE_S):
        while not _has_lines(log):
            await clock.sleep(0.05)


def _has_lines(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


async def when_following(pod: Pod, do: Callable[[int], object]) -> None:
    """`do` with the sidecar's process id, as soon as it has lines."""
    work = pod.volume("work")
    await wait_for_lines(work)
    do(pid_of(work, "logs"))


def play_and(pod: Pod, do: Callable[[int], object]) -> Played:
    results: list[Played] = []

    async def play() -> None:
        results.append(await pod.play())

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play)
            await when_following(pod, do)

    anyio.run(both)
    return results[0]


@pytest.mark.long
def test_a_killed_sidecar_restarts_and_has_every_line(world: World, place: Place) -> None:
    offer(world, Status.DEAD, lives_s=4.0)

    played = play_and(Pod(place), lambda pid: os.kill(pid, signal.SIGKILL))

    assert played.code == 10
    assert played.restarts in {1, 2}  # once for the kill; once more if the end is not noticed first
    assert summary(played)["lines"] == shown(world) > 0


def test_a_sidecar_of_a_deleted_pod_leaves_a_summary(world: World, place: Place) -> None:
    offer(world, Status.COMPLETED, lives_s=60.0)
    pod = Pod(place)

    played = play_and(pod, lambda _: os.kill(pid_of(pod.volume("work"), "-ec"), 15))

    assert played.code != 0
    left = msgspec.json.decode((pod.volume("work") / "summary.json").read_bytes())
    assert (left["verdict"], left["exit_code"]) == ("INTERRUPTED", 143)
