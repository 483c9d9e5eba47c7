"""Settings and their TOML.

What a simulated service is like: every choice, its unit and its default.

The API leaves much undocumented; `Dialect` lets the simulator play each reading of it.
Times ending in `at_s` count from the moment the simulator starts; negative is before it.

Settings from a small TOML file and from flags, with every mistake named by its place.
"""

import itertools
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tailer.errors import ConfigError
from tailer.model import Kind, Status

Share = Annotated[float, Meta(ge=0, le=1)]
Duration = Annotated[float, Meta(ge=0)]
Rate = Annotated[float, Meta(ge=0, le=100_000)]
ResourceGroupId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9.-]{1,251}[a-zA-Z0-9]$")]

StoryName = Literal["inference", "training"]
RequestKind = Literal["token", "list", "get", "count", "logs", "groups", "meta", "create"]


class Dialect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the log query reads what the documentation leaves open.

    A `resolution` of "ms" stores and shows three fraction digits and cuts `start` and
    `end` to them; "ns" uses nine. `before_running` is the answer to a log query of
    something that never ran yet.
    """

    start_inclusive: bool = True
    end_inclusive: bool = False
    resolution: Literal["ms", "ns"] = "ns"
    before_running: Literal["empty", "not_found"] = "empty"
    retention_s: Duration = 0.0  # 0: for ever


class LineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What befalls single lines. A share is the probability for each line.

    A hidden line disappears within two seconds of its first showing, for `hidden_s`.
    """

    ingest_delay_s: Duration = 0.0
    late_share: Share = 0.0
    max_lateness_s: Duration = 10.0
    twin_share: Share = 0.0
    hidden_share: Share = 0.0
    hidden_s: Duration = 3.0
    without_stream_share: Share = 0.0
    cri_prefix_share: Share = 0.0


class FaultSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The probability of each fault, for each request of the kinds in `on`.

    The top-level `fault_share` is spread evenly over all of them, on top of these.
    """

    on: tuple[RequestKind, ...] = ("token", "list", "get", "count", "logs", "groups")
    too_many_requests: Share = 0.0
    unavailable: Share = 0.0
    server_error: Share = 0.0
    bad_gateway: Share = 0.0
    reset: Share = 0.0
    cut_body: Share = 0.0
    cut_content: Share = 0.0
    html: Share = 0.0
    wrong_shape: Share = 0.0
    slow: Share = 0.0
    expired_token: Share = 0.0
    retry_after_s: Annotated[int, Meta(ge=0)] = 1
    slow_s: Duration = 3.0


class TokenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty id or secret accepts any. `lives_s` is the truth, `expires_in_s` the promise."""

    client_id: str = ""
    client_secret: str = ""
    expires_in_s: Annotated[int, Meta(ge=1)] = 43_199  # what XSUAA promises
    lives_s: Duration | None = None


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at_s: float
    status: Status


class Burst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`lines` lines within `spread_ns`, 0 being one instant; of every target if none is named."""

    at_s: float
    lines: Annotated[int, Meta(ge=1)]
    spread_ns: Annotated[int, Meta(ge=0)] = 1_000_000
    target_id: str = ""


class TargetSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployment or execution.

    Without `id`, one is made from the seed. Without `rate_per_s`, the common rate is
    shared by `weight`; a rate of 0 says nothing of its own, not even at its end.
    Without `life`, it has been RUNNING for the whole backlog and stays so. The `end_`
    fields are what the service says of it once it has ended, in place of the usual.
    """

    kind: Kind
    id: Annotated[str, Meta(pattern=r"^([\w.-]{4,64})?$")] = ""
    resource_group: ResourceGroupId = "default"
    story: StoryName = "inference"
    scenario_id: str = "churn"
    executable_id: str = ""
    configuration_id: str = ""
    pods: Annotated[int, Meta(ge=1, le=1000)] = 1
    containers: Annotated[tuple[str, ...], Meta(min_length=1)] = ("main",)
    rate_per_s: Rate | None = None
    weight: Annotated[float, Meta(gt=0)] = 1.0
    life: tuple[Stage, ...] = ()
    gone_at_s: float | None = None  # deleted: 404 from here on
    end_message: str | None = None
    end_details: dict[str, Any] | None = None


class SimulatorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same seed tells the same lines in the same second after the start.

    `targets` of None is the built-in world of `world.py`; `rate_per_s` is that of all
    targets together.
    """

    seed: int = 1
    rate_per_s: Rate = 20.0
    backlog_s: Duration = 3600.0
    backlog_rate_per_s: Rate | None = None  # None: as after the start
    fault_share: Share = 0.0
    clock_skew_s: float = 0.0  # of the service, against the clock it is given
    gzip: bool = True
    keep_s: Duration = 0.0  # forget older lines, truth included, to bound memory; 0: never
    resource_groups: tuple[ResourceGroupId, ...] = ("default", "team-a")
    forbidden_resource_groups: tuple[ResourceGroupId, ...] = ()
    dialect: Dialect = Dialect()
    lines: LineSettings = LineSettings()
    faults: FaultSettings = FaultSettings()
    token: TokenSettings = TokenSettings()
    bursts: tuple[Burst, ...] = field(default=(), name="burst")
    targets: tuple[TargetSettings, ...] | None = field(default=None, name="target")


def load_settings(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> SimulatorSettings:
    """The settings of the file, if any, with `overrides` laid over it, section by section.

    `overrides` has the shape of the file: `{"seed": 7, "lines": {"late_share": 0.05}}`.

    Raises:
        ConfigError: Unreadable, not TOML, an unknown key, or an impossible value.
    """
    document = {} if path is None else _read(path)
    source = "simulator settings" if path is None else str(path)
    for key, value in (overrides or {}).items():
        below = document.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            document[key] = {**below, **value}
        else:
            document[key] = value
    try:
        settings = msgspec.convert(document, SimulatorSettings)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        where = place.removeprefix(".").removesuffix("`")
        raise ConfigError(f"{source}: {where or 'top level'}: {what}") from error
    for complaint in _contradictions(settings):
        raise ConfigError(f"{source}: {complaint}")
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: {error}") from error


def _contradictions(settings: SimulatorSettings) -> list[str]:
    targets = settings.targets or ()
    counted = Counter((target.resource_group, target.kind, target.id) for target in targets)
    twice = [name for name, count in counted.items() if count > 1 and name[-1]]
    complaints = [f"target {kind}/{name} of {group} appears twice" for group, kind, name in twice]
    return complaints + [
        f"target[{number}].life: the stages must follow each other in time"
        for number, target in enumerate(targets)
        if not _in_order(target)
    ]


def _in_order(target: TargetSettings) -> bool:
    times = [stage.at_s for stage in target.life]
    return all(earlier < later for earlier, later in itertools.pairwise(times))
