"""Waiting for what other processes do: for the event, however long a busy machine takes. Only a hang ends in time."""
from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
HANG = 900.0  # seconds; what has not come by then is not coming


def until(true: Callable[[], T], what: object = "nothing has happened", by: subprocess.Popen[Any] | None = None) -> T:
    """What it returned, once that was true. `by`: the process that does it; once it has ended, nothing more is awaited.
    """
    end = time.monotonic() + HANG
    while not (found := true()):
        assert time.monotonic() < end, what
        if by is not None and by.poll() is not None and not (found := true()):
            raise AssertionError(f"{what}: the process has ended with {by.returncode}")
        time.sleep(0.02)
    return found
