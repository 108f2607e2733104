"""Errors of LangChain's providers, and of users' own apps, as errors of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import ModelError, ModelRefused, QuotaExhausted, TransientModelError
from ..traces.redact import redact
from .client import MAYBE_SPENT_STATUS, OVERLOADED_STATUS, QUOTA_CODES, TRANSIENT_STATUS, sign_of
from .rate_limit import retry_after
from .tls import tls_problem

SHOWN_CHARACTERS = 400
# Providers' packages share no base classes, but they name these errors alike.
TRANSIENT_NAMES = ("Timeout", "RateLimit", "Overloaded", "ServiceUnavailable", "APIConnection", "ResourceExhausted")

# Somewhere among the causes of an error: no connection could be made (aiohttp, httpx).
NOT_CONNECTED = ("ClientConnectorError", "ClientConnectorDNSError", "ConnectError", "gaierror")


def model_error(error: Exception, name: str) -> ModelError:
    """What `error`, raised while `name` was called, means: transient or not, without any secret."""
    if isinstance(error, ModelError):
        return error
    status = _status(error)
    text = " ".join(redact(str(error)).split())[:SHOWN_CHARACTERS]
    message = f"{name}: {text or type(error).__name__}"
    if (problem := tls_problem(error)) is not None:
        return ModelRefused(f"cannot connect to {name}: {problem}")
    if str(getattr(error, "code", "")) in QUOTA_CODES or status == 402:
        return QuotaExhausted(f"{name}: the account has no credit left: top it up ({text})")
    if status is not None:
        if status in TRANSIENT_STATUS or status >= 500:
            wish = retry_after(_headers(error))
            spent, overloaded = status in MAYBE_SPENT_STATUS, status in OVERLOADED_STATUS
            return TransientModelError(
                message, retry_after=wish, spent=spent, overloaded=overloaded, sign=sign_of(status)
            )
        return ModelRefused(message) if status in (401, 403, 404) else ModelError(message)
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    if isinstance(error, (TimeoutError, ConnectionError)) or any(part in kinds for part in TRANSIENT_NAMES):
        unreachable = _no_connection(error)
        if unreachable is not None:
            return TransientModelError(f"cannot connect to {name}: {unreachable}", sign="unreachable")
        rated = "RateLimit" in kinds or "ResourceExhausted" in kinds
        return TransientModelError(message, spent=True, sign="serving" if rated else "failing")
    return ModelError(f"{name}: {type(error).__name__}: {text}")


def _no_connection(error: BaseException) -> str | None:
    """Why no connection could be made; None where one was. Providers' packages only say that something timed out."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError) or type(cause).__name__ in NOT_CONNECTED:
            number = getattr(cause, "errno", None) or 0
            why = os.strerror(number).lower() if number > 0 else redact(str(cause))[:SHOWN_CHARACTERS]
            return why or type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return None


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status: Any = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _headers(error: Exception) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers if isinstance(headers, Mapping) else {}
