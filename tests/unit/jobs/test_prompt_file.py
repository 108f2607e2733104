"""A prompt survives being written to a file and read again, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_spo.errors import TaskError
from sage_spo.jobs.prompt_file import MARK, prompt_text, read_prompt
from sage_spo.tasks.prompt import Demo, Prompt


def prompt(system: str, *demos: tuple[str, str], **components: str) -> Prompt:
    turns = tuple(Demo(example_id=f"e{i}", input=a, output=b) for i, (a, b) in enumerate(demos))
    return Prompt(components={"system": system, **components}, demos=turns)


def read_back(tmp_path: Path, text: str, name: str = "prompt.md") -> Prompt:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return read_prompt(path)


def test_a_system_text_alone_is_plain_text(tmp_path: Path) -> None:
    text = prompt_text(prompt("Classify.\n\nUse {labels}."))
    assert text == "Classify.\n\nUse {labels}.\n"
    assert read_back(tmp_path, text) == prompt("Classify.\n\nUse {labels}.").model_copy(update={"origin": "file"})


def test_worked_examples_make_it_yaml_that_is_read_back_under_any_file_name(tmp_path: Path) -> None:
    before = prompt("Classify: {labels}.\n- one", ("a: b\n", "yes"), ("[x]", "no"))
    text = prompt_text(before)
    assert text.startswith(MARK)
    for name in ("prompt.md", "prompt.yaml", "prompt"):
        after = read_back(tmp_path, text, name)
        assert after.id == before.id
        assert [d.example_id for d in after.demos] == ["e0", "e1"]


@pytest.mark.parametrize(
    "one",
    [
        prompt("ends in space "),
        prompt("\n starts on a second line"),
        prompt(f"{MARK}s are written so"),
        prompt("carriage\r\nreturn"),
        prompt("tab\tand nul-free control \x07"),
        prompt("a", user="{input}\n"),
        Prompt(components={"user": "only {input}"}),
        prompt("yes", ("no", "on"), ("1", "null")),
    ],
    ids=lambda one: repr(dict(one.components))[:30],
)
def test_whatever_plain_text_would_lose_is_written_as_yaml(tmp_path: Path, one: Prompt) -> None:
    assert read_back(tmp_path, prompt_text(one)).id == one.id


@given(st.text(min_size=1).filter(str.strip), st.lists(st.tuples(st.text(), st.text()), max_size=2))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str, demos: list[tuple[str, str]]) -> None:
    one = prompt(text, *demos)
    assert read_back(tmp_path_factory.mktemp("prompts"), prompt_text(one)).id == one.id


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("components:\n  system: a\ndemoes: []\n", "p.yaml line 3: demoes"),
        ("components:\n  system: a\ndemos:\n- input: x\n", "p.yaml line 4: demos.0.output"),
        ("components: {}\n", "p.yaml line 1: components"),
        ("components: {system: a\n", "p.yaml line"),
        ("- a\n", "p.yaml is not a mapping"),
    ],
)
def test_a_yaml_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TaskError, match=complaint) as error:
        read_back(tmp_path, text, "p.yaml")
    assert "\n" not in str(error.value)


def test_a_misspelt_field_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Did you mean 'demos'"):
        read_back(tmp_path, "components:\n  system: a\ndemoes: []\n", "p.yaml")


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"prompt\.md is empty"):
        read_back(tmp_path, " \n")
    with pytest.raises(TaskError, match=r"No such file.*prompt\.mx.*Did you mean 'prompt\.md'"):
        read_prompt(tmp_path / "prompt.mx")
