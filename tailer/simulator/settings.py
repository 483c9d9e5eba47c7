"""Settings of the simulator, and their TOML file.

The API leaves much undocumented; `Dialect` selects between the possible readings.
Times named `at_s` count from the start of the simulator; negative times lie before it.
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


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Dialect(_Section, frozen=True):
    """The log query where the documentation leaves it open.

    A `resolution` of "ms" stores and shows three fraction digits and truncates `start` and
    `end` to them; "ns" uses nine. `before_running` is the answer to a log query of a target
    that has never run.
    """

    start_inclusive: bool = True
    end_inclusive: bool = False
    resolution: Literal["ms", "ns"] = "ns"
    before_running: Literal["empty", "not_found"] = "empty"
    retention_s: Duration = 0.0  # 0: unlimited


class LineSettings(_Section, frozen=True):
    """Lateness and defects of single lines. A share is the probability for each line.

    A twin is a second line with the same fields. A hidden line disappears within two
    seconds after it became visible, for `hidden_s`.
    """

    ingest_delay_s: Duration = 0.0
    late_share: Share = 0.0
    max_lateness_s: Duration = 10.0
    twin_share: Share = 0.0
    hidden_share: Share = 0.0
    hidden_s: Duration = 3.0
    without_stream_share: Share = 0.0
    cri_prefix_share: Share = 0.0


class FaultSettings(_Section, frozen=True):
    """The probability of each fault, for each request of the kinds in `on`.

    The top-level `fault_share` is added to them, in equal parts.
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


class TokenSettings(_Section, frozen=True):
    """An empty id or secret accepts any.

    `expires_in_s` is the announced lifetime; `lives_s` the real one, if it differs.
    """

    client_id: str = ""
    client_secret: str = ""
    expires_in_s: Annotated[int, Meta(ge=1)] = 43_199  # as XSUAA announces
    lives_s: Duration | None = None


class Stage(_Section, frozen=True):
    at_s: float
    status: Status


class Burst(_Section, frozen=True):
    """`lines` lines within `spread_ns` (0: at one instant); for every target if none is named."""

    at_s: float
    lines: Annotated[int, Meta(ge=1)]
    spread_ns: Annotated[int, Meta(ge=0)] = 1_000_000
    target_id: str = ""


class TargetSettings(_Section, frozen=True):
    """One deployment or execution.

    Without `id`, the id is derived from the seed. Without `rate_per_s`, the common rate is
    divided by `weight`; with a rate of 0 no lines are generated, not even at the end.
    Without `life`, the target is RUNNING for the whole backlog and afterwards. `end_message`
    and `end_details` replace the usual `statusMessage` and `statusDetails` after the end.
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
    gone_at_s: float | None = None  # deleted, with 404 from then on
    end_message: str | None = None
    end_details: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if any(one.at_s >= next_.at_s for one, next_ in itertools.pairwise(self.life)):
            raise ValueError("life: the stages must follow each other in time")


class SimulatorSettings(_Section, frozen=True):
    """The same seed gives the same lines in the same second after the start.

    `targets` of None means DEFAULT_TARGETS; `rate_per_s` is for all targets together.
    """

    seed: int = 1
    rate_per_s: Rate = 20.0
    backlog_s: Duration = 3600.0
    backlog_rate_per_s: Rate | None = None  # None: the same rate
    fault_share: Share = 0.0
    clock_skew_s: float = 0.0  # service time minus the time of its clock
    gzip: bool = True
    keep_s: Duration = (
        0.0  # delete older lines to bound memory, also from /simulator/truth; 0: never
    )
    resource_groups: tuple[ResourceGroupId, ...] = ("default", "team-a")
    forbidden_resource_groups: tuple[ResourceGroupId, ...] = ()
    dialect: Dialect = Dialect()
    lines: LineSettings = LineSettings()
    faults: FaultSettings = FaultSettings()
    token: TokenSettings = TokenSettings()
    bursts: tuple[Burst, ...] = field(default=(), name="burst")
    targets: tuple[TargetSettings, ...] | None = field(default=None, name="target")

    def __post_init__(self) -> None:
        names = Counter((it.resource_group, it.kind, it.id) for it in self.targets or () if it.id)
        for (group, kind, id_), count in names.items():
            if count > 1:
                raise ValueError(f"target {kind}/{id_} of {group} appears twice")


def load_settings(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> SimulatorSettings:
    """Load the file, if any; `overrides` replace single keys, section by section.

    `overrides` has the structure of the file: `{"seed": 7, "lines": {"late_share": 0.05}}`.

    Raises:
        ConfigError: The file is unreadable or not TOML, a key is unknown, or a value invalid.
    """
    source, document = "simulator settings", {}
    if path is not None:
        source = str(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise ConfigError(f"{path}: {error}") from error
    for key, value in (overrides or {}).items():
        below = document.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            document[key] = {**below, **value}
        else:
            document[key] = value
    try:
        return msgspec.convert(document, SimulatorSettings)
    except msgspec.ValidationError as error:
        what, _, path_text = str(error).partition(" - at `$")
        key = path_text.removeprefix(".").removesuffix("`")
        raise ConfigError(f"{source}: {key or 'top level'}: {what}") from error
