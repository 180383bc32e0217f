"""`/`, `/watch/{id}` and the files they are made of, out of the package: prepared when first asked for."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass

from fastrelay import web
from fastrelay.errors import RequestError
from fastrelay.wire.request import Request
from fastrelay.wire.response import Headers, Response
from fastrelay.wire.router import Router

# Nothing but our own files, and media that the players put together themselves (blob:). A script or a style that
# stands in a page is not run, so a name from a list could do nothing even if it became markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors "
)
_ALONE: Headers = (("Content-Security-Policy", f"{_POLICY}'none'"),)
_ANYWHERE: Headers = (("Content-Security-Policy", f"{_POLICY}*"),)

_HEADERS: Headers = (
    # The page's address may bear a token.
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    # Always asked for again, and mostly answered with 304: a new version is never mixed with an old one.
    ("Cache-Control", "no-cache"),
)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_ZIP_LEVEL = 6
_MISSING = b"/* not installed */\n"


@dataclass(frozen=True, slots=True)
class _File:
    etag: str
    plain: Response
    packed: Response
    unchanged: Response


class Pages:
    """Open to all: the pages hold no secrets, and what they show is asked of the API under its own rules."""

    def __init__(self) -> None:
        self._prepared: dict[tuple[str, Headers], _File] = {}

    def register(self, router: Router) -> None:
        router.add("GET", "/", self.dashboard)
        router.add("GET", "/watch/{id}", self.player)
        router.add("GET", "/favicon.ico", self.icon)
        router.add("GET", "/web/{name}", self.file)
        router.add("GET", "/web/vendor/{name}", self.vendor_file)

    async def dashboard(self, request: Request) -> Response:
        return await self._serve("dashboard.html", request, _ALONE)

    async def player(self, request: Request) -> Response:
        """The same page for every stream: it asks for the stream by its own address. Only `?embed` may be framed."""
        return await self._serve("watch.html", request, _ANYWHERE if "embed" in request.query else _ALONE)

    async def icon(self, request: Request) -> Response:
        """What browsers ask for unasked beside answers that are no pages; they go by the type, not by the name."""
        return await self._serve("favicon.svg", request, ())

    async def file(self, request: Request) -> Response:
        return await self._serve(request.params["name"], request, ())

    async def vendor_file(self, request: Request) -> Response:
        return await self._serve(f"vendor/{request.params['name']}", request, ())

    async def _serve(self, name: str, request: Request, policy: Headers) -> Response:
        file = self._prepared.get((name, policy))
        if file is None:
            # Compressing the largest takes 20 ms, which the loop has not.
            file = self._prepared[name, policy] = await asyncio.to_thread(_prepare, name, policy)
        if request.headers.get("if-none-match") == file.etag:
            return file.unchanged
        return file.packed if "gzip" in request.headers.get("accept-encoding", "") else file.plain


def _prepare(name: str, policy: Headers) -> _File:
    """Raises RequestError 404 for what is no file of the pages."""
    data = web.read(name)
    if data is None and name in (f"vendor/{each}" for each in web.VENDOR):
        # Defines nothing: the page sees that and says what is missing, where a 404 were an error in the console.
        data = _MISSING
    if data is None:
        raise RequestError(404, "not_found", f"there is no file '{name[:100]}'")
    kind = _TYPES[name.rpartition(".")[2]]
    etag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    # HTML has its nosniff from the response itself.
    headers = (*(_HEADERS if not kind.startswith("text/html") else (_HEADERS[0], _HEADERS[2])), *policy)
    headers = (*headers, ("ETag", etag), ("Vary", "Accept-Encoding"))
    packed = gzip.compress(data, _ZIP_LEVEL, mtime=0)
    return _File(
        etag,
        Response(200, data, kind, headers),
        Response(200, packed, kind, (*headers, ("Content-Encoding", "gzip"))),
        Response(304, b"", "", headers),
    )
