"""Where a run is trained."""
from __future__ import annotations

import os
import time

import torch

from replication.errors import BadInput, unknown


def device(asked: str | None = None) -> str:
    """"cuda" or "cpu"; `asked`, or REPLICATION_DEVICE, may be auto. Raises BadInput where there is no such GPU."""
    asked = asked or os.environ.get("REPLICATION_DEVICE") or "auto"
    if asked not in ("auto", "cpu", "cuda"):
        raise unknown("device", asked, ("auto", "cpu", "cuda"))
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadInput("A GPU was asked for (REPLICATION_DEVICE=cuda) and torch sees none here: use auto or cpu, or "
                       "check the driver with nvidia-smi.")
    return asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """What provenance calls the device of this process: the GPU's own name, or "CPU"."""
    return torch.cuda.get_device_name() if device() == "cuda" else "CPU"


def matmul_gflops(threads: int | None = None) -> float | None:
    """GFLOP/s of a product of two fp32 matrices by this processor, with this process's threads or so many: the best of
    what a tenth of a second holds. Rough (`benchmarks.harness.ceilings` takes larger ones, and longer), but hardly less
    where others are at work. None on a GPU."""
    if device() == "cuda":
        return None
    side, own, best = 256, torch.get_num_threads(), float("inf")
    torch.set_num_threads(threads or own)
    try:
        a = torch.ones(side, side)  # no random numbers: those are a run's
        end = time.perf_counter() + 0.1
        while (began := time.perf_counter()) < end:
            torch.mm(a, a)
            best = min(best, time.perf_counter() - began)
    finally:
        torch.set_num_threads(own)
    return round(2 * side ** 3 / best / 1e9, 1)
