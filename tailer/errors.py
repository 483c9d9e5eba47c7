"""Error tree: the exit code of each error, and which action ends it.

```
TailerError                 exit code   action
|- ConfigError                   2      fix the flag or the file
|- AuthError                     3      fix the credentials
|- ApiError
|  |- TransientApiError          -      none: the request is retried
|  |  `- UnreachableError        3      fix the address, if it was never reached
|  `- PermanentApiError          4      fix the target or the permission
|     `- NotFoundError           4
`- SinkError                     5      free the disk, start the syslog server
   |- SinkUnavailableError       5      the same; the sink was not opened yet
   |- TransientSinkError         5      none while retries succeed
   `- ReaderGoneError            0      none: the reader of the output has closed it
```
Any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterator


class TailerError(Exception):
    """`message` states what happened, `hint` what to do. Neither contains a secret."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(TailerError):
    exit_code = 2


class AuthError(TailerError):
    exit_code = 3


class ApiError(TailerError):
    """The service refused, or its response is unreadable.

    `status` is None if it did not respond; `retry_after_s` is its `Retry-After`, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s


class TransientApiError(ApiError):
    """A retry may succeed: no response, a damaged one, 429 or 5xx."""


class UnreachableError(TransientApiError):
    """No connection: the name does not resolve, the port refuses, TLS fails.

    Before the first response that is a wrong address, afterwards an outage.
    """

    exit_code = 3


class PermanentApiError(ApiError):
    exit_code = 4


class NotFoundError(PermanentApiError):
    """404: never existed, not created yet, or deleted. The response does not show which."""


class SinkError(TailerError):
    exit_code = 5


class SinkUnavailableError(SinkError):
    """The sink could not be opened, so no write is incomplete: a later retry is safe."""


class TransientSinkError(SinkError):
    """A retry of the same batch may succeed, for example after a lost connection."""


class ReaderGoneError(SinkError):
    """The reader of the output pipe has closed it, as `head` does: no failure."""

    exit_code = 0


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in nested exception groups; `error` itself if it is not a group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
