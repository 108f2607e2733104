"""A parent that trusts what it reads: the control of the attacks on the parent.

Reads from standard input the length of an output (eight bytes), the output, and frames; prints the harm done to it, or
dies of it.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
import sys
from collections.abc import Iterator
from typing import Any

LARGE = 20 << 20
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    while data:
        length = int.from_bytes(data[1:5], "big")
        if len(data) < 5 + length:
            raise EOFError(f"still waiting for {length} bytes")
        yield data[:1], data[5 : 5 + length]
        data = data[5 + length :]


def finding(payload: bytes) -> tuple[str, Any, str]:
    name, value, note = json.loads(payload)
    return name.strip(), value, note.strip()


def as_json(output: bytes, data: bytes) -> None:
    kinds = b""
    for kind, payload in frames(data):
        kinds += kind
        if kind == b"f":
            finding(payload)
        elif kind not in (b"e", b"d"):
            raise ValueError(f"no such kind {kind!r}")
    if not kinds.endswith(b"d"):
        raise EOFError("no end was reported")


def as_pickle(output: bytes, data: bytes) -> None:
    for kind, payload in frames(data):
        if kind == b"f":
            pickle.loads(payload)


def integers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    for each in value if isinstance(value, list) else []:
        yield from integers(each)


def as_store(output: bytes, data: bytes) -> None:
    """Into columns of a database: UTF-8, finite numbers of 64 bits, names of a sensible length."""
    output.decode()
    size = 0
    for kind, payload in frames(data):
        if kind != b"f":
            continue
        name, value, note = finding(payload)
        json.dumps([name, value, note], allow_nan=False, ensure_ascii=False).encode()
        for number in integers(value):
            struct.pack("q", number)
        size += len(payload)
        if len(name) > 10_000:
            raise ValueError(f"a name of {len(name)} characters")
        if size > LARGE:
            raise MemoryError(f"{size >> 20} MB of findings stored")


def as_read(output: bytes, data: bytes) -> None:
    if (size := len(output) + len(data)) > LARGE:
        raise MemoryError(f"{size >> 20} MB kept")


def as_print(output: bytes, data: bytes) -> None:
    shown = [output.decode("utf-8", "replace")]
    for kind, payload in frames(data):
        if kind == b"f":
            shown += map(str, finding(payload))
        elif kind == b"e":
            shown.append(payload.decode("utf-8", "replace"))
    if found := _UNSAFE.search("".join(shown)):
        raise ValueError(f"the terminal was given {found[0]!r}")


def main() -> None:
    data = sys.stdin.buffer.read()
    length = int.from_bytes(data[:8], "big")
    way = {"json": as_json, "pickle": as_pickle, "store": as_store, "read": as_read, "print": as_print}[sys.argv[1]]
    way(data[8 : 8 + length], data[8 + length :])


if __name__ == "__main__":
    main()
