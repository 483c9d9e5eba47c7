"""How many lines one answer of a target may hold before it is too large. Pure."""

from tailer.model import MAX_TOP, Target


class Portions:
    """Halves at once, grows back by an eighth a page: large lines tend to come together.

    Remembers only targets that are below MAX_TOP, so it stays as small as the trouble.
    """

    def __init__(self) -> None:
        self._limits: dict[Target, int] = {}

    def top(self, target: Target, wanted: int) -> int:
        return min(wanted, self._limits.get(target, MAX_TOP))

    def was_too_large(self, target: Target, top: int) -> bool:
        """Whether less may help: not below one line."""
        self._limits[target] = max(1, top // 2)
        return top > 1

    def fitted(self, target: Target) -> None:
        limit = self._limits.get(target)
        if limit is None:
            return
        if limit + limit // 8 + 1 >= MAX_TOP:
            del self._limits[target]
        else:
            self._limits[target] = limit + limit // 8 + 1
