"""What the log says of a finished request, or of a viewer who has gone."""

from typing import NamedTuple


class AccessLine(NamedTuple):
    """Plain values; they become text only where a line is written, which is another thread's work."""

    address: str
    method: str
    target: str
    """Path and query as sent. Whoever shows it hides its credentials (see `redact`)."""
    status: int
    sent: int
    """Bytes of the answer, its head included."""
    seconds: float
    """Until the answer was ready; for a viewer, how long he watched."""
    user_agent: str
    why: str = ""
    """Why a viewer has gone."""

    def __str__(self) -> str:
        agent = f' "{self.user_agent}"' if self.user_agent else ""
        why = f" ({self.why})" if self.why else ""
        return (
            f"{self.address} {self.method} {self.target} {self.status} {self.sent} bytes "
            f"{self.seconds:.3f} s{agent}{why}"
        )

    @property
    def kind(self) -> tuple[object, ...]:
        """Lines of one kind are repetitions. A client that is refused repeats itself whatever it asks for."""
        return (self.address, self.status, self.method, self.target if self.status < 400 else "")
