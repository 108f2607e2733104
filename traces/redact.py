"""Taking secrets out of what is written down: event logs and error messages."""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from ..settings import dotenv

REDACTED = "[redacted]"
MAX_STRING = 2_000
"""Characters of one string that an event keeps."""
MAX_DEPTH = 50
"""Levels of nesting that an event keeps."""

_ENV_NAME = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_FIELD_NAME = re.compile(
    "key(?!word|board|stroke)|token(?!iz)|secret|passw|passphrase|authorization|credential", re.IGNORECASE
)
_SHAPES = re.compile(
    r"""
    -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)                              # user:password in an address
    | (?i:\b(?:bearer|basic)\s+(?=\S{20}|\S*\d)[\w.~+/=-]{8,})     # an Authorization header
    | (?<![A-Za-z0-9])(?:
        sk-[\w-]{8,}                                               # OpenAI, Anthropic, OpenRouter
      | (?:sk_)?e2b_\w{8,}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}                        # AWS
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
      | hf_[A-Za-z0-9]{20,} | gsk_\w{20,} | AIza[\w-]{30,} | lsv2_[a-z]+_\w{16,} | xox[a-z]-[\w-]{10,}
      | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*                         # a JSON web token
      )
    | (?P<name>(?i:(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?(?:key|token)|authorization)\\?["']?\s?[=:]\s?\\?["']?
        (?:(?:basic|bearer|token)\s+)?))(?!\[redacted)[^\s"'\\,;&]{6,}                  # a value given by name
    """,
    re.VERBOSE | re.DOTALL,
)


def redact(text: str) -> str:
    """The text with everything that is or looks like a secret replaced by `[redacted]`.

    Secrets are the values of environment variables and `.env` entries whose name contains KEY, TOKEN, SECRET or
    PASSWORD, and strings shaped like keys of the usual providers.
    """
    return _clean(text, _known())


def redacted(value: Any) -> Any:
    """The value as plain JSON without secrets, at any depth, long strings cut with a word on how much.

    Texts in a field whose name speaks of a key, token, secret or password are taken out whole; numbers there
    stay, as `tokens` mostly counts them.
    """
    return _plain(value, _known(), hidden=False, depth=0)


def redact_event(_logger: object, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """`redacted` as a structlog processor."""
    return redacted(event)


def secrets() -> list[str]:
    """The secrets of the environment and of `.env`, as they are now, longest first."""
    found: set[str] = set()
    try:
        in_file = dotenv()
    except (OSError, ValueError):  # not UTF-8, or the working folder is gone; errors are told by way of this function
        in_file = {}
    for name, value in (*in_file.items(), *os.environ.items()):
        if value and _ENV_NAME.search(name) and _is_secret(value.strip()):
            found.add(value.strip())
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _is_secret(value: str) -> bool:
    # `…_TOKENS=4096` is a limit and `TOKENIZERS_PARALLELISM=false` a switch; taking such words out of every text
    # would spoil the log.
    return len(value) >= 6 and not (value.isdigit() and len(value) < 8)


def _known() -> re.Pattern[str] | None:
    found = secrets()
    return re.compile("|".join(map(re.escape, found))) if found else None


def _clean(text: str, known: re.Pattern[str] | None) -> str:
    return _SHAPES.sub(lambda found: (found["name"] or "") + REDACTED, known.sub(REDACTED, text) if known else text)


def _plain(value: Any, known: re.Pattern[str] | None, *, hidden: bool, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            # NaN and the infinities are not JSON.
            return float(value) if math.isfinite(value) else str(float(value))
        case _ if depth > MAX_DEPTH:
            return "[nested too deeply]"
        case Mapping() | BaseModel():
            return {
                _cut(_clean(str(name), known)): _plain(
                    item, known, hidden=hidden or _names_secret(name), depth=depth + 1
                )
                for name, item in dict(value).items()
            }
        case list() | tuple() | set() | frozenset():
            return [_plain(item, known, hidden=hidden, depth=depth + 1) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {f.name: getattr(value, f.name) for f in fields(value)}
            return _plain(members, known, hidden=hidden, depth=depth + 1)
        case _ if hidden:
            return REDACTED
        case bytes():
            return _cut(_clean(value.decode("utf-8", "replace"), known))
        case _:
            return _cut(_clean(str(value), known))


def _names_secret(name: object) -> bool:
    return _FIELD_NAME.search(str(name)) is not None


def _cut(clean: str) -> str:
    # After taking secrets out: half a key would no longer be recognised as one.
    if len(clean) <= MAX_STRING:
        return clean
    return f"{clean[:MAX_STRING]}… [{len(clean) - MAX_STRING} more characters]"
