"""Errors of LangChain's providers, and of users' own apps, as errors of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError, ModelRefused, TransientModelError
from ..traces.redact import redact
from .client import MAYBE_SPENT_STATUS, OVERLOADED_STATUS, QUOTA_CODES, TRANSIENT_STATUS, QuotaExhausted
from .rate_limit import retry_after

SHOWN_CHARACTERS = 400
# Providers' packages share no base classes, but they name these errors alike.
TRANSIENT_NAMES = ("Timeout", "RateLimit", "Overloaded", "ServiceUnavailable", "APIConnection", "ResourceExhausted")


def model_error(error: Exception, name: str) -> ModelError:
    """What `error`, raised while `name` was called, means: transient or not, without any secret."""
    if isinstance(error, ModelError):
        return error
    status = _status(error)
    text = " ".join(redact(str(error)).split())[:SHOWN_CHARACTERS]
    message = f"{name}: {text or type(error).__name__}"
    if str(getattr(error, "code", "")) in QUOTA_CODES or status == 402:
        return QuotaExhausted(f"{name}: the account has no credit left; top it up, then resume ({text})")
    if status is not None:
        if status in TRANSIENT_STATUS or status >= 500:
            wish = retry_after(_headers(error))
            spent, overloaded = status in MAYBE_SPENT_STATUS, status in OVERLOADED_STATUS
            return TransientModelError(message, retry_after=wish, spent=spent, overloaded=overloaded)
        return ModelRefused(message) if status in (401, 403, 404) else ModelError(message)
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    if isinstance(error, (TimeoutError, ConnectionError)) or any(part in kinds for part in TRANSIENT_NAMES):
        return TransientModelError(message, spent=True)
    return ModelError(f"{name}: {type(error).__name__}: {text}")


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status: Any = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _headers(error: Exception) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers if isinstance(headers, Mapping) else {}
