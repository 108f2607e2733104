"""Asking an agent model: paid through the ledger, kept for a resume, its reply parsed with patience."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from pydantic import BaseModel, ValidationError

from ..evaluation.concurrency import Concurrency
from ..evaluation.paid_call import PaidRequest
from ..evaluation.paid_calls import PaidCalls
from ..sandbox.text import CONTROLS, HALVES, JOINERS, clean
from ..seeding import digest
from ..tasks.target import Output, Usage

if TYPE_CHECKING:  # importing it takes seconds, and a run without an agent model does not need it
    from ..models.agent import AgentModel

S = TypeVar("S", bound=BaseModel)
FILLERS = "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U0001d173-\U0001d17a"
"""Soft hyphens, fillers, variation selectors: data may hold them, but in a request they could carry words unseen."""
INVISIBLE = re.compile(f"[{CONTROLS}{HALVES}{JOINERS}{FILLERS}]")
"""Characters that steer, reorder or hide text: none stands in a request."""

PLAIN_NAME = re.compile(r"[\w({][\w()./{}+-]{0,23}")
"""One short word, which can give no order."""
NAME_SHOWN, NAMES_SHOWN = 200, 300
"""Characters of one name, and names of one list, in a request."""
REPLY_SHOWN, LOCKED_SHOWN = 4000, 4000


@dataclass
class AgentDesk:
    """Where agents put their questions: one model, the run's paid calls, at most `concurrency` at once."""

    model: AgentModel
    calls: PaidCalls
    concurrency: int = 4

    def __post_init__(self) -> None:
        self._limit = Concurrency(self.concurrency)
        self._questions: dict[tuple[str, int, int], str] = {}

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
        Raises BudgetExceeded, and ValueError where another question was asked at that place before: it would get the
        first one's answer.
        """
        question = digest(messages)
        if self._questions.setdefault((role, iteration, index), question) != question:
            raise ValueError(f"two questions at one place: {role}, iteration {iteration}, index {index}")
        for attempt in range(2):
            text = await self._text(schema, messages, (role, iteration, index, attempt), max_tokens, temperature)
            if text is None:
                return None
            reply, problem = parse_reply(text, schema)
            if reply is not None:
                return reply
            said = fenced(text, cap=REPLY_SHOWN)
            name = fence(self.calls.seed, role, iteration, index, said)
            messages = [
                *messages,
                {"role": "assistant", "content": prompt_text("reply", fence=name, reply=said)},
                {
                    "role": "user",
                    "content": prompt_text("repair", fence=name, reply=said, problem=fenced(problem, 200)),
                },
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
        async def send(_draw: int) -> Output:
            reply = await self.model.complete(messages, schema=schema, max_tokens=max_tokens, temperature=temperature)
            return Output(reply.text, Usage(reply.input_tokens, reply.output_tokens), reply.latency)

        request = PaidRequest(
            key=digest(self.calls.run_id, "agent", *place),
            send=send,
            max_input_tokens=sum(len(m["content"].encode()) + 16 for m in messages)
            + len(json.dumps(schema.model_json_schema())),
            max_output_tokens=self.model.output_limit(max_tokens),
            price=self.model.price,
        )
        [answer] = await self.calls.ask(
            [request], role="agent", iteration=place[1], limit=self._limit, of=self.model.name
        )
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
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "prompts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["names"] = _names
    return environment


def prompt_text(name: str, *, fence: str, **values: Any) -> str:
    """The prompt template `prompts/NAME.txt` with its placeholders filled in.

    The tags are called `fence`, or by another name made of it where that stands in what they enclose.
    """
    template = _environment().get_template(f"{name}.txt")
    said = f"{template.render(fence='', **values)} {values}".casefold()
    while fence in said:
        fence = f"data-{digest(fence)[:8]}"
    return template.render(fence=fence, **values).strip()


def fence(seed: int, *content: object) -> str:
    """The name of a request's tags: another one for each seed and for whatever the tags enclose."""
    return f"data-{digest(seed, *(str(part) for part in content))[:8]}"


def fenced(text: str, cap: int = 1500) -> str:
    """Untrusted text made fit to stand between a request's tags: nothing invisible in it, and its size capped."""
    shown = INVISIBLE.sub("", clean(text))
    return shown if len(shown) <= cap else shown[:cap] + f" […{len(shown) - cap} characters more]"


@pass_context
def _names(context: Context, names: Sequence[str]) -> str:
    """Names out of the data, such as labels, as a list in a sentence.

    They are needed as they are written. Where one is more than a short word, all stand in the fence, as JSON.
    """
    names = [str(name) for name in names]
    if len(names) <= NAMES_SHOWN and all(PLAIN_NAME.fullmatch(name) for name in names):
        return ", ".join(names)
    shown = [_quoted(name) for name in names[:NAMES_SHOWN]]
    left = len(names) - len(shown)
    text = f"[{', '.join(shown)}]" + (f" and {left} more" if left else "")
    return f"\n<{context['fence']}>\n{text}\n</{context['fence']}>\n"


def _quoted(name: str) -> str:
    """A name in quotes, as Python reads it, cut where it is very long; what cannot be seen stands there as escapes."""
    cut = name if len(name) <= NAME_SHOWN else f"{name[:NAME_SHOWN]}…"
    return INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], json.dumps(cut, ensure_ascii=False))
