"""A store of the test's own, and experiments that train in a second."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replication import experiments, spec

TINY: dict[str, Any] = {"images": 200, "val_images": 100, "resolution": 32, "width": 0.125, "stem": 4, "epochs": 2,
                        "batch": 20}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Your own store, empty, the only one that is read; one run at a time, on the CPU."""
    place = tmp_path / "out"
    for name, value in (("OUT", place), ("READ", "mine"), ("JOBS", "1"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"REPLICATION_{name}", str(value))
    return place


@pytest.fixture
def tiny() -> Callable[..., spec.Experiment]:
    """tiny(norm="BN", batch=10, clip=None): 20 steps of an eighth-width GoogLeNet; recipe fields replace its own."""
    def make(norm: str = "LRN", aux: tuple[str, ...] = ("4a", "4d"), **recipe: Any) -> spec.Experiment:
        made = experiments.experiment(experiments.Setting(**TINY), norm=norm, aux=aux)
        return replace(made, recipe=replace(made.recipe, **recipe))
    return make


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """python(code, "argument", OMP_NUM_THREADS="1"): runs it in a process of its own, which must end in two minutes."""
    def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                              timeout=120, env={**os.environ, **environment})
    return run
