"""Versions of a description or instruction for a `Decider` to choose from."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...agents.ask import AgentDesk
from ...agents.domain import Domain, Part, playbook_versions, rephrased
from ...errors import UsageError
from ...evaluation.budget import Budget
from ...evaluation.ledger import Ledger
from ...evaluation.paid_calls import PaidCalls
from ...models.agent import agent_model
from ...models.retry import RetryPolicy
from ...traces.store import RunStore

log = logging.getLogger("sage_spo.decider")


def rephrase(
    text: str,
    count: int = 20,
    *,
    part: Part = "instruction",
    agent: str | None = None,
    base_url: str | None = None,
    seed: int = 0,
    budget: Budget | None = None,
) -> tuple[str, ...]:
    """The text and up to `count` distinct versions of it, the text itself first.

    `part`: whether it is a `description` or an `instruction`. `agent`: the model that rephrases, at temperature 1.3;
    None: the playbook, which knows a few manners. `budget`: by default two agent calls a version. Fewer versions than
    asked for are no error, and logged. Raises UsageError for a text or count that cannot be, ModelSetupError for a
    model that cannot be used.
    """
    if count < 1:
        raise UsageError(f"rephrase: count must be at least 1, not {count}")
    if part not in ("description", "instruction"):
        raise UsageError(f"rephrase: part is 'description' or 'instruction', not '{part}'")
    try:
        if agent is None:
            domain = playbook_versions(text, count, part, seed)
        else:
            asked = _asked(text, count, part, agent, base_url, seed, budget or Budget(agent_calls=2 * count))
            with ThreadPoolExecutor(1) as thread:  # the caller may be in an event loop
                domain = thread.submit(asyncio.run, asked).result()
    except ValueError as error:
        raise UsageError(f"rephrase: {error}") from None
    (log.warning if domain.missing else log.info)("%s", domain.words(part))
    return domain.texts


async def _asked(
    text: str, count: int, part: Part, agent: str, base_url: str | None, seed: int, budget: Budget
) -> Domain:
    model = agent_model(agent, base_url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = await RunStore.open(Path(folder))
            try:
                calls = PaidCalls(str(uuid.uuid4()), store, Ledger(budget), RetryPolicy(), seed=seed)
                return await rephrased(text, count, part, AgentDesk(model, calls))
            finally:
                await store.close()
    finally:
        await model.aclose()
