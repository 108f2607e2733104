"""A strategy of your own: what it proposes is its business, and everything else is the engine's.

    uv pip install ./examples/own_strategy
    sage-spo optimize headlines --strategy shorten

`propose` is called once an iteration. What it returns is screened, raced against the champion, checked on the holdout
split, and certified in the end; the budget, the cache, resuming after a crash and the report come with it.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from sage_spo import Prompt, Search, SearchOptions


class Instruction(BaseModel):
    """What the agent model is asked for, where one is set."""

    sentence: str = Field(description="One sentence to add to the prompt.")


class ShortenOptions(SearchOptions):
    """`--option ending=…`: what a prompt may end with."""

    ending: str = "Answer with one word."


class Shorten:
    """Prompts with one sentence less than one of the best, and one with a sentence more."""

    options = ShortenOptions

    async def propose(self, search: Search) -> list[Prompt]:
        """The next candidates. Those that were tried before (`search.known`) are left out by the engine."""
        options = search.options
        assert isinstance(options, ShortenOptions)
        # The only source of chance, so that a run that was interrupted goes on as if it had not been.
        parent = search.drawn(search.generator("shorten"))
        sentences = parent.system.split(". ")
        found = []
        for place in range(len(sentences)):
            text = ". ".join(sentences[:place] + sentences[place + 1 :])
            if text:
                found.append(parent.edited(text=text, origin=f"without sentence {place + 1}"))
        # None without `--agent MODEL`. What it wrote is text like any other: nothing in it is run.
        attempt = search.attempt(0)
        tag = attempt.fence(parent.id)  # a name that no text can guess, so that none can end its quotation
        question = (
            f"Which one sentence would improve the prompt between the tags?\n\n<{tag}>\n{parent.system}\n</{tag}>"
        )
        reply = await attempt.ask(Instruction, question, role="shorten")
        ending = reply.sentence if reply else options.ending
        return [*found, parent.edited(text=f"{parent.system} {ending}", origin="one sentence more")]
