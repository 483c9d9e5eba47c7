"""What the service tells the one that started it: systemd's notification protocol (sd_notify(3)).

A datagram of `NAME=value` lines to the socket that $NOTIFY_SOCKET names. Nobody may be
listening, or not listen fast enough: telling never waits and never fails, and what had no
room is told again. Under no supervisor all of this does nothing.
"""

import socket
from collections.abc import Callable, MutableMapping

import structlog

from tailer.clock import Clock
from tailer.health.health import Health
from tailer.status.document import PHASES, count_phases

log = structlog.get_logger()

_LOOK_S = 5.0  # how often the status may change; and the longest pause between two pings
_US_PER_S = 1_000_000


class Supervisor:
    """`address` None: a service without a supervisor; `watchdog_s` None: without a watchdog."""

    def __init__(
        self, clock: Clock, *, address: str | None = None, watchdog_s: float | None = None
    ) -> None:
        self._clock = clock
        self._address = address
        self._watchdog_s = watchdog_s
        self._socket: socket.socket | None = None
        self._untold: list[str] = []  # a handful in the life of a process
        self._status = ""
        self._was_well = True
        self._could_tell = True

    def ready(self) -> None:
        """It runs: the spool is open, and readers and sinks have begun."""
        self._say("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` ends that."""
        now_us = round(self._clock.monotonic_s() * _US_PER_S)
        self._say(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    async def keep_told(self, *, status: Callable[[], str], is_well: Callable[[], bool]) -> None:
        """Without end: the status when it has changed, and a ping as long as `is_well`.

        Pings come at least twice in the time that the watchdog allows. They come from the
        event loop, so that one which stands still sends none.
        """
        if self._address is None:
            return
        pause_s = _LOOK_S if self._watchdog_s is None else min(_LOOK_S, self._watchdog_s / 2)
        status_due_s = self._clock.monotonic_s()
        while True:
            self._tell_untold()
            if self._watchdog_s is not None and self._note_well(is_well()):
                self._send("WATCHDOG=1")
            now_s, line = self._clock.monotonic_s(), status()
            if line != self._status and now_s >= status_due_s and self._send(f"STATUS={line}"):
                self._status, status_due_s = line, now_s + _LOOK_S
            await self._clock.sleep(pause_s)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _note_well(self, is_well: bool) -> bool:  # noqa: FBT001 - it is the claim that is noted
        if self._was_well and not is_well:
            log.error("watchdog_withheld", reason="tasks are stalled, see /healthz")
        self._was_well = is_well
        return is_well

    def _say(self, text: str) -> None:
        """Now, or as soon as there is room; in order."""
        if self._address is not None:
            self._untold.append(text)
            self._tell_untold()

    def _tell_untold(self) -> None:
        while self._untold and self._send(self._untold[0]):
            del self._untold[0]

    def _send(self, text: str) -> bool:
        """Whether the supervisor has it. One that cannot be reached is a fact to log once."""
        assert self._address is not None
        try:
            if self._socket is None:
                self._socket = _open(self._address)
            self._socket.send(text.encode())
        except BlockingIOError:
            return False
        except OSError as error:
            self.close()
            if self._could_tell:
                log.warning("notify_socket_unreachable", error=error.strerror or str(error))
            self._could_tell = False
            return False
        self._could_tell = True
        return True


def supervisor_from(
    environ: MutableMapping[str, str], *, clock: Clock, process_id: int
) -> Supervisor:
    """The one that `environ` names. Takes its variables out: they are for no child of ours."""
    address = environ.pop("NOTIFY_SOCKET", None) or None
    watchdog_us = environ.pop("WATCHDOG_USEC", "")
    watched_id = environ.pop("WATCHDOG_PID", "") or str(process_id)
    if address is not None and address[0] not in "/@":
        log.warning(
            "notify_socket_unreachable", error=f"NOTIFY_SOCKET is {address}, not a unix socket"
        )
        address = None
    watchdog_s = None
    if watched_id == str(process_id) and watchdog_us.isdecimal() and int(watchdog_us):
        watchdog_s = int(watchdog_us) / _US_PER_S
    return Supervisor(clock, address=address, watchdog_s=watchdog_s)


def status_line(health: Health) -> str:
    """One line for `systemctl status`: targets by phase, and what the slowest sink still lacks."""
    if not health.has_begun:
        return "opening the spool"
    phases = count_phases(health)
    counted = [f"{phases[phase]} {phase.replace('_', ' ')}" for phase in PHASES if phases[phase]]
    lacking = max((sink.lag_lines for sink in health.sinks.values()), default=0)
    undelivered = f"{lacking:,} lines" if lacking else "nothing"
    return f"targets: {', '.join(counted) or 'none yet'}; undelivered: {undelivered}"


def _open(address: str) -> socket.socket:
    """Connected and never blocking. `@` begins an abstract name, which Linux writes as NUL."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError:
        opened.close()
        raise
    return opened
