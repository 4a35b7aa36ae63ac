"""A store of the test's own, and experiments that train in a second."""
from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Program, warm
from waiting import HANG

from replication.runs import experiments
from replication.studies import grid, workers
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import loop

# A thread each: tests run side by side, and threads that share a core wait for one another.
os.environ["OMP_NUM_THREADS"] = os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
torch.set_num_threads(1)

TINY: dict[str, Any] = {"images": 200, "val_images": 100, "resolution": 32, "width": 0.125, "stem": 4, "epochs": 2,
                        "batch": 20}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Your own store, empty, the only one that is read; one run at a time, on the CPU."""
    place = tmp_path / "out"
    for name, value in (("OUT", place), ("READ", "mine"), ("JOBS", "1"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"REPLICATION_{name}", str(value))
    return place


@pytest.fixture(autouse=True, scope="session")
def no_rate() -> Iterator[None]:
    """Each run would measure the processor for a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "matmul_gflops", lambda: 1.0)
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums are taken in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers with one thread, which take sums in one order, and start at once."""
    monkeypatch.setattr(workers, "cores", lambda: 1)
    monkeypatch.setattr(multiprocessing, "get_context", warm)


LONG = """
from replication.studies import workers
from replication.studies.compose import compose
from replication.studies.setting import Setting
if __name__ == "__main__":
    setting = Setting(images=60, val_images=20, resolution=32, width=0.125, stem=4, epochs=5000, batch=20)
    workers.train([("long", compose("googlenet", setting), 0)])
"""


@pytest.fixture
def parent(out: Path, tmp_path: Path) -> Iterator[Program]:
    """A process whose worker trains a run that would take hours. To be killed, and at the end it is: its worker then
    ends by itself."""
    (tmp_path / "long.py").write_text(LONG)
    made = Program(tmp_path / "long.py")
    yield made
    made.kill()
    made.gone()


@pytest.fixture
def tiny() -> Callable[..., experiments.Experiment]:
    """tiny("bn", batch=10, clip=None): 20 steps of an eighth-width GoogLeNet of four modules; recipe fields replace its
    own."""
    def make(norm: str = "lrn", aux: tuple[str, ...] = ("4a", "4d"), **recipe: Any) -> experiments.Experiment:
        made = compose("googlenet", Setting(**TINY), grid.NORM[norm].sets, {"network.aux": aux})
        rows = tuple(row for row in made.network.rows if row.name not in ("3b", "4b", "4c", "4e", "5a"))
        return replace(made, network=replace(made.network, rows=rows), recipe=replace(made.recipe, **recipe))
    return make


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """python(code, "argument", MKL_NUM_THREADS="1"): runs it in a process of its own."""
    def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                              timeout=HANG, env={**os.environ, **environment})
    return run
