"""gepa: `gepa.optimize` at its defaults, with the adapter of its own that reflects on an instruction.

Train is the search split, validation the holdout split. A repeated evaluation is free (as it is for everybody), so
gepa's own count of metric calls is no measure of cost: the budget ends the run, and the count is only a far limit.
"""

from __future__ import annotations

import gepa
from gateway_client import BudgetSpent, CallFailed, Runner, started
from gepa.adapters.default_adapter.default_adapter import DefaultAdapter
from gepa.core.adapter import EvaluationBatch

COMPONENT = "system_prompt"
REPEATS = 5
"""gepa's own limit, in budgets of target calls."""


class Adapter(DefaultAdapter):
    """gepa's default adapter, whose evaluations are the task's own metric."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(model=lambda messages: "")
        self.runner = runner

    def evaluate(self, batch, candidate, capture_traces=False):
        found = self.runner.measure(candidate[COMPONENT], [data["input"] for data in batch])
        traces = [
            {"data": data, "full_assistant_response": one.text, "feedback": feedback(data["answer"], one)}
            for data, one in zip(batch, found, strict=True)
        ]
        return EvaluationBatch(
            outputs=[{"full_assistant_response": one.text} for one in found],
            scores=[one.score for one in found],
            trajectories=traces if capture_traces else None,
        )


def feedback(expected: str, found) -> str:
    """A score in words."""
    words = f"Score {found.score:g}. The right answer is: {expected}"
    return f"{words}. {found.feedback}" if found.feedback else words


class Quiet:
    """A logger that says nothing."""

    def log(self, message: str) -> None:
        pass


def main() -> None:
    runner = started()

    def rows(examples):
        return [{"input": row.input, "answer": row.expected, "additional_context": {}} for row in examples]

    def reflect(prompt):
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        try:
            return runner.agent(messages)
        except CallFailed as error:
            raise RuntimeError(f"the agent model did not answer: {error}") from error

    try:
        result = gepa.optimize(
            seed_candidate={COMPONENT: runner.seed_prompt},
            trainset=rows(runner.train),
            valset=rows(runner.valid),
            adapter=Adapter(runner),
            reflection_lm=reflect,
            max_metric_calls=REPEATS * runner.target_calls,
            seed=runner.seed,
            logger=Quiet(),
            raise_on_exception=False,  # a reflection that failed is one iteration lost
        )
        runner.finish(result.best_candidate[COMPONENT], "gepa came to its end", "gepa")
    except BudgetSpent:
        runner.finish(runner.best_measured(), "", "gepa")


if __name__ == "__main__":
    main()
