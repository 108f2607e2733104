"""One call that costs something, on its way to an answer: admitted, reserved, sent, settled, tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelError, TransientModelError
from ..models.rate_limit import RateLimit
from ..models.retry import RetryPolicy, call_with_retries
from ..seeding import generator
from ..tasks.target import Output
from ..traces.rows import Answer, Call
from .concurrency import Concurrency
from .ledger import Charge, Ledger, Role
from .outage import Outage, Paused


@dataclass(slots=True)
class PaidRequest:
    """One logical call, known by its `key`. `send(draw)` makes one attempt; it never retries."""

    key: str
    send: Callable[[int], Awaitable[Output]]
    max_input_tokens: int
    max_output_tokens: int
    draw: int = 0
    """Which of the answers that the same request may get."""
    price: tuple[float, float] | None = None
    rate_limit: RateLimit | None = None
    """What the account that it goes to allows."""


@dataclass(frozen=True, slots=True)
class Block:
    """What the calls of one block have in common."""

    run_id: str
    role: Role
    iteration: int
    ledger: Ledger
    limit: Concurrency
    outage: Outage
    policy: RetryPolicy
    seed: int
    on_wait: Callable[[float], None]
    """Told how many seconds a call waits for the provider's rate limit; 0 when it goes on."""
    witnesses: int
    """How many of its calls can be under way beside each other."""


class PaidCall:
    """A request on its way. `answer` ends it; `journal` says what it took, however it ended."""

    __slots__ = ("before", "block", "bound", "charges", "request", "sent")

    def __init__(self, request: PaidRequest, block: Block, before: Call | None = None) -> None:
        self.request = self.sent = request
        self.block = block
        self.before = before
        """What was journalled of earlier attempts that came to nothing."""
        self.bound = request.max_input_tokens + request.max_output_tokens
        self.charges: list[Charge] = []
        """One for each attempt."""

    async def answer(self) -> Answer:
        """What was answered, in as many attempts as it takes; those that fail while the provider is down do not count.

        Raises ModelError where it failed for good (ModelRefused: no further call will do better), BudgetExceeded
        where an attempt has no room, ProviderDown when patience is at its end.
        """
        block, key = self.block, self.request.key
        rng = Jitter(block.seed, key)
        try:
            while True:
                try:
                    output = await call_with_retries(
                        self._attempt, block.policy, rng=rng, admit=self._admit, on_failure=self._failed
                    )
                    block.limit.answered(output.latency)
                    return _answer(key, output)
                except Paused:
                    rng = Jitter(block.seed, key)  # it begins again
        finally:
            block.outage.leave(key)

    def journal(self, *, missing: bool) -> Call:
        """What the ledger's journal keeps of it."""
        block, charges, before = self.block, self.charges, self.before
        paid = [*charges, before] if before else charges
        return Call(
            block.run_id,
            self.request.key,
            block.role,
            block.iteration,
            sum([c.input_tokens for c in paid]),
            sum([c.output_tokens for c in paid]),
            sum([c.usd for c in paid]),
            len(charges) + (before.attempts if before else 0),
            False,
            missing,
        )

    async def _admit(self) -> None:
        """Returns when an attempt may be made, with its cost reserved."""
        block = self.block
        request = self.sent = self.request
        if block.outage.down:
            await block.outage.ready(request.key)
            request = self.sent = block.outage.probe(request)
        if request.rate_limit is not None:
            await request.rate_limit.wait_for_room(self.bound, block.on_wait)
        charge = Charge(request.max_input_tokens, request.max_output_tokens, request.price)
        await block.ledger.reserve(block.role, charge)
        self.charges.append(charge)

    async def _attempt(self) -> Output:
        """One attempt, settled at what it cost."""
        rate_limit, block, charge, sent = self.request.rate_limit, self.block, self.charges[-1], self.sent
        if rate_limit is not None:
            rate_limit.begin(self.bound)
        try:
            output = await (self._probe() if block.outage.down else sent.send(sent.draw))
            charge.settle(output.usage.input_tokens, output.usage.output_tokens)
            if sent is not self.request:
                block.outage.blame()
            block.outage.answered(sent)
            if sent is not self.request:
                raise Paused  # it was another one's answer; now it begins again
            return output
        except ModelError as error:
            transient = isinstance(error, TransientModelError)
            if not (transient and error.spent):
                charge.settle_unused()
            if not transient:
                block.outage.answered()
            raise
        finally:
            block.ledger.book(block.role, charge)
            if rate_limit is not None:
                rate_limit.end(self.bound)

    async def _probe(self) -> Output:
        async with asyncio.timeout(self.block.outage.probe_seconds(self.request.key)):
            return await self.sent.send(self.sent.draw)

    def _failed(self, error: TransientModelError | TimeoutError) -> None:
        """Hear of an attempt that failed in a way that may pass; raises Paused in an outage."""
        if isinstance(error, TimeoutError) or error.overloaded:
            self.block.limit.overloaded()
        self.block.outage.failed(self.request.key, error, self.block.witnesses)


def _answer(key: str, output: Output) -> Answer:
    usage = output.usage
    return Answer(
        key,
        output.text,
        usage.input_tokens,
        usage.output_tokens,
        output.latency,
        output.label_logprobs,
        output.decoding,
    )


@dataclass(slots=True)
class Jitter:
    """A call's own random draws; its generator is made when a call is retried, which is seldom."""

    seed: int
    key: str
    _made: np.random.Generator | None = field(default=None)

    def random(self) -> float:
        """The next draw, in [0, 1)."""
        if self._made is None:
            self._made = generator(self.seed, "retry", self.key)
        return float(self._made.random())
