"""Break each part under `tailer run` in turn, and print its reports during and after.

Usage: PYTHONPATH=tests python tests/stress/break_each_part.py
           [BREAKAGE …]

A simulated service, a `tailer run` with a file sink and a RELP sink, and its status page.
Whatever is broken is waited for until it shows; then `/healthz`, `/readyz`, `tailer status`
and `tailer check` are asked, and once more when it is mended. Prints a table in Markdown,
and exits with 1 when something never showed or never mended. Full disks need root.
"""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep  # noqa: TID251 - looks at other processes
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.from_thread import BlockingPortal, start_blocking_portal
from stress.small_disks import SmallDisk, small_disk
from support.command_line import TAILER, run
from support.receivers.ports import LOOPBACK, reserved_places
from support.receivers.ways import Way
from support.syslog.fake_servers import Behavior, RelpServer, serving

from tailer.clock import SystemClock
from tailer.errors import NotFoundError
from tailer.model import Kind
from tailer.simulator import Fault, Simulator, SimulatorSettings, TargetSettings, TokenSettings
from tailer.status.client import HostPort, ask_for_status
from tailer.status.document import Document
from tailer.timestamp import NS_PER_MS

PATIENCE_S = 150.0  # what is refused is asked for again in half a minute, then in a minute
ANSWER_S = 2.0
MANY_ANSWERS = 30
LOOK_S = 0.1
WITH_CHECK_S = 60.0
OFF_S = 600.0
FIRST, SECOND, THIRD = "d1234567", "d2345678", "d3456789"
ALL = (FIRST, SECOND, THIRD)
TEAM, SCENARIO, NOT_YET = "team-a", "churn", "prices"
LOGS_DISK_MB, STATE_DISK_MB = 128, 24  # `tailer check` wants room for a large file

CONFIG = """
[[watch]]
targets = ["deployment/{first}", "deployment/{second}"]
[[watch]]
resource_group = "{team}"
kind = "deployment"
scenario = "{scenario}"
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = 5.0
discovery_interval_s = 1.0
[spool]
path = "{folder}/state/spool.db"
max_bytes = 1_048_576
[status]
listen = "{listen}"
[daemon]
shutdown_timeout_s = 1.0
[[sink]]
kind = "file"
path = "{folder}/logs/{{id}}.log"
rotate_bytes = 1_000_000
[[sink]]
kind = "syslog"
url = "relp://{loopback}:{syslog}"
connect_timeout_s = 2.0
ack_timeout_s = 4.0
"""

# What `tailer status` has on a bad day only: reasons below the verdict, phases, sinks and
# a full or blocked spool, gaps; and the error when there is no response.
_TELLING = re.compile(
    r"^tailer:|^  \S|^no list of|^gaps: \d|^spool:.*(FULL|blocked:)|^(file|syslog) +(?! |up )"
    r"|\b(backing.off|failed|starting|waiting|catching_up|gone) "
)
# Of a row of `tailer status`: what the reader of a narrow cell can do without.
_GROUP = re.compile(r"^\S+ (?=deployment/)")
_NUMBERS = re.compile(
    r"\b(failed|backing_off|waiting|gone|backing off) \S+ [\d,]+ (?:lines [\d,]+ lines|\S+ ago|-) ?"
)


class Place:
    """What has it can leave it, and another come; its port stays ours meanwhile."""

    def __init__(self, portal: BlockingPortal, port: int) -> None:
        self.port = port
        self._portal = portal
        self._taken = ExitStack()

    def give_to(self, serving: AbstractContextManager[object]) -> None:
        self.empty()
        self._taken.enter_context(serving)

    def empty(self) -> None:
        self._taken.close()

    def serve(self, behave: Behavior) -> None:
        server = serving(behave, port=self.port)
        self.give_to(self._portal.wrap_async_context_manager(server))

    def play(self, simulator: Simulator) -> None:
        server = simulator.serving(port=self.port)
        self.give_to(self._portal.wrap_async_context_manager(server))


@dataclass(frozen=True, slots=True)
class Reports:
    """What all four say at one moment. A code of None: no answer in time."""

    healthz: tuple[int | None, Sequence[str]]
    readyz: tuple[int | None, Sequence[str]]
    status: Sequence[str]
    check: tuple[int, Sequence[str]]


@dataclass(slots=True)
class Bench:
    folder: Path
    portal: BlockingPortal
    service: Place
    syslog: Place
    listen: HostPort
    environ: dict[str, str]
    simulator: Simulator
    more_config: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "tailer.toml"

    def call(self, function: Callable[[], Any]) -> Any:
        """In the thread of all servers."""
        return self.portal.call(function)

    def begin(self) -> None:
        """The service under test; what it says is kept in `run.log`."""
        text = CONFIG.format(
            first=FIRST,
            second=SECOND,
            team=TEAM,
            scenario=SCENARIO,
            folder=self.folder,
            listen=self.listen,
            loopback=LOOPBACK,
            syslog=self.syslog.port,
        )
        self.config.write_text(text + self.more_config, encoding="utf-8")
        with (self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*TAILER, "run", "--config", str(self.config)],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def document(self) -> Document | None:
        """The /status document; None if the status page does not answer."""
        with suppress(NotFoundError):
            return ask_for_status(self.listen)[1]
        return None

    def waits_until(self, claim: Callable[["Bench"], bool], what: str) -> None:
        end_s = monotonic() + PATIENCE_S
        while not claim(self):
            if monotonic() > end_s:
                output = (self.folder / "run.log").read_text(encoding="utf-8")
                raise TimeoutError(f"{what}: not within {PATIENCE_S:g} s; {output[-2000:]}")
            sleep(LOOK_S)

    def asks(self, path: str) -> tuple[int | None, Sequence[str]]:
        connection = http.client.HTTPConnection(
            self.listen.host, self.listen.port, timeout=ANSWER_S
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            reasons = json.loads(answer.read())["reasons"]
        except ConnectionRefusedError:
            return None, ["connection refused"]
        except OSError:
            return None, [f"no answer within {ANSWER_S:g} s"]
        else:
            return answer.status, [self.shortened(reason) for reason in reasons]
        finally:
            connection.close()

    def reports(self) -> Reports:
        healthz, readyz = self.asks("/healthz"), self.asks("/readyz")
        config = ("--config", str(self.config))
        status = run("status", *config, environ=self.environ)
        check = run("check", *config, environ=self.environ, timeout_s=WITH_CHECK_S)
        return Reports(
            healthz,
            readyz,
            [self.shortened(line) for line in abnormal_lines(status.out or status.err)],
            (check.code, [self.shortened(line) for line in failed_checks(check.lines)]),
        )

    def shortened(self, text: str) -> str:
        """As an operator would see it: with names where this machine has ports and folders."""
        names = {
            f"http://{LOOPBACK}:{self.service.port}": "https://aicore",
            f"{LOOPBACK}:{self.service.port}": "aicore",
            f"{LOOPBACK}:{self.syslog.port}": "logs:2514",
            f"{LOOPBACK}:{self.listen.port}": f"{LOOPBACK}:9464",
            str(self.logs): "/var/log/aicore",
            str(self.state): "/var/lib/tailer",
        }
        for name, shown in names.items():
            text = text.replace(name, shown)
        text = re.sub(r"process \d+", "process 4711", " ".join(text.split()))
        return _NUMBERS.sub(r"\1 … ", _GROUP.sub("", text)).strip()


def abnormal_lines(shown: str) -> Iterator[str]:
    """Of `tailer status`: the verdict, and every line that is not as it is on a good day."""
    lines: list[str] = []
    for line in shown.splitlines():
        if lines and line.startswith(" " * 10):  # the rest of a cell
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    for line in lines:
        if line.startswith("tailer "):
            yield line.partition(": ")[2]
        elif _TELLING.search(line):
            yield line


def failed_checks(lines: Sequence[str]) -> Iterator[str]:
    """What is not ok; and how much could not be checked for that."""
    yield from (line for line in lines if not line.startswith(("ok ", "-- ")))
    unchecked = sum(line.startswith("-- ") for line in lines)
    if unchecked:
        yield f"({unchecked} not checked)"


def simulated(**settings: Any) -> Simulator:
    """Three deployments, one of them in another resource group."""
    targets = tuple(
        TargetSettings(kind=Kind.DEPLOYMENT, id=id_, resource_group=group, rate_per_s=2.0)
        for id_, group in zip(ALL, ("default", "default", TEAM), strict=True)
    )
    return Simulator(
        SimulatorSettings(**{"targets": targets, "backlog_s": 5.0, **settings}), SystemClock()
    )


@contextmanager
def bench(more_config: str = "") -> Iterator[Bench]:
    """Everything but the service under test."""
    ways = {"aicore": Way("tcp"), "syslog": Way("relp"), "status": Way("tcp")}
    with (
        tempfile.TemporaryDirectory(prefix="tailer-") as name,
        reserved_places(ways) as places,
        start_blocking_portal() as portal,
    ):
        folder = Path(name)
        service = Place(portal, places.ports["aicore"])
        syslog = Place(portal, places.ports["syslog"])
        simulator = simulated()
        for each in ("logs", "state"):
            (folder / each).mkdir()
        made = Bench(
            folder,
            portal,
            service,
            syslog,
            HostPort(LOOPBACK, places.ports["status"]),
            {
                **os.environ,
                "HOME": name,
                **simulator.credentials(f"http://{LOOPBACK}:{service.port}"),
            },
            simulator,
            more_config,
        )
        try:
            service.play(simulator)
            syslog.serve(RelpServer())
            yield made
        finally:
            made.end()
            syslog.empty()
            service.empty()


def is_well(it: Bench) -> bool:
    seen = it.document()
    return (
        seen is not None
        and seen.is_healthy
        and seen.is_ready
        and len(seen.targets) >= len(ALL)
        and all(one.phase == "following" for one in seen.targets)
        and all(one.is_up for one in seen.sinks)
        and not (seen.spool.is_full or seen.spool.blocked_reason)
        and not any(listing.reason for listing in seen.listings)
    )


def targets_are(phase: str, count: int) -> Callable[[Bench], bool]:
    def claim(it: Bench) -> bool:
        seen = it.document()
        return seen is not None and seen.targets_by_phase.get(phase, 0) >= count

    return claim


def is_denied(it: Bench) -> bool:
    return targets_are("waiting", 1)(it)


def sink_is_down(name: str) -> Callable[[Bench], bool]:
    def claim(it: Bench) -> bool:
        seen = it.document()
        return seen is not None and any(one.sink == name and not one.is_up for one in seen.sinks)

    return claim


def spool_waits(it: Bench) -> bool:
    seen = it.document()
    return seen is not None and bool(seen.spool.blocked_reason)


def spool_is_full(it: Bench) -> bool:
    seen = it.document()
    return seen is not None and seen.spool.is_full


def has_ended(it: Bench) -> bool:
    return it.process is not None and it.process.poll() is not None


def has_believed_it(it: Bench) -> bool:
    """A clock that was set is believed after eight answers."""
    return it.simulator.requests.total() > MANY_ANSWERS and is_well(it)


def answers(it: Bench) -> bool:
    return it.asks("/healthz")[0] is not None


def answers_not(it: Bench) -> bool:
    return not answers(it)


def has_begun(it: Bench) -> bool:
    """It has tried what it will wait for."""
    seen = it.document()
    return (
        seen is not None
        and seen.requests.tokens_failed > 0
        and "not open" not in str(seen.not_ready)
    )


@contextmanager
def another_service(it: Bench, **settings: Any) -> Iterator[None]:
    """At the same address, with the same deployments."""
    it.service.play(simulated(**settings))
    yield
    it.service.play(it.simulator)


@contextmanager
def no_service(it: Bench) -> Iterator[None]:
    it.service.empty()
    yield
    it.service.play(it.simulator)


@contextmanager
def revoked(it: Bench) -> Iterator[None]:
    """Neither the old token is good any more, nor what a new one is asked for with."""
    token = TokenSettings(client_id="another", client_secret="another")
    with another_service(it, seed=2, token=token):
        yield


@contextmanager
def revoked_before(it: Bench) -> Iterator[None]:
    with revoked(it):
        it.begin()
        yield
    it.begin()


@contextmanager
def away_before(it: Bench) -> Iterator[None]:
    with no_service(it):
        it.begin()
        yield


@contextmanager
def unavailable(it: Bench) -> Iterator[None]:
    fail = partial(it.simulator.fail_next, Fault.UNAVAILABLE, count=1_000_000)
    it.call(fail)
    yield
    it.call(it.simulator.heal)


@contextmanager
def deleted(it: Bench) -> Iterator[None]:
    """Who is believed to be gone is not asked for again, except by another process."""
    target = next(one for one in it.simulator.targets if one.id == SECOND)
    it.call(partial(it.simulator.remove_target, target))
    yield
    it.call(partial(it.simulator.add_target, deployment(SECOND)))
    it.end()
    it.begin()


def deployment(id_: str, **plan: Any) -> TargetSettings:
    return TargetSettings(**{"kind": Kind.DEPLOYMENT, "id": id_, "rate_per_s": 2.0, **plan})


@contextmanager
def no_syslog(it: Bench) -> Iterator[None]:
    it.syslog.empty()
    yield
    it.syslog.serve(RelpServer())


@contextmanager
def mute_syslog(it: Bench) -> Iterator[None]:
    """It takes connections and reads, and never answers a word."""

    async def behave(stream: ByteStream) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                await stream.receive()

    it.syslog.serve(behave)
    yield
    it.syslog.serve(RelpServer())


@contextmanager
def no_syslog_and_many_lines(it: Bench) -> Iterator[None]:
    with no_syslog(it):
        target = next(one for one in it.simulator.targets if one.id == FIRST)

        def say() -> None:
            now_ns = SystemClock().wall_ns()
            for number in range(3000):
                at_ns = now_ns - number * NS_PER_MS
                it.simulator.add_line(target, at_ns, f"{number} {'x' * 1000}")

        it.call(say)
        yield


@contextmanager
def full(disk: SmallDisk) -> Iterator[None]:
    disk.fill()
    yield
    disk.free()


@contextmanager
def stopped(it: Bench) -> Iterator[None]:
    it.send(signal.SIGSTOP)
    yield
    it.send(signal.SIGCONT)


@contextmanager
def nothing_matching(it: Bench) -> Iterator[None]:
    yield
    wanted = deployment("d4567890", resource_group=TEAM, scenario_id=NOT_YET)
    it.call(partial(it.simulator.add_target, wanted))


@contextmanager
def clock_right_after(it: Bench, seconds: float) -> Iterator[None]:
    """A service clock off by `seconds` from the start; repaired by a correct service."""
    with another_service(it, clock_skew_s=seconds):
        it.begin()
        it.waits_until(reads_more(), "reads")
        yield


def reads_more() -> Callable[[Bench], bool]:
    """Predicate: healthy, and every target has more lines than at the first call."""
    before: dict[str, int] = {}

    def claim(it: Bench) -> bool:
        seen = it.document()
        if seen is None or not is_well(it):
            return False
        for one in seen.targets:
            before.setdefault(one.target, one.lines)
        return all(one.lines > before[one.target] + 3 for one in seen.targets)

    return claim


@dataclass(frozen=True, slots=True)
class Breakage:
    """`breaks` is the context in which the part is broken.

    `disk`: mount point and size in MB of a small disk. `begins`: start a healthy service first.
    """

    name: str
    breaks: Callable[[Bench], AbstractContextManager[None]]
    shows: Callable[[Bench], bool]
    is_over: Callable[[Bench], bool] = is_well
    begins: bool = True
    disk: tuple[str, int] | None = None
    more_config: str = ""


BREAKAGES: Mapping[str, Breakage] = {
    "token": Breakage("credentials revoked", revoked, targets_are("failed", 3)),
    "token-at-start": Breakage(
        "credentials wrong at the start", revoked_before, has_ended, begins=False
    ),
    "api-down": Breakage("API away", no_service, targets_are("backing_off", 3)),
    "api-down-at-start": Breakage("API away at the start", away_before, has_begun, begins=False),
    "api-503": Breakage("API says 503 only", unavailable, targets_are("backing_off", 3)),
    "target-404": Breakage("a target is deleted", deleted, targets_are("gone", 1)),
    "target-404-at-first": Breakage("… in the first half minute", deleted, is_denied),
    "forbidden": Breakage(
        "a resource group without permission",
        partial(another_service, forbidden_resource_groups=(TEAM,)),
        targets_are("failed", 1),
    ),
    "nothing-matches": Breakage(
        "a selector matches nothing",
        nothing_matching,
        is_well,
        is_over=targets_are("following", len(ALL) + 1),
        more_config=f'[[watch]]\nresource_group = "{TEAM}"\nscenario = "{NOT_YET}"\n',
    ),
    "sink-down": Breakage("syslog server away", no_syslog, sink_is_down("syslog")),
    "sink-mute": Breakage("syslog server mute", mute_syslog, sink_is_down("syslog")),
    "logs-full": Breakage(
        "disk of the logs full",
        lambda it: full(SmallDisk(it.logs)),
        sink_is_down("file"),
        disk=("logs", LOGS_DISK_MB),
    ),
    "spool-full": Breakage("spool full: a sink is away", no_syslog_and_many_lines, spool_is_full),
    "spool-disk-full": Breakage(
        "disk of the spool full",
        lambda it: full(SmallDisk(it.state)),
        spool_waits,
        disk=("state", STATE_DISK_MB),
    ),
    "clock-behind": Breakage(
        "the service's clock is 10 min behind",
        partial(clock_right_after, seconds=-OFF_S),
        is_well,
        is_over=reads_more(),
        begins=False,
    ),
    "clock-ahead": Breakage(
        "the service's clock is 10 min ahead",
        partial(clock_right_after, seconds=OFF_S),
        is_well,
        is_over=has_believed_it,
        begins=False,
    ),
    "stopped": Breakage("process stopped (SIGSTOP)", stopped, answers_not, is_over=answers),
}


def play(breakage: Breakage, *, until_mended: bool = True) -> Sequence[Reports]:
    """Reports while the part is broken, and after it is repaired.

    Raises:
        TimeoutError: The failure or the recovery was not reported in time.
    """
    collected: list[Reports] = []
    with bench(breakage.more_config) as it:
        where, megabytes = breakage.disk or ("", 0)
        disk = small_disk(it.folder / where, megabytes=megabytes) if where else nullcontext()
        with disk:
            if breakage.begins:
                it.begin()
                it.waits_until(is_well, "begins")
            with breakage.breaks(it):
                it.waits_until(breakage.shows, "shows")
                collected.append(it.reports())
            if until_mended:
                it.waits_until(breakage.is_over, "mends")
                collected.append(it.reports())
            it.end()
    return collected


def row(name: str, collected: Reports) -> str:
    cells = [name, *(verdict(*each) for each in (collected.healthz, collected.readyz))]
    cells += ["<br>".join(brief(collected.status)), verdict(*collected.check)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def verdict(code: int | None, reasons: Sequence[str]) -> str:
    parts = [*([] if code is None else [str(code)]), *brief(reasons)]
    return "<br>".join(parts)


def brief(lines: Sequence[str]) -> Iterator[str]:
    """Group lines that differ only in numbers and ids."""
    seen: dict[str, int] = {}
    firsts: dict[str, str] = {}
    for line in lines:
        kind = re.sub(r"\d\w*", "", line)
        seen[kind] = seen.get(kind, 0) + 1
        firsts.setdefault(kind, line)
    for kind, count in seen.items():
        yield firsts[kind] + (f" (and {count - 1} more)" if count > 1 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("breakages", nargs="*", choices=[[], *BREAKAGES], metavar="BREAKAGE")
    given = parser.parse_args()
    failures = 0
    print("| broken | `/healthz` | `/readyz` | `tailer status` | `tailer check` |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name in given.breakages or BREAKAGES:
        breakage = BREAKAGES[name]
        if breakage.disk and os.geteuid() != 0:
            print(f"| {breakage.name} | not played: needs root | | | |", flush=True)  # noqa: T201
            continue
        try:
            broken, mended = play(breakage)
        except TimeoutError as error:
            failures += 1
            print(f"{breakage.name}: FAILED: {error}", file=sys.stderr, flush=True)  # noqa: T201
            continue
        print(row(breakage.name, broken), flush=True)  # noqa: T201
        print(row("… mended", mended), flush=True)  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
