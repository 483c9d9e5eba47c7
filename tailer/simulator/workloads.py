"""The JSON of deployments and executions. Pure."""

from typing import Any

from tailer.model import Kind, Status
from tailer.simulator.targets import SimulatedTarget
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


def listed(it: SimulatedTarget, *, now_ns: int) -> dict[str, Any]:
    """A workload in a list: all fields except `statusDetails`."""
    timeline, plan, target = it.timeline, it.plan, it.target
    latest = timeline.latest_change(now_ns) or timeline.changes[0]
    start_ns, end_ns = timeline.start_ns(by_ns=now_ns), timeline.end_ns(by_ns=now_ns)
    created = _time(timeline.created_ns)
    description: dict[str, Any] = {
        "id": target.id,
        "configurationId": configuration_id(it),
        "configurationName": f"{plan.executable_id or plan.story}-configuration",
        "executableId": executable_id(it),
        "scenarioId": plan.scenario_id,
        "status": latest.status.value,
        "statusMessage": _message(it, latest.status),
        "targetStatus": _target_status(target.kind, latest.status),
        "createdAt": created,
        "modifiedAt": _time(latest.at_ns),
        "submissionTime": created,
        "startTime": None if start_ns is None else _time(start_ns),
        "completionTime": None if end_ns is None else _time(end_ns),
    }
    if target.kind is Kind.EXECUTION:
        return description | {"outputArtifacts": []}
    path = f"/v2/inference/deployments/{target.id}"
    url = f"https://api.ai.simulated.example{path}" if start_ns is not None else ""
    return description | {"deploymentUrl": url, "lastOperation": "CREATE", "ttl": None}


def detailed(it: SimulatedTarget, *, now_ns: int) -> dict[str, Any]:
    """A workload requested by its id."""
    description = listed(it, now_ns=now_ns)
    status = Status(description["status"])
    if status.is_terminal and it.plan.end_details is not None:
        return description | {"statusDetails": it.plan.end_details}
    pods = [
        {
            "pod_name": pod,
            "phase": _phase(status),
            "container_states": [
                _container_state(name, status, is_main=name == it.plan.containers[0])
                for name in it.plan.containers
            ],
        }
        for pod in it.pods
    ]
    return description | {"statusDetails": {"workflow_info": {"pods": pods}}}


def status_only(description: dict[str, Any]) -> dict[str, Any]:
    """The fields of `$select=status`; the official SDK refuses any other field."""
    names = [*_STATUS_FIELDS, "statusDetails"]
    return {name: description[name] for name in names if name in description}


def configuration_id(it: SimulatedTarget) -> str:
    return it.plan.configuration_id or f"c-{executable_id(it)}"


def executable_id(it: SimulatedTarget) -> str:
    return it.plan.executable_id or it.plan.story


def _target_status(kind: Kind, status: Status) -> str:
    if status in {Status.STOPPING, Status.STOPPED}:
        return "STOPPED"
    return "COMPLETED" if kind is Kind.EXECUTION else "RUNNING"


def _message(it: SimulatedTarget, status: Status) -> str:
    if status.is_terminal and it.plan.end_message is not None:
        return it.plan.end_message
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
    """RFC 3339 in whole seconds with `Z`."""
    return format_ns(at_ns)[:19] + "Z"
