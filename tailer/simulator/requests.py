"""What a request asks for, read as the service reads it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tailer.model import DEFAULT_TOP, MAX_TOP, Order, Status
from tailer.simulator.responses import bad_request
from tailer.timestamp import NS_PER_S, parse_ns

DEFAULT_LIST_TOP: Final = 10_000  # AI_CORE_API.yaml, `$top` of the lists
MAX_LIST_TOP: Final = 100_000
_DIGITS: Final = 12  # more are a joke
_DEFAULT_RANGE_NS: Final = 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its transport. `body` is the form of a token request."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, str]
    has_certificate: bool = False

    def wish(self, name: str) -> str | None:
        """The parameter `$name`, or `name` as the Python SDK writes it."""
        return self.query.get(f"${name}", self.query.get(name))


@dataclass(frozen=True, slots=True)
class LogQuery:
    start_ns: int
    end_ns: int
    top: int
    order: Order


@dataclass(frozen=True, slots=True)
class ListQuery:
    """None means: not filtered by this."""

    ids: frozenset[str] | None
    configuration_id: str | None
    scenario_id: str | None
    status: Status | None
    top: int
    skip: int
    only_status: bool


def parse_log_query(question: Request, *, now_ns: int) -> LogQuery:
    order = question.wish("order") or Order.ASC.value
    if order not in list(Order):
        raise bad_request(f"$order must be asc or desc, not {order!r}", path=question.path)
    return LogQuery(
        start_ns=_time(question, "start", default_ns=now_ns - _DEFAULT_RANGE_NS),
        end_ns=_time(question, "end", default_ns=now_ns),
        top=_number(question, "top", default=DEFAULT_TOP, least=1, most=MAX_TOP),
        order=Order(order),
    )


def parse_list_query(question: Request) -> ListQuery:
    ids = question.query.get("executableIds")
    status = question.query.get("status")
    if status is not None and status not in list(Status):
        raise bad_request(f"no such status: {status!r}", path=question.path)
    return ListQuery(
        ids=None if ids is None else frozenset(ids.split(",")),
        configuration_id=question.query.get("configurationId"),
        scenario_id=question.query.get("scenarioId"),
        status=None if status is None else Status(status),
        top=_number(question, "top", default=DEFAULT_LIST_TOP, least=1, most=MAX_LIST_TOP),
        skip=_number(question, "skip", default=0, least=0, most=2**31),
        only_status=only_status(question),
    )


def only_status(question: Request) -> bool:
    selected = question.wish("select")
    if selected not in {None, "status"}:
        raise bad_request(f"$select can be status only, not {selected!r}", path=question.path)
    return selected is not None


def _time(question: Request, name: str, *, default_ns: int) -> int:
    text = question.query.get(name)
    if text is None:
        return default_ns
    try:
        return parse_ns(text)
    except ValueError as error:
        raise bad_request(f"{name}: {error}", path=question.path) from error


def _number(question: Request, name: str, *, default: int, least: int, most: int) -> int:
    text = question.wish(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else -1
    if not least <= number <= most:
        message = f"${name} must be {least}..{most}, not {text!r}"
        raise bad_request(message, path=question.path)
    return number
