"""A decision environment of your own: a shop that sets the price of an item every day and sees what it earns.

    cd examples/own_environment
    sage-spo decide shelf:Shelf --method expo,fixed --rounds 30 --agent openai:gpt-4.1-mini

Four methods are all there is to it. What people pay drifts in the second half of the season, which nobody is told.
"""

from __future__ import annotations

import hashlib

from sage_spo import Description, Outcome

PRICES = ("5", "7", "9", "11", "13")


class Shelf:
    """One shelf: every day a price is set, and the day's earnings are known in the evening."""

    def reset(self, seed: int) -> None:
        """A new season; there is nothing to begin with."""
        self.seed = seed
        self.seen: dict[str, Outcome] = {}

    def describe(self) -> Description:
        """What the agent is told; `task` and `instruction` are what is said in other ways, `answer` stays as it is."""
        return Description(
            task="You set the daily price of an item on a shelf. Below is what each price has earned so far.",
            instruction="Choose the price of the next day so that the season as a whole earns as much as it can.",
            answer="Answer with one of 5, 7, 9, 11, 13 between the tags <price> and </price>, as in <price>9</price>.",
            actions=PRICES,
            rounds=60,
            low=0.0,
            high=130.0,
            unreadable="random",
            value="earnings",
        )

    def parse(self, reply: str) -> str:
        """The price in an answer. The message of a ValueError is what the agent is told when it is asked again."""
        price = reply.rpartition("<price>")[2].partition("</price>")[0].strip()
        if price not in PRICES:
            raise ValueError("it does not hold one of the prices between <price> and </price>")
        return price

    def step(self, action: str, action_id: str) -> Outcome:
        """What a day earned. The same id is the same day, so that a run may go on after a crash."""
        if action_id not in self.seen:
            day = len(self.seen)
            earned = [self.earnings(float(price), day) for price in PRICES]
            mean = earned[PRICES.index(action)]
            chance = hashlib.sha256(f"{self.seed} {action_id}".encode()).digest()[0] / 255
            luck = 0.8 + 0.4 * chance
            # Only a simulation knows the last two; leave them out where you do not.
            self.seen[action_id] = Outcome(mean * luck, regret=max(earned) - mean, means=tuple(earned))
        return self.seen[action_id]

    def earnings(self, price: float, day: int) -> float:
        """What a price earns on average: the dearer, the fewer buy; later in the season they pay more."""
        buyers = 14 - price if day < 30 else 16 - 0.75 * price
        return price * max(0.0, buyers)
