"""All checks of a configuration, or of an account alone."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from tailer.aicore.connect import connect
from tailer.aicore.credentials import Credentials
from tailer.check.account import Account
from tailer.check.local import local_checks
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
from tailer.errors import AuthError

_CREDENTIALS = "credentials"


async def check_everything(
    config: Config | None,
    *,
    credentials: Callable[[], Credentials],
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    announce: Callable[[Sequence[str]], None],
    report: Callable[[str, Finding], None],
) -> Sequence[Finding]:
    """Check the account, and everything else of `config` if it is not None.

    `announce` gets the subjects of all checks first; `report` gets each finding in that
    order. `credentials` may raise AuthError.
    """
    async with AsyncExitStack() as stack:
        try:
            found = credentials()
        except AuthError as error:
            subjects = ("token", "API", "watches" if config else "resource groups")
            skipped = not_checked(f"see {_CREDENTIALS}")
            checks = [
                _known(_CREDENTIALS, failed_by(error)),
                *(_known(subject, skipped) for subject in subjects),
            ]
        else:
            client = await stack.enter_async_context(
                connect(found, clock=clock, rng=rng, environ=environ)
            )
            watches = config.watches if config else ()
            account = Account(client=client, credentials=found, watches=watches, clock=clock)
            checks = [_known(_CREDENTIALS, passed(f"from {found.source}")), *account.checks()]
        if config is not None:
            checks += local_checks(config, clock)
        announce([check.subject for check in checks])
        return await run_checks(checks, report)


def _known(subject: str, finding: Finding) -> Check:
    async def work(_: LastError) -> Finding:
        return finding

    return Check(subject, work, 1.0, finding.exit_code)
