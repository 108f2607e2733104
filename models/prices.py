"""Prices of models, in US dollars per million tokens, and of sandboxes, in US dollars per second."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ..errors import ModelSetupError
from ..settings import secret
from .names import OPENAI_URL, ModelName

TABLE = Path(__file__).with_name("prices.yaml")
SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


def price(name: ModelName | str) -> tuple[float, float] | None:
    """Price of a million input and of a million output tokens; 0 for local models, None where unknown.

    `SAGE_PRICES` may name a YAML file of the form of `prices.yaml` whose entries come first. That file alone can
    price targets that are no models (given by their names), and models behind addresses other than the provider's.
    """
    own_file = secret("SAGE_PRICES")
    names = _spellings(name)
    if own_file:
        own = _table(own_file, Path(own_file).stat().st_mtime_ns if Path(own_file).exists() else 0)
        for spelling in names:
            if spelling in own:
                return own[spelling]
    if isinstance(name, str):
        return None
    if name.local:
        return (0.0, 0.0)
    if name.provider == "openai" and name.base_url != OPENAI_URL:
        return None
    known = _table(str(TABLE), 0)
    return next((known[spelling] for spelling in names if spelling in known), None)


def sandbox_price(name: str) -> float:
    """US dollars per second of one sandbox of a paid service.

    From the section `sandboxes` of the file in `SAGE_PRICES`, else of `prices.yaml`. Raises ModelSetupError where the
    file cannot be read.
    """
    own_file = secret("SAGE_PRICES")
    if own_file:
        own = _sandboxes(own_file, Path(own_file).stat().st_mtime_ns if Path(own_file).exists() else 0)
        if name in own:
            return own[name]
    return _sandboxes(str(TABLE), 0)[name]


def _spellings(name: ModelName | str) -> list[str]:
    if isinstance(name, str):
        return [name]
    short = f"{name.provider}:{name.model}"
    return list(dict.fromkeys([str(name), short, SNAPSHOT.sub("", short)]))


@cache
def _table(path: str, _changed: int) -> dict[str, tuple[float, float]]:
    try:
        given: Any = yaml.safe_load(Path(path).read_text())
        rows: Any = given.get("prices", {}) if "sandboxes" in given else given["prices"]
        table = {str(name): (float(row[0]), float(row[1])) for name, row in rows.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        form = "'prices: {openai:MODEL: [INPUT, OUTPUT]}' in US dollars per million tokens"
        reason = " ".join(str(error).split())[:200]
        raise ModelSetupError(f"price table {path} cannot be read; it should say {form} ({reason})") from error
    if not all(0 <= value < math.inf for row in table.values() for value in row):
        raise ModelSetupError(f"price table {path}: a price is negative or no number")
    return table


@cache
def _sandboxes(path: str, _changed: int) -> dict[str, float]:
    try:
        given: Any = yaml.safe_load(Path(path).read_text())
        table = {
            str(name): float(row["vcpus"]) * float(row["usd_per_vcpu_second"])
            + float(row["gib"]) * float(row["usd_per_gib_second"])
            for name, row in given.get("sandboxes", {}).items()
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        form = "'sandboxes: {e2b: {vcpus: N, gib: N, usd_per_vcpu_second: USD, usd_per_gib_second: USD}}'"
        reason = " ".join(str(error).split())[:200]
        raise ModelSetupError(f"price table {path} cannot be read; it should say {form} ({reason})") from error
    if not all(0 <= value < math.inf for value in table.values()):
        raise ModelSetupError(f"price table {path}: a price is negative or no number")
    return table
