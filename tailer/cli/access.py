"""Who we are to the service, and what we mean there when nothing is said."""

import os
from collections.abc import Sequence
from pathlib import Path

from tailer.aicore.credentials import Credentials, find_credentials


def credentials_for(service_key_file: Path | None) -> Credentials:
    """Raises: AuthError."""
    return find_credentials(os.environ, home=_home(), service_key_file=service_key_file)


def _home() -> Path:
    """Containers run under numbers that have no home; there is nothing to be found there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def groups_for(given: Sequence[str], credentials: Credentials) -> tuple[str, ...]:
    """The resource groups meant, each once, in the order given."""
    return tuple(dict.fromkeys(given)) or (credentials.usual_group,)
