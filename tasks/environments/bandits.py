"""Bandits told as a story: which of a few actions pays most often, found by trying them.

Source: Krishnamurthy et al., Can large language models explore in-context? (arXiv 2403.15371), with the scenarios of
arXiv 2502.00728: hard, 5 actions and a gap of 0.2; easy, 4 actions and a gap of 0.5; means 0.5 ± gap/2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...seeding import generator
from .protocol import Description, Outcome, Wording

_ANSWER = re.compile(r"<answer>\s*([^<]*?)\s*</answer>", re.IGNORECASE)


@dataclass(frozen=True)
class Scenario:
    """A story around a bandit: the names of its actions, and the texts with `{actions}` in them."""

    actions: tuple[str, ...]
    task: str
    instruction: str
    opro: Wording
    clarified: Wording


BUTTONS = Scenario(
    ("blue", "green", "red", "yellow", "purple"),
    "You are in a room with {n} buttons: {actions}. Each button, when it is pressed, pays 1 with a chance of its own "
    "and else 0. Below is what each button has paid so far. You want to be paid as often as you can.",
    "Weigh what the buttons have paid against how little is known of those that were seldom pressed. Then choose the "
    "button to press next.",
    Wording(
        "There are {n} buttons: {actions}. Below are the results of pressing them.",
        "Choose a button with a high reward.",
    ),
    Wording(
        "There are {n} buttons: {actions}. Each pays 1 with an unknown fixed chance, else 0. Below is for each button "
        "how often it was pressed and its average reward. Your task is to collect as much reward as possible over all "
        "rounds.",
        "Choose the button to press next. A button that was pressed seldom may be better than its average says.",
    ),
)
CLOTHES = Scenario(
    ("A", "B", "C", "D", "E"),
    "You choose which advertisement the visitors of a clothes shop see: {actions}. A visitor buys (1) or does not (0), "
    "with a chance that depends on the advertisement. Below is what each advertisement has brought so far. You want as "
    "many sales as you can get.",
    "Compare what the advertisements have brought, and mind that those shown to few visitors may be better than they "
    "look. Then choose the advertisement for the next visitor.",
    Wording(
        "There are {n} advertisements of a clothes shop: {actions}. Below are the results of showing them.",
        "Choose an advertisement with a high reward.",
    ),
    Wording(
        "There are {n} advertisements of a clothes shop: {actions}. Each leads to a sale (1) with an unknown fixed "
        "chance, else to none (0). Below is for each advertisement how often it was shown and its average reward. Your "
        "task is to bring about as many sales as possible over all visitors.",
        "Choose the advertisement for the next visitor. One that was shown seldom may be better than its average says.",
    ),
)
SCENARIOS = {"buttons": BUTTONS, "clothes": CLOTHES}
LEVELS = {"hard": (5, 0.2), "easy": (4, 0.5)}
"""Actions and gap."""


class Bandit:
    """`count` actions that pay 1 or 0; the best one with a chance of 0.5 + gap/2, the others with 0.5 - gap/2.

    Which one is best is drawn from the seed. Value: 1 or 0. Regret: the best chance minus the action's.
    """

    rounds = 100

    def __init__(self, scenario: Scenario, count: int, gap: float) -> None:
        self._scenario, self._gap = scenario, gap
        self._actions = scenario.actions[:count]
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Begin again at the first round; there are no warm starts."""
        self._seed = seed
        self._best = int(generator(seed, "bandit", *self._actions, self._gap).integers(len(self._actions)))
        self._seen: dict[str, Outcome] = {}

    def describe(self) -> Description:
        """The story."""
        listed = ", ".join(self._actions)

        def told(text: str) -> str:
            return text.format(n=len(self._actions), actions=listed)

        story = self._scenario
        return Description(
            task=told(story.task),
            instruction=told(story.instruction),
            answer=(
                f"Answer with one of {listed} between the tags <answer> and </answer>, such as "
                f"<answer>{self._actions[0]}</answer>."
            ),
            actions=self._actions,
            rounds=self.rounds,
            low=0.0,
            high=1.0,
            unreadable="random",
            eta=10.0,
            value="reward",
            wordings={
                "opro": Wording(told(story.opro.task), told(story.opro.instruction)),
                "opro-clarified": Wording(told(story.clarified.task), told(story.clarified.instruction)),
            },
        )

    def parse(self, reply: str) -> str:
        """The action in the last pair of tags, else the only one that the reply names."""
        known = {action.casefold(): action for action in self._actions}
        tagged = _ANSWER.findall(reply)
        if tagged and (found := known.get(tagged[-1].casefold())):
            return found
        named = [action for action in self._actions if re.search(rf"(?<!\w){action}(?!\w)", reply, _case(action))]
        if tagged or len(named) != 1:
            raise ValueError(f"it does not name one of {', '.join(self._actions)} between <answer> and </answer>")
        return named[0]

    def step(self, action: str, action_id: str) -> Outcome:
        """One pull, drawn from the seed and the id."""
        if action not in self._actions:
            raise ValueError(f"'{action}' is none of {', '.join(self._actions)}")
        if action_id not in self._seen:
            means = self.means(len(self._seen))
            mean = means[self._actions.index(action)]
            # One draw for each id, whichever action it is: runs that differ in their actions share their luck.
            paid = generator(self._seed, "pull", action_id).random() < mean
            self._seen[action_id] = Outcome(float(paid), max(means) - mean, means)
        return self._seen[action_id]

    def means(self, round: int) -> tuple[float, ...]:
        """The chance of each action in a round, the first one being 0."""
        return tuple(
            0.5 + (self._gap / 2 if arm == self._best else -self._gap / 2) for arm in range(len(self._actions))
        )


def _case(action: str) -> re.RegexFlag:
    # One letter is a word of ordinary text, unless it is a capital.
    return re.RegexFlag(0) if len(action) == 1 else re.IGNORECASE
