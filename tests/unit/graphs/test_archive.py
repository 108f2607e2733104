"""What is remembered of ideas over the iterations: who named which, what was measured, what is supposed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sage_spo.agents.attribution import Share, Trial
from sage_spo.agents.diagnostician import Draft
from sage_spo.agents.edits import Edit, edited
from sage_spo.evaluation.usefulness import REFUTED, REJECTED, TRUSTED, named, useful_share
from sage_spo.graphs.archive import CARRIED, EARLIER, Archive, carried, in_doubt, keep_left_out, spare
from sage_spo.graphs.session import Session
from sage_spo.tests.fakes.causes import tickets
from sage_spo.traces.rows import Hypothesis

from .conftest import RUN, Opened

PARCEL, SAME, INVOICE = "Damaged parcels are refund.", "A damaged parcel: refund.", "Read the invoice first."
OTHERS = tuple(
    f"Mind {word}."
    for word in ("apples", "bridges", "candles", "dragons", "engines", "feathers", "gardens", "hammers", "islands")
)
"""Ideas that have nothing in common."""
SEED = tickets().seed_prompt


def supposed(iteration: int, index: int, fix: str, *named_by: str, status: str = "spare", **more: Any) -> Hypothesis:
    edits = more.pop("edits", ())
    matched = more.pop("matched", ("e1", "e2"))
    return Hypothesis(
        run_id=RUN,
        iteration=iteration,
        index=index,
        source=more.pop("source", "diagnostician"),
        claim=f"claim of {fix}",
        predicate=more.pop("predicate", 'records["channel"].eq("phone")'),
        effect="",
        fix=fix,
        findings=(),
        status=status,
        support={"named_by": list(named_by), **more},
        matched=matched,
        edits=edits,
    )


def acted_on(iteration: int, index: int, text: str, *named_by: str, **support: Any) -> Hypothesis:
    """A fix that was tried as its author put it."""
    edits = ({"operation": "add", "old": "", "text": text},)
    return supposed(iteration, index, text, *named_by, status="direction", edits=edits, **support)


def remember(session: Session, *hypotheses: Hypothesis) -> None:
    for h in hypotheses:
        session.suppose(h)


def round_of(iteration: int, fixes: Sequence[str], first: int = 10) -> list[Hypothesis]:
    """A round in which as many requests name one of these each."""
    return [supposed(iteration, first + i, fix, f"{iteration}.{first + i}") for i, fix in enumerate(fixes)]


# -- who named what ------------------------------------------------------------------------------------------


async def test_who_named_an_idea_is_known_over_the_rounds_in_whatever_words(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), supposed(1, 1, INVOICE, "1.1"))
    remember(session, supposed(2, 0, SAME, "2.3"), supposed(3, 0, PARCEL, "3.0"))
    assert Archive.of(session, 2).names(PARCEL) == {"1.0", "2.3"}
    assert Archive.of(session, 1).names(SAME) == {"1.0"}
    assert Archive.of(session, 2, own=False).names(PARCEL) == {"1.0"}


async def test_one_request_that_names_an_idea_twice_is_one(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), supposed(1, 1, SAME, "1.0"))
    assert Archive.of(session, 1).odds(PARCEL) == named(1, 1)


async def test_the_more_requests_name_an_idea_the_better_its_odds_and_silence_counts_against_it(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), *round_of(1, OTHERS[:7]))
    assert Archive.of(session, 1).odds(PARCEL) == pytest.approx(named(1, 8))
    remember(session, *round_of(2, OTHERS[:8]))
    assert Archive.of(session, 2).odds(PARCEL) == pytest.approx(named(1, 16))
    remember(session, supposed(3, 0, SAME, "3.0"), *round_of(3, OTHERS[:7]))
    assert Archive.of(session, 3).odds(PARCEL) == pytest.approx(named(2, 24))
    assert Archive.of(session, 3).odds(OTHERS[0]) == pytest.approx(named(3, 24))


async def test_the_silence_of_requests_before_an_idea_was_first_named_does_not_count(opened: Opened):
    session = await opened()
    remember(session, *round_of(1, OTHERS[:8]), supposed(2, 0, PARCEL, "2.0"), *round_of(2, OTHERS[:7]))
    assert Archive.of(session, 2).odds(PARCEL) == pytest.approx(named(1, 8))
    assert Archive.of(session, 2).odds(OTHERS[0]) == pytest.approx(named(2, 16))


async def test_a_request_that_looked_at_one_answer_alone_names_ideas_and_is_silent_on_none(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), *round_of(1, OTHERS[:7]))
    remember(session, supposed(1, 1, SAME, "1.1 closely"), supposed(1, 2, INVOICE, "1.3 closely"))
    assert Archive.of(session, 1).odds(PARCEL) == pytest.approx(named(2, 8))


async def test_the_odds_of_what_stands_in_the_prompt_are_those_of_the_round_that_brought_it(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), *round_of(1, OTHERS[:7]), *round_of(2, OTHERS[:8]))
    archive = Archive.of(session, 2)
    assert archive.odds(PARCEL, 1) == pytest.approx(named(1, 8))
    assert archive.odds(PARCEL, 1) > archive.odds(PARCEL)


# -- what was measured ---------------------------------------------------------------------------------------


async def test_what_was_measured_adds_up_over_the_iterations_but_not_before_it_was(opened: Opened):
    session = await opened()
    remember(session, acted_on(1, 0, PARCEL, "1.0", evidence=[[PARCEL, 1.5]]))
    remember(session, acted_on(2, 0, SAME, "2.0", evidence=[[SAME, -0.5]]))
    assert Archive.of(session, 1).measured(PARCEL) == 0.0
    assert Archive.of(session, 2).measured(PARCEL) == 1.5
    assert Archive.of(session, 3).measured(PARCEL) == pytest.approx(1.0)
    assert Archive.of(session, 3).odds(PARCEL) == pytest.approx(named(2, 2) + 1.0)
    assert Archive.of(session, 3).measured(INVOICE) == 0.0


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ("not better", REJECTED),
        ("screened out", REJECTED),
        ("accepted", 0.0),
        ("second best", 0.0),
        ("not measured", 0.0),
    ],
)
async def test_a_bundle_that_was_rejected_speaks_against_what_it_held(opened: Opened, outcome: str, found: float):
    session = await opened()
    remember(session, acted_on(1, 0, PARCEL, "1.0", outcome=outcome))
    assert Archive.of(session, 2).measured(PARCEL) == found


async def test_of_the_next_edits_as_many_are_expected_to_be_of_use_as_of_those_measured_last(opened: Opened):
    session = await opened()
    assert Archive.of(session, 1).share == useful_share(0, 0)
    good = [acted_on(1, i, OTHERS[i], evidence=[[OTHERS[i], 1.0]], outcome="accepted") for i in range(3)]
    remember(session, *good, acted_on(1, 3, PARCEL, evidence=[[PARCEL, -1.0]], outcome="not measured"))
    assert Archive.of(session, 2).share == useful_share(3, 4)
    remember(session, *(acted_on(2, i, OTHERS[i], evidence=[[OTHERS[i], 1.0]], outcome="not better") for i in range(4)))
    assert Archive.of(session, 3).share == useful_share(0, 4) < Archive.of(session, 2).share


# -- supposed again ------------------------------------------------------------------------------------------


def again(session: Session, iteration: int = 2, now: Sequence[str] = (), out: Sequence[str] = ()) -> list[str]:
    drafts = [Draft("diagnostician", "", "", "", fix) for fix in now]
    return [draft.fix for draft in carried(session, SEED, iteration, drafts, out)]


async def test_what_nobody_named_again_is_supposed_once_more_with_those_who_named_it(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), supposed(1, 1, SAME, "1.4"))
    [draft] = carried(session, SEED, 2, [], [])
    assert (draft.source, draft.predicate) == (EARLIER, 'records["channel"].eq("phone")')
    assert draft.named_by == {"1.0", "1.4"}


async def test_what_stands_in_the_prompt_was_named_again_or_tried_is_not_supposed_once_more(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0"), supposed(1, 1, INVOICE, "1.1"))
    assert set(again(session)) == {PARCEL, INVOICE}
    assert again(session, now=[SAME]) == [INVOICE]
    assert again(session, out=[SAME]) == [INVOICE]
    champion = edited(session.task, SEED, [Edit(text=PARCEL)], "one edit")
    assert [d.fix for d in carried(session, champion, 2, [], [])] == [INVOICE]


async def test_what_was_dropped_refuted_or_has_no_fix_is_not_supposed_once_more(opened: Opened):
    session = await opened()
    remember(session, supposed(1, 0, PARCEL, "1.0", status="dropped"), supposed(1, 1, "", "1.1"))
    remember(session, acted_on(1, 2, INVOICE, "1.2", evidence=[[INVOICE, REFUTED]]))
    remember(session, supposed(1, 3, OTHERS[0], "1.3", predicate=""), supposed(1, 4, OTHERS[1], "1.4"))
    assert again(session) == [OTHERS[1]]


async def test_rejected_bundles_end_an_idea_in_time(opened: Opened):
    session = await opened()
    rounds = []
    for iteration in range(1, 8):
        remember(session, acted_on(iteration, 0, PARCEL, f"{iteration}.0", outcome="not better"))
        remember(session, *round_of(iteration, OTHERS[:7]))
        rounds.append(PARCEL in again(session, iteration + 1))
    assert rounds[0]
    assert not rounds[-1]
    assert rounds == sorted(rounds, reverse=True)


async def test_the_most_promising_come_first_and_no_more_than_a_dozen(opened: Opened):
    session = await opened()
    words = [f"{a}{b}" for a in ("Ba", "Ko", "Mi", "Tu") for b in ("lor", "nex", "pim", "zud")]
    ideas = [supposed(1, 10 + i, f"Mind {word}.", f"1.{i // 4}") for i, word in enumerate(words)]
    remember(session, *ideas, supposed(1, 1, PARCEL, "1.1", "1.2", "1.3"))
    found = again(session)
    assert found[0] == PARCEL
    assert len(found) == CARRIED < len(words)


async def test_what_a_crashed_execution_of_the_step_has_left_changes_nothing(opened: Opened):
    session = await opened()
    remember(session, *round_of(1, OTHERS), acted_on(1, 0, PARCEL, "1.0", evidence=[[PARCEL, -1.4]]))
    before = carried(session, SEED, 2, [], [])
    assert PARCEL in {draft.fix for draft in before}
    left = [supposed(2, 100 + i, d.fix, *d.named_by) for i, d in enumerate(before)]
    remember(session, *round_of(2, [f"{word} matter." for word in OTHERS]), *left)
    assert carried(session, SEED, 2, [], []) == before


# -- sentences of the champion -------------------------------------------------------------------------------


async def test_sentences_that_few_named_are_in_doubt_and_those_that_many_named_are_not(opened: Opened):
    session = await opened()
    texts = (PARCEL, INVOICE, OTHERS[0], OTHERS[1])
    champion = edited(session.task, SEED, [Edit(text=t) for t in texts], "four edits")
    remember(session, acted_on(1, 0, PARCEL, "1.0", outcome="accepted", matched=("e1", "e5")))
    remember(session, acted_on(1, 1, INVOICE, *(f"1.{i}" for i in range(8)), outcome="accepted"))
    remember(session, acted_on(1, 2, OTHERS[0], "1.2", outcome="accepted", evidence=[[OTHERS[0], 3.2]]))
    remember(session, acted_on(1, 3, OTHERS[1], "1.3", outcome="accepted", evidence=[[OTHERS[1], 0.7]]))
    assert Archive.of(session, 2).odds(INVOICE) >= TRUSTED
    named_once, measured_too_little = in_doubt(session, Archive.of(session, 2), champion, SEED, 2)
    assert named_once.edit == Edit(text=PARCEL)
    assert named_once.matched == {"e1", "e5"}
    assert named_once.prior == pytest.approx(named(1, 8))
    assert measured_too_little.edit == Edit(text=OTHERS[1])
    assert measured_too_little.prior == pytest.approx(named(1, 8) + 0.7)


async def test_a_sentence_of_the_start_is_never_in_doubt(opened: Opened):
    session = await opened()
    assert in_doubt(session, Archive.of(session, 2), SEED, SEED, 2) == []


async def test_what_was_found_of_sentences_holds_over_a_resume(opened: Opened):
    session = await opened()
    champion = edited(session.task, SEED, [Edit(text=t) for t in (PARCEL, INVOICE, OTHERS[0])], "three edits")
    trials = in_doubt(session, Archive.of(session, 2), champion, SEED, 2)
    assert [t.edit.text for t in trials] == [PARCEL, INVOICE, OTHERS[0]]
    keep_left_out(
        session,
        2,
        [
            Share(trials[0], 8, 8, 4, 4, evidence=6.4),
            Share(trials[1], 8, 8, 4, 0, evidence=-1.7),
            Share(trials[2], 8, 8, 4, 4, evidence=6.4, harm="left out, 5 of 12 held-back failures come right"),
        ],
    )
    for again in (session, await opened()):
        archive = Archive.of(again, 3)
        assert (archive.measured(PARCEL), archive.measured(INVOICE)) == (6.4, -1.7)
        assert in_doubt(again, Archive.of(again, 3), champion, SEED, 3) == []
        assert [edit.old for edit in spare(again, champion, 3)] == [INVOICE, OTHERS[0]]
        assert spare(again, SEED, 3) == []  # they do not stand in it
        assert [h.status for h in again.hypotheses_of(2)] == ["spare", "dropped", "dropped"]


async def test_a_sentence_that_was_not_tested_stays_where_it_is_likely_unless_it_does_harm(opened: Opened):
    session = await opened()
    champion = edited(session.task, SEED, [Edit(text=t) for t in (PARCEL, INVOICE, OTHERS[0])], "three edits")
    likely, harmful, unlikely = (
        Trial((i, 0), Edit(text=text), frozenset(), frozenset(), prior)
        for i, (text, prior) in enumerate([(PARCEL, 0.5), (INVOICE, 0.5), (OTHERS[0], -0.5)])
    )
    harm = "left out, 5 of 12 held-back failures come right"
    keep_left_out(
        session, 2, [Share(likely, 2, 0, 0, 0), Share(harmful, 0, 0, 0, 0, harm=harm), Share(unlikely, 0, 0, 0, 0)]
    )
    assert [edit.old for edit in spare(session, champion, 2)] == [INVOICE, OTHERS[0]]
