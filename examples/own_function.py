"""Optimise the prompt of an app of your own: any function that takes chat messages and an example.

Run it with `uv run python examples/own_function.py`. The "app" here is a toy that answers better when the prompt says
what form the answer has, so that the example needs no model and ends in seconds.
"""

from __future__ import annotations

import hashlib

from sage_spo import Example, load_task, optimize


def my_app(messages: list[dict[str, str]], example: Example) -> str:
    """Stands for your application: it gets the messages that the prompt makes for one example."""
    careful = any(hint in messages[0]["content"] for hint in ("one word", "label only", "Give only"))
    luck = int(hashlib.sha256(example.input.encode()).hexdigest(), 16) % 100
    right, wrong = example.label, "positive" if example.label == "negative" else "negative"
    return right if luck < (80 if careful else 55) else wrong


if __name__ == "__main__":
    task = load_task("reviews")
    result = optimize(task, target=my_app, budget={"target_calls": 1200})
    print(result.sentence)
    print(result.prompt.components["system"])
