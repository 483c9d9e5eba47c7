from hypothesis import given
from hypothesis import strategies as st

from tailer.aicore.server_clock import SAMPLES, WINDOW_S, ServerClock
from tailer.timestamp import NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S


def test_the_time_is_unknown_before_the_first_response() -> None:
    assert ServerClock().bound_ns(1.0) is None


@given(
    offset_ms=st.integers(-(10**9), 10**9),
    answers=st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 3000)), min_size=1, max_size=20
    ),
    later_ms=st.integers(-60_000, 60_000),
)
def test_the_bound_is_never_later_than_the_services_true_time(
    offset_ms: int, answers: list[tuple[int, int]], later_ms: int
) -> None:
    """Answers are dated in whole seconds and travel for up to three of them."""
    clock = ServerClock()
    now_ms = 100_000
    for pause_ms, travel_ms in answers:
        now_ms += pause_ms
        true_ms = START_NS // 10**6 + offset_ms + now_ms
        dated_ns = true_ms // 1000 * NS_PER_S
        now_ms += travel_ms
        clock.observe(dated_ns, received_s=now_ms / 1000)
    moment_ms = now_ms + later_ms

    bound_ns = clock.bound_ns(moment_ms / 1000)

    assert bound_ns is not None
    assert bound_ns <= START_NS + (offset_ms + moment_ms) * 10**6 + 1000  # floats of seconds


def test_many_answers_bring_the_bound_within_a_second_of_the_true_time() -> None:
    clock = ServerClock()
    for tenth in range(1, 31):
        clock.observe(START_NS + tenth // 10 * NS_PER_S, received_s=tenth / 10)

    bound_ns = clock.bound_ns(3.0)

    assert bound_ns is not None
    assert START_NS + 2 * NS_PER_S <= bound_ns <= START_NS + 3 * NS_PER_S


def test_an_answer_from_a_replica_with_a_wrong_clock_has_no_weight() -> None:
    clock = ServerClock()
    for second in range(100):
        is_wrong = second % 5 == 4
        date_ns = START_NS + (second + 3600 * is_wrong) * NS_PER_S
        clock.observe(date_ns, received_s=float(second))

    assert clock.bound_ns(99.0) == START_NS + 99 * NS_PER_S


def test_a_changed_clock_is_accepted_after_most_responses_agree() -> None:
    clock = ServerClock()
    for second in range(SAMPLES):
        clock.observe(START_NS + second * NS_PER_S, received_s=float(second))
    for second in range(SAMPLES, SAMPLES + 8):
        clock.observe(START_NS + (second - 3600) * NS_PER_S, received_s=float(second))

    assert clock.bound_ns(0.0) == START_NS - 3600 * NS_PER_S


def test_an_old_sample_expires() -> None:
    clock = ServerClock()
    clock.observe(START_NS + 3600 * NS_PER_S, received_s=0.0)

    clock.observe(START_NS + NS_PER_S * (int(WINDOW_S) + 1), received_s=WINDOW_S + 1)

    assert clock.bound_ns(0.0) == START_NS


def test_after_a_long_silence_the_last_sample_still_counts() -> None:
    clock = ServerClock()
    clock.observe(START_NS, received_s=0.0)

    assert clock.bound_ns(10 * WINDOW_S) == START_NS + int(10 * WINDOW_S) * NS_PER_S
