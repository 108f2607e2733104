"""`promptagent`: Monte-Carlo tree search over edits made from errors (PromptAgent, arXiv 2310.16427).

A node of the tree is a prompt, an action the feedback on its errors, and its reward the mean score on a sample of the
search split that stays the same for the run. Each iteration expands one node: the one that UCT selects, or the best
child of the last one, while a simulation is under way. The tree stands in the run store: prompts and their parents,
the records of the sample, the verdicts; it is grown anew from them whenever it is looked at.
"""

from __future__ import annotations

from contextlib import suppress

from ..agents.meta_instruction import ORIGIN as META
from ..agents.operators import sentences
from ..agents.validator import Verdict
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import without_demos
from ..evaluation.screening import reward
from ..evaluation.tree_search import Expansion, Tree, grown, mean_reward
from ..seeding import shuffled
from ..tasks.example import Example
from .challenge import challenge, may_challenge, race_calls, taken
from .promptagent_children import Children
from .promptagent_options import PromptAgentOptions, options_of
from .search import Search
from .search_loop import build_steps, proposed, settle
from .session import Session
from .state import Graph, RunState, Update
from .strategy import SPO, Preset, Strategy


def build() -> Graph:
    """The strategy's subgraph of two steps: `expand` makes the children of a node, `evaluate` their rewards."""
    return build_steps(expand, evaluate)


async def expand(session: Session, state: RunState) -> Update:
    """The children of the node that the search is at: prompts made against errors of it."""
    search, o = Search(session, state, state["iteration"] + 1), options_of(session)
    session.hold_certification(search.champion)
    sample = reward_sample(session, o)
    with suppress(BudgetExceeded):
        await session.evaluator.measure(Job(search.start, sample))
    tree = tree_before(search, o)
    if tree is None:
        return {**proposed(session, state, search.iteration, []), "stop": "the root of the tree could not be rewarded"}
    if tree.at is None:
        return {**proposed(session, state, search.iteration, []), "stop": "every end of the tree was reached"}
    node = session.prompt(tree.at.id)
    way = [session.prompt(n.id) for n in tree.at.path[:-1]]
    rewarding = {e.id for e in sample}
    outside = [e for e in without_demos(session.task.search, node) if e.id not in rewarding]
    batch = shuffled(outside, search.generator("batch"))[: o.batch]
    with suppress(BudgetExceeded):  # `evaluate` sees whether rewards can still be paid
        await session.evaluator.measure(Job(node, batch))
    standing = set(sentences(node.system))
    tried = tuple(text for text in search.tried if text not in standing)
    wanted = frozenset(e.id for e in (batch if o.own_errors else outside))

    found = await Children(search, o, node, way, wanted, tried).made()
    children = {child.id: child for child in found if child is not None}
    return proposed(session, state, search.iteration, list(children.values()))


def reward_sample(session: Session, o: PromptAgentOptions) -> tuple[Example, ...]:
    """The examples that give the rewards: the first ones that no demo is taken from, the same for the whole run."""
    return without_demos(session.panels.measured, session.task.seed_prompt)[: o.sample]


def tree_before(search: Search, o: PromptAgentOptions) -> Tree | None:
    """The tree as the iterations before this one left it, read from prompts, records and verdicts of the run; None
    where its root, what the search set out from, has no reward."""
    session, root = search.session, search.start
    reward = reward_of(session, root.id, o)
    if reward is None:
        return None
    expansions: list[Expansion] = []
    for number in search.earlier:
        known = session.known_before(number)
        made = [session.prompt(d.prompt_id) for d in session.decisions_of(number) if d.prompt_id not in known]
        made = [prompt for prompt in made if prompt.origin != META]  # judged before the tree began
        rewards = {p.id: value for p in made if (value := reward_of(session, p.id, o)) is not None}
        if made:
            expansions.append(Expansion(made[0].parents[0], rewards))
    return grown(root.id, reward, expansions, o.rules)


def reward_of(session: Session, prompt_id: str, o: PromptAgentOptions) -> float | None:
    """The mean reward of a prompt on the sample; None where it was not measured there, or too much is missing."""
    wanted = {e.id for e in reward_sample(session, o)}
    records = [r for r in session.evaluator.records(prompt_id, "search") if r.example_id in wanted and r.repeat == 0]
    return mean_reward([reward(session.task, r, likelihood=o.likelihood) for r in records])


async def evaluate(session: Session, state: RunState) -> Update:
    """The rewards of the new nodes; the best node of the tree challenges the champion."""
    o = options_of(session)
    sample, champion = reward_sample(session, o), session.prompt(state["champion"])
    session.hold_certification(champion)
    jobs = [Job(session.prompt(i), sample) for i in state["candidates"]]
    kept_back = race_calls(session, champion.id) if o.accept == "rules" else 0
    measured = 0
    if session.calls.room_for_new("target", len(sample) + kept_back):
        while jobs and not session.calls.room_for_new("target", len(sample) * len(jobs) + kept_back):
            jobs.pop()
        with suppress(BudgetExceeded):
            measured = await session.evaluator.measure(Job(champion, sample), *jobs) - 1
    said = {v.prompt_id: v for v in _verdicts(session, state, o)}
    cut = measured < len(state["candidates"])
    known = session.known_before(state["iteration"] + 1)
    values = {i: value for i in sorted(known) if (value := reward_of(session, i, o)) is not None}
    if o.accept == "mean":
        best = _best_with(session, state, o) or champion.id
        outcome = taken(session, champion, best, list(said.values()), cut, "the best node of the best path")
    else:
        better = [i for i in values if values[i] > values.get(champion.id, 0.0)]
        ranked = may_challenge(session, state, sorted(better, key=lambda i: (-values[i], i)))
        outcome = await challenge(session, state, ranked[:1], said, spent=cut)
    return settle(session, state, outcome)


def _best_with(session: Session, state: RunState, o: PromptAgentOptions) -> str | None:
    """The best node of the tree with the expansion of this iteration."""
    tree = tree_before(Search(session, state, state["iteration"]), o)
    if tree is None:
        return None
    rewards = {i: value for i in state["candidates"] if (value := reward_of(session, i, o)) is not None}
    tree.expand(Expansion(session.prompt(state["candidates"][0]).parents[0], rewards))
    return tree.best().id


def _verdicts(session: Session, state: RunState, o: PromptAgentOptions) -> list[Verdict]:
    """What the rewards say of the new nodes, before any race."""
    said = []
    for i in state["candidates"]:
        parent = reward_of(session, session.prompt(i).parents[0], o)
        value = reward_of(session, i, o)
        if value is None and session.evaluator.records(i, "search"):
            said.append(Verdict(i, False, "inconclusive", "too many answers on the sample are missing"))
            continue
        if value is None:
            said.append(Verdict(i, False, "not measured", "the budget had no room for its reward"))
            continue
        worse = parent is not None and value < parent
        words = f"reward {value:.2f}" + ("" if parent is None else f", its parent's {parent:.2f}")
        stats = {"tree": {"reward": value, "parent": parent}}
        said.append(Verdict(i, False, "screened out" if worse else "kept", words, stats))
    return said


STRATEGY = Strategy(
    build,
    PromptAgentOptions,
    {
        "faithful": Preset(
            {
                "exploration": 2.5,
                "playout": 8,
                "returns": "sum",
                "errors": 5,
                "own_errors": True,
                "batch": 5,
                "two_requests": True,
                "moves": 1,
                "sample": 100,
                "likelihood": False,
                "accept": "mean",
            },
            SPO.rules,
        )
    },
)
