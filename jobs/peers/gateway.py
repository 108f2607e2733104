"""What a peer may ask, on a loopback port: its prompts measured, its agent model answered, all from one budget.

    POST /v1/chat/completions   model `target`: a candidate prompt as system message, an example's input as user message
                                model `agent`: any messages
    POST /measure               {prompt, inputs}: all of them measured, or none

A target's request becomes what every strategy sends for that prompt and example: same decoding, cache, retries, budget,
and a record of the run. Replies carry the score of the task's own metric (`sage_score`; null where the call failed for
good). 402 says that the budget is spent, 400 what is wrong with a request, 502 that an agent call failed.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ...agents.writing import LONGEST
from ...errors import BudgetExceeded
from ...evaluation.evaluator import Evaluator, Job
from ...sandbox.text import clean
from ...tasks.example import Example
from ...tasks.prompt import Prompt
from ...tasks.task import SplitName, Task
from ...traces.rows import Record, StoredPrompt
from ..output import one_line
from .agent import PeerAgent
from .prompt import as_prompt

LARGEST_BODY = 4_000_000
"""Bytes of a request."""
MOST_IN_VAIN = 100
"""Agent calls in a row after which no prompt came that is new: the peer goes round in circles."""
SPLITS: tuple[SplitName, ...] = ("search", "holdout")
"""What a peer sees; the test split is never sent."""


class _Refused(Exception):
    """What is wrong with a request, in words."""


@dataclass
class Gateway:
    """One peer's way to the target and to the agent model of one run."""

    task: Task
    evaluator: Evaluator
    agent: PeerAgent
    origin: str
    """Of its prompts, such as `peer gepa`."""
    spent: str = ""
    """Why nothing more is answered, once that is so."""
    candidates: dict[str, Prompt] = field(default_factory=dict)
    """The prompts it had measured, by their text as it sent them, in order."""
    tell: Callable[[str], None] = lambda line: None
    """Told in a line what prompt it has measured now: what shows that it is alive."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    url: str = ""
    last: float = field(default_factory=time.monotonic)
    """When it last asked, or was last answered, by the monotonic clock."""
    under_way: int = 0
    _examples: dict[str, tuple[SplitName, Example]] = field(default_factory=dict)
    _measured: set[tuple[str, str]] = field(default_factory=set)
    _in_vain: int = 0

    def __post_init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the error that ends the run: nothing that the peer could do anything about."""
        for split in SPLITS:
            for example in self.task.examples(split):
                # An input that stands there twice is sent once, as its first example.
                self._examples.setdefault(example.input, (split, example))

    def rows(self, split: SplitName) -> list[Example]:
        """The examples of a split as the peer gets them: no input twice."""
        return [example for known, example in self._examples.values() if known == split]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It listens between the beginning and the end of `async with`, at `url`, to whoever has the `token`."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post("/v1/chat/completions", self._handler(self._chat))
        app.router.add_post("/measure", self._handler(self._measure))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()
            if not self.failure.done():
                self.failure.cancel()

    def _handler(
        self, answer: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
                return _error(401, "the token of this run is wanted", "unauthorized")
            self.under_way += 1
            try:
                return await self._answered(answer, request)
            finally:
                self.under_way -= 1
                self.last = time.monotonic()

        return handle

    async def _answered(
        self, answer: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]], request: web.Request
    ) -> web.Response:
        try:
            body = json.loads(await request.text())
            if not isinstance(body, dict):
                raise _Refused("the body is not a JSON object")
            return web.json_response(await answer(body))
        except BudgetExceeded as error:
            self.spent = self.spent or str(error)
            return _error(402, "the budget is spent", "budget_spent")
        except (_Refused, ValueError, RecursionError) as error:
            return _error(400, one_line(str(error), 300), "bad_request")
        except web.HTTPException:
            raise
        except Exception as error:
            if not self.failure.done():
                self.failure.set_exception(error)
            return _error(503, "the run has ended", "run_ended")

    # -- the target ------------------------------------------------------------------------------------------

    async def _measure(self, body: Mapping[str, Any]) -> dict[str, Any]:
        inputs = body.get("inputs")
        if not isinstance(inputs, list):
            raise _Refused("'inputs' is not a list")
        records = await self._records(body.get("prompt"), inputs)
        return {
            "outputs": [{"text": r.output, "score": r.score, "feedback": r.feedback} for r in records],
        }

    async def _records(self, text: object, inputs: Sequence[object]) -> list[Record]:
        """The prompt's records on the examples with these inputs, in order; all are measured, or none."""
        prompt = self._prompt(text)
        found = [self._example(given) for given in inputs]
        jobs = [
            Job(prompt, list({e.id: e for known, e in found if known == split}.values()), split) for split in SPLITS
        ]
        jobs = [job for job in jobs if job.examples]
        new = {(prompt.id, example.id) for _, example in found} - self._measured
        if new:
            self._in_vain = 0
            self._measured |= new
        if jobs:
            if not self.evaluator.affordable(*jobs):
                raise BudgetExceeded(f"no room for {len(new)} more target calls")
            await self.evaluator.measure(*jobs)
        known = {r.example_id: r for r in self.evaluator.records(prompt.id) if r.repeat == 0}
        return [known[example.id] for _, example in found]

    def _prompt(self, text: object) -> Prompt:
        if not isinstance(text, str):
            raise _Refused("the prompt is not a text")
        if len(text) > LONGEST:
            raise _Refused(f"the prompt is longer than {LONGEST:,} characters")
        if text not in self.candidates:
            prompt = self.candidates[text] = as_prompt(self.task, text, self.origin)
            calls, number = self.evaluator.calls, len(self.candidates) - 1
            content = prompt.model_dump(mode="json", include={"components", "demos"})
            calls.store.add(StoredPrompt(calls.run_id, prompt.id, number, content, prompt.parents, prompt.origin))
            self.tell(f"prompt {number}: {one_line(prompt.system, 100)}")
        return self.candidates[text]

    def _example(self, given: object) -> tuple[SplitName, Example]:
        if not isinstance(given, str) or given not in self._examples:
            raise _Refused(f"no example of search or holdout has this input: {one_line(str(given), 80)!r}")
        return self._examples[given]

    # -- chats -----------------------------------------------------------------------------------------------

    async def _chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        messages = _messages(body.get("messages"))
        if body.get("model") == "target":
            if [m["role"] for m in messages] != ["system", "user"]:
                raise _Refused("a request to the target is a system message (the prompt) and a user message (an input)")
            [record] = await self._records(messages[0]["content"], [messages[1]["content"]])
            return _chat_reply(record.output) | {"sage_score": record.score, "sage_feedback": record.feedback}
        if body.get("model") == "agent":
            self._in_vain += 1
            if self._in_vain > MOST_IN_VAIN:
                raise BudgetExceeded(f"{MOST_IN_VAIN} agent calls in a row led to no prompt that is new")
            text = await self.agent.ask(messages, body)
            if text is None:
                raise web.HTTPBadGateway(text="the agent model gave no answer")
            return _chat_reply(clean(text))
        raise _Refused("there are two models: 'target' and 'agent'")


def _messages(given: object) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise _Refused("'messages' is not a list of messages")
    found = []
    for message in given:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise _Refused("a message has a role (system, user, assistant) and a text as content")
        found.append({"role": role, "content": content})
    return found


def _chat_reply(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "sage",
        "object": "chat.completion",
        "created": 0,
        "model": "sage",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def _error(status: int, message: str, code: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": code, "code": code}}, status=status)
