"""Measuring prompts on examples: what is asked, what came of it, kept as records of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..errors import BudgetExceeded, ModelError
from ..seeding import digest
from ..tasks.example import Example, Score
from ..tasks.prompt import Prompt
from ..tasks.target import Target, rate_limit_of
from ..tasks.task import SplitName, Task
from ..traces.rows import Answer, Record
from .concurrency import Concurrency
from .ledger import Role
from .paid_call import PaidRequest
from .paid_calls import PaidCalls

Scores = Mapping[str, float | None]
"""Score by example id; None where it is missing."""


@dataclass(frozen=True)
class Job:
    """One prompt to be measured on some examples of one split; `repeat` is the index of the draw."""

    prompt: Prompt
    examples: Sequence[Example]
    split: SplitName = "search"
    repeat: int = 0


@dataclass
class Evaluator:
    """Measures prompts of one task on one target, for one run.

    Every record carries the step of the run in which it was first made. A step that is run again after a crash
    calls `begin` first, which forgets what the step had measured: the answers are still there and free, and the
    step sees exactly what it saw the first time.
    """

    task: Task
    target: Target
    calls: PaidCalls
    cache_scope: str = ""
    """Separates caches on purpose (the arms of a comparison); empty for the cache that all runs share."""
    step: int = 0
    _records: dict[str, dict[tuple[str, int], Record]] = field(default_factory=dict)
    _newest: int = -1
    """No record is of a later step."""

    def __post_init__(self) -> None:
        self.limit = Concurrency(self.target.concurrency)

    async def restore(self) -> None:
        """Load the records of earlier processes of this run."""
        for record in await self.calls.store.records(self.calls.run_id):
            self._records.setdefault(record.prompt_id, {})[record.example_id, record.repeat] = record
            self._newest = max(self._newest, record.step)

    def begin(self, step: int) -> None:
        """Enter a step of the run: forget records of this and later steps (see the class)."""
        self.step = step
        self.calls.begin(step)
        if step > self._newest:
            return
        for prompt_id, records in self._records.items():
            self._records[prompt_id] = {key: r for key, r in records.items() if r.step < step}
        self._newest = step - 1

    async def measure(self, *jobs: Job, role: Role = "target") -> int:
        """Measure the jobs, in order and as many as the budget has room for; returns how many that were.

        A job is measured whole or not at all. Raises BudgetExceeded when not even the first one fits.
        """
        wanted = [self._requests(job, role) for job in jobs]
        fitting = self._fitting(wanted, role)
        if jobs and not fitting:
            raise BudgetExceeded("no room for another block of target calls")
        answers = iter(
            await self.calls.ask(
                [request for requests in wanted[:fitting] for request in requests],
                role=role,
                iteration=self.step,
                limit=self.limit,
                of=self.target.name,
            )
        )
        self._newest = max(self._newest, self.step)
        for job, requests in zip(jobs, wanted[:fitting], strict=False):
            known = self._records.setdefault(job.prompt.id, {})
            for example, request in zip(job.examples, requests, strict=True):
                answer = next(answers)
                before = known.get((example.id, job.repeat))
                # What an earlier process found missing was asked again.
                if before is None or (before.score is None and answer is not None):
                    record = known[example.id, job.repeat] = self._record(job, example, request.key, answer)
                    self.calls.store.add(record)
        return fitting

    def records(self, prompt_id: str, split: SplitName | None = None) -> list[Record]:
        """What this run measured of a prompt, by example id and repeat (never by time: a resumed run must see the
        same order)."""
        records = self._records.get(prompt_id, {})
        return [r for _, r in sorted(records.items()) if split is None or r.split == split]

    def scores(self, prompt_id: str, examples: Iterable[Example], repeat: int = 0) -> dict[str, float | None]:
        """Scores of a prompt on those of the examples that were measured."""
        records = self._records.get(prompt_id, {})
        return {e.id: records[e.id, repeat].score for e in examples if (e.id, repeat) in records}

    def calls_by_step(self) -> Counter[int]:
        """How many target calls each step of the run made, as the records tell."""
        return Counter(r.step for records in self._records.values() for r in records.values())

    def all_scores(
        self, splits: Iterable[SplitName], prompt_ids: Iterable[str]
    ) -> dict[str, dict[tuple[str, int], float]]:
        """For each of the prompts its scores by (example id, repeat) on the named splits, missing ones left out."""
        wanted = set(splits)
        return {
            prompt_id: {
                key: r.score
                for key, r in sorted(self._records.get(prompt_id, {}).items())
                if r.split in wanted and r.score is not None
            }
            for prompt_id in dict.fromkeys(prompt_ids)
        }

    def keys(self, job: Job, role: Role = "target") -> list[str]:
        """By what the answer to each of the job's examples is known in the store, in order."""
        return [request.key for request in self._requests(job, role)]

    def affordable(self, *jobs: Job, role: Role = "target", beside: int = 0) -> bool:
        """Whether all the jobs fit the budget now, and so many calls beside them; what the run has already is free."""
        if self.calls.room_for_new(role, sum(len(job.examples) for job in jobs) + beside):
            return True  # even if none of it were known
        return self._fitting([self._requests(job, role) for job in jobs], role, beside) == len(jobs)

    def _fitting(self, wanted: Sequence[Sequence[PaidRequest]], role: Role, beside: int = 0) -> int:
        return self.calls.fitting(role, ([request.key for request in requests] for requests in wanted), beside)

    def _requests(self, job: Job, role: Role) -> list[PaidRequest]:
        """One request for each of the job's examples."""
        target, stochastic = self.target, self.target.stochastic
        # A stochastic target's answers belong to one sample stream, the run's seed; certification never takes
        # another run's answers.
        stream = f"stream {self.calls.seed}" if stochastic else ""
        scope = self.calls.run_id if role == "certification" else self.cache_scope
        rate_limit = rate_limit_of(target)
        found: list[PaidRequest] = []
        for example in job.examples:
            request = target.request(job.prompt, example)
            key = digest(request.fingerprint, job.repeat, stream, scope)
            # A stochastic target draws from what identifies the call, so that streams and repeats are independent.
            draw = int(key[:7], 16) if stochastic else job.repeat
            found.append(
                PaidRequest(
                    key,
                    request.send or partial(target, job.prompt, example),
                    request.max_input_tokens,
                    request.max_output_tokens,
                    draw,
                    target.price,
                    rate_limit,
                )
            )
        return found

    def _record(self, job: Job, example: Example, key: str, answer: Answer | None) -> Record:
        score = self._score(answer, example) if answer else None
        return Record(
            run_id=self.calls.run_id,
            prompt_id=job.prompt.id,
            example_id=example.id,
            repeat=job.repeat,
            split=job.split,
            key=key,
            score=score.value if score else None,
            output=answer.text if answer else "",
            feedback=score.feedback if score else "no score: the call or the metric failed",
            tokens=(answer.input_tokens or 0) + (answer.output_tokens or 0) if answer else 0,
            label_logprobs=answer.label_logprobs if answer else None,
            step=self.step,
        )

    def _score(self, answer: Answer, example: Example) -> Score | None:
        try:
            return self.task.metric(answer.text, example)
        except ModelError as error:  # a user's own metric may fail on an output; that score is missing
            self.calls.on_trouble(str(error))
            return None


def paired_differences(candidate: Scores, champion: Scores) -> list[float]:
    """candidate - champion on the examples that both have, in the candidate's order; missing ones drop out."""
    pairs = ((score, champion.get(i)) for i, score in candidate.items())
    return [a - b for a, b in pairs if a is not None and b is not None]
