"""The rows of a comparison, by the names that people give them."""

from __future__ import annotations

import pytest

from sage_spo.errors import UsageError
from sage_spo.jobs.compare.call import compare_call
from sage_spo.jobs.compare.rows import Row, read_rows


def test_a_row_has_a_preset_and_options_and_rules_of_its_own():
    rows = read_rows("picked, picked:faithful,picked[gate=false, rule.confidence=0.9]", ["gepa"])
    assert [row.label for row in rows] == [
        "picked",
        "picked:faithful",
        "picked[gate=false,rule.confidence=0.9]",
        "peer:gepa",
    ]
    assert rows[2] == Row("picked", changes=("gate=false", "rule.confidence=0.9"))
    assert (rows[2].options, rows[2].rules) == (["gate=false"], ["confidence=0.9"])
    assert rows[2].arm(1) == "picked.gate.false.rule.confidence.0.9-1"


def test_options_of_a_row_reach_its_runs_beside_the_shared_rules():
    call = compare_call(
        "headlines", "random,random:faithful[pool=3,rule.holdout=4]", name="x", rule=["confidence=0.9"], seeds=1
    )
    plain, changed = (arm.arguments for arm in call.arms)
    assert "--option" not in plain
    assert changed[changed.index("--option") + 1] == "pool=3"
    assert [changed[i + 1] for i, word in enumerate(changed) if word == "--rule"] == ["confidence=0.9", "holdout=4"]
    assert "'random,random:faithful[pool=3,rule.holdout=4]'" in call.command


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("random[pool=3,random", "cannot be read"),
        ("random[pool]", "'pool' sets nothing"),
        ("random[]", "'' sets nothing"),
        ("random:[pool=3]", "names no preset"),
        ("random[pool=3],random[pool =3]", "is given twice"),
        ("randm[pool=3],random", "Did you mean 'random'"),
    ],
)
def test_what_cannot_be_read_is_one_line(given: str, words: str):
    with pytest.raises(UsageError, match="--strategies") as caught:
        read_rows(given, [])
    assert words in str(caught.value)


async def test_an_option_that_does_not_exist_names_its_row():
    call = compare_call("headlines", "random,random[pol=3]", name="x")
    with pytest.raises(UsageError, match=r"--strategies: random\[pol=3\]: option 'pol' .*Did you mean 'pool'"):
        await call.check()
