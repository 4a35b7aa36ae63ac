"""Processes that train together, as torchrun starts them and without it."""
from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence

from forked import Program
from waiting import HANG


def port() -> int:
    """A free one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(*words: object, world: int = 2, **environment: str) -> list[Program]:
    """So many processes with a script and its words, under torchrun's variables."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port()), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1",
              **environment}
    return [Program(*words, **common, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(world)]


def ended(crew: Sequence[Program | subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each; none is left behind."""
    try:
        words = [process.communicate(timeout=HANG) for process in crew]
        return [(process.returncode, *said) for process, said in zip(crew, words, strict=True)]
    finally:
        for process in crew:
            process.kill()
