"""URLs of HTTP sources as they are asked for: what may be fetched, its origin, the credentials it carries."""

from base64 import b64encode
from urllib.parse import unquote, urlsplit

from yarl import URL

from fastrelay.errors import SourceRefusedError

Headers = tuple[tuple[str, str], ...]


def to_url(text: str) -> URL:
    """A URL to fetch; raises SourceRefusedError for other schemes than http and https, or no valid host.

    What is plain ASCII stays as it is, byte for byte: signatures in URLs do not survive normalising.
    """
    text = text.partition("#")[0]
    try:
        scheme = urlsplit(text).scheme.lower()
        if scheme not in ("http", "https"):
            raise SourceRefusedError(f"the scheme {scheme!r} is not allowed here, expected http or https")
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        if url.host and url.port:
            return url
    except ValueError:
        pass
    raise SourceRefusedError("the URL has no valid host or port")


def origin(url: URL) -> tuple[str, str, int]:
    """Scheme, host and port: whom credentials and cookies were meant for (RFC 6454 §4)."""
    return url.scheme, (url.host or "").lower(), url.port or 0


def userinfo(url: URL) -> Headers:
    """`user:password@` of a URL as the header it stands for (RFC 7617)."""
    if url.raw_user is None and url.raw_password is None:
        return ()
    pair = f"{unquote(url.raw_user or '')}:{unquote(url.raw_password or '')}"
    return (("Authorization", f"Basic {b64encode(pair.encode()).decode()}"),)
