"""What a target is: the model or app whose prompt is optimised, seen as one asynchronous call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
    the token bounds are what a reservation needs (UTF-8 bytes as input tokens, the output limit)."""

    fingerprint: str
    max_input_tokens: int
    max_output_tokens: int


class Target(Protocol):
    """The model or app under optimisation.

    Raises `TransientModelError` for what may pass and `ModelError` for what will not; never retries itself.
    """

    name: str
    price: tuple[float, float] | None
    """US dollars per million input and output tokens; None where unknown."""
    stochastic: bool
    """True where the same request may be answered differently (temperature above 0)."""
    concurrency: int
    """How many calls may usefully be under way at once."""

    def request(self, prompt: Prompt, example: Example) -> Request: ...

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output: ...

    async def aclose(self) -> None: ...
