"""What can go wrong on purpose, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from .answers import uniform

Fault = Literal[
    "429",  # too many requests, without a wish
    "429 wait",  # too many requests, with Retry-After
    "quota",  # no credit left
    "500",
    "503",
    "hang",  # never answers
    "reset",  # breaks the connection before a word
    "truncated",  # fewer bytes than promised
    "malformed",  # JSON cut in the middle, with all the bytes promised
    "html",  # a proxy's error page with status 200
    "trickle",  # a byte at a time
    "large",  # a reply of more than 5 MB
    "empty",  # no choices
    "refusal",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True)
class Faults:
    """Which share of attempts meets which fault.

    Where one hits depends on the seed, the request and how often it was sent before, so that a request that is
    retried comes through in the end; from attempt `at_most` (counted from 0) on there is none. `outage` is a range
    of request numbers [first, last) that all get 503.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    at_most: int = 4
    outage: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.rates) - set(FAULTS)
        if unknown or sum(self.rates.values()) > 1:
            raise ValueError(f"unknown faults {sorted(unknown)}" if unknown else "the rates add up to more than 1")

    def hits(self, request_digest: str, attempt: int, number: int) -> Fault | None:
        """The fault that meets this attempt (0 for the first), the `number`-th request of the server."""
        if self.outage and self.outage[0] <= number < self.outage[1]:
            return "503"
        if attempt >= self.at_most:
            return None
        luck = uniform(self.seed, request_digest, attempt)
        for fault, rate in self.rates.items():
            luck -= rate
            if luck < 0:
                return fault
        return None
