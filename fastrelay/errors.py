"""One tree of errors, split by whose fault it is.

`SourceError` is the provider's: it feeds failover and never ends the process. `RequestError` is the viewer's (or the
API caller's): it becomes one HTTP answer. `ConfigError` and `StorageError` are the operator's machine: they name what
to mend. Anything that is not in this tree is our own bug and is logged with its traceback.
"""


class FastrelayError(Exception):
    """Root of everything fastrelay raises on purpose."""


class ConfigError(FastrelayError):
    """The configuration is wrong; `path` is the exact key, as in `streams.ring_size`."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path}: {expected}" if path else expected)
        self.path = path
        self.expected = expected


class StorageError(FastrelayError):
    """The database refused a change (full disk, lock, damage); nothing was changed."""


class SourceError(FastrelayError):
    """A source failed. `reason` is a short stable word for events and metrics, the text is for people.

    The text may name hosts and statuses but never a credential: build it from redacted URLs only.
    """

    reason = "failed"


class SourceRefusedError(SourceError):
    """Policy forbids this source: its scheme, its address, or where it redirects to."""

    reason = "refused"


class ConnectError(SourceError):
    """No connection within `failover.connect_timeout`, or the peer refused or reset it."""

    reason = "connect"


class StatusError(SourceError):
    """The upstream answered with a status that is not 2xx, or redirected too often."""

    reason = "status"


class HttpStatusError(StatusError):
    """A status that is not 2xx; `status` tells which."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class FormatError(SourceError):
    """What arrives is not a stream we can relay: HTML, raw ADTS, fMP4, a broken playlist, scrambled."""

    reason = "format"


class StallError(SourceError):
    """Nothing (new) came for too long: first byte, stall or ready timeout."""

    reason = "stall"


class EndOfStreamError(SourceError):
    """A live source ended although live sources have no end: EOF, Content-Length reached, reset."""

    reason = "eof"


class AccountLimitError(SourceError):
    """The provider account has no connection left: others of it are watched."""

    reason = "limit"


class RequestError(FastrelayError):
    """A request that is answered with `status` and the JSON body `{"error": {"code", "message"}}`."""

    def __init__(self, status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
