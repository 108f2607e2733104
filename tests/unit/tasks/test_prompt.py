"""Placeholders, identity and messages of a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Demo, Prompt, fill, placeholders

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
EXAMPLE = Example("e1", "my printer is dead", "technical", {"channel": "phone"})


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("via {channel}: {input}", "via phone: my printer is dead"),
        ("one of {labels}", "one of a, b"),
        ("{nobody}", "{nobody}"),
        ("{{channel}}", "{channel}"),
        ("{{nobody}}", "{nobody}"),
        ("{{{channel}}}", "{{channel}}"),
        ('{"via": {channel}}', '{"via": phone}'),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("{ channel } {}", "{ channel } {}"),
        ("{{channel} {channel}}", "{phone phone}"),
    ],
)
def test_only_placeholders_of_known_fields_are_filled(template: str, filled: str) -> None:
    assert fill(template, EXAMPLE.input, EXAMPLE.metadata, ("a", "b")) == filled


def test_braces_inside_values_are_left_alone() -> None:
    assert fill("{input} {channel}", "{channel}", {"channel": "{{input}}"}, ()) == "{channel} {{input}}"


@given(st.text(alphabet=st.characters(exclude_characters="{}")), st.text())
def test_text_without_braces_is_sent_as_it_is(template: str, text: str) -> None:
    assert fill(template, text, {}, ()) == template


@given(NAMES, st.text(max_size=20), st.text(alphabet=st.characters(exclude_characters="{}"), max_size=10))
def test_a_placeholder_is_filled_and_its_escaped_form_is_not(name: str, value: str, around: str) -> None:
    expected = {"input": "text", "labels": "a, b"}.get(name, value)
    assert fill(f"{around}{{{name}}}{around}", "text", {name: value}, ("a", "b")) == f"{around}{expected}{around}"
    assert fill(f"{around}{{{{{name}}}}}", "text", {name: value}, ("a", "b")) == f"{around}{{{name}}}"
    assert placeholders(f"{{{name}}}", [name]) == {name}
    assert placeholders(f"{{{{{name}}}}}", [name]) == set()


@given(st.text(max_size=40))
def test_a_template_and_its_placeholders_agree(template: str) -> None:
    """What `placeholders` does not name, `fill` does not change (escapes aside)."""
    if not placeholders(template, ["input", "x"]) and "{{" not in template:
        assert fill(template, "TEXT", {"x": "VALUE"}, ()) == template


def test_identity_depends_on_text_and_demos_alone() -> None:
    one = Prompt(components={"system": "a", "user": "{input}"}, origin="seed")
    same = Prompt(components={"user": "{input}", "system": "a"}, origin="genetic", parents=("p",))
    shown = one.edited(demos=[Demo(example_id="e1", input="x", output="y")], origin="demos")
    assert one.id == same.id
    assert len({one.id, shown.id, one.edited(text="b", origin="edit").id}) == 3
    assert shown.parents == (one.id,)
    assert len({one, Prompt(components=one.components)}) == 1


def test_a_prompt_survives_json() -> None:
    demo = Demo(example_id="e1", input="x", output="y", metadata={"channel": "phone", "n": 3})
    prompt = Prompt(components={"system": "a"}, demos=(demo,), parents=("p",), origin="sage", shown=("e2",))
    _ = prompt.id
    dumped = prompt.model_dump(mode="json", exclude={"id"})
    assert set(dumped) == {"components", "demos", "parents", "origin", "shown"}
    assert Prompt.model_validate(dumped) == prompt
    assert Prompt.model_validate(prompt.model_dump(mode="json")).id == prompt.id
    assert Prompt.model_validate_json(prompt.model_dump_json()).id == prompt.id


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    prompt = Prompt(components={"system": "a"})
    before = prompt.id
    copy = prompt.model_copy(update={"components": {"system": "b"}})
    assert copy.id == Prompt(components={"system": "b"}).id != before
    assert prompt.id == before


def test_a_prompt_is_immutable_and_has_a_component() -> None:
    prompt = Prompt(components={"system": "a"})
    with pytest.raises(ValidationError):
        prompt.origin = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Prompt(components={})


def test_messages_are_system_demo_turns_and_input() -> None:
    demo = Demo(example_id="e2", input="x", output="y", metadata={"channel": "chat"})
    prompt = Prompt(components={"system": "One of: {labels}.", "user": "[{channel}] {input}"}, demos=(demo,))
    assert prompt.messages(EXAMPLE, ("a", "b")) == [
        {"role": "system", "content": "One of: a, b."},
        {"role": "user", "content": "[chat] x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "[phone] my printer is dead"},
    ]


def test_without_a_user_component_the_input_is_sent_bare() -> None:
    assert Prompt(components={"system": ""}).messages(Example("e", "{input}", "x")) == [
        {"role": "user", "content": "{input}"}
    ]
