"""Processes that start at once: forked from one that has imported what takes seconds to import."""
from __future__ import annotations

import fcntl
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import forkserver, get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from replication.studies import workers


def beside() -> dict[str, str]:
    """Where a script finds what the tests share."""
    found = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, found))}


def warm(_: str = "") -> SimpleNamespace:
    """What workers and stages need of multiprocessing, with processes that are forked from one that has imported all
    they need, once for the whole session. They are given this process's environment as it is now."""
    context: Any = get_context("forkserver")
    if context.current_process().name == "MainProcess":
        context.set_forkserver_preload(["forked", "preloaded"])
        with pytest.MonkeyPatch.context() as patch:  # Python 3.11 hands no sys.path on, and skips what it cannot import
            patch.setenv("PYTHONPATH", beside()["PYTHONPATH"])
            forkserver.ensure_running()

    def process(target: Callable[..., None], args: tuple[Any, ...], daemon: bool = False) -> Any:
        return context.Process(target=_within, args=(dict(os.environ), target, args), daemon=daemon)

    return SimpleNamespace(Event=context.Event, Queue=context.Queue, Pipe=context.Pipe, Process=process)


def _within(environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if held := environment.get("FORKED"):  # of a Program, or what it started
        for number, path in enumerate(held.split(os.pathsep)):
            file = os.open(path, os.O_RDWR | os.O_APPEND)
            os.dup2(file, number) if number else fcntl.flock(file, fcntl.LOCK_SH)  # for as long as it lives
    workers.TRIED = 0.1
    target(*args)


class Program:
    """Program("train.py", "run", WAIT="smoke"): a script run so, with words and an environment of its own, in a session
    of its own; whatever it starts through multiprocessing is forked, too. As subprocess.Popen, for what tests ask."""

    def __init__(self, *words: object, **environment: str) -> None:
        self._held, *self._written = (tempfile.NamedTemporaryFile() for _ in range(3))  # noqa: SIM115 (as long as it lives)
        context = warm()  # which starts in this process's own environment
        with pytest.MonkeyPatch.context() as patch:
            files = os.pathsep.join(file.name for file in (self._held, *self._written))
            for name, value in {**environment, "FORKED": files}.items():
                patch.setenv(name, value)
            self._process = context.Process(_run, ([str(word) for word in words],))
            self._process.start()
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it wrote to stdout and stderr, once it has ended."""
        self.wait(timeout)
        said, problem = (Path(file.name).read_text() for file in self._written)
        return said, problem

    def gone(self) -> None:
        """Waits until it and all that it started have ended."""
        fcntl.flock(self._held, fcntl.LOCK_EX)


def _run(words: list[str]) -> None:
    os.setsid()
    # it does not know that it was forked from a server which it could ask itself
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    multiprocessing.get_context = warm  # type: ignore[assignment]
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
