"""What `throughput.py` measures of sage-spo itself, each in a process of its own: started by it, not by hand.

python throughput_ours.py bare|calls|store|graph URL CALLS IN_FLIGHT      # prints one JSON line
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from throughput_peers import KEY, SYSTEM, measured, message

LABELS = ("billing", "refund", "other")
GRAPH_CALLS = 1500
WORDS = (message(0) + " " + SYSTEM).split()
MOST_WORDS = 20
"""Of an answer in the store: from a label to a sentence."""
PROMPT_EXAMPLES = 200
"""Examples that each stored prompt was measured on."""


def bare(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """The least there is to do: aiohttp, JSON out, JSON in."""
    import aiohttp

    async def work() -> None:
        numbers = iter(range(calls))
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {KEY}"}) as session:

            async def worker() -> None:
                for number in numbers:
                    texts = {"system": SYSTEM, "user": message(number)}
                    messages = [{"role": role, "content": text} for role, text in texts.items()]
                    body = {"model": "fixed", "messages": messages, "max_tokens": 16, "temperature": 0}
                    async with session.post(f"{url}/chat/completions", json=body) as response:
                        assert (await response.json())["choices"][0]["message"]["content"]

            await asyncio.gather(*(worker() for _ in range(in_flight)))

    return measured(calls, lambda: asyncio.run(work()))


def task(examples: int) -> Any:
    """A task with so many examples to search on."""
    from sage_spo.tasks.example import Example
    from sage_spo.tasks.metrics import make_metric
    from sage_spo.tasks.prompt import Prompt
    from sage_spo.tasks.task import OutputOptions, Task

    search = tuple(Example(f"e{n}", message(n), LABELS[n % 3], {"channel": "mail"}) for n in range(examples))
    seed = Prompt(components={"system": SYSTEM.replace("billing, refund, other", "{labels}")})
    metric, output = make_metric("label", LABELS), OutputOptions(max_tokens=16)
    return Task("tickets", seed, search, (), (), metric, LABELS, output=output)


def calls(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """`Evaluator.measure` with store, ledger and cache: first every call is made, then another run knows them all."""
    from sage_spo.evaluation.budget import Budget
    from sage_spo.evaluation.evaluator import Evaluator, Job
    from sage_spo.evaluation.ledger import Ledger
    from sage_spo.evaluation.paid_calls import PaidCalls
    from sage_spo.models.retry import RetryPolicy
    from sage_spo.tasks.targets import make_target
    from sage_spo.traces.store import RunStore

    of = task(calls)
    budget = Budget(target_calls=calls, tokens=10**9)

    def run(name: str, runner: asyncio.Runner, opened: RunStore) -> dict[str, float]:
        target = make_target("openai:fixed", of, url, in_flight)
        evaluator = Evaluator(of, target, PaidCalls(name, opened, Ledger(budget), RetryPolicy(), seed=0))
        found = measured(calls, lambda: runner.run(evaluator.measure(Job(of.seed_prompt, of.search))))
        runner.run(opened.flush())
        runner.run(target.aclose())
        assert len(evaluator.records(of.seed_prompt.id)) == calls
        spend = evaluator.calls.ledger.spend["target"]
        assert (spend.missing, spend.cached) == (0, 0 if name == "first" else calls)
        return found

    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        opened = runner.run(RunStore.open(Path(home)))
        made, known = run("first", runner, opened), run("second", runner, opened)
        runner.run(opened.close())
        return made | {"cached_per_s": calls / known["seconds"]}


def store(url: str, records: int, in_flight: int) -> dict[str, float]:
    """Size of a store of so many records, each with its call and its answer, and how long `show` and `runs` take."""
    from sage_spo.traces.store import RunStore

    run_id = str(uuid.uuid4())
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAGE_HOME"] = home

        async def fill() -> Path:
            async with await RunStore.open(Path(home)) as opened:
                await write_run(opened, run_id, records)
                return opened.path

        started = time.perf_counter()
        path = asyncio.run(fill())
        writing = time.perf_counter() - started
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")) / 1e6

        from sage_spo.jobs.commands_runs import runs, show

        def seconds(command: Any, *arguments: Any) -> float:
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                command(*arguments)
            return time.perf_counter() - started

        seconds(runs, 1)  # the first use imports what later ones find
        return {
            "store_mb_per_million": size / records * 1e6,
            "store_rows_per_s": 3 * records / writing,
            "show_s": seconds(show, run_id),
            "runs_s": seconds(runs),
        }


async def write_run(store: Any, run_id: str, records: int) -> None:
    """One unfinished run: three rows for each record, and a prompt for every two hundred."""
    from sage_spo.seeding import digest
    from sage_spo.traces.rows import Answer, Call, Record, Run, StoredPrompt

    rng = random.Random(0)
    await store.create_run(Run(run_id, None, "tickets", "sage", {"task": "tickets"}, status="interrupted"))
    for number in range(records):
        key, prompt, step = digest(number), digest("p", number // PROMPT_EXAMPLES)[:16], number // 2000
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, MOST_WORDS)))
        read, written, right = rng.randint(200, 900), rng.randint(2, 60), rng.random() < 0.6
        wrong = "" if right else f"expected 'refund', got '{text[:40]}'"
        example = f"tickets-{number % PROMPT_EXAMPLES:05d}"
        score, usd = float(right), (read * 0.4 + written * 1.6) / 1e6
        store.add(Answer(key, text, read, written, rng.uniform(0.2, 3)))
        store.add(Call(run_id, key, "target", step, read, written, usd, 1, False, False))
        store.add(Record(run_id, prompt, example, 0, "search", key, score, text, wrong, read + written, None, step))
        if number % PROMPT_EXAMPLES == 0:
            content = {"components": {"system": f"{number} {SYSTEM * 4}"}, "demos": []}
            store.add(StoredPrompt(run_id, prompt, step, content, (), "edit"))
        if number % 10_000 == 0:
            await store.flush()
    await store.flush()


def graph(url: str, calls: int, in_flight: int) -> dict[str, float]:
    """A whole run of `calls` calls of a target that answers at once, less what target, metric and the search's own
    proposals and estimates take."""
    from sage_spo import optimize
    from sage_spo.agents import playbook
    from sage_spo.graphs import search_loop
    from sage_spo.seeding import generator
    from sage_spo.tasks.metrics import make_metric

    of, own, own_cpu = task(400), [0.0], [0.0]
    label = make_metric("label", LABELS)

    def timed(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            started, before = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments)
            finally:
                own[0] += time.perf_counter() - started
                own_cpu[0] += time.thread_time() - before

        return call

    for module, name in ((playbook, "edit"), (search_loop, "leader"), (search_loop, "best_prompts")):
        setattr(module, name, timed(getattr(module, name)))
    answers = timed(lambda messages, example: LABELS[int(generator(1, messages[0], example.id).random() * 3)])

    async def target(messages: Any, example: Any) -> str:
        return answers(messages, example)

    from dataclasses import replace

    half = len(of.search) // 2
    of = replace(of, search=of.search[:half], holdout=of.search[half:], metric=make_metric(timed(label)))
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAGE_HOME"] = home
        options: dict[str, Any] = {"strategy": "random", "target": target, "certify": False}
        optimize(of, budget={"target_calls": 120}, **options)  # imports, and makes the store
        own[0], own_cpu[0], started, before = 0.0, 0.0, time.perf_counter(), time.process_time()
        result = optimize(of, budget={"target_calls": calls}, seed=1, **options)
        seconds, cpu = time.perf_counter() - started, time.process_time() - before
    made = result.spend["spent"]["target_calls"]
    return {"graph_and_store_s": seconds - own[0], "graph_and_store_cpu_s": cpu - own_cpu[0], "graph_calls": made}


PARTS = {"bare": bare, "calls": calls, "store": store, "graph": graph}


def main() -> None:
    """The command line."""
    os.environ["OPENAI_API_KEY"] = KEY
    part, url, amount, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if part != "bare":
        from sage_spo.jobs.cli import collect_less

        collect_less()  # as every command does
    with contextlib.redirect_stdout(sys.stderr):
        found = PARTS[part](url, amount, in_flight)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
