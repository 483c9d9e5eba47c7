"""Log events as one line each on stderr: sentences for people, logfmt or JSON for programs.

Names and messages of the service are untrusted text: no style writes a control character raw.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO, TypeAlias, assert_never, cast

import structlog

from tailer.cli.stderr import NoticeStream
from tailer.text import lines_text, visible, visible_json_text

_Fields = MutableMapping[str, Any]
Style: TypeAlias = Literal["people", "logfmt", "json"]

_PHASES: dict[str, Callable[[_Fields], str]] = {
    "waiting": lambda f: f"waiting: {f['reason']}",
    "following": lambda _: "following",
    "draining": lambda f: f"{f['reason']}; waiting for late lines (--drain)",
    "ended": lambda f: f"ended {f['reason']}" if f.get("reason") else "done",
    "gone": lambda _: "deleted at the service",
}

SENTENCES: dict[str, Callable[[_Fields], str]] = {
    "credentials_changed": lambda f: f"using the new credentials from {f['source']}",
    "file_modified_externally": lambda f: f"{f['file']}: another program has appended to it",
    "file_truncated": lambda f: f"GAP: sink {f['sink']}: {f['file']}: {f['error']}",
    "gap": lambda f: f"GAP: {f['error']}",
    "housekeeping_failed": lambda f: (
        f"{f['file']}: cannot be compressed or deleted ({f['error']}); retrying later"
    ),
    "list_failed": lambda f: f"cannot list {f['what']} ({f['error']}); still retrying",
    "list_recovered": lambda f: f"listing {f['what']} works again after {f['after_s']} s",
    "lookup_failed": lambda f: _with_retry(f, f"lookup failed ({f['error']})"),
    "max_lines_reached": lambda f: f"stopped after {lines_text(f['lines'])} (--max-lines)",
    "no_lines": lambda f: f"{f['reason']}",
    "notify_socket_unreachable": lambda f: f"systemd notify socket unreachable: {f['error']}",
    "reload_rejected": lambda f: f"reload rejected, the old configuration stays: {f['error']}",
    "reloaded": lambda f: f"configuration reloaded: {_counts(f)}",
    "reopen_failed": lambda f: f"sink {f['sink']}: cannot reopen its files ({f['error']})",
    "requests_failing": lambda f: (
        f"requests failing for {f['for_s']} s ({f['error']}); retrying in {f['retry_in_s']} s"
    ),
    "requests_recovered": lambda f: f"requests succeed again after {f['after_s']} s",
    "resource_group_available": lambda f: f"resource group {f['resource_group']}: readable again",
    "resource_group_denied": lambda f: (
        f"resource group {f['resource_group']}: {f['error']}; still retrying"
    ),
    "restart_required": lambda f: f"{f['section']} changed; restart tailer to apply it",
    "service_unavailable": lambda f: f"AI Core is not responding ({f['error']}); still retrying",
    "selector_matched": lambda f: (
        f"{f['selector']}: {f['found']} found, {f['alive']} of them not ended; "
        "new matches will be followed"
    ),
    "selector_unmatched": lambda f: (
        f"nothing matches {f['selector']} yet (available: {f['available']}); still watching"
    ),
    "sink_failed": lambda f: _with_retry(f, f"sink {f['sink']}: {f['error']}"),
    "sink_recovered": lambda f: f"sink {f['sink']}: recovered after {f['after_s']} s",
    "sink_retrying": lambda f: (
        f"sink {f['sink']}: {f['error']}; retrying, its lines wait in the spool"
    ),
    "sinks_changed": lambda f: (
        f"sinks changed: {len(f['added'])} added, {len(f['changed'])} changed, "
        f"{len(f['removed'])} removed"
    ),
    "spool_below_limit": lambda _: "spool below its limit again: polling continues",
    "spool_corrupt": lambda f: f"spool {f['spool']} is damaged: {f['error']}",
    "spool_full": lambda _: "spool full: polling waits until the sinks have taken more lines",
    "spool_recovered": lambda f: f"spool {f['spool']}: writable again",
    "spool_write_blocked": lambda f: f"spool {f['spool']}: cannot write ({f['error']}); retrying",
    "started": lambda f: f"started: {_counts(f)}",
    "status_accept_failed": lambda f: f"status page: cannot accept connections ({f['error']})",
    "status_request_failed": lambda f: f"status request failed: {f['error']}",
    "stopped": lambda f: (
        f"stopped: {f['undelivered_bytes']} undelivered bytes stay in the spool for the next start"
        if f["undelivered_bytes"]
        else "stopped: every line is delivered"
    ),
    "stopping": lambda _: "stopping: polling stopped, flushing sinks",
    "summary_failed": lambda f: f"{f['error']}",
    "syslog_connected": lambda f: f"sink {f['sink']}: connected to {f['server']}",
    "target_duplicate": lambda _: "already followed under another name",
    "target_failed": lambda f: _with_retry(f, f["error"].removeprefix(f"{f['target']} ")),
    "target_finished": lambda _: "finished; no longer polled",
    "target_found": lambda f: f"found, {f['status']}",
    "target_phase": lambda f: _PHASES[f["phase"]](f),
    "target_reappeared": lambda _: "exists again; following from where reading stopped",
    "tee_failed": lambda f: f"{f['error']}; continuing on stdout only",
    "tee_reader_closed": lambda f: (
        f"the reader of {f['file']} has closed it; continuing on stdout only"
    ),
    "tls_verification_disabled": lambda f: (
        f"sink {f['sink']}: the certificate of the server is not verified"
    ),
    "token_refresh_postponed": lambda f: (
        f"token refresh failed ({f['error']}); using the current token until it expires"
    ),
    "watchdog_withheld": lambda f: f"systemd watchdog not notified: {f['reason']}",
    "watches_changed": lambda f: f"watches changed: {_counts(f)}",
}


def _counts(fields: _Fields) -> str:
    counts = [f"targets {fields['targets']}"]
    if fields["selectors"]:
        counts.append(f"selectors {fields['selectors']}")
    if "sinks" in fields:
        counts.append(f"sinks {', '.join(fields['sinks'])}")
    return ", ".join(counts)


def _with_retry(fields: _Fields, text: str) -> str:
    return f"{text}; retrying in {fields['retry_in_s']:g} s"


_COLORS = {"info": "2", "warning": "33", "error": "1;31"}


def start_notices(*, style: Style, quiet: bool, in_color: bool, stream: NoticeStream) -> None:
    """Send structlog's events to `stream`; with `quiet`, errors only."""
    is_for_people = style == "people"
    render = _renderer(style, in_color=in_color)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(
                fmt="%H:%M:%S" if is_for_people else "iso", utc=not is_for_people
            ),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("error" if quiet else "info"),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, stream)),
        cache_logger_on_first_use=False,
    )


def _renderer(style: Style, *, in_color: bool) -> structlog.typing.Processor:
    match style:
        case "people":
            return _Human(in_color=in_color)
        case "json":
            to_json = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
            return lambda *event: visible_json_text(str(to_json(*event)))
        case "logfmt":
            to_logfmt = structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event", "target"], drop_missing=True
            )
            return lambda *event: visible(to_logfmt(*event))
        case _:
            assert_never(style)


class _Human:
    """One line: `14:03:10 deployment/d1: following`."""

    def __init__(self, *, in_color: bool) -> None:
        self._in_color = in_color

    def __call__(self, _logger: Any, _method: str, fields: _Fields) -> str:
        event, level = fields["event"], fields["level"]
        sentence = SENTENCES.get(event)
        text = sentence(fields) if sentence is not None else _plain(fields)
        target = f"{fields['target']}: " if "target" in fields else ""
        line = visible(f"{fields['timestamp']} {target}{text}")
        return f"\x1b[{_COLORS[level]}m{line}\x1b[0m" if self._in_color else line


def _plain(fields: _Fields) -> str:
    rest = [
        f"{name}={value}"
        for name, value in fields.items()
        if name not in {"event", "level", "timestamp", "target"}
    ]
    return " ".join([str(fields["event"]).replace("_", " "), *rest])
