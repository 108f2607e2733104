"""Plain replies: all requests at once go through one handle, which is closed in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sage_spo.models import plain_chat
from sage_spo.models.plain_chat import PlainChat


class Handle:
    """Stands in for a handle on the embedded model."""

    def __init__(self) -> None:
        self.asked, self.closed = 0, False

    async def chat(self, payload: Any) -> dict[str, Any]:
        self.asked += 1
        return {"choices": [{"message": {"content": "blue"}, "finish_reason": "stop"}], "usage": {}}

    async def aclose(self) -> None:
        self.closed = True


async def test_requests_at_once_share_one_handle_on_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: list[Handle] = []

    async def opened(weights: Any) -> Handle:
        await asyncio.sleep(0)  # its processes may have to be started
        handles.append(Handle())
        return handles[-1]

    monkeypatch.setattr(plain_chat, "embedded", opened)
    chat = PlainChat("local")
    asked = [chat.reply([{"role": "user", "content": "?"}], max_tokens=4, temperature=1.0, seed=i) for i in range(8)]
    assert [reply.text for reply in await asyncio.gather(*asked)] == ["blue"] * 8
    await chat.aclose()
    [used] = [handle for handle in handles if handle.asked]
    assert used.asked == 8
    assert used.closed
