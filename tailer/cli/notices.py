"""Notices for people: what changed, in one short line on stderr. For programs: key=value.

Names and messages of the service are strangers' text, and a file of notices is looked at
with `cat`: whatever the style, no control character goes out raw.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO, TypeAlias, assert_never, cast

import structlog

from tailer.cli.stderr import NoticeStream
from tailer.text import lines_text, visible, visible_json_text

_Fields = MutableMapping[str, Any]
Style: TypeAlias = Literal["people", "logfmt", "json"]

_SENTENCES: dict[str, Callable[[_Fields], str]] = {
    "waiting": lambda f: f"waiting: {f['why']}",
    "following": lambda _: "following",
    "backing_off": lambda f: (
        f"no luck for {f['for_s']} s: {f['why']}; next try in {f['retry_in_s']} s"
    ),
    "recovered": lambda f: f"back after {f['after_s']} s",
    "draining": lambda f: f"{f['why']}; still reading what comes late",
    "ended": lambda f: f"ended {f['why']}" if f.get("why") else "done",
    "gone": lambda _: "deleted at the service",
    "gap": lambda f: f"GAP: {f['detail']}",
    "nothing_found": lambda f: f"{f['why']}",
    "enough": lambda f: f"{lines_text(f['lines'])} printed: as many as --max-lines allows",
    "copy_failed": lambda f: f"{f['why']}; the lines go on to standard output only",
    "copy_left": lambda f: f"nobody reads {f['file']} any more; the lines go on without it",
    "summary_failed": lambda f: f"{f['why']}",
    "slow_service": lambda f: f"the service is in trouble: {f['why']}; trying on",
    "token_refresh_postponed": lambda f: f"no new token yet, the old one will do: {f['reason']}",
    "started": lambda f: (
        f"started: targets {f['targets']}, "
        + (f"selectors {f['selectors']}, " if f["selectors"] else "")
        + f"sinks {', '.join(f['sinks'])}"
    ),
    "watching": lambda f: (
        f"{f['selector']}: {f['found']} found, {f['alive']} of them not ended; watching for more"
    ),
    "nothing_matches": lambda f: (
        f"nothing matches {f['selector']}; there is {f['there_is']}; waiting for it"
    ),
    "target_found": lambda f: f"found, {f['status']}",
    "retired": lambda _: "read to its end; not looked at again",
    "group_refused": lambda f: f"resource group {f['resource_group']}: {f['why']}; trying on",
    "group_admitted": lambda f: f"resource group {f['resource_group']}: can be seen now",
    "list_failed": lambda f: f"cannot list {f['what']} yet: {f['why']}; trying on",
    "list_recovered": lambda f: f"can list {f['what']} again after {f['after_s']} s",
    "target_failed": lambda f: _with_retry(f, f["why"].removeprefix(f"{f['target']} ")),
    "target_returned": lambda _: "is there again; followed on from where it was read to",
    "already_followed": lambda _: "is followed already, under another name",
    "looking_up": lambda f: _with_retry(f, f"cannot be looked up yet: {f['why']}"),
    "sink_failed": lambda f: _with_retry(f, f"sink {f['sink']}: {f['why']}"),
    "sink_backing_off": lambda f: (
        f"sink {f['sink']}: {f['error']}; trying on, its lines wait in the spool"
    ),
    "sink_recovered": lambda f: f"sink {f['sink']}: works again",
    "spool_full": lambda _: "the spool is full: reading waits until a sink has taken more",
    "spool_has_room": lambda _: "the spool has room again: reading goes on",
    "spool_waiting": lambda f: f"the spool {f['spool']} cannot be written: {f['why']}; trying on",
    "spool_recovered": lambda f: f"the spool {f['spool']} can be written again",
    "spool_damaged": lambda f: f"the spool {f['spool']} is damaged: {f['why']}",
    "stopping": lambda _: "stopping: nothing more is read; sinks get what is left",
    "stopped": lambda f: (
        f"stopped: {f['undelivered_bytes']} bytes of lines wait in the spool for the next start"
        if f["undelivered_bytes"]
        else "stopped: every line is delivered"
    ),
}


def _with_retry(fields: _Fields, text: str) -> str:
    return f"{text}; next try in {fields['retry_in_s']:g} s"


_COLOURS = {"info": "2", "warning": "33", "error": "1;31"}


def start_notices(*, style: Style, quiet: bool, colour: bool, stream: NoticeStream) -> None:
    """Send structlog's events to `stream`; with `quiet`, only what needs somebody to act."""
    is_for_people = style == "people"
    render = _renderer(style, colour=colour)
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


def _renderer(style: Style, *, colour: bool) -> structlog.typing.Processor:
    match style:
        case "people":
            return _Human(colour=colour)
        case "json":
            to_json = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
            return lambda *event: visible_json_text(_text(to_json(*event)))
        case "logfmt":
            to_logfmt = structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event", "target"], drop_missing=True
            )
            return lambda *event: visible(to_logfmt(*event))
        case _:
            assert_never(style)


def _text(rendered: str | bytes) -> str:
    assert isinstance(rendered, str), "json.dumps gives text"
    return rendered


class _Human:
    """One line: `14:03:10 deployment/d1: following`."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: Any, _method: str, fields: _Fields) -> str:
        event, level = fields["event"], fields["level"]
        sentence = _SENTENCES.get(event)
        text = sentence(fields) if sentence is not None else _plain(fields)
        target = f"{fields['target']}: " if "target" in fields else ""
        line = visible(f"{fields['timestamp']} {target}{text}")
        return f"\x1b[{_COLOURS[level]}m{line}\x1b[0m" if self._colour else line


def _plain(fields: _Fields) -> str:
    rest = [
        f"{name}={value}"
        for name, value in fields.items()
        if name not in {"event", "level", "timestamp", "target"}
    ]
    return " ".join([str(fields["event"]).replace("_", " "), *rest])
