"""Findings in plain words."""

from __future__ import annotations

import pytest

from sage_spo.jobs.claim_words import STANDARD, claim_words, fail_words

GROUPS = {
    "channel=phone": "inputs with channel = phone",
    "channel=phone & plan=pro": "inputs with channel = phone and with plan = pro",
    "channel=phone & n_words >= 36": "inputs with channel = phone and of 36 words or more",
    "n_words >= 36": "inputs of 36 words or more",
    "n_chars < 200": "inputs of fewer than 200 characters",
    "27 <= n_words < 35": "inputs of 27 to 34 words",
    "0.5 <= price < 2": "inputs with price from 0.5 to below 2",
    "price >= 2.5": "inputs with price of at least 2.5",
    "expected=billing": "inputs whose right answer is billing",
    "expected=billing & team=x": "inputs whose right answer is billing and with team = x",
    "plan is empty": "inputs without plan",
    "team=R & D": "inputs with team = R & D",
    "url=a=b": "inputs with url = a=b",
    "refund": 'inputs that hold "refund"',
    "not yet": 'inputs that hold "not yet"',
    "output is empty": "empty answers",
    "output is longer than any expected (12 characters)": "answers longer than any right answer (12 characters)",
    "output has more words than any expected (1)": "answers of more words than any right answer (1)",
    "output ends in a stop": "answers that end in a full stop",
}


@pytest.mark.parametrize(("group", "words"), GROUPS.items())
def test_groups_of_the_standard_analyses_are_told_in_plain_words(group: str, words: str) -> None:
    assert claim_words(f"{group}: fails more often than the others", STANDARD) == words


def test_the_forms_are_those_that_the_analyses_name() -> None:
    pd = pytest.importorskip("pandas")
    from sage_spo.sandbox.inside import toolkit

    outputs = ["", "It is red.", "red\nI think", "red", "green", "a long answer without a label"] * 3
    records = pd.DataFrame({"prompt_id": "p", "input": "x", "output": outputs, "expected": "red"})
    records["score"] = records["output"].eq("red").astype(float)
    rows = toolkit.output_format(records, ["red", "green"])
    assert len(rows) >= 6
    for row in rows:
        assert claim_words(f"{row['group']}: fails more often than the others", STANDARD).startswith(
            ("answers ", "empty answers")
        )


def test_an_agents_claim_is_quoted_as_it_stands_and_followed_by_our_counts() -> None:
    counts = {"n": 58, "rate": 46 / 58, "other_rate": 0.54}
    said = fail_words('Tickets that say "now"\x1b[31m fail all the time.', "diagnostician 2", counts)
    assert said == (
        '“Tickets that say "now" fail all the time”: these fail 79 % against 54 % of the others (58 examples)'
    )
    ours = fail_words("n_words >= 36: fails more often than the others", STANDARD, counts | {"rate": 1.0})
    assert ours == "inputs of 36 words or more always fail against 54 % of the others (58 examples)"
    unseen = fail_words("They are sad.", "diagnostician", {"n": 0, "rate": 0.0, "other_rate": 0.0})
    assert unseen == "“They are sad” (nothing was counted)"
