"""What a rule of acceptance sees in prompts that are no better than what they are compared with.

    uv run python benchmarks/selection_bias.py
    uv run python benchmarks/selection_bias.py --seeds 0 1 2 --draws 2000

No model is asked: every example of the landscape has its exact chance to be answered rightly, and answers are drawn by
it; the A/B cycles are binomial draws. Prints Markdown tables, and as the last line one JSON object.
`benchmarks/README.md` says what the figures mean.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from landscape import TOOLS, OneLineParser, between, folder_of_tools
from numpy.typing import NDArray

from sage_spo.evaluation.regularised import fresh_gate, penalty, raw_gate
from sage_spo.seeding import generator

SAME = "the same prompt"
SHARED = {"independent draws": 0.0, "90 % of draws in common": 0.9}
"""How much luck a prompt shares with another: none where a target samples; the second is the benchmark's."""
VERIFICATION = 32
CANDIDATES = (3, 10, 30)
PANELS = (30, 100, 200)
CYCLES, UNITS, RATE = 8, 5000, 0.25
"""Of a programme of A/B tests: cycles, units per arm and cycle, share of units with the outcome."""
LIFTS = (0.0, 0.01)
Chances = NDArray[np.float64]
Splits = dict[str, Chances]
Programme = tuple[float, float, float]


def lucks(n: int, shared: float, rng: np.random.Generator) -> tuple[Chances, Chances]:
    """Two draws for n examples: numbers in [0, 1) that are right where below the chance. A share is common to both."""
    one, other = rng.random((2, n))
    return one, np.where(rng.random(n) < shared, one, other)


def gates(before: Splits, after: Splits, shared: float, rng: np.random.Generator) -> dict[str, float]:
    """One prompt tested against another by the rule of `picked`: as published, and on draws that picked nothing."""
    chosen = rng.choice(len(before["train"]), VERIFICATION, replace=False)
    old, new = before["train"][chosen], after["train"][chosen]
    kept, kept_new = before["holdout"], after["holdout"]
    picking, again = lucks(len(old), shared, rng)
    guarding, guarded = lucks(len(kept), shared, rng)
    hard, right = picking >= old, guarding < kept
    raw = raw_gate(list(1.0 * (again < new)[hard]), [(1.0, float(r)) for r in (guarded < kept_new)[right]], penalty(0))
    one, other = lucks(len(old), shared, rng)
    gains = 1.0 * (other < new)[hard] - (one < old)[hard]
    one, other = lucks(len(kept), shared, rng)
    losses = 1.0 * (one < kept)[right] - (other < kept_new)[right]
    fresh = fresh_gate(list(gains), list(losses), penalty(0))
    found = {"gain": raw.gain, "regress": raw.regress, "passes": raw.passes, "without the gate": raw.gain > 0}
    found |= {"fresh gain": fresh.gain, "fresh regress": fresh.regress, "fresh passes": fresh.passes}
    return {name: float(value) for name, value in found.items()}


def best_of(search: Chances, candidates: int, panel: int, shared: float, rng: np.random.Generator) -> float:
    """How far the highest mean of equally good prompts on a panel is above that of the prompt that they stem from."""
    there = search[rng.choice(len(search), panel, replace=False)]
    champion = rng.random(panel)
    others = np.where(rng.random((candidates, panel)) < shared, champion, rng.random((candidates, panel)))
    return float((others < there).mean(axis=1).max() - (champion < there).mean())


def programme(cycles: int, units: int, rate: float, lift: float, apart: bool, rng: np.random.Generator) -> Programme:
    """A programme of A/B cycles in which each challenger is truly better by the relative `lift`, and those that seem
    better are shipped: what it claims to have gained and what it has, both as the sum of ln(1 + lift), and the
    standard error of the claim.

    `units` per arm and cycle, of which a share `rate` has the outcome under the first prompt. `apart`: half of them
    decide and the other half estimate; otherwise all of them do both.
    """
    share = units // 2 if apart else units
    control, challenger = rate, min(1.0, rate * (1 + lift))

    def lifts() -> tuple[Chances, Chances]:
        a, b = (rng.binomial(share, p, cycles) / share for p in (control, challenger))
        return b / a - 1, np.sqrt((1 - a) / (a * share) + (1 - b) / (b * share))  # of ln(b / a)

    seen, errors = lifts()
    shipped = seen > 0
    if apart:
        seen, errors = lifts()
    claimed, had = float(np.log1p(seen[shipped]).sum()), float(shipped.sum() * np.log1p(lift))
    return claimed, had, float(np.sqrt((errors[shipped] ** 2).sum()))


def programmes(lift: float, apart: bool, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """Means over programmes of eight cycles: the lift that they have and claim, how often the claim's 95 % interval
    covers what they have, and how often it is all above nothing."""
    found = np.array([programme(CYCLES, UNITS, RATE, lift, apart, rng) for _ in range(runs)])
    claimed, had, errors = found.T
    return {
        "lift": round(float(np.expm1(had).mean()), 4),
        "claimed": round(float(np.expm1(claimed).mean()), 4),
        "covered": round(float((np.abs(claimed - had) <= 1.96 * errors).mean()), 4),
        "above nothing": round(float((claimed - 1.96 * errors > 0).mean()), 4),
    }


def prompts(seed: int) -> dict[str, Splits]:
    """The task's prompts by what they are, as the chances of right answers by split."""
    benchmark = importlib.import_module("landscape")
    task = benchmark.make_task(seed)
    start = benchmark.SEED_PROMPT

    def chances(text: str) -> Splits:
        features = benchmark.features(text)
        return {s: np.array([task.p_right(features, e) for e in task.split(s)]) for s in ("train", "holdout")}

    with_format = f"{start}\n{benchmark.FORMAT_WORDINGS[1]}"
    return {SAME: chances(start), "the format rule added": chances(with_format)}


def use_benchmark(tools: str) -> None:
    """From here on `landscape` is the benchmark's module, not the file of this folder."""
    del sys.modules["landscape"]
    sys.path.insert(0, tools)


def means(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of every figure."""
    return {name: round(fmean(each[name] for each in found), 4) for name in found[0]}


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def main() -> int:
    """The exit code: 0 measured, 2 wrong usage."""
    p = OneLineParser(description=__doc__)
    p.add_argument("--tools", default=TOOLS, help="the benchmark's folder, seen from the repository root (%(default)s)")
    p.add_argument("--seeds", nargs="+", type=between(int, 0, 10**6), default=list(range(10)), help="tasks (0 to 9)")
    p.add_argument(
        "--draws", type=between(int, 1, 10**6), default=500, help="tests of each kind and task (%(default)s)"
    )
    a = p.parse_args()
    use_benchmark(folder_of_tools(p, a.tools))
    tasks = {seed: prompts(seed) for seed in a.seeds}

    def over_tasks(test: Callable[[dict[str, Splits], np.random.Generator], Any], *names: object) -> list[Any]:
        return [test(tasks[seed], rng) for seed in tasks for rng in [generator(seed, *names)] for _ in range(a.draws)]

    picked: dict[str, dict[str, float]] = {}
    argmax: dict[str, dict[str, float]] = {}
    for draws, shared in SHARED.items():
        for prompt in next(iter(tasks.values())):
            picked[f"{prompt}, {draws}"] = means(
                over_tasks(lambda task, rng, to=prompt, s=shared: gates(task[SAME], task[to], s, rng), draws, prompt)
            )
        for panel in PANELS:
            excess = {
                many: over_tasks(
                    lambda task, rng, m=many, n=panel, s=shared: best_of(task[SAME]["train"], m, n, s, rng),
                    *(draws, panel, many),
                )
                for many in CANDIDATES
            }
            argmax[f"{panel} examples, {draws}"] = {str(many): round(fmean(each), 4) for many, each in excess.items()}
    cycles = {
        f"each challenger {lift:+.0%}, {called}": programmes(lift, apart, 10 * a.draws, generator(0, "ab", lift, apart))
        for lift in LIFTS
        for called, apart in (("all units decide and estimate", False), ("halves decide and estimate", True))
    }
    tables = (("candidate", picked), ("equally good candidates", argmax), (f"{CYCLES} A/B cycles", cycles))
    for first, found in tables:
        head = [first, *next(iter(found.values()))]
        print(
            markdown(head, [[name, *(f"{x:.3f}" for x in each.values())] for name, each in found.items()]), end="\n\n"
        )
    print(json.dumps({"picked": picked, "argmax": argmax, "cycles": cycles}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
