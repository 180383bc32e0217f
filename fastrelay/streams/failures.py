"""Why no source of a stream works, as its viewers are told. Pure."""

from fastrelay.errors import AccountLimitError, RequestError, SourceError

RETRY_AFTER = (("Retry-After", "5"),)


class Failures:
    """Of the sources that have failed since one last worked."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}
        self.everywhere = False
        """Every source has failed by now."""
        self._limited = False
        """A provider account had no connection left."""

    def add(self, index: int, error: SourceError, everywhere: bool) -> None:
        """The source at `index` has failed; `everywhere` once all of them have."""
        self._reasons[index] = f"{error.reason}: {error}"
        self.everywhere = everywhere
        self._limited = self._limited or isinstance(error, AccountLimitError)

    def forget(self) -> None:
        """A source works, or all is begun anew."""
        self._reasons.clear()
        self.everywhere = self._limited = False

    def answer(self) -> RequestError:
        """For who waits for the stream."""
        if self._limited:
            # That passes: somebody will leave.
            return RequestError(503, "account_limit", f"No connection is free. {self}", RETRY_AFTER)
        return RequestError(502, "no_source_works", f"No source works. {self}")

    def __str__(self) -> str:
        """For people; empty where none has failed."""
        return "; ".join(f"source {index}: {why}" for index, why in sorted(self._reasons.items()))
