"""Embeddings of a run: paid through its ledger, kept in files of its folder, so that none is asked for twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, StoreError, TransientModelError
from ..models.embeddings import embed_request, in_requests, joined
from ..models.names import check_model
from ..models.prices import price
from ..seeding import digest
from ..tasks.target import Output, Usage
from ..traces.home import whole_file
from .concurrency import Concurrency
from .paid_call import PaidRequest
from .paid_calls import PaidCalls


@dataclass
class PaidEmbeddings:
    """Asks one embedding model for unit vectors. Each request counts as an agent call. Raises ModelSetupError where the
    model cannot be used."""

    model: str
    base_url: str | None
    calls: PaidCalls
    folder: Path
    concurrency: int = 4

    def __post_init__(self) -> None:
        self._name = check_model(self.model, self.base_url)
        self.price = price(self._name)
        self._limit = Concurrency(self.concurrency)

    @property
    def name(self) -> str:
        """The model's full name."""
        return str(self._name)

    async def embed(self, texts: Sequence[str], purpose: str, round: int) -> NDArray[np.float32]:
        """Vectors of the texts, shape (n, size), for this purpose in this round; asked for once in a run.

        Raises BudgetExceeded, and ModelError where the model fails for good or gives what is no embedding.
        """
        chunks = in_requests(texts, local=self._name.local)
        gone = _times_gone(self._gone(purpose)).get(str(round), 0)
        requests = [self._request(chunk, self._path(purpose, round, i), gone) for i, chunk in enumerate(chunks)]
        answers = await self.calls.ask(requests, role="agent", iteration=round, limit=self._limit, of=self.name)
        if any(answer is None for answer in answers):
            raise ModelError(f"embedding model {self.name} failed: {self.calls.trouble}")
        try:
            parts = [np.load(self._path(purpose, round, i), allow_pickle=False) for i in range(len(chunks))]
        except (OSError, ValueError) as error:
            raise StoreError(
                f"the run's embeddings in {self.folder} are gone or damaged ({error}); start a new run"
            ) from error
        if any(len(part) != len(chunk) for part, chunk in zip(parts, chunks, strict=True)):
            raise StoreError(f"the run's embeddings in {self.folder} are of other texts; start a new run")
        return joined(parts, self.name)

    def forget(self, purpose: str, round: int) -> None:
        """Remove what was kept of a round that is done with; where a run begins anew, it is asked again."""
        paths = list(self.folder.glob(f"embeddings-{purpose}-{round}-*.npy"))
        if paths:
            times = _times_gone(self._gone(purpose))
            with whole_file(self._gone(purpose)) as file:
                file.write(json.dumps({**times, str(round): times.get(str(round), 0) + 1}).encode())
        for path in paths:
            path.unlink(missing_ok=True)

    def _gone(self, purpose: str) -> Path:
        """The file that says how often each round's embeddings were removed: asked for again, they are other calls."""
        return self.folder / f"embeddings-{purpose}.gone.json"

    def _path(self, purpose: str, round: int, chunk: int) -> Path:
        return self.folder / f"embeddings-{purpose}-{round}-{chunk}.npy"

    def _request(self, texts: Sequence[str], path: Path, gone: int) -> PaidRequest:
        async def send(_draw: int) -> Output:
            embedded = await embed_request(texts, self.model, self.base_url)
            found = embedded.vectors
            if found.ndim != 2 or len(found) != len(texts) or not found.size or not np.isfinite(found).all():
                raise TransientModelError(f"{self.name} gave embeddings that cannot be used", spent=True)
            await asyncio.to_thread(_kept, path, found)
            return Output(f"in {path.name}", Usage(embedded.tokens, 0))

        return PaidRequest(
            key=digest(self.calls.run_id, "embed", path.name, *[n for n in [gone] if n]),
            send=send,
            max_input_tokens=sum(len(text.encode()) + 8 for text in texts),
            max_output_tokens=0,
            price=self.price,
        )


def _kept(path: Path, vectors: NDArray[np.float32]) -> None:
    with whole_file(path) as file:
        np.save(file, vectors)


def _times_gone(path: Path) -> dict[str, int]:
    """By round; nothing where the file is not there or damaged, as then what is asked again is only paid again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
