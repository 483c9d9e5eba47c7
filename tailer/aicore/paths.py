"""Request paths below `/v2` with their query strings, quoted. Pure.

Parameter names have a raw `$`, as documented and as the vendor's JavaScript client sends
them; times are in the `Z` form.
"""

from urllib.parse import parse_qs, quote, urlsplit

from tailer.model import Kind, ListFilter, Order, Target
from tailer.timestamp import format_ns

LIST_TOP = 1000  # about 1 MB a response; the service's own default is 10000

RESOURCE_GROUPS = "/admin/resourceGroups"


def logs(target: Target, *, start_ns: int, end_ns: int, order: Order, top: int) -> str:
    window = f"start={format_ns(start_ns)}&end={format_ns(end_ns)}"
    return f"{workload(target)}/logs?$top={top}&{window}&$order={order}"


def workload(target: Target, *, only_status: bool = False) -> str:
    path = f"/lm/{target.kind}s/{quote(target.id, safe='')}"
    return f"{path}?$select=status" if only_status else path


def workloads(kind: Kind, filter_by: ListFilter, *, skip: int) -> str:
    return f"/lm/{kind}s?" + "&".join([f"$top={LIST_TOP}", f"$skip={skip}", *_filters(filter_by)])


def count(kind: Kind, filter_by: ListFilter) -> str:
    filters = _filters(filter_by)
    query = "?" + "&".join(filters) if filters else ""
    return f"/lm/{kind}s/$count{query}"


def _filters(filter_by: ListFilter) -> list[str]:
    parameters = {
        "scenarioId": filter_by.scenario_id,
        "executableIds": ",".join(filter_by.executable_ids),  # AI_CORE_API.yaml: explode false
        "status": filter_by.status,
    }
    return [f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value]


def more_resource_groups(link: str, *, seen: int, total: int | None) -> str | None:
    """Path of the next page after a response with the header `link`, or None at the end.

    Uses only the token of the link: no request goes to an address from a response.
    """
    for part in link.split(","):
        address = part.partition("<")[2].partition(">")[0]
        token = parse_qs(urlsplit(address).query).get("continueToken") if address else None
        if token:
            return f"{RESOURCE_GROUPS}?continueToken={quote(token[0], safe='')}"
    if total is not None and seen < total:
        return f"{RESOURCE_GROUPS}?$skip={seen}"
    return None
