"""Who may watch: the bearer of the stream token, whoever has a signed URL, and the administrator; all, where neither
`auth.stream_token` nor `auth.signing_key` is set."""

import hmac
from collections.abc import Callable
from urllib.parse import urlencode

from fastrelay.endpoints.auth import Access
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.router import Answering, Handler
from fastrelay.wire.signing import is_signed, signed_query

_CARRIED = ("token", "expires", "signature")


def carried(request: Request) -> str:
    """What of the request's query lets a viewer in, for the URIs that a playlist names; nothing where there is none."""
    pairs = [(key, request.query[key]) for key in _CARRIED if key in request.query]
    return urlencode(pairs) if pairs else ""


class ViewerAccess:
    """The rule. `clock` gives the Unix time."""

    def __init__(
        self, stream_token: str | None, signing_key: str | None, admin: Access, clock: Callable[[], float]
    ) -> None:
        self._token = stream_token.encode() if stream_token else None
        self._key = signing_key
        self._admin = admin
        self._clock = clock

    def require(self, request: Request) -> None:
        """Returns for whoever may watch; raises RequestError 401 or 403."""
        if (self._token is None and self._key is None) or self._bears_token(request) or self._is_signed(request):
            return
        if self._admin.is_admin(request):
            return
        if "signature" in request.query:
            raise RequestError(403, "signature_invalid", "the signature is not one of this path, or has expired")
        expected = [
            *(["?token=<auth.stream_token>"] if self._token else []),
            *(["a signed URL (fastrelay sign)"] if self._key else []),
        ]
        raise RequestError(401, "unauthorized", f"expected {' or '.join(expected)}")

    def guard(self, handler: Handler) -> Handler:
        """The handler for those who may watch."""

        def guarded(request: Request) -> Answering:
            self.require(request)
            return handler(request)

        return guarded

    def query_below(self, request: Request, path: str) -> str:
        """The query of URIs below `path` for whoever sent this request: his token, or a signature of `path` that
        expires when his own does. The administrator shows his in a header, and gets what players can show."""
        if self._key is not None and "signature" in request.query and self._is_signed(request):
            return signed_query(self._key, path, int(request.query["expires"]))
        if self._token is not None and self._admin.is_admin(request):
            return urlencode({"token": self._token})
        return carried(request)

    def _bears_token(self, request: Request) -> bool:
        given = request.query.get("token", "").encode("utf-8", "surrogatepass")
        return self._token is not None and hmac.compare_digest(given, self._token)

    def _is_signed(self, request: Request) -> bool:
        expires, signature = request.query.get("expires", ""), request.query.get("signature", "")
        return self._key is not None and is_signed(self._key, request.path, expires, signature, self._clock())
