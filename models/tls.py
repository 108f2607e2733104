"""What is wrong with an endpoint's TLS, in plain words."""

from __future__ import annotations

import ssl

NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
"""OpenSSL's reasons where what answers is no TLS server."""


def tls_problem(error: BaseException) -> str | None:
    """Why an endpoint cannot be trusted, or does not speak TLS, which no waiting mends; None for anything else."""
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's errors are SSL errors too, without what OpenSSL said: that is their cause.
        if isinstance(cause, ssl.SSLCertVerificationError) and (said := getattr(cause, "verify_message", "")):
            return f"its certificate cannot be trusted ({said})"
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in NO_TLS:
            return "it does not speak TLS: is it http:// instead of https://?"
        cause = cause.__cause__ or cause.__context__ or getattr(cause, "os_error", None)
    return None
