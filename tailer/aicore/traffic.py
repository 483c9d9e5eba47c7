"""What it cost to be answered."""

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """`requests` were sent in all, without those for tokens; `retries` of them were not the first.

    A retry asks the same again: after trouble, or with a new token.
    """

    requests: int = 0
    retries: int = 0
