"""One peer's calls per second, measured in the peer's own environment: started by `throughput.py`, not by hand.

    PYTHON throughput_peers.py NAME URL CALLS IN_FLIGHT      # prints one JSON line

Each peer evaluates as it would by itself, with its cache off, at the given number of calls in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

SYSTEM = "Classify the message of a customer as one of: billing, refund, other. Answer with the label alone."
KEY = "unused"


def message(number: int) -> str:
    """The input of one example, as long as a short customer's message."""
    return (
        f"Message {number}: I was charged twice for my subscription last month and would like to have the second "
        "payment back as soon as possible, please."
    )


def processor() -> float:
    """Seconds that this process has computed, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(calls: int, work: Callable[[], Any]) -> dict[str, float]:
    """What `work`, which makes so many calls, takes."""
    before, started = processor(), time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"calls": calls, "seconds": seconds, "cpu": processor() - before, "rss_mb": peak}


def openai(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """A plain AsyncOpenAI client and as many workers as calls in flight."""
    library: Any = importlib.import_module("openai")

    async def work() -> None:
        numbers = iter(range(calls))
        async with library.AsyncOpenAI(base_url=url, api_key=KEY) as client:

            async def worker() -> None:
                for number in numbers:
                    texts = {"system": SYSTEM, "user": message(number)}
                    messages = [{"role": role, "content": text} for role, text in texts.items()]
                    await client.chat.completions.create(model="fixed", messages=messages, max_tokens=16, temperature=0)

            await asyncio.gather(*(worker() for _ in range(in_flight)))

    return measured(calls, lambda: asyncio.run(work()))


def dspy(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """`dspy.Evaluate` of a `Predict`, one thread for each call in flight."""
    library: Any = importlib.import_module("dspy")
    model = library.LM("openai/fixed", api_base=url, api_key=KEY, cache=False, max_tokens=16, temperature=0.0)
    library.configure(lm=model)
    examples = [library.Example(text=message(n), label="refund").with_inputs("text") for n in range(calls)]
    program = library.Predict(library.Signature("text -> label", SYSTEM))
    evaluate = library.Evaluate(
        devset=examples, metric=lambda e, p, trace=None: float(e.label == p.label), num_threads=in_flight
    )
    program(text="a first call, which imports what later ones need")
    return measured(calls, lambda: evaluate(program))


def gepa(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """gepa's default adapter, which asks through LiteLLM in threads."""
    library: Any = importlib.import_module("gepa.adapters.default_adapter.default_adapter")
    options = {"api_base": url, "api_key": KEY, "max_tokens": 16}
    adapter = library.DefaultAdapter(
        "openai/fixed", max_litellm_workers=in_flight, litellm_batch_completion_kwargs=options
    )
    batch = [{"input": message(n), "additional_context": {}, "answer": "refund"} for n in range(calls)]
    candidate = {"system_prompt": SYSTEM}
    adapter.evaluate(batch[:1], candidate)
    return measured(calls, lambda: adapter.evaluate(batch, candidate))


def promptolution(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """promptolution's `APILLM`, with as many concurrent calls."""
    library: Any = importlib.import_module("promptolution.llms.api_llm")
    model = library.APILLM(url, "fixed", KEY, max_concurrent_calls=in_flight, max_tokens=16)
    texts = [message(n) for n in range(calls)]
    model.get_response(texts[:1], SYSTEM)
    return measured(calls, lambda: model.get_response(texts, SYSTEM))


PEERS = {"dspy": dspy, "gepa": gepa, "promptolution": promptolution, "openai": openai}


def main() -> None:
    """The command line."""
    name, url, calls, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(sys.stderr):  # what libraries print is no result
        found = PEERS[name](url, calls, in_flight)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
