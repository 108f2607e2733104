"""DSPy: MIPROv2 (zero-shot: instructions only) and dspy.GEPA.

Train is the search split, validation the holdout split. The adapter sends the instruction as system message and the
input as user message and takes the whole reply as the answer, so that an instruction is exactly a prompt of our target.
The agents of the library itself (its proposers) keep the library's own adapter.
"""

from __future__ import annotations

import logging
import math
import tempfile
from types import SimpleNamespace

import dspy
from dspy.utils.exceptions import AdapterParseError
from gateway_client import BudgetSpent, CallFailed, Runner, started

MINIBATCH = 35
"""MIPROv2's default."""
MOST_CANDIDATES = 30
SUMMARY_CALLS = 14
"""Agent calls of MIPROv2 beside those for the candidates, at most."""
REPEATS = 5
"""dspy.GEPA's own limit of metric calls, in budgets of target calls: a repeated evaluation is free."""


class Answer(dspy.Signature):
    text: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Plain(dspy.ChatAdapter):
    """Instruction as system message, input as user message, the whole reply as answer; DSPy's own for all others."""

    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        if not isinstance(lm, Target):
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)
        found = lm.runner.answer(signature.instructions, inputs["text"])
        return [{"answer": found.text}]


class Target(dspy.BaseLM):
    """The target, which the adapter asks."""

    def __init__(self, runner: Runner) -> None:
        super().__init__("target", cache=False)
        self.runner = runner

    def forward(self, prompt=None, messages=None, **kwargs):
        raise NotImplementedError("only the adapter asks the target")


class Agent(dspy.BaseLM):
    """The agent model."""

    def __init__(self, runner: Runner) -> None:
        super().__init__("agent", cache=False)
        self.runner = runner

    def forward(self, prompt=None, messages=None, **kwargs):
        sent = [
            {"role": message["role"], "content": _text(message["content"])}
            for message in messages or [{"role": "user", "content": prompt}]
        ]
        options = {name: kwargs[name] for name in ("temperature", "max_tokens") if kwargs.get(name) is not None}
        said = self.runner.agent(sent, **options)
        message = SimpleNamespace(content=said, role="assistant")
        choice = SimpleNamespace(message=message, index=0, finish_reason="stop")
        return SimpleNamespace(model="agent", choices=[choice], usage={})


def _text(content) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def main() -> None:
    runner = started()
    logging.disable(logging.CRITICAL)
    target, agent = Target(runner), Agent(runner)
    dspy.configure(lm=target, adapter=Plain(), disable_history=True)

    def rows(examples):
        return [dspy.Example(text=row.input, answer=row.expected).with_inputs("text") for row in examples]

    def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
        found = runner.of_answer[gold.text, pred.answer]
        if pred_name is None:
            return found.score
        words = f"Score {found.score:g}. The right answer is: {gold.answer}. {found.feedback}"
        return dspy.Prediction(score=found.score, feedback=words.strip())

    student = dspy.Predict(Answer.with_instructions(runner.seed_prompt))
    train, valid = rows(runner.train), rows(runner.valid)
    algorithm = gepa if runner.spec["algorithm"] == "GEPA" else mipro
    try:
        best = algorithm(runner, student, train, valid, metric, target, agent)
        runner.finish(best.signature.instructions, "DSPy came to its end", "dspy")
    except BudgetSpent:
        runner.finish(runner.best_measured(), "", "dspy")
    except CallFailed as error:
        runner.finish(runner.best_measured(), f"the agent model did not answer: {error}", "dspy")
    except AdapterParseError:
        runner.finish(runner.best_measured(), "the agent model's reply was not in the form that DSPy asked for", "dspy")


def gepa(runner: Runner, student, train, valid, metric, target, agent):
    """dspy.GEPA at its defaults; the budget ends it."""
    optimizer = dspy.GEPA(
        metric=metric,
        max_metric_calls=REPEATS * runner.target_calls,
        reflection_lm=agent,
        num_threads=runner.spec["threads"],
        seed=runner.seed,
    )
    return optimizer.compile(student, trainset=train, valset=valid)


def mipro(runner: Runner, student, train, valid, metric, target, agent):
    """MIPROv2 without demos, with as many candidates as the budget pays for, minibatches and whole evaluations of the
    best of them taken together."""
    candidates = max(4, min(MOST_CANDIDATES, round(1.4 * runner.target_calls / len(valid))))
    if runner.agent_calls is not None:
        candidates = max(2, min(candidates, runner.agent_calls - SUMMARY_CALLS))
    minibatch = min(MINIBATCH, len(valid))
    # Every fifth trial is followed by a whole evaluation. Where a repeat is free, more trials than these are too.
    per_trial = minibatch + len(valid) / 5
    trials = max(3 * candidates, math.ceil((runner.target_calls - len(valid) - 3 * candidates) / per_trial))
    optimizer = dspy.MIPROv2(
        metric=metric,
        prompt_model=agent,
        task_model=target,
        auto=None,
        num_candidates=candidates,
        max_bootstrapped_demos=0,
        max_labeled_demos=0,
        num_threads=runner.spec["threads"],
        seed=runner.seed + 1,  # MIPROv2 takes a seed of 0 for none
        log_dir=tempfile.mkdtemp(),
    )
    return optimizer.compile(student, trainset=train, valset=valid, num_trials=trials, minibatch_size=minibatch)


if __name__ == "__main__":
    main()
