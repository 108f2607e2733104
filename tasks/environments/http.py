"""An environment behind an http(s) address: four paths that take and give JSON objects.

    POST /reset     {"episode", "seed"}                      → {"warm_starts": [text, …]}
    POST /describe  {"episode"}                              → the fields of `Description`
    POST /parse     {"episode", "reply"}                     → {"action": text} or {"problem": text}
    POST /step      {"episode", "action_id", "action"}       → {"value": number or null, "regret": …, "means": […]}

`episode` names the run. Every call may be repeated: /reset of an episode that has begun and /step with a known
`action_id` change nothing and reply as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import TaskError
from ...models.client import ChatClient
from ...models.names import web_address
from .protocol import Description, Outcome, Wording


class HttpEnvironment:
    """The environment at `url`, in the episode of that name. Raises TaskError where the address is none."""

    def __init__(self, url: str, episode: str) -> None:
        parts = web_address(url)
        if parts is None or parts.username or parts.password:
            raise TaskError(
                "environment: an HTTP environment is named by its address, http://host:port/path, without a password"
            )
        self._client = ChatClient(url.rstrip("/"), concurrency=8)
        self._episode = episode

    async def reset(self, seed: int) -> list[str]:
        return list((await self._post("reset", seed=seed)).get("warm_starts") or [])

    async def describe(self) -> Description:
        return description_from(await self._post("describe"))

    async def parse(self, reply: str) -> str:
        answer = await self._post("parse", reply=reply)
        if not isinstance(action := answer.get("action"), str):
            raise ValueError(str(answer.get("problem") or "it holds no action"))
        return action

    async def step(self, action: str, action_id: str) -> Outcome:
        answer = await self._post("step", action=action, action_id=action_id)
        return Outcome(answer.get("value"), answer.get("regret"), tuple(answer.get("means") or ()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, path: str, **fields: Any) -> dict[str, Any]:
        return await self._client.post(f"/{path}", {"episode": self._episode, **fields})


def description_from(fields: Mapping[str, Any]) -> Description:
    """A description from plain values. Raises TypeError for fields that there are not or that lack."""
    values = dict(fields)
    values["actions"] = tuple(values.get("actions") or ())
    values["wordings"] = {name: Wording(**wording) for name, wording in (values.get("wordings") or {}).items()}
    return Description(**values)
