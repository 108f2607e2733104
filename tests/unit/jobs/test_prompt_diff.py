"""What a diff of two prompts shows."""

from __future__ import annotations

from sage_spo.jobs.prompt_diff import diff
from sage_spo.traces.result import PromptContent


def content(text: str, *demos: tuple[str, str], **components: str) -> PromptContent:
    turns = [{"input": a, "output": b} for a, b in demos]
    return PromptContent(id=text, components={"system": text, **components}, demos=turns)


def lines(before: PromptContent, after: PromptContent) -> list[str]:
    return [f"{line.sign} {line.text}" for line in diff(before, after)]


def test_changed_lines_and_those_around_them() -> None:
    before = "\n".join(f"line {i}" for i in range(20))
    shown = lines(content(before), content(before.replace("line 10", "another")))
    assert shown == [
        "… (8 lines stay the same)",
        "  line 8",
        "  line 9",
        "- line 10",
        "+ another",
        "  line 11",
        "  line 12",
        "… (7 lines stay the same)",
    ]


def test_the_same_prompt_twice_is_shown_whole() -> None:
    text = "\n".join(f"line {i}" for i in range(30))
    assert lines(content(text), content(text)) == [f"  line {i}" for i in range(30)]


def test_worked_examples_are_one_line_each() -> None:
    shown = lines(content("a"), content("a", ("long\ntext", "yes"), ("more", "no")))
    assert shown == [
        "  a",
        "… 2 worked examples, sent as turns in front of the input:",
        "+ yes ← long text",
        "+ no ← more",
    ]


def test_worked_examples_that_went_came_and_stayed() -> None:
    shown = lines(content("a", ("x", "1"), ("y", "2")), content("a", ("y", "2"), ("z", "3")))
    assert shown[2:] == ["- 1 ← x", "  2 ← y", "+ 3 ← z"]
    assert lines(content("a", ("x", "1")), content("a"))[1:] == ["… no worked examples (1 before)", "- 1 ← x"]


def test_several_components_are_named() -> None:
    shown = lines(content("a", user="{input}"), content("b", user="{input}"))
    assert shown == ["… system:", "- a", "+ b", "… user:", "  {input}"]
