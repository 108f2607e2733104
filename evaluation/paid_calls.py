"""Calls that cost something, made for one run: asked once, paid once, committed as soon as they are answered.

This is where cache, ledger, limits, retry layer and journal meet. A key identifies what is asked; an answer to it that
this run has is free, one that another run left in the store costs no money but counts as a call (so that the
path of a run never depends on what the cache held), and everything else is admitted, reserved, sent, settled and
written. A block of calls is worked off by as many tasks as may have a call under way, not by a task for each call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ModelError, ModelRefused, RunInterrupted
from ..models.retry import RetryPolicy
from ..traces.redact import redact
from ..traces.rows import Answer, Call
from ..traces.store import RunStore
from .concurrency import Concurrency
from .ledger import Ledger, Role
from .outage import PATIENCE_MINUTES, Outage
from .paid_call import Block, Jitter, PaidCall, PaidRequest

GRACE_SECONDS = 2.0
"""How long calls under way may still take where no further one makes sense: what is answered by then is kept."""


@dataclass
class PaidCalls:
    """The paid calls of one run."""

    run_id: str
    store: RunStore
    ledger: Ledger
    policy: RetryPolicy
    seed: int
    patience: float = 60 * PATIENCE_MINUTES
    """Seconds that an outage of a provider may last before the run stops, to be resumed."""
    trouble: str = ""
    """Why the last call that failed for good did."""
    on_trouble: Callable[[str], None] = lambda message: None
    on_call: Callable[[Call], None] = lambda call: None
    """Told of every call as it ends, for whoever shows progress."""
    on_wait: Callable[[float], None] = lambda seconds: None
    """Told how many seconds a call waits for the provider's rate limit; 0 when it goes on."""
    on_outage: Callable[[str, dict[str, Any]], None] = lambda event, fields: None
    """Told when a provider does not answer any more, and when it does again (see `Outage`)."""
    _outages: dict[str, Outage] = field(default_factory=dict)
    """What is known of each provider, by the model's or app's name."""
    _journal: dict[str, int] = field(default_factory=dict)
    """For every call this run made: the step or iteration that made it."""
    _in_vain: dict[str, Call] = field(default_factory=dict)
    """What was paid for calls that are to be asked again: they failed in an earlier process, or were cut."""
    _newest: int = -1
    """No call of the journal is of a later one."""
    _replayed: set[str] = field(default_factory=set)
    """Calls that an earlier execution of the step in hand has made, and this one has not come to yet."""
    _under_way: dict[str, asyncio.Future[Answer | None] | None] = field(default_factory=dict)
    """Calls that some block is about to make or making; a future where another block waits for the answer too."""

    async def restore(self, *, restarts: int, in_flight: int | Callable[[int], int]) -> None:
        """Take up what earlier processes of this run paid for. `in_flight`: how many calls each of them may have had
        under way at its end, a number or what gives it for the number of calls that were made."""
        calls = await self.store.calls(self.run_id)
        in_flight = in_flight if isinstance(in_flight, int) else in_flight(len(calls))
        # Errors are never kept: what went missing is asked again.
        self._journal.update({call.key: call.iteration for call in calls if not call.missing})
        self._in_vain.update({call.key: call for call in calls if call.missing})
        self._newest = max(self._journal.values(), default=-1)
        self.ledger.restore(calls, restarts=restarts, in_flight=in_flight)

    @property
    def waiting(self) -> bool:
        """Whether calls wait for a provider that is down."""
        return any(outage.down for outage in self._outages.values())

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._under_way)

    def begin(self, step: int) -> None:
        """Enter a step. Where it is run again after a crash, its calls are there and paid, but whether the budget
        has room for one is decided as it was the first time: as if they were still to be made."""
        self._replayed = {key for key, made in self._journal.items() if made >= step} if step <= self._newest else set()

    def fitting(self, role: Role, blocks: Iterable[Iterable[str]], beside: int = 0) -> int:
        """How many of the blocks of logical calls, given by their keys and taken in order, fit the budget with so many
        calls `beside` them; what the run has asked before is free."""
        new: set[str] = set()
        number = 0
        for number, keys in enumerate(blocks, start=1):
            new.update(key for key in keys if key not in self._journal or key in self._replayed)
            if not self.room_for_new(role, len(new) + beside):
                return number - 1
        return number

    def room_for_new(self, role: Role, calls: int) -> bool:
        """Whether so many calls that the run has not asked yet fit the budget (see `begin`)."""
        return self.ledger.room_for(role, calls - len(self._replayed))

    async def ask(
        self,
        requests: Sequence[PaidRequest],
        *,
        role: Role,
        iteration: int,
        limit: Concurrency,
        of: str = "the provider",
    ) -> list[Answer | None]:
        """The answers in order; None where a call failed for good. `limit` bounds how many are under way at once;
        `of` is the name of the model or app that is asked.

        Either all the logical calls fit the budget or none is made (BudgetExceeded). Also raises
        BudgetExceeded when tokens or dollars run out half way (what was answered by then is kept), and
        ModelRefused when the provider will not answer any further call. While it is down all its calls wait;
        ProviderDown says that it lasted longer than `patience`.
        """
        by_key = {request.key: request for request in requests}
        fresh = [key for key in by_key if key not in self._journal and key not in self._under_way]
        self.ledger.take(role, len(fresh))
        self._replayed.difference_update(by_key)
        # Nothing is awaited before this line, so that no other caller can ask for the same keys.
        shared = {key: self._answer_of_others(key) for key in by_key if key in self._under_way}
        self._under_way.update(dict.fromkeys(fresh))
        try:
            answers: dict[str, Answer | None] = {**await self.store.answers(by_key)}
            for key in fresh:
                if (known := answers.get(key)) is not None:
                    self._done(Call(self.run_id, key, role, iteration, 0, 0, 0.0, 0, True, False), known)
            to_send = deque(by_key[key] for key in fresh if key not in answers)
            if to_send:
                await self._send_all(to_send, answers, self._block(role, iteration, limit, of, len(to_send)))
        finally:
            for key in fresh:
                if waited_for := self._under_way.pop(key, None):
                    waited_for.cancel()
            self.ledger.give_back(role, sum(key not in self._journal for key in fresh))
        for key, other in shared.items():
            await asyncio.wait([other])
            # Whoever asked first may have been cancelled or stopped; then the call is still to be made.
            lost = other.cancelled()
            alone = [by_key[key]] if lost else []
            again = await self.ask(alone, role=role, iteration=iteration, limit=limit, of=of) if lost else []
            answers[key] = again[0] if lost else other.result()
        return [answers.get(request.key) for request in requests]

    async def _send_all(self, to_send: deque[PaidRequest], answers: dict[str, Answer | None], block: Block) -> None:
        """Work off the queue into `answers`. Where a call must not be made or refused, no further one is begun."""

        async def work() -> None:
            while to_send:
                async with block.limit:
                    if not to_send:
                        return
                    request = to_send.popleft()
                    try:
                        answers[request.key] = await self._pay(request, block)
                    except BaseException:
                        to_send.clear()
                        raise

        workers = [asyncio.create_task(work()) for _ in range(block.witnesses)]
        try:
            done, under_way = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            if under_way:
                hopeless = any(isinstance(worker.exception(), (ModelRefused, RunInterrupted)) for worker in done)
                await asyncio.wait(under_way, timeout=GRACE_SECONDS if hopeless else None)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        # Whoever raised for a reason, before those that were cut for it.
        for worker in sorted(workers, key=asyncio.Task.cancelled):
            worker.result()

    def _block(self, role: Role, iteration: int, limit: Concurrency, of: str, calls: int) -> Block:
        return Block(
            run_id=self.run_id,
            role=role,
            iteration=iteration,
            ledger=self.ledger,
            limit=limit,
            outage=self._outage(of),
            policy=self.policy,
            seed=self.seed,
            on_wait=self.on_wait,
            witnesses=min(calls, limit.most),
        )

    def _outage(self, of: str) -> Outage:
        if of not in self._outages:

            def changed(event: str, fields: dict[str, Any]) -> None:
                (self.ledger.stop_clock if event == "outage" else self.ledger.start_clock)()
                self.on_outage(event, fields)

            self._outages[of] = Outage(
                of, self.patience, rng=Jitter(self.seed, of), known=bool(self._journal), on_change=changed
            )
        return self._outages[of]

    async def _pay(self, request: PaidRequest, block: Block) -> Answer | None:
        """Make one call and write down what came of it."""
        call, answer = PaidCall(request, block, self._in_vain.get(request.key)), None
        try:
            answer = await call.answer()
            self.store.add(answer)
        except BaseException as error:
            if not isinstance(error, ModelError) or isinstance(error, ModelRefused):
                if call.charges:  # it will be asked again, and what it took until now is spent
                    self._in_vain[request.key] = paid = call.journal(missing=True)
                    self.store.add(paid)
                raise
            self.trouble = redact(str(error))
            self.on_trouble(self.trouble)
        self._done(call.journal(missing=answer is None), answer)
        return answer

    def _done(self, call: Call, answer: Answer | None) -> None:
        """Write the call into the journal and give its answer to whoever waits for it."""
        self.store.add(call)
        self._journal[call.key] = call.iteration
        self._newest = max(self._newest, call.iteration)
        spend = self.ledger.spend[call.role]
        spend.cached += call.cached
        spend.missing += call.missing
        if waited_for := self._under_way.pop(call.key, None):
            waited_for.set_result(answer)
        self.on_call(call)

    def _answer_of_others(self, key: str) -> asyncio.Future[Answer | None]:
        """What the block that is making this call will hear; cancelled where it gives up."""
        waited_for = self._under_way[key]
        if waited_for is None:
            waited_for = self._under_way[key] = asyncio.get_running_loop().create_future()
        return waited_for
