"""A process that decodes images for another one, which is `streamed`: python -m replication.data.reader FD

It is told on its standard input which images at which side, as pickled by whoever started it, puts them one after the
other into the memory that the descriptor FD stands for, which both have, and answers on its standard output, pickled:
None, or which image cannot be decoded and why. It ends with its input, so also when whoever started it was killed.
"""
from __future__ import annotations

import mmap
import os
import pickle
import sys
from typing import BinaryIO

import numpy as np

from replication.data import decode


def answer(asked: BinaryIO, told: BinaryIO, memory: int) -> None:
    """Until nothing more is asked."""
    mapped = np.empty(0, np.uint8)
    while True:
        try:
            items, side = pickle.load(asked)
        except EOFError:
            return
        size = len(items) * side * side * 3
        if size > len(mapped):
            mapped = np.frombuffer(mmap.mmap(memory, size), np.uint8)
        pickle.dump(_decoded(items, mapped[:size].reshape(len(items), side, side, 3)), told)
        told.flush()


def _decoded(items: list[decode.Item], out: np.ndarray) -> tuple[int, str] | None:
    for at, (item, row) in enumerate(zip(items, out, strict=True)):
        found = decode.one(item, len(row))
        if isinstance(found, Exception):
            return at, f"{found}"
        row[:] = found
    return None


if __name__ == "__main__":
    try:
        answer(open(0, "rb"), open(1, "wb"), int(sys.argv[1]))  # noqa: SIM115 (to the end of the process)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody listens any more, so nothing is left to be flushed
