"""When edits are taken together untried: while most examples fail, in the first diagnoses, as long as it helps."""

from __future__ import annotations

import pytest

from sage_spo.evaluation.evaluator import Job
from sage_spo.graphs.sage_candidates import hidden
from sage_spo.graphs.session import Session
from sage_spo.tests.fakes.causes import LABELS, Cause, failing_for, tickets
from sage_spo.traces.rows import Decision, Hypothesis

from .conftest import RUN, Opened

TASK = tickets()
SEED = TASK.seed_prompt


async def failing(opened: Opened) -> Session:
    """A session whose champion is measured, and always wrong."""
    session = await opened(lambda messages, example: LABELS[(LABELS.index(example.label) + 1) % len(LABELS)])
    await session.evaluator.measure(Job(SEED, TASK.search))
    return session


def diagnosed(session: Session, iteration: int, verdict: str | None) -> None:
    """An iteration that supposed something; the verdict on what it came to (None: another strategy's iteration, whose
    candidate was rejected)."""
    if verdict is not None:
        session.suppose(Hypothesis(RUN, iteration, 0, "diagnostician", "a claim", "", "", "", (), "spare"))
    session.decide(Decision(RUN, iteration, 0, f"p{iteration}", SEED.id, verdict or "not better", "", {}))


async def test_causes_hide_one_another_where_most_examples_fail(opened: Opened):
    assert hidden(await failing(opened), SEED, 1)


async def test_and_not_where_few_fail(opened: Opened):
    session = await opened(failing_for(Cause({"channel": "phone"}, (("apples",),)), noise=0.0))
    await session.evaluator.measure(Job(SEED, TASK.search))
    assert not hidden(session, SEED, 1)


@pytest.mark.parametrize(
    ("verdicts", "still"),
    [
        (("accepted",), True),
        (("accepted", "accepted"), False),
        (("not better",), False),
        ((None, None, None), True),
        ((None, "accepted", None), True),
    ],
)
async def test_not_after_two_diagnoses_nor_after_one_that_came_to_nothing(
    opened: Opened, verdicts: tuple[str | None, ...], still: bool
):
    session = await failing(opened)
    for iteration, verdict in enumerate(verdicts, 1):
        diagnosed(session, iteration, verdict)
    assert hidden(session, SEED, len(verdicts) + 1) is still
    assert hidden(session, SEED, 1)
