"""Calls that cost something, made for one run: asked once, paid once, committed as soon as they are answered.

This is where cache, ledger, retry layer and journal meet. A key identifies what is asked; an answer to it that
this run has is free, one that another run left in the store costs no money but counts as a call (so that the
path of a run never depends on what the cache held), and everything else is reserved, sent, settled and written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from ..errors import ModelError, ModelRefused, TransientModelError
from ..models.retry import RetryPolicy, call_with_retries
from ..seeding import generator
from ..traces.redact import redact
from ..traces.rows import Answer, Call
from ..traces.store import RunStore
from .ledger import Charge, Ledger, Role


@dataclass(frozen=True)
class PaidRequest:
    """One logical call. `send` makes one attempt and returns its answer; it never retries."""

    key: str
    send: Callable[[], Awaitable[Answer]]
    max_input_tokens: int
    max_output_tokens: int
    price: tuple[float, float] | None = None


@dataclass
class PaidCalls:
    """The paid calls of one run. `limit` bounds how many are under way at once."""

    run_id: str
    store: RunStore
    ledger: Ledger
    policy: RetryPolicy
    seed: int
    trouble: str = ""
    """Why the last call that failed for good did."""
    on_trouble: Callable[[str], None] = lambda message: None
    on_call: Callable[[Call], None] = lambda call: None
    """Told of every call as it ends, for whoever shows progress."""
    _journal: dict[str, int] = field(default_factory=dict)
    """For every call this run made: the step or iteration that made it."""
    _replayed: set[str] = field(default_factory=set)
    """Calls that an earlier execution of the step in hand has made, and this one has not come to yet."""
    _under_way: dict[str, asyncio.Task[Answer | None]] = field(default_factory=dict)

    async def restore(self, *, restarts: int, in_flight: int) -> None:
        """Take up what earlier processes of this run paid for."""
        calls = await self.store.calls(self.run_id)
        # Errors are never kept: what went missing is asked again.
        self._journal.update({call.key: call.iteration for call in calls if not call.missing})
        self.ledger.restore(calls, restarts=restarts, in_flight=in_flight)

    def begin(self, step: int) -> None:
        """Enter a step. Where it is run again after a crash, its calls are there and paid, but whether the budget
        has room for one is decided as it was the first time: as if they were still to be made."""
        self._replayed = {key for key, made in self._journal.items() if made >= step}

    def room_for(self, role: Role, keys: Collection[str]) -> bool:
        """Whether the logical calls behind these keys fit the budget; what the run has asked before is free."""
        return self.room_for_new(role, sum(key not in self._journal or key in self._replayed for key in set(keys)))

    def room_for_new(self, role: Role, calls: int) -> bool:
        """Whether so many calls that the run has not asked yet fit the budget (see `begin`)."""
        return self.ledger.room_for(role, calls - len(self._replayed))

    async def ask(
        self, requests: Sequence[PaidRequest], *, role: Role, iteration: int, limit: asyncio.Semaphore
    ) -> list[Answer | None]:
        """The answers in order; None where a call failed for good.

        Either all the logical calls fit the budget or none is made (BudgetExceeded). Also raises
        BudgetExceeded when tokens or dollars run out half way (what was answered by then is kept), and
        ModelRefused when the provider will not answer any further call.
        """
        by_key = {request.key: request for request in requests}
        fresh = [key for key in by_key if key not in self._journal and key not in self._under_way]
        self.ledger.take(role, len(fresh))
        self._replayed.difference_update(by_key)
        # From here to the last create_task nothing is awaited, so that no other caller can ask for the same keys.
        lookup = asyncio.create_task(self.store.answers(by_key))
        shared = {key: self._under_way[key] for key in by_key if key in self._under_way}
        mine = {key: asyncio.create_task(self._obtain(by_key[key], lookup, role, iteration, limit)) for key in fresh}
        self._under_way.update(mine)
        try:
            done = await asyncio.gather(*mine.values(), return_exceptions=True)
            known = await lookup
        finally:
            for key, task in mine.items():
                task.cancel()
                self._under_way.pop(key, None)
            lookup.cancel()
            await asyncio.wait([*mine.values(), lookup])
            self.ledger.give_back(role, sum(key not in self._journal for key in fresh))
        await self.store.flush()
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        answers = {**known, **{key: task.result() for key, task in mine.items()}}
        for key, task in shared.items():
            await asyncio.wait([task])
            # Whoever asked first may have been cancelled or stopped; then the call is still to be made.
            lost = task.cancelled() or task.exception() is not None
            answers[key] = (
                (await self.ask([by_key[key]], role=role, iteration=iteration, limit=limit))[0]
                if lost
                else task.result()
            )
        return [answers.get(request.key) for request in requests]

    async def _obtain(
        self,
        request: PaidRequest,
        lookup: asyncio.Task[dict[str, Answer]],
        role: Role,
        iteration: int,
        limit: asyncio.Semaphore,
    ) -> Answer | None:
        """The store's answer, counted as a call; else one that is paid for."""
        known = (await asyncio.shield(lookup)).get(request.key)
        if known is None:
            return await self._pay(request, role, iteration, limit)
        self._write(Call(self.run_id, request.key, role, iteration, 0, 0, 0.0, attempts=0, cached=True, missing=False))
        return known

    async def _pay(self, request: PaidRequest, role: Role, iteration: int, limit: asyncio.Semaphore) -> Answer | None:
        charges: list[Charge] = []

        @asynccontextmanager
        async def reserve() -> AsyncIterator[None]:
            charge = Charge(request.max_input_tokens, request.max_output_tokens, request.price)
            async with self.ledger.attempt(role, charge):
                charges.append(charge)
                yield

        async def attempt() -> Answer:
            charge = charges[-1]
            try:
                answer = await request.send()
            except TransientModelError as error:
                if not error.spent:
                    charge.settle(0, 0)
                raise
            except ModelError:
                charge.settle(0, 0)
                raise
            charge.settle(answer.input_tokens, answer.output_tokens)
            return answer

        async with limit:
            answer: Answer | None = None
            try:
                answer = await call_with_retries(
                    attempt, self.policy, rng=generator(self.seed, "retry", request.key), reserve=reserve
                )
            except ModelRefused:
                raise
            except ModelError as error:
                self.trouble = redact(str(error))
                self.on_trouble(self.trouble)
        if answer is not None:
            self.store.add(replace(answer, key=request.key))
        self._write(
            Call(
                self.run_id,
                request.key,
                role,
                iteration,
                sum(c.input_tokens for c in charges),
                sum(c.output_tokens for c in charges),
                sum(c.usd for c in charges),
                attempts=len(charges),
                cached=False,
                missing=answer is None,
            )
        )
        return answer

    def _write(self, call: Call) -> None:
        self.store.add(call)
        self._journal[call.key] = call.iteration
        self.ledger.spend[call.role].cached += call.cached
        self.ledger.spend[call.role].missing += call.missing
        self.on_call(call)
