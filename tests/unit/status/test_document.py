"""The /status document: documented, bounded in size, and without secrets."""

import re
from pathlib import Path

import msgspec
from support.fakes import TARGET

from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.model import Kind, Target
from tailer.status.document import (
    PHASES,
    Document,
    ListingStatus,
    RequestsStatus,
    SinkStatus,
    SpoolStatus,
    TargetStatus,
    build_document,
)
from tailer.timestamp import NS_PER_S

MANUAL = (Path(__file__).parents[3] / "docs/status.md").read_text(encoding="utf-8")
SCHEMA = MANUAL.partition("## `/status`")[2].partition("\n## ")[0]
STRUCTS = (Document, TargetStatus, SinkStatus, SpoolStatus, ListingStatus, RequestsStatus)


def document(health: Health, *, now_s: float = 100.0) -> Document:
    return build_document(health, now_s=now_s, wall_ns=100 * NS_PER_S, started_ns=0)


def test_the_manual_names_every_field_and_every_phase() -> None:
    named = set(re.findall(r"`(\w+)`", SCHEMA))
    fields = {field.name for struct in STRUCTS for field in msgspec.structs.fields(struct)}

    assert (fields | set(PHASES)) - named == set()


def test_failing_targets_are_listed_first_up_to_a_thousand() -> None:
    health = Health()
    for number in range(1500):
        health.of(Target("g", Kind.EXECUTION, f"e{number}")).enter(Phase.ENDED, now_s=0)
    health.of(TARGET).fail(now_s=0, retry_in_s=1, reason="503")

    seen = document(health)
    assert seen.targets[0].target == TARGET.name
    assert (len(seen.targets), seen.targets_left_out) == (1000, 501)


def test_a_name_that_does_not_resolve_is_a_failed_target() -> None:
    health = Health()
    named = health.named("d404", "default")
    before = document(health).targets[0]
    named.reason, named.next_try_s = "no such target", 130.0

    after = document(health).targets[0]
    assert (before.target, before.phase) == ("d404", "starting")
    assert (after.phase, after.reason, after.next_try_in_s) == ("failed", "no such target", 30.0)


def test_a_target_is_catching_up_when_pauses_do_not_explain_how_far_it_is_behind() -> None:
    health = Health(service_ns=1000 * NS_PER_S)
    one = health.of(TARGET)
    one.enter(Phase.FOLLOWING, now_s=0)
    one.pause_s = 15.0
    phases = []
    for covered_s in (900, 990):
        one.covered_ns = covered_s * NS_PER_S
        phases.append(document(health).targets[0].phase)

    assert phases == ["catching_up", "following"]


def test_secrets_are_removed_from_addresses_and_other_text_stays() -> None:
    health = Health()
    reported = "https://me:pw@x.example/a?token=1 refused (is it running there?) by relp://x:1"
    health.of(TARGET).fail(now_s=0, retry_in_s=1, reason=reported)

    reason = document(health).targets[0].reason
    assert reason == "https://x.example/a refused (is it running there?) by relp://x:1"


def test_it_can_be_read_back() -> None:
    health = Health()
    health.of(TARGET).fail(now_s=0, retry_in_s=1, reason="503")
    health.of_sink("file").fail("full", now_s=0, retry_in_s=1)
    seen = document(health)

    assert msgspec.json.decode(msgspec.json.encode(seen), type=Document) == seen
