"""A target whose right answers follow a known rule, for tests of search without a model.

Each example has a fixed draw; a prompt answers it right when the draw lies under the prompt's accuracy, which grows
with the helpful phrases in its text and with balanced demos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sage_spo.seeding import generator
from sage_spo.tasks.example import Example
from sage_spo.tasks.metrics import make_metric
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tasks.task import OutputOptions, Task

LABELS = ("red", "green", "blue")
HELPFUL: Mapping[str, float] = {"Answer with": 0.15, "Reply with": 0.15, "Give only": 0.15, "the spectrum": 0.4}
"""The last phrase is one that only a language model writes."""
BASE = 0.45


def make_task(sizes: tuple[int, int, int] = (120, 60, 90), seed_prompt: str = "Name the colour: {labels}.") -> Task:
    """A colour task with splits of these sizes."""
    examples = [
        Example(f"e{i}", f"thing number {i} of {LABELS[i % 3]} stock", LABELS[i % 3], {"shelf": str(i % 4)})
        for i in range(sum(sizes))
    ]
    a, b = sizes[0], sizes[0] + sizes[1]
    return Task(
        name="colours",
        seed_prompt=Prompt(components={"system": seed_prompt}),
        search=tuple(examples[:a]),
        holdout=tuple(examples[a:b]),
        test=tuple(examples[b:]),
        metric=make_metric("label", LABELS),
        labels=LABELS,
        output=OutputOptions(max_tokens=8, choices=LABELS),
    )


def accuracy(messages: Sequence[Message]) -> float:
    """The share of examples that a prompt gets right."""
    system = messages[0]["content"]
    demos = [m["content"] for m in messages if m["role"] == "assistant"]
    balanced = 0.25 if demos and len(set(demos)) == len(LABELS) else 0.0
    return min(0.95, BASE + max((gain for phrase, gain in HELPFUL.items() if phrase in system), default=0) + balanced)


def answer(messages: Sequence[Message], example: Example) -> str:
    """The right label or the next one."""
    draw = generator(7, example.id).random()
    right = LABELS.index(example.label)
    return LABELS[right] if draw < accuracy(messages) else LABELS[(right + 1) % 3]


def stubborn(messages: Sequence[Message], example: Example) -> str:
    """A target that no prompt changes."""
    draw = generator(7, example.id).random()
    right = LABELS.index(example.label)
    return LABELS[right] if draw < BASE else LABELS[(right + 1) % 3]
