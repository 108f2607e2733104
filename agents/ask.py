"""Asking an agent model: paid through the ledger, kept for a resume, its reply parsed with patience."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ValidationError

from ..evaluation.paid_calls import PaidCalls, PaidRequest
from ..seeding import digest
from ..traces.rows import Answer

if TYPE_CHECKING:  # importing it takes seconds, and a run without an agent model does not need it
    from ..models.agent import AgentModel

S = TypeVar("S", bound=BaseModel)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass
class AgentDesk:
    """Where agents put their questions: one model, the run's paid calls, at most `concurrency` at once."""

    model: AgentModel
    calls: PaidCalls
    concurrency: int = 4

    def __post_init__(self) -> None:
        self._limit = asyncio.Semaphore(self.concurrency)

    async def ask(
        self,
        schema: type[S],
        messages: list[dict[str, str]],
        *,
        role: str,
        iteration: int,
        index: int,
        max_tokens: int = 2048,
        temperature: float = 0.7,
    ) -> S | None:
        """The reply as `schema`, after one repair round where it is malformed; None where it stays so.

        The same (role, iteration, index) is asked once in a run, whatever happens in between.
        Raises BudgetExceeded.
        """
        for attempt in range(2):
            text = await self._text(schema, messages, (role, iteration, index, attempt), max_tokens, temperature)
            if text is None:
                return None
            reply, problem = parse_reply(text, schema)
            if reply is not None:
                return reply
            messages = [
                *messages,
                {"role": "assistant", "content": text[:4000]},
                {"role": "user", "content": f"That reply cannot be used: {problem}. Reply again, as JSON only."},
            ]
        return None

    async def _text(
        self,
        schema: type[BaseModel],
        messages: list[dict[str, str]],
        place: tuple[str, int, int, int],
        max_tokens: int,
        temperature: float,
    ) -> str | None:
        async def send() -> Answer:
            reply = await self.model.complete(messages, schema=schema, max_tokens=max_tokens, temperature=temperature)
            return Answer("", reply.text, reply.input_tokens, reply.output_tokens, reply.latency)

        request = PaidRequest(
            key=digest(self.calls.run_id, "agent", *place),
            send=send,
            max_input_tokens=sum(len(m["content"].encode()) + 16 for m in messages)
            + len(json.dumps(schema.model_json_schema())),
            max_output_tokens=self.model.output_limit(max_tokens),
            price=self.model.price,
        )
        [answer] = await self.calls.ask([request], role="agent", iteration=place[1], limit=self._limit)
        return answer.text if answer else None


def parse_reply(text: str, schema: type[S]) -> tuple[S | None, str]:
    """The reply as `schema`, else None and what is wrong with it in one line.

    Takes the JSON object as it is, else the first one found in the text (in a fence or among prose).
    """
    problem = "it holds no JSON object"
    for candidate in _objects(text):
        try:
            return schema.model_validate_json(candidate), ""
        except (ValidationError, ValueError, RecursionError) as error:
            problem = _first_line(error)
    return None, problem


def _objects(text: str) -> list[str]:
    start, end = text.find("{"), text.rfind("}")
    fenced = re.search(r"```(?:json)?\s*(\{.*?\})\s*```", text, re.DOTALL)
    found = [text.strip()] if text.strip().startswith("{") else []
    if fenced:
        found.append(fenced.group(1))
    if 0 <= start < end:
        found.append(text[start : end + 1])
    return found


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first: Any = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}"
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


@cache
def _environment() -> Environment:
    # Prompts are plain text: nothing is escaped, and a name that is not given is an error, not an empty string.
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "prompts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )


def prompt_text(name: str, **values: Any) -> str:
    """The prompt template `prompts/NAME.txt` with its placeholders filled in."""
    return _environment().get_template(f"{name}.txt").render(**values).strip()


def fence(seed: int, *content: object) -> str:
    """The name of a request's tags: known only to who knows the run's seed and everything that the tags enclose."""
    return f"data-{digest(seed, *(str(part) for part in content))[:8]}"


def fenced(text: str, cap: int = 1500) -> str:
    """Untrusted text made safe to show between tags that it cannot know: control characters stripped, size capped.

    The tags of a request carry a digest of their own, so that no text can close them.
    """
    clean = CONTROL.sub("", text)
    return clean if len(clean) <= cap else clean[:cap] + f" […{len(clean) - cap} characters more]"
