"""An agent in production that decides in sequence: its meta-prompt is chosen, and learned from, by a `Decider`.

    uv run python examples/live_agent/advertise.py [ROUNDS] [STATE]

The agent here is a stand-in that needs no model: it reads its instruction and picks a slogan, and customers (drawn at
random) click or do not. Put your own agent's call in place of `agent`, and your own measurement in place of `clicks`.
Run it again and it goes on where it stopped, also after a crash.
"""

from __future__ import annotations

import sys
from collections import defaultdict

from sage_spo import Decider, rephrase
from sage_spo.seeding import generator

SLOGANS = {"Warm and light": 0.3, "Made to last": 0.7, "Half the price": 0.5, "New this week": 0.2}
"""Each slogan with the share of customers who click on it; the agent does not know it."""

DESCRIPTION = "You advertise clothes. In each round you show one slogan, and are told which share of customers clicked."
INSTRUCTION = "Look at the past scores. Choose the slogan for the next round."


def agent(meta_prompt: str, round: int) -> str:
    """The slogan that a scripted agent chooses: it explores where it is told to, else it keeps to the best."""
    scores = defaultdict(list)
    for line in meta_prompt.splitlines():
        slogan, arrow, score = line.partition(" → ")
        if arrow and slogan in SLOGANS:
            scores[slogan].append(float(score))
    if not scores or "seldom been tried" in meta_prompt:
        return list(SLOGANS)[round % len(SLOGANS)]
    return max(scores, key=lambda slogan: max(scores[slogan]))


def clicks(slogan: str, round: int) -> float:
    """The share of 20 customers who clicked."""
    return float(generator(0, "customers", round).binomial(20, SLOGANS[slogan]) / 20)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    decider = Decider.open(
        sys.argv[2] if len(sys.argv) > 2 else "advertise.db",
        descriptions=DESCRIPTION,
        instructions=rephrase(INSTRUCTION, 9),  # with agent="openai:MODEL" a language model rephrases
        embeddings="local",
        method="expo-fading",
    )
    for id in decider.unanswered():  # what was asked before a crash, and can no longer be scored
        decider.observe(None, id)
    for _ in range(rounds):
        told = decider.meta_prompt()
        slogan = agent(told.text, told.id)
        score = clicks(slogan, told.id)
        decider.observe(score, told.id, action=slogan)
        print(f"{told.id:3}  {score:.2f}  {slogan:15}  {told.instruction}")
    standing = decider.standing()
    print(f"{standing.learned} scores learned; entropy of the choice {standing.entropy:.2f} of {standing.most:.2f}")


if __name__ == "__main__":
    main()
