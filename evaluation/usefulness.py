"""How likely an edit of a prompt is of use: log odds from who named it, and from what single examples say.

All numbers are natural logarithms of odds (useful : idle). The rates behind them were chosen by measurement on
simulated tasks (docs/strategies.md), the multiplication of independent pieces of evidence is Bayes' rule.
"""

from __future__ import annotations

import math

FAILS_AGAIN, STAYS_RIGHT = math.log(0.4 / 0.08), math.log(0.6 / 0.92)
"""What an example says that was mended by several edits together, when one of them is left out. Without an idle edit
some 8 of 100 fail again by chance; without a useful one two in five, for failures have other causes too."""

STAYS_WRONG = math.log(0.85)
"""What a failure says that all edits together did not mend."""

MENDS, MENDS_NOT = math.log(0.5 / 0.12), math.log(0.5 / 0.88)
"""What a failure says that comes back without an edit and its like, when the edit alone is put back."""

REJECTED = math.log(1 / 3)
"""What it says for an edit that a bundle which held it was measured and rejected."""

HELD_BACK, HELD_BACK_NOT = math.log(0.35 / 0.07), math.log(0.65 / 0.93)
"""What a failure on the holdout split says for a sentence doing harm: that it comes right when the sentence is left
out, that it stays wrong."""

HARMFUL = math.log(0.1 / 0.9)
"""The odds, before that, of a sentence doing harm."""

TRUSTED = math.log(20)
"""An edit of at least these odds is not left out to see whether it is missed."""

SURE = math.log(3)
"""An edit that was left out and has at least these odds is not left out again. Where nothing can be left out, an edit
has to be as likely as this."""

REFUTED = math.log(0.06)
"""An edit of lower odds is idle."""

FIRST_SHARE = 0.3
"""Of edits that one request of eight named so many are of use."""

NAMES, NAMES_NOT = math.log(0.2 / 0.04), math.log(0.8 / 0.96)
"""What it says for an edit that an independent request names it, and against it that one does not: wrong ideas scatter,
right ones come again. A useful edit is named by one request in five, in these or like words, an idle one by one in
25."""


def named(times: int, requests: int = 8) -> float:
    """The log odds that an edit is of use which so many of these independent requests named, before it is measured."""
    return odds_of(FIRST_SHARE) + (times - 1) * NAMES + (requests - times - 7) * NAMES_NOT


def useful_share(useful: int, of: int) -> float:
    """What share of the next round's edits is of use, after a round in which so many of those measured were."""
    return (useful + 2 * FIRST_SHARE) / (of + 2)


def odds_of(share: float) -> float:
    """The log odds of a probability between 0 and 1, both excluded."""
    return math.log(share / (1 - share))


def probability(odds: float) -> float:
    """The probability of such log odds."""
    return 1 / (1 + math.exp(-odds))


def harmful(mended: int, of: int) -> bool:
    """Whether a sentence more likely does harm than not, without which so many failures of the holdout split come
    right."""
    return HARMFUL + mended * HELD_BACK + (of - mended) * HELD_BACK_NOT > 0
