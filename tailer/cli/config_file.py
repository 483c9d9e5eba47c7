"""The configuration's file, read by every command in the same way."""

import os
from pathlib import Path

from tailer.config import Config, parse_config
from tailer.errors import ConfigError


def read_config(path: Path) -> Config:
    """With the variables of this process laid over it.

    Raises:
        ConfigError: It cannot be read, or with every mistake, a line for each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"the configuration {path} cannot be read: {reason}") from error
    return parse_config(text, name=str(path), environ=os.environ)
