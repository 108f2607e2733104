"""The embedded model itself: its processes, its answers, and how labels are decoded."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from sage_spo.errors import ModelError, ModelSetupError, TransientModelError
from sage_spo.models.agent import agent_model
from sage_spo.models.embedded import embedded
from sage_spo.models.embedded_servers import bundled_weights, servers, stop_servers
from sage_spo.models.embeddings import embed
from sage_spo.models.retry import RetryPolicy, call_with_retries
from sage_spo.models.scoring import first_tokens, grammar_options, label_logprobs, scoring_options
from sage_spo.tasks.load import load_task
from sage_spo.tasks.prompt import Demo
from sage_spo.tasks.targets import make_target
from sage_spo.tasks.task import OutputOptions, Task
from sage_spo.tests.processes import alive, eventually

pytest.importorskip("xllamacpp")
LANGUAGES = ("English", "Spanish", "French", "German")
SYSTEM = {"role": "system", "content": f"Name the language: {', '.join(LANGUAGES)}."}
TEXTS = (
    "Guten Morgen, wie geht es dir?",
    "The train leaves at seven.",
    "¿Dónde está la biblioteca?",
    "Je ne sais pas encore.",
    "Das Wetter ist heute schön.",
    "Nobody had told him about the meeting.",
)

DEMOS = (
    ("Buenas noches, hasta mañana", "Spanish"),
    ("Good night, sleep well", "English"),
    ("Bonne nuit, à demain matin", "French"),
    ("Gute Nacht, schlaf gut", "German"),
)


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """No process is left behind by this file."""
    yield
    stop_servers()


def asked(text: str, *demos: tuple[str, str]) -> list[dict[str, str]]:
    turns = [[{"role": "user", "content": x}, {"role": "assistant", "content": y}] for x, y in demos]
    return [SYSTEM, *(message for turn in turns for message in turn), {"role": "user", "content": text}]


def pids() -> list[int]:
    return [process._process.pid for process in servers(bundled_weights()).processes if process._process]


# Answers


async def test_the_same_request_gets_the_same_answer_whatever_came_before_and_whoever_answers() -> None:
    prompts = [DEMOS, DEMOS[::-1], ()]
    requests = [asked(text, *prompt) for prompt in prompts for text in TEXTS[:3]]
    order = list(range(len(requests)))

    async def scores(messages: list[dict[str, str]]) -> list[tuple[int, float]]:
        reply = await model.chat({"messages": messages, **options})
        return [(top["id"], top["logprob"]) for top in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]]

    async with await embedded() as model:
        tokens = await first_tokens(model, LANGUAGES)
        assert tokens is not None
        options = scoring_options(tokens)
        first = await asyncio.gather(*(scores(messages) for messages in requests))
        random.Random(0).shuffle(order)
        again = [await scores(requests[i]) for i in order]
    assert again == [first[i] for i in order]


async def test_scored_labels_beat_chance_where_the_model_knows_the_answer() -> None:
    async with await embedded() as model:
        tokens = await first_tokens(model, LANGUAGES)
        assert tokens is not None
        right = ["German", "English", "Spanish", "French", "German", "English"]
        found: list[str] = []
        for text in TEXTS:
            scores = label_logprobs(
                await model.chat({"messages": asked(text, *DEMOS), **scoring_options(tokens)}), tokens
            )
            assert sum(np.exp(list(scores.values()))) == pytest.approx(1.0)
            found.append(max(scores, key=lambda label: scores[label]))
    assert sum(a == b for a, b in zip(found, right, strict=True)) >= 4


async def test_every_first_token_can_be_scored_even_half_a_character() -> None:
    async with await embedded() as model:
        tokens = await first_tokens(model, ("🙂", "🙁"))
        assert tokens is None  # both begin with the same bytes
        tokens = await first_tokens(model, ("да", "no"))
        assert tokens is not None
        reply = await model.chat({"messages": asked("Повтори: ёж"), **scoring_options(tokens)})
        assert set(label_logprobs(reply, tokens)) == {"да", "no"}


async def test_labels_that_begin_alike_are_told_and_spelled_under_a_grammar() -> None:
    async with await embedded() as model:
        assert await first_tokens(model, ("not sure", "not at all")) is None
        choices = ('maybe "so"', "maybe not")
        reply = await model.chat({"messages": asked(TEXTS[0]), "temperature": 0, **grammar_options(choices)})
    assert reply["choices"][0]["message"]["content"] in choices


async def test_a_request_beyond_the_context_fails_alone_and_for_good() -> None:
    async with await embedded() as model:
        long = model.chat({"messages": asked("word " * 9000), "max_tokens": 2})
        short = model.chat({"messages": asked(TEXTS[0]), "max_tokens": 2, "temperature": 0})
        failed, answered = await asyncio.gather(long, short, return_exceptions=True)
    assert isinstance(failed, ModelError)
    assert not isinstance(failed, TransientModelError)
    assert "context" in str(failed)
    assert isinstance(answered, dict)


async def test_embeddings_are_unit_vectors_close_for_close_texts_however_long() -> None:
    texts = [
        "A cat sleeps on the sofa.",
        "The cat is asleep on the couch.",
        "Quarterly revenue rose.",
        "",
        "word " * 600,
    ]
    found = await embed(texts)
    assert found.shape == (5, 576)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-4)
    assert found[0] @ found[1] > found[0] @ found[2]
    np.testing.assert_array_equal(found[:2], await embed(texts[:2]))


async def test_an_agent_can_be_played_by_it_in_the_form_asked_for() -> None:
    class Idea(BaseModel):
        """What is asked for here."""

        name: str
        good: bool

    agent = agent_model("local")
    reply = await agent.complete([{"role": "user", "content": "An idea?"}], schema=Idea, max_tokens=60, temperature=0.0)
    await agent.aclose()
    assert isinstance(Idea.model_validate_json(reply.text).good, bool)
    assert agent.price == (0.0, 0.0)


# The target


def small(choices: tuple[str, ...], **output: Any) -> Task:
    task = load_task("languages")
    return Task(**{**vars(task), "output": OutputOptions(choices=choices, **output), "labels": choices or task.labels})


@pytest.mark.parametrize(
    ("choices", "decoding"),
    [(LANGUAGES, "label scoring"), (("the left one", "the right one"), "grammar"), ((), "text")],
)
async def test_the_output_says_how_it_was_decoded(choices: tuple[str, ...], decoding: str) -> None:
    task = small(choices, max_tokens=8)
    target = make_target("local", task)
    first, second = await asyncio.gather(*(target(task.seed_prompt, task.search[0], 0) for _ in range(2)))
    request = target.request(task.seed_prompt, task.search[0])
    await target.aclose()
    assert first.decoding == decoding
    assert first.text == second.text
    assert not choices or first.text in choices
    assert (first.label_logprobs is not None) == (decoding == "label scoring")
    assert first.usage.input_tokens is not None
    assert first.usage.input_tokens <= request.max_input_tokens
    assert (first.usage.output_tokens or 0) <= request.max_output_tokens


async def test_worked_examples_change_what_it_answers() -> None:
    task = small(LANGUAGES)
    target = make_target("local", task)
    demos = [Demo(example_id=e.id, input=e.input, output=e.label) for e in task.search if e.label in LANGUAGES][:8]
    plain = task.seed_prompt
    shown = plain.edited(demos=demos, origin="test")
    a, b = [await target(prompt, task.search[20], 0) for prompt in (plain, shown)]
    await target.aclose()
    assert a.label_logprobs != b.label_logprobs


# The processes


def test_several_event_loops_share_the_processes() -> None:
    async def ask() -> str:
        async with await embedded() as model:
            reply = await model.chat({"messages": asked(TEXTS[0]), "max_tokens": 3, "temperature": 0})
            return reply["choices"][0]["message"]["content"]

    before = pids()
    assert asyncio.run(ask()) == asyncio.run(ask())
    assert pids() == before
    assert len(before) == 2


async def test_a_process_that_died_is_started_again_once() -> None:
    payload = {"messages": asked(TEXTS[0]), "max_tokens": 3, "temperature": 0}
    policy = RetryPolicy(base=0.1)

    async def ask() -> str:
        reply = await call_with_retries(lambda: model.chat(payload), policy, rng=np.random.default_rng(0))
        return reply["choices"][0]["message"]["content"]

    def kill() -> list[int]:
        killed = pids()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return killed

    async with await embedded() as model:
        before = await ask()
        under_way = [asyncio.create_task(model.chat({**payload, "max_tokens": 200, "seed": i})) for i in range(4)]
        await asyncio.sleep(0.3)
        killed = kill()
        for failed in await asyncio.gather(*under_way, return_exceptions=True):
            assert isinstance(failed, TransientModelError)
        assert await ask() == before
        assert not set(pids()) & set(killed)
        kill()
        with pytest.raises(ModelError, match="died twice"):
            await ask()
    stop_servers()


OWNER = """
import asyncio, time
from sage_spo.models.embedded_servers import bundled_weights, servers
print(*[p._process.pid for p in servers(bundled_weights()).processes], flush=True)
{then}
"""


@pytest.mark.parametrize(
    ("then", "kill"),
    [
        ("time.sleep(600)", signal.SIGKILL),
        ("time.sleep(600)", signal.SIGINT),  # an exception, as any other
        ("", None),
        pytest.param("1 / 0", None, marks=pytest.mark.full),
    ],
)
def test_the_processes_end_with_their_owner_however_it_ends(then: str, kill: int | None) -> None:
    command = [sys.executable, "-c", OWNER.format(then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        children = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(children) == 2
        if kill is not None:
            assert alive(children) == set(children)
            owner.send_signal(kill)
        owner.wait(30)
    assert eventually(lambda: not alive(children))


def test_a_fork_neither_ends_nor_uses_its_parents_processes() -> None:
    before = pids()
    child = os.fork()
    if child == 0:
        stop_servers()
        os._exit(0)
    os.waitpid(child, 0)
    assert alive(before) == set(before)


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_text("not a model")
    with pytest.raises(ModelSetupError, match="is it a GGUF file") as caught:
        servers(bad)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelSetupError, match="no such weights file"):
        servers(tmp_path / "none.gguf")
