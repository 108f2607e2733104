"""What a target is: the model or app whose prompt is optimised, seen as one asynchronous call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ..models.rate_limit import RateLimit
from .example import Example
from .prompt import Prompt


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counted them; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a target answered. `label_logprobs` gives a log-probability per label where labels were scored.

    `decoding` says how the text came about: `text`, `label scoring`, `grammar`.
    """

    text: str
    usage: Usage = Usage()
    latency: float = 0.0
    label_logprobs: dict[str, float] | None = None
    decoding: str = "text"
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A call about to be made. `fingerprint` identifies model, parameters and messages for the cache;
    the token bounds are what a reservation needs (UTF-8 bytes as input tokens, the output limit).

    `send(repeat)` makes the call from what is prepared already; None: the target is called with prompt and example.
    """

    fingerprint: str
    max_input_tokens: int
    max_output_tokens: int
    send: Callable[[int], Awaitable[Output]] | None = None


class Target(Protocol):
    """The model or app under optimisation.

    Raises `TransientModelError` for what may pass and `ModelError` for what will not; never retries itself.
    """

    name: str
    price: tuple[float, float] | None
    """US dollars per million input and output tokens; None where unknown."""
    stochastic: bool
    """True where the same request may be answered differently (temperature above 0)."""
    concurrency: int | None
    """How many calls may usefully be under way at once; None: as many as the provider bears, found out by calling."""

    def request(self, prompt: Prompt, example: Example) -> Request: ...

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output: ...

    async def aclose(self) -> None: ...


def rate_limit_of(target: Target) -> RateLimit | None:
    """What the target's provider allows, where the target has a client that learns it."""
    return getattr(target, "rate_limit", None)
