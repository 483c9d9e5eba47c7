"""Everything that can go wrong, split by who must act.

```
TailerError                 exit code   who must act
|- ConfigError                   2      operator: fix the flag or the file
|- AuthError                     3      operator: fix the credentials
|- ApiError
|  |- TransientApiError          -      nobody: it is retried
|  |  `- UnreachableError        3      operator, if it was never reached: fix the address
|  `- PermanentApiError          4      operator: target or permission is wrong
|     `- NotFoundError           4
`- SinkError                     5      operator: disk full, syslog gone
   |- SinkUnavailableError       5      operator: it could not even be opened
   |- TransientSinkError         5      nobody, as long as retrying helps
   `- ReaderGoneError            0      nobody: the reader of our output has seen enough
```
Anything that is not a TailerError is a bug and keeps its traceback.
"""


class TailerError(Exception):
    """What happened, in `message`; what to do about it, in `hint`. Neither ever holds a secret."""

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
    """The service refused, or could not be understood. `status` is None when it never answered."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class TransientApiError(ApiError):
    """Asking again may help: no answer, a damaged one, 429 or 5xx.

    `retry_after_s` is the service's own wish, where it stated one.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after_s = retry_after_s


class UnreachableError(TransientApiError):
    """No connection at all: the name does not resolve, the port refuses, TLS fails.

    Before the first contact that is a wrong address, afterwards an outage.
    """

    exit_code = 3


class PermanentApiError(ApiError):
    exit_code = 4


class NotFoundError(PermanentApiError):
    """404: never existed, not there yet, or deleted. Only the caller can know which."""


class SinkError(TailerError):
    exit_code = 5


class SinkUnavailableError(SinkError):
    """It could not be opened, so nothing of it is half done: trying again later is safe."""


class TransientSinkError(SinkError):
    """The same batch, written again later, may go through: a restart, a cut connection."""


class ReaderGoneError(SinkError):
    """The other end of our pipe was closed, as `head` does: an end, not a failure."""

    exit_code = 0
