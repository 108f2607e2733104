"""What all runners share: the specification they read, the gateway they ask, the scores they have seen, the result.

Standard library only. All that a library measures goes through one gateway, which answers with the text and with the
score that the task's own metric gave it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TextIO
from urllib.parse import urlsplit

CHECK_SECONDS = 0.2


class BudgetSpent(BaseException):
    """The run has no room for what was asked. Not an Exception: libraries take those for a wrong answer and go on."""


class CallFailed(Exception):
    """The gateway did not answer this one call; others may be answered."""


@dataclass(frozen=True)
class Row:
    """One example."""

    input: str
    expected: str


@dataclass(frozen=True)
class Measured:
    """What the target answered to one input, and how right that is: a score in [0, 1], 0 where the call failed."""

    text: str
    score: float
    feedback: str


@dataclass
class Runner:
    """One run of a peer: what it is told, what it asks, what it has seen."""

    spec: dict[str, Any]
    out: TextIO
    train: list[Row] = field(default_factory=list)
    valid: list[Row] = field(default_factory=list)
    seen: dict[str, dict[str, Measured]] = field(default_factory=dict)
    """By prompt text and input, in the order in which the prompts came."""
    of_answer: dict[tuple[str, str], Measured] = field(default_factory=dict)
    """By input and answer, which alone decide a score."""

    def __post_init__(self) -> None:
        self.train = [Row(**row) for row in self.spec["train"]]
        self.valid = [Row(**row) for row in self.spec["valid"]]
        self.seed_prompt: str = self.spec["seed_prompt"]
        self.seed: int = self.spec["seed"]
        self.target_calls: int = self.spec["target_calls"]
        self.agent_calls: int | None = self.spec["agent_calls"]

    # -- asking ----------------------------------------------------------------------------------------------

    def measure(self, prompt: str, inputs: list[str]) -> list[Measured]:
        """Answers and scores of a prompt on some inputs, in order. All of them fit the budget, or none is asked
        (BudgetSpent)."""
        reply = self._post("/measure", {"prompt": prompt, "inputs": inputs})
        found = [Measured(one["text"], one["score"] or 0.0, one["feedback"]) for one in reply["outputs"]]
        for text, one in zip(inputs, found, strict=True):
            self._note(prompt, text, one)
        return found

    def answer(self, prompt: str, text: str) -> Measured:
        """Answer and score of a prompt on one input. Raises BudgetSpent."""
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
        reply = self._post("/v1/chat/completions", {"model": "target", "messages": messages})
        said = reply["choices"][0]["message"]["content"]
        found = Measured(said, reply["sage_score"] or 0.0, reply["sage_feedback"])
        self._note(prompt, text, found)
        return found

    def agent(self, messages: list[dict[str, str]], **options: Any) -> str:
        """What the agent model replies. Raises BudgetSpent, CallFailed."""
        reply = self._post("/v1/chat/completions", {"model": "agent", "messages": messages, **options})
        return reply["choices"][0]["message"]["content"]

    def together(self, calls: list[Any]) -> list[Any]:
        """The results of functions without arguments, as many at once as the target bears, in order."""
        with ThreadPoolExecutor(max_workers=self.spec["threads"]) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    # -- the result ------------------------------------------------------------------------------------------

    def best_measured(self) -> str:
        """The prompt of the highest mean score on the whole validation set; the seed where none was measured whole."""
        wanted = {row.input for row in self.valid}
        best, highest = self.seed_prompt, -1.0
        for prompt, found in list(self.seen.items()):
            if wanted <= found.keys():
                mean = sum(found[text].score for text in wanted) / len(wanted)
                if mean > highest:
                    best, highest = prompt, mean
        return best

    def finish(self, prompt: str, stop: str, *packages: str) -> None:
        """Write the result, one line of JSON, as the last thing that is said."""
        versions = {name: version(name) for name in packages}
        self.out.write(json.dumps({"prompt": prompt, "stop": stop, "versions": versions}) + "\n")
        self.out.flush()

    # -- inside ----------------------------------------------------------------------------------------------

    def _note(self, prompt: str, text: str, found: Measured) -> None:
        self.seen.setdefault(prompt, {})[text] = found
        self.of_answer[text, found.text] = found

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(self.spec["url"])
        # No time-out: the gateway waits for providers, and whoever started us keeps the time.
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        try:
            headers = {"Authorization": f"Bearer {self.spec['token']}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body).encode(), headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        finally:
            connection.close()
        if status == 402:
            raise BudgetSpent
        if status != 200:
            raise CallFailed(f"{status}: {content[:300].decode(errors='replace')}")
        return json.loads(content)


def started() -> Runner:
    """The run that standard input describes; called as `python RUNNER.py PARENT`, the process id of who started it.

    From here on whatever a library prints goes to standard error, and this process ends with its parent.
    """
    parent = int(sys.argv[1])
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return Runner(json.load(sys.stdin), out)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.killpg(0, signal.SIGKILL)
