"""Signed URLs that expire: `/stream/news?expires=1767225600&signature=…`.

The signature is HMAC-SHA256 (RFC 2104) with `auth.signing_key` over

    fastrelay-v1 LF path LF expires

in URL-safe base64 without padding (RFC 4648 §5). `path` is percent-decoded, begins with a slash and ends with none;
`expires` is Unix time in decimal digits. It is valid for this path and everything below it, `/` for the whole server,
and also for the path with the `.ts` that players like to see.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

_DIGITS_MAX = 12


def sign(key: str, path: str, expires: int) -> str:
    """The signature of `path` until `expires` (Unix time)."""
    text = f"fastrelay-v1\n{path.rstrip('/')}\n{expires}"
    return urlsafe_b64encode(hmac.digest(key.encode(), text.encode(), sha256)).rstrip(b"=").decode()


def signed_query(key: str, path: str, expires: int) -> str:
    """What goes behind the `?` of a URL below `path`."""
    return f"expires={expires}&signature={sign(key, path, expires)}"


def is_signed(key: str, path: str, expires: str, signature: str, now: float) -> bool:
    """Whether the signature is one of `path` or of a path above it, and not expired at `now` (Unix time)."""
    if not (expires.isascii() and expires.isdecimal() and len(expires) <= _DIGITS_MAX) or int(expires) <= now:
        return False
    given = signature.encode("utf-8", "surrogatepass")
    # All are compared, each in constant time: how long it takes tells nothing about the signature.
    matches = [hmac.compare_digest(sign(key, above, int(expires)).encode(), given) for above in _above(path)]
    return any(matches)


def _above(path: str) -> list[str]:
    parts = path.removesuffix(".ts").split("/")
    return [path, *("/".join(parts[:count]) for count in range(1, len(parts) + 1))]
