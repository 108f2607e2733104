"""Reading label scores from a reply."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from sage_spo.errors import TransientModelError
from sage_spo.models.scoring import FirstTokens, choose, grammar_options, label_logprobs, scoring_options

TOKENS = FirstTokens({"yes": (1, 11), "no": (2, 12)}, sampled=(1, 11, 2, 12))


def reply(sampled: tuple[int, float], *top: tuple[int, float]) -> dict[str, Any]:
    entries = [{"id": token, "logprob": value} for token, value in top]
    content = [{"id": sampled[0], "logprob": sampled[1], "top_logprobs": entries}]
    return {"choices": [{"logprobs": {"content": content}}]}


def test_all_spellings_of_a_label_count_and_the_scores_are_normalised() -> None:
    scores = label_logprobs(
        reply((2, math.log(0.3)), (2, math.log(0.3)), (1, math.log(0.2)), (11, math.log(0.2)), (7, math.log(0.1))),
        TOKENS,
    )
    assert math.exp(scores["yes"]) == pytest.approx(4 / 7)
    assert math.exp(scores["no"]) == pytest.approx(3 / 7)
    assert choose(scores, 0.0, 0) == "yes"


def test_a_label_outside_the_top_gets_its_lowest_value() -> None:
    scores = label_logprobs(reply((1, -0.1), (1, -0.1), (7, -3.0), (8, -9.0)), TOKENS)
    assert scores["yes"] - scores["no"] == pytest.approx(8.9)


def test_the_sampled_label_counts_even_where_it_is_outside_the_top() -> None:
    scores = label_logprobs(reply((12, -12.0), (7, -0.1), (8, -9.0)), TOKENS)
    assert scores["no"] - scores["yes"] == pytest.approx(-3.0)


@pytest.mark.parametrize("broken", [{}, {"choices": []}, {"choices": [{"message": {"content": "yes"}}]}])
def test_a_reply_without_scores_may_pass(broken: dict[str, Any]) -> None:
    with pytest.raises(TransientModelError, match="no log-probabilities"):
        label_logprobs(broken, TOKENS)


def test_at_a_temperature_labels_are_drawn_with_their_probability_by_the_seed_alone() -> None:
    scores = {"yes": math.log(0.8), "no": math.log(0.2)}
    drawn = [choose(scores, 1.0, repeat, "x") for repeat in range(1000)]
    assert 0.76 < Counter(drawn)["yes"] / 1000 < 0.84
    assert drawn == [choose(scores, 1.0, repeat, "x") for repeat in range(1000)]
    assert {choose(scores, 0.01, repeat, "x") for repeat in range(50)} == {"yes"}


def test_the_request_biases_every_first_token_and_asks_for_one_token() -> None:
    options = scoring_options(TOKENS)
    assert [token for token, _ in options["logit_bias"]] == [1, 11, 2, 12]
    assert options["max_tokens"] == 1


def test_a_grammar_quotes_the_choices_and_leaves_room_to_spell_them() -> None:
    options = grammar_options(['say "hi"', "naïve", "a" * 40])
    assert options["grammar"] == 'root ::= "say \\"hi\\"" | "naïve" | "' + "a" * 40 + '"'
    assert options["max_tokens"] == 42
    assert grammar_options(["a"])["max_tokens"] == 12
