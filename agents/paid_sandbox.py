"""A sandbox whose runs cost money: each is reserved in the run's ledger before it starts and settled after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import BudgetExceeded, SandboxError
from ..evaluation.ledger import Ledger, TimeCharge
from ..sandbox.protocol import Execution, Sandbox
from ..sandbox.table import Table


@dataclass(frozen=True)
class PaidSandbox:
    """Pays for what `inner` runs, at `price` US dollars per second; `on_run` is told of each cost."""

    inner: Sandbox
    ledger: Ledger
    price: float
    on_run: Callable[[float], None] = lambda usd: None

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def isolated(self) -> bool:
        return self.inner.isolated

    @property
    def most_billed(self) -> float:
        return self.inner.most_billed

    async def run(self, code: str, table: Table) -> Execution:
        """See `Sandbox.run`. Where the budget has no room, nothing is run and the Execution's error says so: as with
        agent calls, the search goes on with what it has."""
        charge = TimeCharge(self.most_billed, self.price)
        try:
            async with self.ledger.attempt("sandbox", charge):
                try:
                    done = await self.inner.run(code, table)
                except SandboxError as error:
                    charge.settle(error.billed)
                    raise
                charge.settle(done.billed)
        except BudgetExceeded as stop:
            return Execution("", (), f"not run, the budget has no room for it: {stop}", 0.0)
        self.ledger.spend["sandbox"].calls += 1
        self.on_run(charge.usd)
        return replace(done, usd=charge.usd)

    async def aclose(self) -> None:
        await self.inner.aclose()
