"""systemd notifications (sd_notify(3)): ready, reloading, stopping, status line, watchdog.

Each notification is a datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET. Sending
never blocks and never fails. READY, RELOADING and STOPPING are queued and sent again when the
socket is full or absent. Without $NOTIFY_SOCKET all of this does nothing.
"""

import socket
from collections.abc import Callable, MutableMapping

import structlog

from tailer.clock import Clock
from tailer.health.health import Health
from tailer.status.document import PHASES, count_phases

log = structlog.get_logger()

_PERIOD_S = 5.0  # between two status lines at least, between two watchdog pings at most
_US_PER_S = 1_000_000


class Supervisor:
    """Sends notifications to `address`, and watchdog pings if `watchdog_s` is set.

    With `address` None it sends nothing.
    """

    def __init__(
        self, clock: Clock, *, address: str | None = None, watchdog_s: float | None = None
    ) -> None:
        self._clock = clock
        self._address = address
        self._watchdog_s = watchdog_s
        self._socket: socket.socket | None = None
        self._queue: list[str] = []  # one entry for each start, reload and stop
        self._status = ""
        self._was_healthy = True
        self._is_reachable = True

    def ready(self) -> None:
        """The spool is open, and pollers and sinks have started; also the end of a reload."""
        self._enqueue("READY=1")

    def reloading(self) -> None:
        """A reload has started; `ready` reports its end."""
        now_us = round(self._clock.monotonic_s() * _US_PER_S)
        self._enqueue(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        self._enqueue("STOPPING=1")

    async def keep_notifying(
        self, *, status: Callable[[], str], is_healthy: Callable[[], bool]
    ) -> None:
        """Send changed status lines, and watchdog pings while `is_healthy`, until canceled.

        Pings are sent at least twice in each watchdog period. They are sent from the event
        loop, so that a blocked loop sends none.
        """
        if self._address is None:
            return
        pause_s = _PERIOD_S if self._watchdog_s is None else min(_PERIOD_S, self._watchdog_s / 2)
        status_due_s = self._clock.monotonic_s()
        while True:
            self._flush()
            if self._watchdog_s is not None:
                was_healthy, self._was_healthy = self._was_healthy, is_healthy()
                if self._was_healthy:
                    self._send("WATCHDOG=1")
                elif was_healthy:
                    log.error("watchdog_withheld", reason="tasks are stalled, see /healthz")
            now_s, line = self._clock.monotonic_s(), status()
            if line != self._status and now_s >= status_due_s and self._send(f"STATUS={line}"):
                self._status, status_due_s = line, now_s + _PERIOD_S
            await self._clock.sleep(pause_s)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _enqueue(self, text: str) -> None:
        """Send `text` now, or when the socket accepts it; in order."""
        if self._address is not None:
            self._queue.append(text)
            self._flush()

    def _flush(self) -> None:
        while self._queue and self._send(self._queue[0]):
            del self._queue[0]

    def _send(self, text: str) -> bool:
        """Send one datagram; False if the socket did not accept it. Logs an outage once."""
        assert self._address is not None
        try:
            if self._socket is None:
                self._socket = _open(self._address)
            self._socket.send(text.encode())
        except BlockingIOError:
            return False
        except OSError as error:
            self.close()
            if self._is_reachable:
                log.warning("notify_socket_unreachable", error=error.strerror or str(error))
            self._is_reachable = False
            return False
        self._is_reachable = True
        return True


def supervisor_from(
    environ: MutableMapping[str, str], *, clock: Clock, process_id: int
) -> Supervisor:
    """The supervisor in `environ`. Removes its variables, so that child processes lack them."""
    address = environ.pop("NOTIFY_SOCKET", None) or None
    watchdog_us = environ.pop("WATCHDOG_USEC", "")
    watched_id = environ.pop("WATCHDOG_PID", "") or str(process_id)
    if address is not None and address[0] not in "/@":
        error = f"NOTIFY_SOCKET={address} is not the address of a unix socket"
        log.warning("notify_socket_unreachable", error=error)
        address = None
    watchdog_s = None
    if watched_id == str(process_id) and watchdog_us.isdecimal() and int(watchdog_us):
        watchdog_s = int(watchdog_us) / _US_PER_S
    return Supervisor(clock, address=address, watchdog_s=watchdog_s)


def status_line(health: Health) -> str:
    """The line in `systemctl status`: targets by phase, and lines pending for the slowest sink."""
    if not health.has_begun:
        return "opening the spool"
    phases = count_phases(health)
    counted = [f"{phases[phase]} {phase.replace('_', ' ')}" for phase in PHASES if phases[phase]]
    pending = max((sink.lag_lines for sink in health.sinks.values()), default=0)
    undelivered = f"{pending:,} lines" if pending else "nothing"
    return f"targets: {', '.join(counted) or 'none yet'}; undelivered: {undelivered}"


def _open(address: str) -> socket.socket:
    """Connect a non-blocking socket. A leading `@` stands for NUL: an abstract name."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError:
        opened.close()
        raise
    return opened
