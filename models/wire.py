"""JSON as it goes over the wire: fast, and never stopped by a text that is no proper Unicode."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """`value` as JSON in UTF-8. Half of a surrogate pair, which UTF-8 cannot hold, is sent as its escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def from_json(data: bytes) -> Any:
    """What JSON `data` says. Raises ValueError or RecursionError where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)  # which also takes lone surrogates and NaN, as careless servers send
