"""Where a kill falls: at a line of what is done in a phase of the work, drawn by a seed, or at a moment of it."""
from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Where = tuple[tuple[Any, str], ...]  # modules or classes, and names of functions of theirs


class Fuse:
    """Counts the lines of Python that run inside some functions, and the seconds from their first beginning to their
    last end. At line `at` this process is killed. `enter` is called when the phase begins."""

    def __init__(self, where: Where, at: float = float("inf"), enter: Callable[[], Any] = lambda: None,
                 lines: bool = True) -> None:
        self.at, self.enter, self.lines, self.traced = at, enter, 0, lines
        self.first = self.last = 0.0
        for owner, name in where:
            setattr(owner, name, self._within(getattr(owner, name)))

    def _within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*given: Any, **named: Any) -> Any:
            if not self.first:
                self.first = time.monotonic()
                self.enter()
            before = sys.gettrace()
            if self.traced:
                sys.settrace(self._trace)
            try:
                return function(*given, **named)
            finally:
                sys.settrace(before)
                self.last = time.monotonic()
        return wrapped

    def _trace(self, frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self.lines > self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._trace
