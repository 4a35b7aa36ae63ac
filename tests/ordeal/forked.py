"""Work in children of this process, which has imported what takes seconds to import: a kill costs no new start."""
from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from ordeal.report import Result
from replication.errors import BadInput

LONG = 300.0  # seconds after which something waits without an end
PR_SET_PDEATHSIG = 1  # prctl.h


@dataclass(frozen=True)
class Ended:
    """`code`: 0 done, 2 refused in words (BadInput), 1 failed otherwise, negative: ended by that signal. `said`: what
    was written to stderr, `told` to stdout."""
    code: int
    said: str
    told: str
    seconds: float
    stuck: bool = False


class Child:
    """A process that does some work and ends. What it writes goes to two files."""

    def __init__(self, work: Callable[[], Any], env: Mapping[str, str] | None = None) -> None:
        self.written = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 (as long as it lives)
        self.began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _be(work, dict(env or {}), [file.fileno() for file in self.written])

    def kill(self) -> None:
        """It, and then whatever it has started."""
        try:
            below = psutil.Process(self.pid).children(recursive=True)
            os.kill(self.pid, signal.SIGKILL)
            for one in below:
                one.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass

    def wait(self, within: float = LONG) -> Ended:
        """Kills it where it takes longer."""
        stuck, until = False, time.monotonic() + within
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until:
                stuck = True
                self.kill()
                _, status = os.waitpid(self.pid, 0)
                break
            time.sleep(0.005)
        told, said = (_read(file) for file in self.written)
        return Ended(os.waitstatus_to_exitcode(status), said, told, time.monotonic() - self.began, stuck)


def _read(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode("utf-8", "replace")


def run(work: Callable[[], Any], env: Mapping[str, str] | None = None, within: float = LONG) -> Ended:
    return Child(work, env).wait(within)


def _be(work: Callable[[], Any], env: dict[str, str], written: list[int]) -> None:
    code = 1
    try:
        with suppress(OSError, AttributeError):  # on Linux a child ends with its parent
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number, file in enumerate(written, 1):
            os.dup2(file, number)
        os.environ.update(env)
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda text, kind, *_: print(text, file=sys.stderr) if kind is UserWarning else None
        done = work()
        code = done if isinstance(done, int) else 0
    except BadInput as problem:
        code = 2
        print(problem, file=sys.stderr)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


def lanes(cases: Sequence[Any], each: Callable[[Any], Result], jobs: int) -> list[Result]:
    """A result a case, in order; so many at once, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        def lane(n: int) -> None:
            with open(Path(folder, str(n)), "w", encoding="utf-8") as file:
                for i in range(n, len(cases), jobs):
                    file.write(json.dumps([i, asdict(each(cases[i]))]) + "\n")

        crew = [Child(lambda n=n: lane(n)) for n in range(min(jobs, len(cases)))]
        for child in crew:
            if (ended := child.wait(float("inf"))).code:
                raise RuntimeError(f"A lane of the ordeal itself failed:\n{ended.said}")
        lines = [json.loads(line) for path in Path(folder).iterdir() for line in path.read_text("utf-8").splitlines()]
    return [Result(**held) for _, held in sorted(lines, key=lambda pair: pair[0])]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes again, whatever lies in it."""
    with tempfile.TemporaryDirectory(prefix="ordeal-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def store_at(place: Path, **more: str) -> dict[str, str]:
    """The environment of whoever keeps all things below `place`."""
    return {"REPLICATION_OUT": str(place / "out"), "REPLICATION_DATA": str(place / "data"),
            "REPLICATION_READ": "mine", "REPLICATION_JOBS": "1", "REPLICATION_DEVICE": "cpu", "TQDM_DISABLE": "1",
            "no_proxy": "127.0.0.1", **more}
