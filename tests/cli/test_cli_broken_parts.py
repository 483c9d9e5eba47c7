"""Status reports of failures, a short form of `make breakage`."""

import pytest
from stress.break_each_part import BREAKAGES, play


def test_rejected_credentials_are_reported_for_every_target() -> None:
    (reported,) = play(BREAKAGES["token"], until_mended=False)

    rejected = [
        line
        for line in reported.status
        if line.startswith("deployment/") and "401 Unauthorized: Bad credentials" in line
    ]
    code, lines = reported.check
    assert reported.status[0].startswith("degraded (3 targets failed")
    assert len(rejected) == 3
    assert (code, lines[0].startswith("FAIL token no token for the client id")) == (3, True)


@pytest.mark.long
def test_a_syslog_server_that_is_down_is_reported_until_it_returns() -> None:
    away, back = play(BREAKAGES["sink-down"])

    code, lines = away.check
    assert away.healthz == away.readyz == (200, [])
    assert away.status[0] == "degraded (sink syslog backing off)"
    assert "relp://logs:2514: connection refused" in away.status[1]
    assert (code, [line.split(":")[0] for line in lines]) == (5, ["FAIL sink syslog relp"])
    assert (back.status, back.check) == (["healthy"], (0, []))


@pytest.mark.long
def test_a_target_with_404_is_not_reported_as_being_without_logs() -> None:
    (reported,) = play(BREAKAGES["target-404-at-first"], until_mended=False)

    assert "the service answers 404 for this target" in reported.status[1]
    assert reported.check[0] == 4
