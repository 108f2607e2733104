"""promptolution: CAPO and EvoPromptGA, instructions only.

Both take one labelled set: search and holdout together, shuffled. The population is the seed prompt and variations of
it by the library's own `create_prompt_variation`. CAPO's worked examples are off: it writes them into the system text,
where everybody else has only instructions. Blocks and population are the library's (30; 6), smaller where the budget
would not pay for two steps.
"""

from __future__ import annotations

import logging
import random

import numpy as np
import pandas as pd
from gateway_client import BudgetSpent, CallFailed, Runner, started
from promptolution.llms.base_llm import BaseLLM
from promptolution.optimizers.capo import CAPO
from promptolution.optimizers.evoprompt_ga import EvoPromptGA
from promptolution.predictors.base_predictor import BasePredictor
from promptolution.tasks.base_task import BaseTask
from promptolution.utils.prompt_creation import create_prompt_variation

SMALL = 600
"""Target calls: below that the population is smaller and the blocks are shorter."""
STEPS = 10_000


class Agent(BaseLLM):
    """The agent model, one call after the other, so that a run repeats."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner = runner

    def _get_response(self, prompts, system_prompts):
        return [
            self.runner.agent([{"role": "system", "content": system}, {"role": "user", "content": prompt}])
            for prompt, system in zip(prompts, system_prompts, strict=True)
        ]


class Target(BaseLLM):
    """Only there for the library's count of tokens: the predictor asks the gateway."""

    def _get_response(self, prompts, system_prompts):
        raise NotImplementedError


class Predictor(BasePredictor):
    """The prompt as system message, the input as user message, the whole answer as prediction."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(Target())
        self.runner = runner

    def predict(self, prompts, xs, system_prompts=None):
        prompts = [prompts] * len(xs) if isinstance(prompts, str) else list(prompts)
        places: dict[str, list[int]] = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(str(prompt), []).append(place)
        answers = [""] * len(xs)
        for prompt, mine in places.items():
            found = self.runner.measure(prompt, [xs[place] for place in mine])
            for place, one in zip(mine, found, strict=True):
                answers[place] = one.text
        return answers, [f"{x}\n{answer}" for x, answer in zip(xs, answers, strict=True)]

    def _extract_preds(self, preds):
        return preds


class Task(BaseTask):
    """A task whose score is that of the gateway."""

    def __init__(self, runner: Runner, *args, **options) -> None:
        self.runner = runner
        super().__init__(*args, **options)
        self.task_type = "reward"

    def _evaluate(self, xs, ys, preds):
        pairs = zip(xs, preds, strict=True)
        return np.asarray([self.runner.of_answer[x, answer].score for x, answer in pairs], dtype=float)


def sizes(target_calls: int) -> tuple[int, int, int]:
    """Population, crossovers per step, and examples of a block, for a budget."""
    return (6, 4, 30) if target_calls >= SMALL else (3, 2, 10)


def main() -> None:
    runner = started()
    logging.disable(logging.WARNING)
    random.seed(runner.seed)
    np.random.seed(runner.seed)
    rows = pd.DataFrame([{"x": row.input, "y": row.expected} for row in [*runner.train, *runner.valid]])
    rows = rows.sample(frac=1, random_state=runner.seed).reset_index(drop=True)
    population, crossovers, block = sizes(runner.target_calls)
    best, optimizer = runner.seed_prompt, None
    stop = ""
    try:
        agent = Agent(runner)
        prompts = [runner.seed_prompt, *create_prompt_variation([runner.seed_prompt] * (population - 1), agent)]
        capo = runner.spec["algorithm"] == "CAPO"
        task = Task(
            runner,
            rows,
            x_column="x",
            y_column="y",
            task_description=runner.spec["description"],
            n_subsamples=min(block, len(rows)),
            eval_strategy="sequential_block" if capo else "subsample",
            seed=runner.seed,
        )
        common = {"predictor": Predictor(runner), "task": task, "meta_llm": agent, "initial_prompts": prompts}
        if capo:
            # A first step that races everyone over all blocks takes at most 0.6 of the budget.
            blocks = int(0.6 * runner.target_calls / ((population + crossovers) * block))
            optimizer = CAPO(
                **common,
                upper_shots=0,
                df_few_shots=rows.head(5),
                crossovers_per_iter=crossovers,
                max_n_blocks_eval=max(1, min(10, blocks)),
            )
        else:
            optimizer = EvoPromptGA(**common)
        optimizer.optimize(STEPS)
        stop = "promptolution came to its end"
    except BudgetSpent:
        pass
    except CallFailed as error:
        stop = f"the agent model did not answer: {error}"
    if optimizer is not None and len(optimizer.scores):  # of the last whole step, best first
        best = optimizer.prompts[0].construct_prompt()
    runner.finish(best, stop, "promptolution")


if __name__ == "__main__":
    main()
