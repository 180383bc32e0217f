"""Who may manage the server: the bearer of the admin token; without a token configured, a person at this machine."""

import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastrelay.errors import RequestError
from fastrelay.wire.request import Request

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="fastrelay"'),)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Access:
    """The management rule. `admin_token` is `auth.admin_token`, None where none is configured."""

    def __init__(self, admin_token: str | None) -> None:
        self._token = admin_token.encode() if admin_token else None

    def is_admin(self, request: Request) -> bool:
        """Whether the request bears the admin token; never true where none is configured."""
        if self._token is None:
            return False
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        # Compared in constant time: an answer's delay must not tell how many characters were right.
        given = token.strip(" ").encode("utf-8", "surrogatepass")
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self._token)

    def may_manage(self, request: Request) -> bool:
        """Whether `require_admin` lets this request pass."""
        try:
            self.require_admin(request)
        except RequestError:
            return False
        return True

    def require_admin(self, request: Request, uploads: frozenset[str] = frozenset()) -> None:
        """Returns for whoever may manage. Raises RequestError: 401 where a token is configured, else 403.

        `uploads` are the content types of files that may be the body instead of JSON.
        """
        if self.is_admin(request):
            return
        if self._token is not None:
            raise RequestError(
                401, "unauthorized", "expected the header Authorization: Bearer <auth.admin_token>", _CHALLENGE
            )
        foreign = _foreign(request, uploads)
        if foreign is not None:
            raise RequestError(
                403,
                "forbidden",
                f"auth.admin_token is not set, so only a person at this machine may manage this server: {foreign}",
            )


def _foreign(request: Request, uploads: frozenset[str]) -> str | None:
    """What shows that the request is not a local person's own, or None.

    A connection over loopback proves little: a proxy on this machine brings anybody's requests, and a browser on it
    sends what any web page tells it to, even under a name of that page's choice (DNS rebinding). So each of these
    has to look right. A foreign page cannot forge Host, Origin and Sec-Fetch-Site, and cannot send JSON without
    asking first (CORS preflight), which nobody here answers. Without asking it can send plain text, forms, and bytes
    without any Content-Type, so none of these is taken for an uploaded file.
    """
    headers = request.headers
    if not _is_loopback(request.local[0]) or not _is_loopback(request.peer[0]):
        return "the connection is not over loopback"
    proxy = next((name for name in headers if _is_proxys(name)), None)
    if proxy is not None:
        return f"the header {proxy} shows a proxy"
    if not _is_loopback_name(headers.get("host", "")):
        return "the Host header is not a loopback name"
    if "origin" in headers and not _is_same_origin(headers["origin"], request):
        return "the Origin header is not this server's"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "the Sec-Fetch-Site header shows a page of another site"
    types = frozenset({"application/json"}) | uploads
    if not _has_type(request, types):
        return f"the Content-Type of the body is not {' or '.join(sorted(types))}"
    return None


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _is_proxys(name: str) -> bool:
    return name in ("forwarded", "via", "x-real-ip") or name.startswith("x-forwarded-")


def _is_loopback_name(host: str) -> bool:
    """`localhost`, names below it (RFC 6761 §6.3) and loopback addresses, with any port."""
    name = _split_host(f"//{host}")[0]
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_same_origin(origin: str, request: Request) -> bool:
    """Same scheme, host and port as what was asked for; `null`, as of sandboxed frames and files, is nobody's."""
    scheme = "https" if request.secure else "http"
    if not origin.lower().startswith(f"{scheme}://"):
        return False
    default = _DEFAULT_PORTS[scheme]
    theirs, ours = _split_host(origin), _split_host(f"//{request.headers.get('host', '')}")
    return theirs[0] != "" and (theirs[0], theirs[1] or default) == (ours[0], ours[1] or default)


def _split_host(url: str) -> tuple[str, int | None]:
    """Host in lower case and port of a URL that is nothing but these; ("", None) for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    plain = "@" not in parts.netloc and not (parts.path or parts.query or parts.fragment)
    return (host, port) if plain else ("", None)


def _has_type(request: Request, types: frozenset[str]) -> bool:
    """Whether the body, read or still to come, is of one of these types, or there is none."""
    headers = request.headers
    if "content-type" in headers:
        return media_type(request) in types
    return not request.body and headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def media_type(request: Request) -> str:
    """Of the body, in lower case without parameters; nothing where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
