"""Colors that can be read on any background."""

import re

import pytest

from tailer.sinks.formats.prefix import POD_COLORS, STDERR_COLOR, highlighted, pod_color


def luminance(in_color: int) -> float:
    """Relative, as WCAG 2 defines it; of xterm's 6 by 6 by 6 cube."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = in_color - 16
    shares = (steps[cube // 36] / 255, steps[cube // 6 % 6] / 255, steps[cube % 6] / 255)
    red, green, blue = (
        share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("color", [*POD_COLORS, STDERR_COLOR])
def test_a_color_is_legible_on_black_and_on_white(color: int) -> None:
    own = luminance(color) + 0.05

    assert min(own / 0.05, 1.05 / own) >= 3.8


def test_the_names_of_many_pods_use_every_color() -> None:
    assert {pod_color(f"pod-{number}") for number in range(200)} == set(POD_COLORS)


@pytest.mark.parametrize(
    ("text", "patterns", "expected"),
    [
        ("abc", ["b"], "a[b]c"),
        ("abcd", ["ab", "bc"], "[abc]d"),
        ("abcd", ["d", "a"], "[a]bc[d]"),
        ("abcd", ["b*"], "a[b]cd"),
        ("abc", ["x"], "abc"),
        ("aaa", ["a"], "[aaa]"),
    ],
)
def test_matches_are_marked_once(text: str, patterns: list[str], expected: str) -> None:
    marked = highlighted(text, [re.compile(pattern) for pattern in patterns])

    assert marked.replace("\x1b[7m", "[").replace("\x1b[0m", "]") == expected
