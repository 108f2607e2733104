"""The agent that decides: told a meta-prompt, it chooses a batch of actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..evaluation.concurrency import Concurrency
from ..evaluation.paid_call import PaidRequest
from ..evaluation.paid_calls import PaidCalls
from ..models.plain_chat import PlainChat
from ..seeding import digest
from ..tasks.target import Output, Usage
from ..traces.rows import Action
from .ask import fence, fenced, prompt_text

REPLY_SHOWN, ACTION_SHOWN = 2000, 400
"""Characters of an answer that cannot be used, and of an action, in a request."""
ATTEMPTS = 2
"""So often an answer that holds no action is asked for."""
NOTHING_YET = "Nothing has been tried yet."

Parse = Callable[[str], Awaitable[str]]
"""The action in an answer; raises ValueError, saying what is wrong, where there is none."""


@dataclass(frozen=True)
class Chosen:
    """One choice of a batch: the `action`; None where the answer held none (`unreadable`) or the call went missing."""

    action: str | None
    unreadable: str = ""


@dataclass
class Actor:
    """Asks one model, through the run's paid calls, for `size` actions at a time: the last one at temperature 0, the
    others at 1."""

    model: PlainChat
    calls: PaidCalls
    parse: Parse
    size: int = 8
    max_tokens: int = 256
    concurrency: int = 8

    def __post_init__(self) -> None:
        self._limit = Concurrency(self.concurrency)

    async def act(self, meta_prompt: str, answer: str, round: int) -> list[Chosen]:
        """What it chooses in this round, in order. An answer without an action is asked for once more where the budget
        has room (`answer` says how it is to be written). The same round is asked once in a run.

        Raises BudgetExceeded where the batch does not fit the budget.
        """
        messages = {index: [{"role": "user", "content": meta_prompt}] for index in range(self.size)}
        found: dict[int, Chosen] = {}
        for attempt in range(ATTEMPTS):
            if attempt and not self.calls.room_for_new("agent", len(messages)):
                break
            texts = await self._ask(messages, round, attempt)
            for index, text in texts.items():
                found[index] = await self._read(text)
                if text is None or not found[index].unreadable:
                    del messages[index]
                    continue
                name = fence(self.calls.seed, round, index, text)
                again = prompt_text("decide_again", fence=name, problem=found[index].unreadable, answer=answer)
                messages[index] = [
                    *messages[index],
                    {"role": "assistant", "content": fenced(text, REPLY_SHOWN) or "…"},
                    {"role": "user", "content": again},
                ]
            if not messages:
                break
        return [found[index] for index in range(self.size)]

    async def _read(self, text: str | None) -> Chosen:
        if text is None:
            return Chosen(None)
        try:
            return Chosen(await self.parse(text))
        except ValueError as error:
            return Chosen(None, fenced(str(error), 200))

    async def _ask(self, messages: dict[int, list[dict[str, str]]], round: int, attempt: int) -> dict[int, str | None]:
        requests = [self._request(of, (round, index, attempt)) for index, of in messages.items()]
        answers = await self.calls.ask(requests, role="agent", iteration=round, limit=self._limit, of=self.model.name)
        return {index: answer.text if answer else None for index, answer in zip(list(messages), answers, strict=True)}

    def _request(self, messages: list[dict[str, str]], place: tuple[int, int, int]) -> PaidRequest:
        temperature = 0.0 if place[1] == self.size - 1 else 1.0
        # Which draw is wanted: the same one again after a crash, and others for the rest of the batch.
        seed = int(digest(self.calls.seed, "act", *place)[:7], 16)

        async def send(_draw: int) -> Output:
            reply = await self.model.reply(messages, max_tokens=self.max_tokens, temperature=temperature, seed=seed)
            return Output(reply.text, Usage(reply.input_tokens, reply.output_tokens), reply.latency)

        return PaidRequest(
            key=digest(self.calls.run_id, "act", *place),
            send=send,
            max_input_tokens=sum(len(m["content"].encode()) + 16 for m in messages),
            max_output_tokens=self.model.output_limit(self.max_tokens),
            price=self.model.price,
        )


def meta_prompt_text(task: str, instruction: str, history: str, answer: str, *, seed: int, written: bool) -> str:
    """The whole meta-prompt: what it is about, what was tried, what to do now, how to answer.

    `written`: the history holds texts that a model wrote; they stand between tags whose name depends on the seed.
    """
    name = fence(seed, history)
    return prompt_text(
        "decide", fence=name, task=task, history=history, instruction=instruction, answer=answer, written=written
    )


def pairs_text(shown: Sequence[Action], value: str) -> str:
    """Actions and their values, one pair a line, in the order given."""
    lines = [f"{_line(one.action)} → {value} {one.value:.6g}" for one in shown if one.value is not None]
    return "\n".join(lines) or NOTHING_YET


def summary_text(order: Sequence[str], seen: Sequence[Action], value: str) -> str:
    """For each action, in this order, how often it was taken and the mean of its values."""
    lines = []
    for name in order:
        values = [one.value for one in seen if one.action == name and one.value is not None]
        mean = f"average {value} {sum(values) / len(values):.2f}" if values else f"no {value} known"
        lines.append(f"{_line(name)}: chosen {len(values)} times, {mean}")
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(fenced(text, ACTION_SHOWN).split())
