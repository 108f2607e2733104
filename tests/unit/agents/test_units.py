"""Units of a text: what may be edited, one at a time."""

from __future__ import annotations

import pytest

from sage_spo.agents.units import MOST_UNITS, replaced, units

TEXT = """# Task type
Sort the message, if you can. Be brief!
Steps:
- Read it twice.
2. Choose one of {labels}.
{labels}
Never guess."""


def texts(granularity, text: str = TEXT, locked=()) -> list[str]:
    return [unit.text for unit in units(text, granularity, locked)]


def test_sentences_without_headings_markers_and_lone_placeholders():
    assert texts("sentence") == [
        "Sort the message, if you can.",
        "Be brief!",
        "Read it twice.",
        "Choose one of {labels}.",
        "Never guess.",
    ]


def test_finer_and_coarser_units():
    assert texts("phrase")[:3] == ["Sort the message,", "if you can.", "Be brief!"]
    words = texts("word")
    assert words[:3] == ["Sort", "the", "message,"]
    assert not {"Task", "Steps:", "{labels}.", "{labels}"} & set(words)
    assert texts("whole") == [TEXT]


def test_what_touches_a_locked_text_is_left_alone():
    assert "Be brief!" not in texts("sentence", locked=["brief!\nSteps"])
    assert texts("whole", locked=["Be brief!"]) == []


@pytest.mark.parametrize("granularity", ["word", "phrase", "sentence", "whole"])
def test_replacing_a_unit_leaves_all_else(granularity):
    for unit in units(TEXT, granularity):
        assert TEXT[unit.start : unit.end] == unit.text
        new = replaced(TEXT, unit, "NEW")
        assert new == TEXT[: unit.start] + "NEW" + TEXT[unit.end :]


def test_a_long_text_is_divided_more_coarsely():
    text = " ".join(["One two three."] * 200)
    assert len(units(text, "word")) == 200  # 600 words, 200 sentences
    assert len(units(" ".join(["a b."] * (MOST_UNITS + 1)), "word")) == 1
