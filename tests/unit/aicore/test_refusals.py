import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.aicore.error_responses import error_from_response, retry_after_s
from tailer.errors import ApiError, NotFoundError, PermanentApiError, TransientApiError

NOW_NS = 1_700_000_000 * 10**9  # Tue, 14 Nov 2023 22:13:20 GMT


def refused(status: int, body: str = "", **headers: str) -> ApiError:
    return error_from_response(
        status, headers, body.encode(), subject="deployment/d1", wall_ns=NOW_NS
    )


@pytest.mark.parametrize("status", [201, 204, 206, 401, 408, 425, 429, 500, 502, 503, 504, 599])
def test_a_transient_status_is_retried(status: int) -> None:
    assert type(refused(status)) is TransientApiError


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 400, 403, 405, 410, 413, 499])
def test_a_permanent_status_is_not_retried(status: int) -> None:
    error = refused(status)

    assert type(error) is PermanentApiError
    assert error.status == status


def test_a_404_is_left_to_the_caller() -> None:
    assert type(refused(404)) is NotFoundError


def test_a_redirect_is_a_wrong_address() -> None:
    assert "the API address is wrong" in refused(302, Location="https://elsewhere").hint


def test_the_services_message_is_quoted() -> None:
    body = {
        "error": {"code": "01010076", "message": "bad start", "requestId": "r-7", "details": {}}
    }

    message = str(refused(400, json.dumps(body)))

    assert message == "deployment/d1: 400 Bad Request [01010076]: bad start (request r-7)"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"request_id": "r1", "message": "too large"}', ": too large (request r1)"),
        ('{"error": {"code": "1", "message": "m", "requestID": "r2"}}', " [1]: m (request r2)"),
        ('{"error": "unauthorized", "error_description": "Bad credentials"}', ": Bad credentials"),
        ('{"error": {"message": {"a": 1}}}', ": {'a': 1}"),
        ("RBAC: access denied", ": RBAC: access denied"),
        ("<html>sorry</html>", ": an HTML page"),
        ("[1]", ": [1]"),
        ("", ""),
    ],
)
def test_every_known_shape_of_an_error_is_read(body: str, words: str) -> None:
    assert str(refused(500, body)) == f"deployment/d1: 500 Internal Server Error{words}"


def test_a_403_names_the_remedy() -> None:
    assert "AI-Resource-Group" in refused(403, "RBAC: access denied").hint


@given(st.integers(200, 599), st.text(), st.text(), st.text())
def test_no_response_body_breaks_the_error_message(
    status: int, body: str, wish: str, date: str
) -> None:
    headers = {"Retry-After": wish, "Date": date}

    error = error_from_response(
        status, headers, body.encode("utf-8", "replace"), subject="s", wall_ns=NOW_NS
    )

    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("wish", "date", "expected_s"),
    [
        ("7", "", 7.0),
        (" 0 ", "", 0.0),
        ("1.5", "", 1.5),
        ("Tue, 14 Nov 2023 22:14:20 GMT", "Tue, 14 Nov 2023 22:14:00 GMT", 20.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", "", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", "yesterday", 60.0),
        ("Tue, 14 Nov 2023 22:10:00 GMT", "", 0.0),
        ("-5", "", None),
        ("soon", "", None),
        ("", "", None),
        ("1e9", "", None),
        ("9" * 400, "", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_of_the_services_clock(
    wish: str, date: str, expected_s: float | None
) -> None:
    headers = {"Retry-After": wish, "Date": date}

    assert retry_after_s(headers, wall_ns=NOW_NS) == expected_s
