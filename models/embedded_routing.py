"""Which of the embedded model's processes takes a request: the one that will be done with it first.

A process remembers what it read, so a request is cheaper where the part of its prompt before the last message was
read before. Which process answers does not change the answer, so the choice is free to follow the load.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..seeding import digest

REMEMBERED = 12
"""Prompts that a process is taken to remember; about what its prompt cache holds."""
CHARACTERS_PER_TOKEN = 10
"""Writing a token takes about as long as reading so many characters."""


class Router:
    """Hands out process numbers and keeps the work each process has before it, in characters to read."""

    def __init__(self, processes: int) -> None:
        self._lock = threading.Lock()
        self._backlog = [0] * processes
        self._read: list[OrderedDict[str, None]] = [OrderedDict() for _ in range(processes)]

    @contextmanager
    def place(self, prefix: Sequence[str], last: str, max_tokens: int) -> Iterator[int]:
        """The process for a request of these texts (`last` is new, `prefix` perhaps known), while it is under way."""
        key = digest(*prefix)
        own = len(last) + CHARACTERS_PER_TOKEN * max_tokens
        shared = sum(map(len, prefix))
        with self._lock:
            costs = [own if key in read else own + shared for read in self._read]
            chosen = min(range(len(costs)), key=lambda i: (self._backlog[i] + costs[i], i))
            cost = costs[chosen]
            self._backlog[chosen] += cost
            read = self._read[chosen]
            read[key] = None
            read.move_to_end(key)
            while len(read) > REMEMBERED:
                read.popitem(last=False)
        try:
            yield chosen
        finally:
            with self._lock:
                self._backlog[chosen] -= cost
