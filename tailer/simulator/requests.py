"""Parse requests as the service does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tailer.model import DEFAULT_TOP, MAX_TOP, Order, Status
from tailer.simulator.responses import bad_request
from tailer.timestamp import NS_PER_S, parse_ns

DEFAULT_LIST_TOP: Final = 10_000  # AI_CORE_API.yaml, `$top` of the lists
MAX_LIST_TOP: Final = 100_000
_MAX_SKIP: Final = 2**31
_MAX_DIGITS: Final = 12  # bounds the time to parse a number
_DEFAULT_RANGE_NS: Final = 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its transport.

    `id` is the last part of the path of one workload. `body` has the text fields of a form
    or of a JSON object.
    """

    path: str
    id: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, str]
    has_certificate: bool = False

    def option(self, name: str) -> str | None:
        """The query option `$name`, or `name` as the Python SDK writes it."""
        return self.query.get(f"${name}", self.query.get(name))


@dataclass(frozen=True, slots=True)
class LogQuery:
    start_ns: int
    end_ns: int
    top: int
    order: Order


@dataclass(frozen=True, slots=True)
class ListQuery:
    """None as a filter matches everything."""

    ids: frozenset[str] | None
    configuration_id: str | None
    scenario_id: str | None
    status: Status | None
    top: int
    skip: int
    only_status: bool


def parse_log_query(request: Request, *, now_ns: int) -> LogQuery:
    order = request.option("order") or Order.ASC.value
    if order not in list(Order):
        raise bad_request(f"$order must be asc or desc, not {order!r}", path=request.path)
    return LogQuery(
        start_ns=_time(request, "start", default_ns=now_ns - _DEFAULT_RANGE_NS),
        end_ns=_time(request, "end", default_ns=now_ns),
        top=_number(request, "top", default=DEFAULT_TOP, min_=1, max_=MAX_TOP),
        order=Order(order),
    )


def parse_list_query(request: Request) -> ListQuery:
    ids = request.query.get("executableIds")
    status = request.query.get("status")
    if status is not None and status not in list(Status):
        raise bad_request(f"no such status: {status!r}", path=request.path)
    return ListQuery(
        ids=None if ids is None else frozenset(ids.split(",")),
        configuration_id=request.query.get("configurationId"),
        scenario_id=request.query.get("scenarioId"),
        status=None if status is None else Status(status),
        top=_number(request, "top", default=DEFAULT_LIST_TOP, min_=1, max_=MAX_LIST_TOP),
        skip=_number(request, "skip", default=0, min_=0, max_=_MAX_SKIP),
        only_status=selects_status(request),
    )


def selects_status(request: Request) -> bool:
    selected = request.option("select")
    if selected not in {None, "status"}:
        raise bad_request(f"$select can be status only, not {selected!r}", path=request.path)
    return selected is not None


def _time(request: Request, name: str, *, default_ns: int) -> int:
    text = request.query.get(name)
    try:
        return default_ns if text is None else parse_ns(text)
    except ValueError as error:
        raise bad_request(f"{name}: {error}", path=request.path) from error


def _number(request: Request, name: str, *, default: int, min_: int, max_: int) -> int:
    text = request.option(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
    if not min_ <= number <= max_:
        message = f"${name} must be {min_}..{max_}, not {text!r}"
        raise bad_request(message, path=request.path)
    return number
