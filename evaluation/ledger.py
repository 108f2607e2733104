"""One budget for a whole run: reserved before a call is sent, settled after, overrun by nobody.

Two kinds of limit. Logical calls (`target_calls`, `agent_calls`) are taken for a whole block of calls before its
first one, so that whether a block fits never depends on the order in which answers arrive. Tokens and dollars are
reserved per attempt at an upper bound and settled at what the provider counted; where the room is only held by
attempts still under way, a reservation waits for them to settle. Reservations are granted in the order in which they
were asked for, so that it does not depend on how many calls are under way which one the budget ends with.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from ..errors import BudgetExceeded
from ..traces.rows import Call
from .budget import Budget

Role = Literal["target", "agent", "judge", "certification"]
Spender = Role | Literal["sandbox"]
"""`sandbox` is analysis code that runs at a paid service: dollars and time, but no logical calls."""
COUNTED_AS = {
    "target": "target_calls",
    "certification": "target_calls",
    "agent": "agent_calls",
    "judge": "agent_calls",
}
RESEND_SHARE = 0.02
"""Share of tokens and dollars kept for what was in flight at a crash and may have to be paid twice."""


@dataclass
class Spend:
    """What one role (or one iteration) has spent. `calls` are logical calls (of `sandbox`: runs of code), of which
    `cached` were answered from the store and `missing` failed for good; tokens and dollars count every attempt."""

    calls: int = 0
    cached: int = 0
    missing: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Spend) -> Spend:
        return Spend(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(slots=True)
class Charge:
    """Tokens of one attempt: first its upper bound, after `settle` what it took."""

    input_tokens: int
    output_tokens: int
    price: tuple[float, float] | None = None
    reserved: dict[str, float] = field(default_factory=dict)
    """What the ledger keeps back for it while it is under way."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def usd(self) -> float:
        """US dollars, 0 where the price is unknown (a USD budget is refused then)."""
        if self.price is None:
            return 0.0
        return (self.input_tokens * self.price[0] + self.output_tokens * self.price[1]) / 1e6

    @property
    def bound(self) -> dict[str, float]:
        """What it takes of each limit."""
        return {"tokens": float(self.tokens), "usd": self.usd}

    def settle(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """Replace the bound by what the provider counted; a number it left out stays at its bound."""
        self.input_tokens = self.input_tokens if input_tokens is None else input_tokens
        self.output_tokens = self.output_tokens if output_tokens is None else output_tokens

    def settle_unused(self) -> None:
        """It cost nothing: nothing was sent, or it was refused."""
        self.settle(0, 0)


@dataclass
class TimeCharge:
    """Time at a paid service: first its upper bound in seconds, after `settle` what it took."""

    seconds: float
    price: float
    """US dollars per second."""
    input_tokens: int = 0
    output_tokens: int = 0
    reserved: dict[str, float] = field(default_factory=dict)
    """See `Charge`."""

    @property
    def usd(self) -> float:
        """US dollars."""
        return self.seconds * self.price

    @property
    def bound(self) -> dict[str, float]:
        """What it takes of each limit."""
        return {"usd": self.usd}

    def settle(self, seconds: float) -> None:
        """Replace the bound by the time that is charged for."""
        self.seconds = seconds

    def settle_unused(self) -> None:
        """It cost nothing: nothing was run."""
        self.settle(0.0)


AnyCharge = TypeVar("AnyCharge", Charge, TimeCharge)


class Ledger:
    """The budget of one run and what was spent of it, by role.

    `seconds_before` is the working time of earlier processes of the same run.
    """

    def __init__(
        self, budget: Budget, *, seconds_before: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budget = budget
        self.spend: defaultdict[str, Spend] = defaultdict(Spend)
        self._clock = clock
        self._started = clock() - seconds_before
        self._paused: list[float] = []
        self._used = {"tokens": 0.0, "usd": 0.0}
        """Sums over all roles."""
        self._held: defaultdict[str, float] = defaultdict(float)
        self._in_flight: defaultdict[str, float] = defaultdict(float)
        self._attempts = 0
        self._lost: defaultdict[str, float] = defaultdict(float)
        self._resend = {
            name: RESEND_SHARE * limit for name, limit in budget.limits().items() if name in ("tokens", "usd")
        }
        self._waiting: deque[tuple[asyncio.Future[None], Spender, Charge | TimeCharge]] = deque()

    def restore(self, calls: Iterable[Call], *, restarts: int = 0, in_flight: int = 0) -> None:
        """Take up the journal of earlier processes of this run.

        Each of `restarts` may have lost `in_flight` calls that were paid but not committed; they are taken to
        have cost what the run's calls cost on average, and are met from the share kept for them first.
        """
        for call in calls:
            spend = self.spend[call.role]
            # A call that went missing is asked again, and counted then; what its attempts cost is spent.
            spend.calls += not call.missing
            spend.cached += call.cached
            spend.input_tokens += call.input_tokens
            spend.output_tokens += call.output_tokens
            spend.usd += call.usd
            self._use(call.input_tokens + call.output_tokens, call.usd)
        paid = sum(s.calls - s.cached for s in self.spend.values())
        if restarts and paid:
            share = restarts * in_flight / paid
            self._lost["tokens"] = share * sum(s.tokens for s in self.spend.values())
            self._lost["usd"] = share * sum(s.usd for s in self.spend.values())

    def restore_code(self, usd: Iterable[float], *, restarts: int = 0, in_flight: int = 0) -> None:
        """Take up what earlier processes of this run paid for runs of code; 0 is a run that cost nothing.

        Each of `restarts` may have lost `in_flight` runs that were paid but not committed (see `restore`).
        """
        paid = [cost for cost in usd if cost]
        if paid:
            self.spend["sandbox"].calls += len(paid)
            self.spend["sandbox"].usd += sum(paid)
            self._use(0, sum(paid))
            self._lost["usd"] += restarts * in_flight * sum(paid) / len(paid)

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Working time of the run so far, earlier processes included; outages of a provider aside."""
        return (self._paused[0] if self._paused else self._clock()) - self._started

    def spent(self, name: str) -> float:
        """What is spent of one limit, by its name in `Budget`."""
        if name == "minutes":
            return self.seconds / 60
        if name in ("target_calls", "agent_calls"):
            return sum(s.calls for role, s in self.spend.items() if COUNTED_AS.get(role) == name)
        return self._used[name]

    def left(self, name: str, role: Spender = "target") -> float:
        """What `role` may still spend of one limit; infinite where there is none."""
        limit = getattr(self.budget, name)
        if limit is None:
            return float("inf")
        held = 0.0 if role == "certification" else self._held[name]
        resends = max(self._resend.get(name, 0.0), self._lost[name])
        return limit - self.spent(name) - self._in_flight[name] - held - resends

    def report(self) -> dict[str, Any]:
        """Plain values: what was spent in total and by role, and the limits."""
        names = ("target_calls", "agent_calls", "tokens", "usd", "minutes")
        return {
            "limits": self.budget.limits(),
            "spent": {name: self.spent(name) for name in names},
            "by_role": {role: asdict(spend) for role, spend in self.spend.items()},
        }

    # -- spending --------------------------------------------------------------------------------------------

    def stop_clock(self) -> None:
        """A provider is down: waiting for it is no working time. Each stop has a `start_clock` of its own."""
        self._paused.append(self._clock())

    def start_clock(self) -> None:
        """It answers again."""
        first = self._paused[0]
        self._paused.pop()
        if not self._paused:
            self._started += self._clock() - first

    def hold_for_certification(self, *, calls: int, tokens: int, usd: float) -> None:
        """Keep back what certification needs at most; only role `certification` may use it."""
        self._held.update(target_calls=calls, tokens=tokens, usd=usd)
        if self.budget.minutes is not None:
            # Its share of the calls is the best guess of its share of the time; a fifth where calls are unlimited.
            share = calls / self.budget.target_calls if self.budget.target_calls else 0.2
            self._held["minutes"] = self.budget.minutes * min(share, 0.5)

    def room_for(self, role: Role, calls: int) -> bool:
        """Whether that many more logical calls of this role fit now."""
        return self.left(COUNTED_AS[role], role) >= calls and self.left("minutes", role) > 0

    def take(self, role: Role, calls: int) -> None:
        """Count `calls` logical calls, all or none. Raises BudgetExceeded where they do not fit."""
        if calls and not self.room_for(role, calls):
            if self.left("minutes", role) <= 0:
                raise BudgetExceeded(f"the time is used up ({self.budget.minutes:g} minutes)")
            name = COUNTED_AS[role]
            raise BudgetExceeded(f"{calls} more needed of {name}, {max(0, int(self.left(name, role)))} left")
        self.spend[role].calls += calls

    def give_back(self, role: Role, calls: int) -> None:
        """Undo `take` for calls that were never made."""
        self.spend[role].calls -= calls

    @asynccontextmanager
    async def attempt(self, role: Spender, charge: AnyCharge) -> AsyncIterator[AnyCharge]:
        """`reserve`, then the block, then `book`.

        The block calls `charge.settle(...)`; where it does not (a time-out: nobody knows what it cost), the
        bound is booked.
        """
        await self.reserve(role, charge)
        try:
            yield charge
        finally:
            self.book(role, charge)

    async def reserve(self, role: Spender, charge: Charge | TimeCharge) -> None:
        """Keep back what an attempt may cost at most; `book` ends it.

        Waits while other attempts hold the room. Raises BudgetExceeded where there is none.
        """
        self._refuse_late(role)
        if not self._waiting and self._enter(role, charge):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, role, charge))
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                charge.settle_unused()
                self.book(role, charge)
            self._grant()
            raise

    def book(self, role: Spender, charge: Charge | TimeCharge) -> None:
        """End an attempt: what it kept back is free again, and what its charge says is spent."""
        spend = self.spend[role]
        spend.input_tokens += charge.input_tokens
        spend.output_tokens += charge.output_tokens
        spend.usd += charge.usd
        self._use(charge.input_tokens + charge.output_tokens, charge.usd)
        self._attempts -= 1
        for name, amount in charge.reserved.items():
            self._in_flight[name] -= amount
        if self._attempts == 0:
            self._in_flight.clear()  # sums of floats leave residues
        if self._waiting:
            self._grant()

    def _use(self, tokens: int, usd: float) -> None:
        self._used["tokens"] += tokens
        self._used["usd"] += usd

    def _enter(self, role: Spender, charge: Charge | TimeCharge) -> bool:
        """Whether there is room for the charge's bound now; then it is kept back."""
        bound = {name: amount for name, amount in charge.bound.items() if name in self._resend}
        if any(self.left(name, role) < amount for name, amount in bound.items()):
            return False
        charge.reserved = bound
        self._attempts += 1
        for name, amount in bound.items():
            self._in_flight[name] += amount
        return True

    def _grant(self) -> None:
        """Let those at the head of the queue go for whom there is room; refuse those for whom there never will be."""
        while self._waiting:
            turn, role, charge = self._waiting[0]
            try:
                if not turn.done():
                    self._refuse_late(role)
                    if self._enter(role, charge):
                        turn.set_result(None)
                    elif self._attempts:  # counted, not summed: sums of floats leave residues
                        return
                    else:
                        self._refuse(role, charge)
            except BudgetExceeded as error:
                turn.set_exception(error)
            self._waiting.popleft()

    def _refuse_late(self, role: Spender) -> None:
        if self.budget.minutes is not None and self.left("minutes", role) <= 0:
            raise BudgetExceeded(f"the time is used up ({self.budget.minutes:g} minutes)")

    def _refuse(self, role: Spender, charge: Charge | TimeCharge) -> None:
        name, amount = next((n, a) for n, a in charge.bound.items() if self.left(n, role) < a)
        raise BudgetExceeded(f"a call may cost up to {amount:g} {name}, {max(0, self.left(name, role)):g} left")
