"""Waiting for what other processes do: for the event, however long a busy machine takes. Only a hang ends in time."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
HANG = 900.0  # seconds; what has not come by then is not coming


def until(true: Callable[[], T], what: object = "nothing has happened") -> T:
    """What it returned, once that was true."""
    end = time.monotonic() + HANG
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found
