"""What absolute URLs of this server begin with."""

from fastrelay.wire.request import Request


def base_url(request: Request, public_url: str | None) -> str:
    """`server.public_url`; without one, as the request's own URL began."""
    return public_url or f"{'https' if request.secure else 'http'}://{_host(request)}"


def _host(request: Request) -> str:
    """HTTP/1.0 needs no Host header: then the address that was connected to."""
    host, port = request.local
    return request.headers.get("host") or f"{f'[{host}]' if ':' in host else host}:{port}"
