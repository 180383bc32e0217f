"""An HTTP answer's head, as far as a viewer cares."""

from dataclasses import dataclass

LONGEST_HEAD = 16 * 1024


@dataclass(frozen=True)
class Answer:
    """Status and the fields that say where the body ends; names of `fields` are in lower case."""

    status: int
    fields: dict[str, str]

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the server says it."""
        text = self.fields.get("content-length")
        return int(text) if text is not None and text.isdigit() else None

    @property
    def chunked(self) -> bool:
        return self.fields.get("transfer-encoding", "").lower().endswith("chunked")

    @property
    def keeps_alive(self) -> bool:
        return self.fields.get("connection", "").lower() != "close"


def request(host: str, path: str, *, keep: bool) -> bytes:
    """A player's GET."""
    connection = "keep-alive" if keep else "close"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: fastrelay-loadtest\r\nAccept: */*\r\n"
        f"Connection: {connection}\r\n\r\n"
    ).encode("latin-1")


def read_head(data: bytes | bytearray) -> tuple[Answer, int] | None:
    """The head and its length in bytes; None while it is not complete. Raises ValueError when it is none."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > LONGEST_HEAD:
            raise ValueError(f"no end of the response head within {LONGEST_HEAD} bytes")
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    # Icecast and some set-top servers say ICY instead of a version.
    if not version.startswith(("HTTP/", "ICY")) or not rest[:3].isdigit():
        raise ValueError(f"expected an HTTP status line, got {first[:80]!r}")
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if version == "HTTP/1.0":
        fields.setdefault("connection", "close")
    return Answer(int(rest[:3]), fields), end + 4
