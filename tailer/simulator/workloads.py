"""Deployments and executions in the service's own words. Pure."""

from typing import Any

from tailer.model import Kind, Status
from tailer.simulator.targets import LiveTarget
from tailer.timestamp import format_ns

_MESSAGES = {
    Status.UNKNOWN: "",
    Status.PENDING: "Waiting for a node",
    Status.RUNNING: "",
    Status.STOPPING: "Stopping",
    Status.COMPLETED: "",
    Status.DEAD: "main container exited with code 1",
    Status.STOPPED: "Stopped by user",
}
_STATUS_FIELDS = ("id", "configurationId", "status", "createdAt", "modifiedAt")


def described(live: LiveTarget, *, now_ns: int) -> dict[str, Any]:
    """As in a list: everything but `statusDetails`."""
    life, plan, target = live.life, live.plan, live.target
    latest = life.last_turn(now_ns) or life.turns[0]
    end, started = life.end(by_ns=now_ns), life.first(Status.RUNNING, by_ns=now_ns)
    created = _time(life.turns[0].at_ns)
    description: dict[str, Any] = {
        "id": target.id,
        "configurationId": configuration_id(live),
        "configurationName": f"{plan.executable_id or plan.story}-configuration",
        "executableId": executable_id(live),
        "scenarioId": plan.scenario_id,
        "status": latest.status.value,
        "statusMessage": _message(live, latest.status),
        "targetStatus": _target_status(target.kind, latest.status),
        "createdAt": created,
        "modifiedAt": _time(latest.at_ns),
        "submissionTime": created,
        "startTime": None if started is None else _time(started.at_ns),
        "completionTime": None if end is None else _time(end.at_ns),
    }
    if target.kind is Kind.EXECUTION:
        return description | {"outputArtifacts": []}
    path = f"/v2/inference/deployments/{target.id}"
    url = f"https://api.ai.simulated.example{path}" if started is not None else ""
    return description | {"deploymentUrl": url, "lastOperation": "CREATE", "ttl": None}


def detailed(live: LiveTarget, *, now_ns: int) -> dict[str, Any]:
    """As a single get shows it."""
    description = described(live, now_ns=now_ns)
    status = Status(description["status"])
    if status.is_terminal and live.plan.end_details is not None:
        return description | {"statusDetails": live.plan.end_details}
    pods = [
        {
            "pod_name": pod,
            "phase": _phase(status),
            "container_states": [
                _container_state(name, status, is_main=name == live.plan.containers[0])
                for name in live.plan.containers
            ],
        }
        for pod in live.pods
    ]
    return description | {"statusDetails": {"workflow_info": {"pods": pods}}}


def status_only(description: dict[str, Any]) -> dict[str, Any]:
    """What `$select=status` leaves; the official SDK refuses any other field."""
    names = [*_STATUS_FIELDS, "statusDetails"]
    return {name: description[name] for name in names if name in description}


def configuration_id(live: LiveTarget) -> str:
    return live.plan.configuration_id or f"c-{executable_id(live)}"


def executable_id(live: LiveTarget) -> str:
    return live.plan.executable_id or live.plan.story


def _target_status(kind: Kind, status: Status) -> str:
    if status in {Status.STOPPING, Status.STOPPED}:
        return "STOPPED"
    return "COMPLETED" if kind is Kind.EXECUTION else "RUNNING"


def _message(live: LiveTarget, status: Status) -> str:
    if status.is_terminal and live.plan.end_message is not None:
        return live.plan.end_message
    return _MESSAGES[status]


def _container_state(name: str, status: Status, *, is_main: bool) -> dict[str, Any]:
    if not status.is_terminal:
        return {"name": name, "reason": _MESSAGES[status]}
    failed = status is Status.DEAD and is_main
    return {"name": name, "reason": "Error" if failed else "Completed", "exit_code": int(failed)}


def _phase(status: Status) -> str:
    if status is Status.DEAD:
        return "Failed"
    return "Succeeded" if status.is_terminal else status.value.capitalize()


def _time(at_ns: int) -> str:
    """Whole seconds and `Z`."""
    return format_ns(at_ns)[:19] + "Z"
