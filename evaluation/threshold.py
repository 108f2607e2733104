"""The threshold rule of acceptance (arXiv 2406.13443, section 3.2; docs/strategies.md)."""

from __future__ import annotations

ROUNDING = 1e-9
"""Means that are equal but for rounding are equal."""


def passes_threshold(before: float, gain: float, least_gain: float) -> bool:
    """Whether a candidate is accepted that scores `gain` above a champion's mean score `before`.

    Any gain will do where the champion is within `least_gain` of perfect; elsewhere it must be that large.
    """
    if gain <= ROUNDING:
        return False
    return before >= 1 - least_gain - ROUNDING or gain >= least_gain - ROUNDING
