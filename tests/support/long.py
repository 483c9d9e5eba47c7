"""Which cases of a test take too long together for `make test`."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def long_after(quick: int, cases: Iterable[Sequence[Any]]) -> list[Any]:
    """`cases` for two or more names; those after the first `quick` ones are marked as long."""
    return [
        pytest.param(*case, marks=() if number < quick else pytest.mark.long)
        for number, case in enumerate(cases)
    ]


def long_values_after(quick: int, values: Iterable[Any]) -> list[Any]:
    """As `long_after`, for a single name."""
    return long_after(quick, [(value,) for value in values])
