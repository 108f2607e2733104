"""Prices of models: US dollars per million tokens."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import yaml

from ..errors import ModelSetupError
from .names import OPENAI_URL, ModelName

TABLE = Path(__file__).with_name("prices.yaml")


@cache
def _table(path: str) -> dict[str, list[float]]:
    try:
        return yaml.safe_load(Path(path).read_text())["prices"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ModelSetupError(f"price table {path} cannot be read: {error}") from error


def price(name: ModelName) -> tuple[float, float] | None:
    """Price of input and output tokens; 0 for local models, None where unknown.

    `SAGE_PRICES` may name a YAML file of the form of `prices.yaml` whose entries come first.
    """
    if name.provider == "local":
        return (0.0, 0.0)
    for path in (os.environ.get("SAGE_PRICES"), str(TABLE)):
        entry = _table(path).get(str(name)) if path else None
        official = name.provider != "openai" or name.base_url == OPENAI_URL
        if entry and (official or path != str(TABLE)):
            return (float(entry[0]), float(entry[1]))
    return None
