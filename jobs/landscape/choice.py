"""Which prompts are measured, on which examples, and what their text is when it is embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ...errors import UsageError
from ...evaluation.evaluator import Job
from ...evaluation.landscape import LEAST_EXAMPLES, PANEL
from ...evaluation.panels import without_demos
from ...models.names import OPENAI_URL, parse_model
from ...seeding import generator, shuffled
from ...tasks.example import Example
from ...tasks.prompt import Prompt
from ...tasks.task import Task
from .sources import Met

OPENAI_EMBEDDINGS = "openai:text-embedding-3-small"


def chosen_prompts(prompts: Mapping[str, Met], most: int) -> list[str]:
    """The ids of at most `most` prompts in the order in which they are measured: the seed and the best ones first, then
    by turns one of each run's, drawn at random, so that no run has more of a say than another."""
    first = [prompt_id for prompt_id, met in prompts.items() if met.leads]
    waiting = [
        shuffled(ids, generator(0, "landscape prompts", run))
        for run in range(1 + max((place for met in prompts.values() for place in met.runs), default=-1))
        if (ids := sorted(i for i, met in prompts.items() if met.runs[0] == run and not met.leads))
    ]
    turns = [ids[turn] for turn in range(max(map(len, waiting), default=0)) for ids in waiting if turn < len(ids)]
    return [*first, *turns][:most]


def common_panel(task: Task, prompts: Sequence[Prompt], size: int = PANEL) -> tuple[Example, ...]:
    """The examples of the search split that all the prompts are measured on, drawn at random, those that are worked
    examples of the fewest prompts first. Raises UsageError where there are too few."""
    if len(task.search) < LEAST_EXAMPLES:
        raise UsageError(
            f"landscape: the search split of {task.name} has {len(task.search)} examples; it takes {LEAST_EXAMPLES}"
        )
    uses = Counter(demo.example_id for prompt in prompts for demo in prompt.demos)
    order = shuffled(task.search, generator(0, "landscape panel", task.key))
    return tuple(sorted(order, key=lambda example: uses[example.id])[:size])


def job(prompt: Prompt, panel: tuple[Example, ...]) -> Job:
    """What is measured of a prompt: the panel, but for what is a worked example in it."""
    return Job(prompt, without_demos(panel, prompt))


def embedded_text(prompt: Prompt) -> str:
    """All of a prompt as one text: its components, then its worked examples."""
    demos = [f"{demo.input}\n{demo.output}" for demo in prompt.demos]
    return "\n\n".join([*(text for text in prompt.components.values() if text), *demos])


def default_embeddings(target: str, base_url: str | None) -> str:
    """OpenAI's embeddings where the target is OpenAI's own, which sees the prompts anyway; else the embedded model."""
    if target.startswith("openai:") and parse_model(target, base_url).base_url == OPENAI_URL:
        return OPENAI_EMBEDDINGS
    return "local"
