"""All checks of one configuration, or of an account alone."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from anyio import to_thread

from tailer.aicore.connect import connect
from tailer.aicore.credentials import Credentials
from tailer.check.account import Account
from tailer.check.local import look_at_spool, look_at_status_address, sink_check
from tailer.check.runner import (
    Check,
    Finding,
    LastError,
    failed_by,
    not_checked,
    passed,
    run_checks,
)
from tailer.clock import Clock
from tailer.config import Config
from tailer.errors import AuthError, ConfigError

_PLACE_S = 10.0
_SERVICE = "credentials"


async def check_everything(
    config: Config | None,
    *,
    credentials: Callable[[], Credentials],
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    announce: Callable[[Sequence[str]], None],
    tell: Callable[[str, Finding], None],
) -> Sequence[Finding]:
    """Every finding, in order; `tell` is told of each as soon as it is its turn.

    Without `config` the account alone. `credentials` may raise AuthError. `announce` is told
    first what there will be.
    """
    async with AsyncExitStack() as stack:
        checks: list[Check] = []
        try:
            found = credentials()
        except AuthError as error:
            checks.append(_known(_SERVICE, failed_by(error)))
            checks += [
                _known(subject, not_checked(f"see {_SERVICE}"))
                for subject in ("token", "API", "watches" if config else "resource groups")
            ]
        else:
            client = await stack.enter_async_context(
                connect(found, clock=clock, rng=rng, environ=environ)
            )
            account = Account(
                client,
                found,
                watches=config.watches if config else (),
                default_group=found.default_group_name,
                clock=clock,
            )
            checks.append(_known(_SERVICE, passed(f"from {found.source}")))
            checks += account.checks()
        if config is not None:
            checks += _local(config, clock)
        announce([check.subject for check in checks])
        return await run_checks(checks, tell)


def _local(config: Config, clock: Clock) -> list[Check]:
    async def spool(_: LastError) -> Finding:
        return await to_thread.run_sync(look_at_spool, config.spool, abandon_on_cancel=True)

    async def status(_: LastError) -> Finding:
        look = partial(look_at_status_address, config.status.listen)
        return await to_thread.run_sync(look, abandon_on_cancel=True)

    return [
        *(sink_check(section, clock=clock) for section in config.sinks),
        Check("spool", spool, _PLACE_S, late_code=5),
        Check("status page", status, _PLACE_S, ConfigError.exit_code),
    ]


def _known(subject: str, finding: Finding) -> Check:
    async def look(_: LastError) -> Finding:
        return finding

    return Check(subject, look, 1.0, finding.exit_code)
