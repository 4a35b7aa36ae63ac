"""Processes that train together, as torchrun starts them and without it."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from waiting import HANG


def port() -> int:
    """A free one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def beside() -> dict[str, str]:
    """Where a script finds what the tests share."""
    found = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, found))}


def start(*words: object, world: int = 2, **environment: str) -> list[subprocess.Popen[str]]:
    """So many processes of Python under torchrun's variables."""
    common = {**os.environ, **beside(), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port()),
              "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1", **environment}
    return [subprocess.Popen([sys.executable, *map(str, words)], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in range(world)]


def ended(crew: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each; none is left behind."""
    try:
        words = [process.communicate(timeout=HANG) for process in crew]
        return [(process.returncode, *said) for process, said in zip(crew, words, strict=True)]
    finally:
        for process in crew:
            process.kill()
