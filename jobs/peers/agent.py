"""The agent model of a peer: raw messages, paid through the run's ledger, kept for a run that is taken up again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...evaluation.concurrency import Concurrency
from ...evaluation.paid_call import PaidRequest
from ...evaluation.paid_calls import PaidCalls
from ...models.agent import AgentModel
from ...models.wire import to_json
from ...seeding import digest
from ...tasks.target import Output, Usage

MAX_TOKENS, MOST_TOKENS = 2048, 8192
"""Of a reply: where the peer names no limit, and whatever it names."""
LOCAL_TOKENS = 256
"""Instead of both for a model of this machine, which writes slowly and rambles on."""
TEMPERATURE = 1.0
"""Where the peer names none: what providers do then."""
AT_ONCE = 4


@dataclass
class PeerAgent:
    """One model, the run's paid calls, at most four at once."""

    model: AgentModel
    calls: PaidCalls
    _asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._limit = Concurrency(AT_ONCE)

    async def ask(self, messages: Sequence[dict[str, str]], options: Mapping[str, Any]) -> str | None:
        """The reply; None where the call failed for good. `options`: `max_tokens` and `temperature`, as far as they
        are sound.

        The same request again is another draw, and paid for. In a run that is taken up again the first draw of a
        request is the first one of before, and so on. Raises BudgetExceeded.
        """
        usual, most = (LOCAL_TOKENS, LOCAL_TOKENS) if self.model.local else (MAX_TOKENS, MOST_TOKENS)
        max_tokens = _between(options.get("max_tokens"), 1, most, usual)
        temperature = _between(options.get("temperature"), 0.0, 2.0, TEMPERATURE)
        asked = digest(self.model.name, to_json([dict(m) for m in messages]), max_tokens, temperature)
        draw, self._asked[asked] = self._asked[asked], self._asked[asked] + 1

        async def send(_draw: int) -> Output:
            reply = await self.model.complete(
                list(messages), schema=None, max_tokens=int(max_tokens), temperature=temperature
            )
            return Output(reply.text, Usage(reply.input_tokens, reply.output_tokens), reply.latency)

        request = PaidRequest(
            key=digest(self.calls.run_id, "peer's agent", asked, draw),
            send=send,
            max_input_tokens=sum(len(m["content"].encode(errors="replace")) + 16 for m in messages),
            max_output_tokens=self.model.output_limit(int(max_tokens)),
            price=self.model.price,
        )
        [answer] = await self.calls.ask([request], role="agent", iteration=0, limit=self._limit, of=self.model.name)
        return answer.text if answer else None


def _between(given: object, least: float, most: float, otherwise: float) -> float:
    """A number inside its bounds; `otherwise` where it is none."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given != given:
        return otherwise
    return min(max(given, least), most)
