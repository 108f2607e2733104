"""Embeddings from an OpenAI-compatible endpoint. (Those of the embedded model: integration tests.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sage_spo.errors import ModelSetupError, TransientModelError
from sage_spo.models.embeddings import CHARACTERS, LOCAL_CHARACTERS, TEXTS, embed, embed_request, in_requests
from sage_spo.tests.fakes.faults import Faults
from sage_spo.tests.fakes.server import EMBEDDING_SIZE, FakeServer


async def test_vectors_come_in_order_in_batches_and_of_unit_length() -> None:
    texts = [f"text number {i}" for i in range(TEXTS + 3)]
    with FakeServer() as server:
        found = await embed(texts, "openai:fake", server.url)
        single = await embed([texts[-1]], "openai:fake", server.url)
        assert [len(logged.body["input"]) for logged in server.log] == [TEXTS, 3, 1]
    assert found.shape == (TEXTS + 3, EMBEDDING_SIZE)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found[-1], single[0], rtol=1e-6)


async def test_long_texts_come_in_more_requests() -> None:
    texts = ["short", "x" * CHARACTERS, "y" * CHARACTERS, "short", "short too"]
    with FakeServer() as server:
        assert len(await embed(texts, "openai:fake", server.url)) == 5
        assert [len(logged.body["input"]) for logged in server.log] == [1, 1, 1, 2]
    few = ["x" * (LOCAL_CHARACTERS // 2)] * 3
    assert [len(some) for some in in_requests(few, local=True)] == [2, 1]
    assert [len(some) for some in in_requests(few, local=False)] == [3]


async def test_a_request_that_fails_is_tried_again_and_no_other() -> None:
    with FakeServer(faults=Faults({"500": 0.5})) as server:
        texts = [f"{i} " + "x" * CHARACTERS for i in range(6)]
        assert (await embed(texts, "openai:fake", server.url)).shape == (6, EMBEDDING_SIZE)
        asked = [logged.body["input"][0][0] for logged in server.log]
    assert sorted(set(asked)) == list("012345")
    assert asked == sorted(asked)
    assert len(asked) > 6


async def test_no_texts_give_no_vectors() -> None:
    with FakeServer() as server:
        assert len(await embed([], "openai:fake", server.url)) == 0
        assert server.log == []


async def test_empty_texts_have_a_vector_too() -> None:
    with FakeServer() as server:
        assert (await embed(["", "a"], "openai:fake", server.url)).shape == (2, EMBEDDING_SIZE)


async def test_broken_replies_may_pass() -> None:
    with FakeServer(faults=Faults({"malformed": 1.0})) as server, pytest.raises(TransientModelError):
        await embed_request(["a"], "openai:fake", server.url)


async def test_numbers_that_are_not_finite_are_a_broken_reply() -> None:
    class WithNull(FakeServer):
        def _embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
            reply = super()._embeddings(body)
            reply["data"][0]["embedding"][0] = None
            return reply

    with WithNull() as server, pytest.raises(TransientModelError, match="not finite"):
        await embed_request(["a"], "openai:fake", server.url)


async def test_providers_without_embeddings_here_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x" * 20)
    with pytest.raises(ModelSetupError, match="openai:MODEL or local"):
        await embed(["a"], "anthropic:claude-sonnet-4-5")
