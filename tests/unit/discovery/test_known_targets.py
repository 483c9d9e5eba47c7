"""Which listed workloads are new, lost or finished: none missed, none followed twice."""

from dataclasses import dataclass, replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tailer.discovery.known_targets import Changes, KnownTargets
from tailer.discovery.selector import Selector
from tailer.model import Kind, Status, Target, Workload
from tailer.spool.targets import Listing, TargetRegistry
from tailer.timestamp import NS_PER_S, format_ns

GROUP, KIND = "team-a", Kind.EXECUTION
BACKFILL_S = 600
LATENESS_S = 60
LAG_S = 55  # of a list behind the truth
BEGAN_S = 1_700_000_000
PATHS = [
    (Status.UNKNOWN, Status.PENDING, Status.RUNNING, Status.COMPLETED),
    (Status.PENDING, Status.RUNNING, Status.DEAD),
    (Status.RUNNING, Status.STOPPING, Status.STOPPED),
]
WISHES = [(), (Status.RUNNING,), (Status.PENDING, Status.RUNNING), (Status.COMPLETED, Status.DEAD)]


def known_targets(*statuses: Status, backfill_s: int = BACKFILL_S) -> KnownTargets:
    wanted = Selector(resource_groups=(GROUP,), kinds=(KIND,), statuses=statuses)
    backfill_ns, lateness_ns = backfill_s * NS_PER_S, LATENESS_S * NS_PER_S
    return KnownTargets(
        resource_group=GROUP,
        kind=KIND,
        selectors=[wanted],
        backfill_ns=backfill_ns,
        lateness_ns=lateness_ns,
    )


def time(at_s: int) -> str:
    return format_ns(at_s * NS_PER_S)


def workload(
    status: Status = Status.RUNNING,
    *,
    created_s: int,
    changed_s: int | None = None,
    id_: str = "e1",
) -> Workload:
    changed_s = created_s if changed_s is None else changed_s
    return Workload(
        Target(GROUP, KIND, id_),
        status,
        created_at=time(created_s),
        modified_at=time(changed_s),
        completion_time=time(changed_s) if status.is_terminal else "",
    )


class Listings:
    """A roster that looks again and again; `found` in seconds before the look that found it."""

    def __init__(self, *statuses: Status, backfill_s: int = BACKFILL_S) -> None:
        self.statuses, self.backfill_s = statuses, backfill_s
        self.memory = TargetRegistry()  # it survives a restart
        self.watched_since_s: int | None = None
        self.restart()

    def restart(self) -> None:
        self.watched_since_s = None
        self.known_targets = known_targets(*self.statuses, backfill_s=self.backfill_s)

    def be_denied(self, at_s: int) -> None:
        self.watched_since_s = at_s

    def compare(self, at_s: int, *listed: Workload) -> Changes:
        if self.watched_since_s is None:
            self.watched_since_s = at_s
        return self.known_targets.compare(
            listed,
            self.memory,
            now_ns=at_s * NS_PER_S,
            watched_since_ns=self.watched_since_s * NS_PER_S,
        )

    def store(self, changes: Changes, at_s: int) -> None:
        for target in changes.lost:
            self.memory.retire(target)
        self.memory.record_listing(
            Listing(GROUP, KIND, at_s * NS_PER_S, changes.found, changes.forgettable)
        )

    def at(self, at_s: int, *listed: Workload) -> dict[str, int]:
        changes = self.compare(at_s, *listed)
        self.store(changes, at_s)
        return {
            target.id: start_ns // NS_PER_S - at_s for target, start_ns in changes.found.items()
        }


T = BEGAN_S


def test_at_first_listing_targets_are_read_from_creation_or_backfill() -> None:
    young, old = workload(created_s=T - 100), workload(created_s=T - 9999, id_="e2")

    assert Listings().at(T, young, old) == {"e1": -105, "e2": -BACKFILL_S}


def test_a_target_that_ended_before_the_backfill_is_ignored() -> None:
    long_ago = workload(Status.DEAD, created_s=T - 9999, changed_s=T - BACKFILL_S - LATENESS_S - 1)
    lately = replace(long_ago, target=replace(long_ago.target, id="e2"), completion_time=time(T))

    assert Listings().at(T, long_ago, lately) == {"e2": -BACKFILL_S}


def test_without_an_end_time_the_modification_time_is_the_end() -> None:
    long_ago = workload(Status.DEAD, created_s=T - 9999, changed_s=T - 9000)

    assert Listings().at(T, replace(long_ago, completion_time="")) == {}


def test_a_target_that_lived_between_two_listings_is_read_from_creation() -> None:
    listings = Listings(Status.RUNNING, backfill_s=0)
    listings.at(T)

    assert listings.at(T + 10, workload(Status.COMPLETED, created_s=T + 2, changed_s=T + 5)) == {
        "e1": -13
    }


def test_a_target_that_lived_during_a_downtime_of_a_day_is_read_from_creation() -> None:
    listings = Listings(Status.RUNNING)
    listings.at(T)
    listings.restart()
    now_s = T + 86_400

    assert listings.at(now_s, workload(Status.DEAD, created_s=T + 9, changed_s=T + 20)) == {
        "e1": T + 4 - now_s
    }


def test_a_target_that_lived_before_the_first_permitted_listing_is_read() -> None:
    listings = Listings(Status.RUNNING, backfill_s=0)
    listings.be_denied(T)

    assert listings.at(T + 900, workload(Status.DEAD, created_s=T + 9, changed_s=T + 20)) == {
        "e1": 4 - 900
    }


def test_a_target_is_found_when_it_begins_to_match() -> None:
    listings = Listings(Status.RUNNING)
    before = listings.at(T, workload(Status.PENDING, created_s=T - 50))

    assert before == {}
    assert listings.at(T + 10, workload(created_s=T - 50, changed_s=T + 9)) == {"e1": -65}


def test_a_target_pending_in_the_last_listing_is_found_if_it_ran_since() -> None:
    listings = Listings(Status.RUNNING, backfill_s=0)
    listings.at(T, workload(Status.PENDING, created_s=T - 9999))

    assert listings.at(T + 10, workload(Status.DEAD, created_s=T - 9999, changed_s=T + 9)) == {
        "e1": -70
    }


def test_a_target_pending_before_a_restart_is_found_if_it_ran_since() -> None:
    listings = Listings(Status.RUNNING)
    listings.at(T, workload(Status.PENDING, created_s=T - 9999))
    listings.restart()

    assert listings.at(T + 10, workload(Status.DEAD, created_s=T - 9999, changed_s=T + 9)) == {
        "e1": -BACKFILL_S
    }


def test_a_target_that_ended_before_the_first_listing_is_not_found() -> None:
    listings = Listings(Status.RUNNING)
    dead = workload(Status.DEAD, created_s=T - 500, changed_s=T - 200)
    listings.at(T, dead)
    listings.restart()

    assert listings.at(T + 10, dead) == {}


def test_without_a_creation_time_a_new_target_is_found() -> None:
    listings = Listings(Status.RUNNING, backfill_s=0)
    listings.at(T)
    timeless = Workload(Target(GROUP, KIND, "e1"), Status.COMPLETED)

    assert listings.at(T + 10, timeless) == {"e1": -75}


def test_a_restart_finds_followed_targets_until_they_are_retired() -> None:
    listings = Listings(Status.RUNNING)
    ended = workload(Status.DEAD, created_s=T - 100, changed_s=T + 5)
    listings.at(T, workload(created_s=T - 100))
    listings.restart()
    again = listings.at(T + 10, ended)
    listings.memory.retire(ended.target)
    listings.restart()

    assert list(again) == ["e1"]
    assert listings.at(T + 20, ended) == {}


def test_a_retired_target_is_forgotten_after_a_long_absence_from_listings() -> None:
    listings = Listings()
    ended = workload(Status.DEAD, created_s=T - 100, changed_s=T)
    listings.at(T, ended)
    listings.memory.retire(ended.target)
    listings.at(T + 10)
    listings.at(T + 3000)
    listings.at(T + 3010, ended)
    listings.at(T + 3020)
    listings.at(T + 3020 + 3600)
    kept = set(listings.memory.retired(GROUP, KIND))
    listings.at(T + 3020 + 3700)

    assert kept == {ended.target}
    assert set(listings.memory.retired(GROUP, KIND)) == set()
    assert listings.at(T + 3020 + 3710, ended) == {}


def test_a_retired_target_is_found_again_after_several_active_listings() -> None:
    listings = Listings()
    alive = workload(created_s=T - 100)
    listings.at(T, alive)
    listings.memory.retire(alive.target)
    behind_the_truth = [listings.at(T + 10, alive), listings.at(T + 69, alive)]
    listings.restart()
    too_soon = listings.at(T + 100, alive)
    found = listings.at(T + 160, alive)

    assert [*behind_the_truth, too_soon] == [{}, {}, {}]
    assert list(found) == ["e1"]
    assert listings.at(T + 300, alive) == {}


def test_a_retired_target_listed_as_ended_in_between_is_not_found_again() -> None:
    listings = Listings()
    alive, ended = (workload(status, created_s=T - 100) for status in (Status.RUNNING, Status.DEAD))
    listings.at(T, alive)
    listings.memory.retire(alive.target)

    assert [
        listings.at(T + at_s, one) for at_s, one in ((10, alive), (60, ended), (80, alive))
    ] == [
        {},
        {},
        {},
    ]


def left_behind(*more: Workload) -> Listings:
    listings = Listings()
    listings.at(T, workload(created_s=T - 100), *more)
    listings.restart()
    return listings


def lost(listings: Listings, at_s: int, *listed: Workload) -> dict[str, int]:
    changes = listings.compare(at_s, *listed)
    listings.store(changes, at_s)
    return {target.id: read_ns // NS_PER_S for target, read_ns in changes.lost.items()}


def test_a_target_deleted_during_a_downtime_is_lost_after_several_listings() -> None:
    listings = left_behind()

    assert [lost(listings, T + at_s) for at_s in (1000, 1059, 1061, 1200)] == [
        {},
        {},
        {"e1": T - 105},
        {},
    ]


def test_two_listings_are_not_enough_to_report_a_loss() -> None:
    listings = left_behind()

    assert [lost(listings, T + at_s) for at_s in (1000, 5000)] == [{}, {}]


def test_a_target_that_is_listed_again_is_not_lost() -> None:
    listings = left_behind()
    listed = workload(created_s=T - 100)

    assert [lost(listings, T + 1000), lost(listings, T + 1030, listed)] == [{}, {}]
    assert [lost(listings, T + at_s) for at_s in (1061, 1100, 1200)] == [{}, {}, {}]


def test_a_finished_target_is_not_lost_when_it_is_deleted() -> None:
    listings = left_behind()
    listings.memory.retire(Target(GROUP, KIND, "e1"))

    assert [lost(listings, T + at_s) for at_s in (1000, 1030, 1061)] == [{}, {}, {}]


def test_a_target_that_finishes_meanwhile_is_not_lost() -> None:
    listings = left_behind()
    before = [lost(listings, T + at_s) for at_s in (1000, 1030)]
    listings.memory.retire(Target(GROUP, KIND, "e1"))

    assert [*before, lost(listings, T + 1061)] == [{}, {}, {}]


def test_the_scanner_does_not_report_losses_of_targets_that_it_found() -> None:
    listings = Listings()
    listings.at(T, workload(created_s=T - 100))

    assert [lost(listings, T + at_s) for at_s in (10, 50, 100)] == [{}, {}, {}]


def test_full_listings_are_needed_only_while_old_targets_are_missing() -> None:
    listings = left_behind(workload(created_s=T - 100, id_="e2"))
    needs_all = [listings.known_targets.needs_all]
    for at_s in (1000, 1030, 1061):
        lost(listings, T + at_s, workload(created_s=T - 100, id_="e2"))
        needs_all.append(listings.known_targets.needs_all)

    assert needs_all == [True, True, True, False]


@pytest.mark.parametrize("text", ["", "yesterday"])
def test_an_unreadable_time_does_not_lose_a_target(text: str) -> None:
    odd = replace(workload(created_s=T), created_at=text, modified_at=text)

    assert Listings().at(T, odd) == {"e1": -BACKFILL_S}


@dataclass
class Life:
    path: tuple[Status, ...]
    created_s: int
    changed_s: int
    step: int = 0
    wanted_s: int | None = None  # when it was first in a status that is wanted
    is_deleted: bool = False

    @property
    def status(self) -> Status:
        return self.path[self.step]


class ListingsWithCrashes(RuleBasedStateMachine):
    """Everything that is meant at some time while it is watched is found, and once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = BEGAN_S
        self.lives: dict[str, Life] = {}
        self.found: set[str] = set()  # by this process
        self.ever_found: dict[str, int] = {}

    @initialize(statuses=st.sampled_from(WISHES), backfill_s=st.sampled_from([0, BACKFILL_S]))
    def begin(self, statuses: tuple[Status, ...], backfill_s: int) -> None:
        self.listings = Listings(*statuses, backfill_s=backfill_s)
        self.listings.at(self.now_s)

    @rule(path=st.sampled_from(PATHS))
    def one_is_created(self, path: tuple[Status, ...]) -> None:
        self.lives[f"e{len(self.lives)}"] = Life(path, self.now_s, self.now_s)
        self._notice()

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), steps=st.integers(1, 3), seconds=st.sampled_from([0, 1, 20]))
    def one_advances(self, data: st.DataObject, steps: int, seconds: int) -> None:
        life = self.lives[data.draw(st.sampled_from(sorted(self.lives)))]
        for _ in range(steps):
            if life.step + 1 < len(life.path):
                self.now_s += seconds
                life.step += 1
                life.changed_s = self.now_s
                self._notice()

    def _notice(self) -> None:
        for life in self.lives.values():
            is_wanted = not self.listings.statuses or life.status in self.listings.statuses
            if is_wanted and life.wanted_s is None:
                life.wanted_s = self.now_s

    @rule(path=st.sampled_from(PATHS), seconds=st.sampled_from([0, 1, 20]))
    def one_is_created_and_ends(self, path: tuple[Status, ...], seconds: int) -> None:
        life = Life(path, self.now_s, self.now_s)
        self.lives[f"e{len(self.lives)}"] = life
        self._notice()
        while life.step + 1 < len(path):
            self.now_s += seconds
            life.step += 1
            life.changed_s = self.now_s
            self._notice()

    @rule(seconds=st.sampled_from([1, 3, 20, 50, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def at(self) -> None:
        self._compare(self._listed())

        missed = [
            id_
            for id_, life in self.lives.items()
            if life.wanted_s is not None and not life.is_deleted and id_ not in self.ever_found
        ]
        assert missed == []

    @rule()
    def a_list_lacks_what_is_new(self) -> None:
        self._compare(
            [
                listed
                for listed in self._listed()
                if self.lives[listed.target.id].created_s < self.now_s - LAG_S
            ]
        )

    @rule()
    def crash_and_restart(self) -> None:
        self.listings.restart()
        self.found = set()

    @rule()
    def a_crash_before_the_listing_is_stored(self) -> None:
        self.listings.compare(self.now_s, *self._listed())
        self.crash_and_restart()

    @precondition(lambda self: self.found)
    @rule(data=st.data(), is_deleted=st.booleans())
    def one_is_read_to_its_end(self, data: st.DataObject, is_deleted: bool) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.found)))
        life = self.lives[id_]
        if life.status.is_terminal or is_deleted:
            life.is_deleted = life.is_deleted or is_deleted
            self.listings.memory.retire(Target(GROUP, KIND, id_))

    def _listed(self) -> list[Workload]:
        return [
            workload(life.status, created_s=life.created_s, changed_s=life.changed_s, id_=id_)
            for id_, life in self.lives.items()
            if not life.is_deleted
        ]

    def _compare(self, listed: list[Workload]) -> None:
        retired = {target.id for target in self.listings.memory.retired(GROUP, KIND)}
        found = self.listings.at(self.now_s, *listed)
        assert not self.found & found.keys(), "found twice by one process"
        assert not retired & found.keys(), "retired, and found again"
        for id_, ago_s in found.items():
            if id_ not in self.ever_found:
                wanted_s = self.lives[id_].wanted_s
                assert wanted_s is None or self.now_s + ago_s <= wanted_s, "begun too late"
        self.found |= found.keys()
        self.ever_found = {**found, **self.ever_found}


TestLooksWithCrashes = ListingsWithCrashes.TestCase
TestLooksWithCrashes.settings = settings(max_examples=200, stateful_step_count=25)
