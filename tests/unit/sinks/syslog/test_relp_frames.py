import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.sinks.syslog.relp_frames import (
    LAST_TXNR,
    Frame,
    FrameReader,
    RelpError,
    RelpStatus,
    encoded,
    status_of,
    txnr_after,
)

frames = st.builds(
    Frame,
    st.integers(0, LAST_TXNR),
    st.sampled_from([b"syslog", b"rsp", b"open", b"serverclose"]),
    st.binary(max_size=40) | st.sampled_from([b"\n", b"1 rsp 0\n", b" "]),
)


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 9)))
def test_frames_are_parsed_independently_of_packet_boundaries(
    sent: list[Frame], cuts: list[int]
) -> None:
    stream, reader, received = b"".join(map(encoded, sent)), FrameReader(), []
    for cut in cuts:
        received += reader.read(stream[:cut])
        stream = stream[cut:]
    received += reader.read(stream)

    assert received == sent


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_input_is_frames_or_an_error_independently_of_packet_boundaries(
    noise: bytes, cut: int
) -> None:
    def outcome(*pieces: bytes) -> list[Frame] | str:
        reader, found = FrameReader(), []
        try:
            for piece in pieces:
                found += reader.read(piece)
        except RelpError:
            return "refused"
        return found

    assert outcome(noise) == outcome(noise[:cut], noise[cut:])


@pytest.mark.parametrize(
    ("noise", "output"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "not a frame: 'HTTP/1.1"),
        (b"\x15\x03\x01\x00\x02", "not a frame"),
        (b"1 rsp 6 200 OKX", "a frame without its newline: '200 OK'"),
        (b"1 rsp 131073 ", "a frame of 131073 bytes; the limit is 131072"),
        (b"1 rsp 5\n", "a frame without its 5 bytes of data"),
        (b"1234567890 rsp", "not a frame"),
        (b"1 " + b"x" * 33, "not a frame"),
    ],
)
def test_invalid_input_is_rejected_at_its_first_wrong_byte(noise: bytes, output: str) -> None:
    with pytest.raises(RelpError, match=output.replace(".", r"\.")):
        FrameReader().read(noise)


def test_an_empty_frame_may_have_a_space_too_many() -> None:
    assert FrameReader().read(b"0 serverclose 0 \n7 rsp 0\n") == [
        Frame(0, b"serverclose"),
        Frame(7, b"rsp"),
    ]


def test_a_number_is_followed_by_the_next_and_the_last_by_one() -> None:
    assert [txnr_after(1), txnr_after(LAST_TXNR - 1), txnr_after(LAST_TXNR)] == [2, LAST_TXNR, 1]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"200 OK", RelpStatus(200, b"OK", b"")),
        (b"200", RelpStatus(200, b"", b"")),
        (b"500 no room\nrest\nof it", RelpStatus(500, b"no room", b"rest\nof it")),
    ],
)
def test_a_response_has_a_code_a_text_and_further_lines(content: bytes, status: RelpStatus) -> None:
    assert status_of(Frame(1, b"rsp", content)) == status


@pytest.mark.parametrize("content", [b"", b"OK", b"20", b"2000 OK"])
def test_an_answer_without_a_code_is_refused(content: bytes) -> None:
    with pytest.raises(RelpError, match="without a code"):
        status_of(Frame(1, b"rsp", content))
