"""Decode response bodies into values, keeping unknown fields. Pure.

Law: a body is decoded completely or rejected as damaged; a page never silently lacks an
entry. Each decoder raises TransientApiError for a damaged body: the request is retried.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tailer.errors import TransientApiError
from tailer.model import Entry, ExtendedEntry, Kind, Status, Target, Text, Workload

_MAX_TEXT_CHARACTERS = 120  # of a gateway's text: enough to identify it


class _Result(msgspec.Struct):
    result: list[Entry] | None = None


class _Page(msgspec.Struct):
    data: _Result | UnsetType | None = UNSET
    error: Raw | UnsetType = UNSET


class _ExtendedResult(msgspec.Struct):
    result: list[dict[str, Raw]]


class _ExtendedPage(msgspec.Struct):
    data: _ExtendedResult
    error: Raw | UnsetType = UNSET


_strict = msgspec.json.Decoder(_Page)
_general = msgspec.json.Decoder(_ExtendedPage)
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|.)",
    re.DOTALL,
)


def decode_page(body: bytes) -> list[Entry]:
    r"""The entries of a response to logs, in the order received.

    `data` and `result` are optional in the vendor's schema, so an object without them, or
    with null, is an empty page. An object with other fields instead is damaged.

    Half a surrogate pair (`\ud800`), which is no valid text, always becomes U+FFFD, so a line
    that is read twice is the same line.
    """
    try:
        return _decode_page(body)
    except msgspec.ValidationError as error:
        raise damaged(body, "not the JSON of a page of logs") from error
    except msgspec.DecodeError as error:
        repaired = _without_half_pairs(body)
        if repaired == body:
            raise damaged(body, "not JSON, or cut short") from error
    except UnicodeDecodeError as error:
        raise damaged(body, "not UTF-8") from error
    except RecursionError as error:
        raise damaged(body, "nested too deeply") from error
    return decode_page(repaired)


def _decode_page(body: bytes) -> list[Entry]:
    try:
        page = _strict.decode(body)
    except msgspec.ValidationError:
        body.decode()  # raw parts are not validated yet
        raw_page = _general.decode(body)
        _check_no_error(raw_page.error, body)
        return [_extended_entry(fields) for fields in raw_page.data.result]
    _check_no_error(page.error, body)
    if isinstance(page.data, _Result) and page.data.result is not None:
        return page.data.result
    whole = _object(body)
    inner = whole.pop("data", None) or {}
    if whole.keys() - {"error"} or inner.keys() - {"result"}:
        raise damaged(body, "it has no log entries but something else")
    return []


def _check_no_error(error: Raw | UnsetType, body: bytes) -> None:
    if not isinstance(error, UnsetType) and bytes(error) != b"null":
        raise damaged(body, "an error instead of a page")


def _extended_entry(fields: Mapping[str, Raw]) -> Entry:
    entry_fields: dict[str, Text] = {}
    unknown: list[bytes] = []
    for name, raw in fields.items():
        if name in Entry.__struct_fields__:
            entry_fields[name] = _as_text(bytes(raw))
        else:
            compact = msgspec.json.format(bytes(raw), indent=-1)  # keeps numbers as written
            unknown.append(_encoder.encode(name) + b":" + compact)
    if unknown:
        return ExtendedEntry(**entry_fields, extra=Raw(b"{" + b",".join(unknown) + b"}"))
    return Entry(**entry_fields)


def _as_text(raw: bytes) -> str | None:
    """A number or an object in a text field becomes its JSON."""
    if raw == b"null":
        return None
    if raw.startswith(b'"'):
        return _text.decode(raw)
    return msgspec.json.format(raw, indent=-1).decode()


def _without_half_pairs(body: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], body)


def decode_workload(body: bytes, *, resource_group: str, kind: Kind) -> Workload:
    return _workload(_object(body), body, resource_group=resource_group, kind=kind)


def decode_workloads(
    body: bytes, *, resource_group: str, kind: Kind
) -> tuple[list[Workload], int | None]:
    """One page of a list, and the total count if the service gives it."""
    resources, count = decode_resources(body)
    workloads = [
        _workload(resource, body, resource_group=resource_group, kind=kind)
        for resource in resources
    ]
    return workloads, count


def decode_resources(body: bytes) -> tuple[list[dict[str, Any]], int | None]:
    """The objects of one page of any list, and the total count if the service gives it."""
    whole = _object(body)
    resources = whole.get("resources")
    if not isinstance(resources, list) or not all(isinstance(each, dict) for each in resources):
        raise damaged(body, "not the JSON of a list")
    count = whole.get("count")
    return resources, count if isinstance(count, int) else None


def decode_count(body: bytes) -> int:
    """A response to `$count`, which is a bare number."""
    digits = body.strip()
    if not digits.isdigit() or len(digits) > 18:  # noqa: PLR2004 - what fits 64 bits
        raise damaged(body, "not a number")
    return int(digits)


def _workload(
    fields: Mapping[str, Any], body: bytes, *, resource_group: str, kind: Kind
) -> Workload:
    if not _str(fields, "id"):
        raise damaged(body, f"{kind} without an id")
    status = _str(fields, "status").upper()
    return Workload(
        target=Target(resource_group, kind, _str(fields, "id")),
        status=Status(status) if status in Status.__members__ else Status.UNKNOWN,
        status_message=_str(fields, "statusMessage"),
        scenario_id=_str(fields, "scenarioId"),
        executable_id=_str(fields, "executableId"),
        configuration_id=_str(fields, "configurationId"),
        configuration_name=_str(fields, "configurationName"),
        created_at=_str(fields, "createdAt"),
        modified_at=_str(fields, "modifiedAt"),
        start_time=_str(fields, "startTime"),
        completion_time=_str(fields, "completionTime"),
        status_details=fields.get("statusDetails"),
    )


def _str(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        whole = json.loads(_without_half_pairs(body).decode())
    except (ValueError, RecursionError) as error:
        raise damaged(body, "not JSON, or cut short") from error
    if not isinstance(whole, dict):
        raise damaged(body, f"a {type(whole).__name__}, not an object")
    return whole


def damaged(body: bytes, problem: str) -> TransientApiError:
    """For an invalid body with status 200. Quotes a gateway's text, but no JSON: it may be logs."""
    hint = "is the API address right?" if body.lstrip()[:1] == b"<" else ""
    is_json = body.lstrip()[:1] in {b"{", b"[", b'"', b""}
    text = f"{len(body)} bytes" if is_json else printable_text(body)
    return TransientApiError(f"damaged response: {problem} ({text})", hint=hint, status=200)


def printable_text(body: bytes) -> str:
    """The first 120 characters of a gateway's text in one line, without tokens and HTML."""
    text = body[: 4 * _MAX_TEXT_CHARACTERS].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return "an HTML page"
    text = _TOKEN.sub("***", text)
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= _MAX_TEXT_CHARACTERS else f"{text[:_MAX_TEXT_CHARACTERS]}…"


_TOKEN = re.compile(r"eyJ[\w=.-]+|(?i:bearer)\s+\S+")
