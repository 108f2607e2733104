"""`sage-spo strategies`: what it lists is what the engine takes."""

from __future__ import annotations

import json

import pytest

from sage_spo.graphs.portfolio_options import PortfolioOptions
from sage_spo.graphs.registry import STRATEGIES, strategy
from sage_spo.jobs.cli import main

Captured = pytest.CaptureFixture[str]


def test_all_strategies_are_listed_with_what_they_do(capsys: Captured):
    assert main(["strategies"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said and known.summary in said for name, known in STRATEGIES.items())


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_option_stands_there_and_in_its_docstring(name: str, capsys: Captured):
    assert main(["strategies", name, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["options"]) == list(strategy(name).options.model_fields)
    for option in document["options"]:
        assert f"`{option}`" in document["about"], option
        assert document["options"][option]["takes"]
    assert document["presets"].keys() == {"default", *strategy(name).presets}


def test_options_of_one_are_a_table_with_each_preset(capsys: Captured):
    assert main(["strategies", "picked"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["OPTION", "DEFAULT", "FAITHFUL", "TAKES"] in rows
    assert ["fresh", "true", "false", "true,", "false"] in rows
    assert ["RULE", "DEFAULT", "FAITHFUL"] in rows
    assert ["estimate", "mean", "mean"] in rows


def test_a_default_that_is_each_members_is_no_number(capsys: Captured):
    assert main(["strategies", "auto"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "candidates each member's each member's from 1 to 64" in rows
    made = strategy("auto").options.model_validate({})
    assert isinstance(made, PortfolioOptions)
    assert made.of_member("protegi").candidates == strategy("protegi").options.model_validate({}).candidates


def test_texts_name_no_class_or_function(capsys: Captured):
    assert main(["strategies", "promptagent"]) == 0
    said = capsys.readouterr().out
    assert "TreeRules" not in said
    assert "see `" not in said


def test_one_that_does_not_exist_is_one_line(capsys: Captured):
    assert main(["strategies", "pickd"]) == 2
    assert "Did you mean 'picked'?" in capsys.readouterr().err
