"""Registry of targets: watermarks, retired targets, listing times. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tailer.model import Kind, Target


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of a resource group at `at_ns`, and the new targets with their watermarks.

    A target in `starts` that is known keeps its watermark, and is no longer retired. A target
    in `forgettable` is forgotten if it is retired and none of its batches is left.
    """

    resource_group: str
    kind: Kind
    at_ns: int
    starts: Mapping[Target, int]
    forgettable: Collection[Target] = ()


class TargetRegistry:
    """In memory, so that queries cost no disk access. Only the `Ledger` changes it."""

    def __init__(self) -> None:
        self._watermarks: dict[Target, int] = {}
        self._retired: dict[tuple[str, Kind], set[Target]] = {}
        self._listings_ns: dict[tuple[str, Kind], int] = {}

    def watermark_ns(self, target: Target) -> int | None:
        return self._watermarks.get(target)

    def is_known(self, target: Target) -> bool:
        """Whether a watermark of `target` is stored; true for retired targets too."""
        return target in self._watermarks

    def is_retired(self, target: Target) -> bool:
        return target in self.retired(target.resource_group, target.kind)

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]:
        return self._retired.get((resource_group, kind), ())

    def unfinished(self, resource_group: str, kind: Kind) -> Mapping[Target, int]:
        """The watermarks of all targets that are not retired. Scans all targets."""
        retired = self.retired(resource_group, kind)
        return {
            target: watermark_ns
            for target, watermark_ns in self._watermarks.items()
            if (target.resource_group, target.kind) == (resource_group, kind)
            and target not in retired
        }

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None:
        return self._listings_ns.get((resource_group, kind))

    def move(self, target: Target, watermark_ns: int) -> None:
        self._watermarks[target] = watermark_ns

    def retire(self, target: Target) -> None:
        self._retired.setdefault((target.resource_group, target.kind), set()).add(target)

    def record_listing(self, listing: Listing) -> None:
        """`forgettable` targets are forgotten without further checks."""
        key = (listing.resource_group, listing.kind)
        self._listings_ns[key] = listing.at_ns
        retired = self._retired.get(key, set())
        for target, start_ns in listing.starts.items():
            self._watermarks.setdefault(target, start_ns)
            retired.discard(target)
        for target in listing.forgettable:
            self._watermarks.pop(target, None)
            retired.discard(target)
