"""What went wrong with an HTTP request, in a few words for people, without a URL."""

import os
import ssl

import aiohttp


def why(error: Exception, connected: bool) -> str:
    """What went wrong before an answer came, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the TLS certificate is not valid ({brief(error.certificate_error)})"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"the TLS handshake failed ({brief(error)})"
    if connected:
        return "the connection was closed before an answer came"
    return f"no connection ({brief(error)})"


def brief(error: BaseException) -> str:
    """What the system or OpenSSL says of it, or else its kind; an exception's own text may name the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return type(error).__name__
