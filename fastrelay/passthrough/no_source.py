"""Why a channel cannot be passed through."""

from fastrelay.errors import AccountLimitError, SourceError
from fastrelay.passthrough.source import NotHlsError


class NoSourceError(SourceError):
    """None of the sources can be passed through: why not, one by one."""

    reason = "no source works"

    def __init__(self, errors: dict[int, SourceError]) -> None:
        super().__init__("; ".join(f"source {at}: {error.reason}: {error}" for at, error in sorted(errors.items())))
        self.errors = errors

    @property
    def other(self) -> bool:
        """Whether one is a stream that can be had in another way."""
        return any(isinstance(error, NotHlsError) for error in self.errors.values())

    @property
    def limited(self) -> bool:
        """Whether an account had no connection left, which passes."""
        return any(isinstance(error, AccountLimitError) for error in self.errors.values())

    @property
    def slow(self) -> bool:
        """Whether all of them took too long."""
        return all(error.reason == "stall" for error in self.errors.values())
