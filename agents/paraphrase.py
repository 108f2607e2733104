"""The paraphraser: a prompt in other words (Monte-Carlo successors of ProTeGi, arXiv 2305.03495, section 3.1)."""

from __future__ import annotations

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from . import operators as op
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Operator, Situation
from .writing import LONGEST, conditions, written

OTHER_WORDS: dict[Operator, float] = {op.answer_form: 1.0, op.reorder_sentences: 1.0, op.label_order: 1.0}
"""The playbook's edits that say the same in another way."""


class Paraphrase(BaseModel):
    """What the agent model is asked for."""

    prompt: str = Field(description="The whole prompt in other words.")


async def paraphrase(s: Situation, attempt: Attempt) -> Prompt | None:
    """The situation's prompt in other words, of a new id. Asks the agent model where there is one; otherwise, or where
    its reply is of no use, the playbook says it in another way. None where neither has anything new.
    """
    if attempt.desk is not None and len(s.prompt.system) <= LONGEST:
        child = await attempt.fresh(_asked(s, attempt))
        if child is not None:
            return child
    return playbook.edit(s, attempt.known, OTHER_WORDS)


async def _asked(s: Situation, attempt: Attempt) -> Prompt | None:
    message = prompt_text(
        "paraphrase",
        fence=attempt.fence(s.prompt.id),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        **conditions(s.task, s.prompt),
    )
    reply = await attempt.ask(Paraphrase, message, role="paraphraser", max_tokens=2048 + len(s.prompt.system) // 2)
    # What the prompt's writer was shown, its paraphrase knows too.
    return None if reply is None else written(s.task, s.prompt, reply.prompt, "paraphrase", s.prompt.shown)
