"""Version numbers of PAT and PMT that go on across splices (ISO 13818-1 §2.4.4.5, §2.4.4.9)."""

from fastrelay.mpegts.psi import PAT_TABLE


class Versions:
    """Says which version number a table is sent with.

    Until the first splice: its own. After a splice every table begins with a version that none of its kind had before
    it, whatever program it is of: a receiver that looks at nothing but the number sees it change, and so does one that
    knows each program. Whatever the source changes later stays a change.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        """The version last sent of each kind of table."""
        self._sent: dict[int, set[int]] = {}
        """All versions of each kind sent since the last splice."""
        self._first: dict[int, int] = {}
        """The version each kind of table began with after the last splice."""
        self._shift: dict[tuple[int, int], int] = {}

    def splice(self) -> None:
        """What follows comes from another source."""
        self._first = {kind: _free(newest, self._sent.get(kind, set())) for kind, newest in self._newest.items()}
        self._sent = {}
        self._shift = {}

    def of(self, table: int, number: int, version: int, current: bool) -> int:
        """The version to send for the source's `version` of the table with this table_id and table_id_extension.

        `current` is its current_next_indicator. Asked again it says the same.
        """
        # There is one PAT, whatever transport_stream_id it names (§2.4.4.5).
        key = (table, 0 if table == PAT_TABLE else number)
        if key not in self._shift:
            # A table sent ahead of its time already bears the next number.
            in_force = version if current else version - 1
            self._shift[key] = self._first[table] - in_force if table in self._first else 0
        sent = (version + self._shift[key]) & 0x1F
        if current:
            self._newest[table] = sent
            self._sent.setdefault(table, set()).add(sent)
        return sent


def _free(newest: int, taken: set[int]) -> int:
    """The next version that is not `taken`; just the next where all 32 are."""
    steps = (step for step in range(1, 33) if (newest + step) & 0x1F not in taken)
    return (newest + next(steps, 1)) & 0x1F
