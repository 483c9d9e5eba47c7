"""Shared by the stress tests of `tailer run`: a live service, and the balance of lines.

The service is a simulator in real time, with late lines, twins, bursts and failing requests;
the configuration has two file sinks with small files, one of them compressing.
"""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from tailer.simulator import Simulator

SINKS = ("json", "pods")
FIELDS = ("timestamp", "pod", "container", "stream", "msg")

_CONFIG = """
[[watch]]
targets = ["deployment/d0000000000000a1", "deployment/d0000000000000a2"]
[[watch]]
targets = ["execution/e0000000000000e1"]
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = 20.0
requests_per_s = 100
[spool]
path = "{state}/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
name = "json"
path = "{logs}/json/{{kind}}/{{id}}.log"
rotate_bytes = 40_000
keep_files = 100_000
[[sink]]
kind = "file"
name = "pods"
path = "{logs}/pods/{{id}}/{{pod}}.log"
rotate_bytes = 40_000
keep_files = 100_000
compress = false
"""


def config(logs: Path, state: Path) -> str:
    """A folder below `logs` for each of SINKS; the spool is in `state`."""
    return _CONFIG.format(logs=logs, state=state)


def world(seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "rate_per_s": 120.0,
        "backlog_s": 5.0,
        "fault_share": 0.05,
        "faults": {"slow_s": 0.3, "retry_after_s": 1},
        "lines": {"late_share": 0.05, "max_lateness_s": 8.0, "twin_share": 0.1},
        "token": {"expires_in_s": 10},
        "target": [
            {"kind": "deployment", "id": "d0000000000000a1", "pods": 3, "weight": 3.0},
            {"kind": "deployment", "id": "d0000000000000a2", "pods": 2},
            {"kind": "execution", "id": "e0000000000000e1", "story": "training"},
        ],
    }


def lines_in(folder: Path) -> Counter[tuple[Any, ...]]:
    """Every line of every file below `folder`; a torn one is a ValueError."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in sorted(folder.rglob("*.log*")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # compressed a moment ago: the next look finds it
            continue
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if content and not content.endswith(b"\n"):
            raise ValueError(f"{path} ends within a line")
        for text in content.splitlines():
            line = json.loads(text)
            found[line["target"], *(line.get(name) for name in FIELDS)] += 1
    return found


def shown_by(simulator: Simulator) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for target in simulator.targets:
        for entry in simulator.shown(target):
            if isinstance(entry.get("msg"), str):
                entry["msg"] = entry["msg"].removesuffix("\n")
            found[target.name, *(entry.get(name) for name in FIELDS)] += 1
    return found


async def start(
    folder: Path, environ: dict[str, str], log: Any, *, tracer: Sequence[str] = ()
) -> Process:
    """The service with the configuration in `folder`, below `tracer` if there is one."""
    return await anyio.open_process(
        [*tracer, sys.executable, "-m", "tailer", "run", "--config", str(folder / "tailer.toml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env={**os.environ, **environ},
    )
