"""What every measurement of speed needs: a clock, a place for its table, and what a device can do at best."""
from __future__ import annotations

import ctypes
import gc
import io
import math
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replication import checked, paths, provenance
from replication.runs import store
from replication.training import accelerate
from replication.training.device import device

PHASES = ("train", "infer")


def begin(kind: str, quick: bool, of: str | None = None) -> tuple[torch.device, Path, dict[str, Any]]:
    """The device, the path of its table of this kind, and what every line of it says of hardware and code. `of` names
    what is measured where that is not the device."""
    where = torch.device(device())
    about = provenance.collect()
    name = of or (torch.cuda.get_device_name() if where.type == "cuda" else provenance.processor())
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = paths.mine() / "tables" / f"{kind}-{slug}{'-quick' if quick else ''}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {
        "device": name, "threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 2),
        "versions": ", ".join(f"{each} {about['versions'][each]}" for each in ("torch", "torchvision", "lightning")),
        "commit": f"{about['commit']}{' + changes' if about['dirty'] else ''}", "utc": about["utc"],
    }
    print(f"{name}, {common['threads']} threads, load {common['load']}", flush=True)
    return where, path, common


def write(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """The table so far, as a file that is there whole or not at all; given back as a frame."""
    frame = pd.DataFrame(rows, columns=list(columns))
    try:
        checked.write(path, frame.to_csv(index=False, float_format="%.6g"))
    except OSError as problem:
        raise store.full(path, problem) from problem
    return frame


def so_far(path: Path, common: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a table that this code measured on this device with these versions; none of a file that is no
    table, in whose place one will be written. Raises BadInput for a table that was changed since."""
    if not path.exists():
        return []
    same, held = ("device", "versions", "commit"), checked.content(path)
    try:
        lines: list[Any] = pd.read_csv(io.BytesIO(held)).to_dict("records")
    except ValueError:  # pandas' own complaints are such
        return []
    return [line for line in lines if all(line.get(key) == common[key] for key in same)]


def shown(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Some columns of a table, for a terminal."""
    return frame[list(columns)].to_string(index=False, float_format="{:.4g}".format, na_rep="–")


# -- measuring ----------------------------------------------------------------------------------------------------
class Clock:
    """Is told when a part of a step ends. On a GPU it reads the device's own clock: the program runs ahead of the
    device, and its clock would charge every part with the work of the one before."""

    def __init__(self, cuda: bool) -> None:
        self.cuda = cuda
        self.begin()

    def begin(self) -> None:
        self.reads: list[tuple[str, Any]] = [("", self._now())]

    def __call__(self, part: str) -> None:
        self.reads.append((part, self._now()))

    def _now(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(self) -> dict[str, float]:
        """By part, summed over all steps since it began."""
        if self.cuda:
            torch.cuda.synchronize()
        total: dict[str, float] = {}
        for (_, start), (part, end) in zip(self.reads, self.reads[1:], strict=False):
            passed = start.elapsed_time(end) if self.cuda else 1e3 * (end - start)
            total[part] = total.get(part, 0.0) + passed
        return total


@dataclass(frozen=True)
class Program:
    """`batches(n)` gives n batches on the device. `step` takes one and tells the clock after each of its parts.
    `ahead`: batches that may have been prepared before the first is asked for; so many steps are not timed. `data`,
    where a step is recorded whole and cannot be taken apart, does what it does to n batches before the network."""
    batches: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    step: Callable[[Tensor, Tensor, Clock], None]
    ahead: int = 0
    data: Callable[[int], None] | None = None

    def run(self, clock: Clock, steps: int, skip: int = 0) -> None:
        with closing(self.batches(skip + steps)) as source:  # type: ignore[type-var]
            for i in range(skip + steps):
                if i == skip:
                    clock.begin()
                images, labels = next(source)
                clock("data")
                self.step(images, labels, clock)


def brief(problem: Exception) -> str:
    """The kind and the first line of a problem."""
    text = str(problem).strip().split("\n")[0][:200]
    return f"{type(problem).__name__}: {text}"


def runtime(file: Path, threads: int) -> Callable[[Any], Any]:
    """An exported network in onnxruntime on so many threads: what it answers to images, an array. Raises ImportError
    where that is not installed."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def spread(name: str, values: list[float]) -> dict[str, float]:
    return {name: statistics.median(values), f"{name}_low": min(values), f"{name}_high": max(values)}


def ceilings(where: torch.device) -> tuple[float, float]:
    """What this device can do at best: (TFLOP/s of a product of matrices, GB/s of a copy, read and written).

    A 1×1 convolution is a product of matrices too, and on some processors another library's, twice as fast.
    """
    cuda = where.type == "cuda"
    side, dtype, many = (8192, torch.bfloat16, 10) if cuda else (2048, torch.float32, 1)

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(4):
            clock = Clock(cuda)
            for _ in range(many):
                work()
            clock("work")
            times.append(clock.milliseconds()["work"] / 1e3 / many)
        return min(times)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, device=where, dtype=dtype)

    a, b, out = draw(side, side), draw(side, side), draw(side, side)
    maps = draw(side // 256, side // 2, 32, 32).to(memory_format=torch.channels_last)
    kernels = draw(side // 2, side // 2, 1, 1).to(memory_format=torch.channels_last)
    source = torch.ones(1 << 26, device=where)  # 256 MB: more than any cache
    target = torch.empty_like(source)
    product = min(best(lambda: torch.mm(a, b, out=out)), best(lambda: F.conv2d(maps, kernels)))  # as many operations
    return 2 * side ** 3 / product / 1e12, 2 * source.nbytes / best(lambda: target.copy_(source)) / 1e9


def memory(cuda: bool, which: str) -> float:
    """MB this process has "now" (the peak then starts anew), or had at "peak". Not known outside Linux: nan."""
    if cuda:
        if which == "peak":
            return torch.cuda.max_memory_allocated() / 1e6
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 1e6
    try:
        if which == "now":
            gc.collect()
            with suppress(AttributeError):
                ctypes.CDLL(None).malloc_trim(0)  # what was freed counts as taken until it is given back
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)" if which == "now" else r"VmHWM:\s+(\d+)", status)
        return int(found[1]) * 1024 / 1e6 if found else math.nan
    except OSError:
        return math.nan


def keep_memory(where: torch.device, keep: bool = True) -> None:
    """What is freed stays with the process or not (accelerate), where that can be chosen."""
    if "memory" in accelerate.tricks(where.type, math.inf, "auto"):
        accelerate.keep_memory(keep)


def wake(where: torch.device) -> None:
    """The first convolution of a process loads libraries, which no variant should have to answer for."""
    maps = torch.randn(8, 16, 32, 32, device=where, requires_grad=True)
    F.conv2d(maps, torch.randn(16, 16, 3, 3, device=where)).sum().backward()


def wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def forget(cuda: bool) -> None:
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()


def forward(module: nn.Module, maps: Tensor) -> Callable[[], object]:
    """A call that is an inference."""
    @torch.inference_mode()
    def call() -> object:
        return module(maps)
    return call


def both(module: nn.Module, maps: Tensor, gradient: Tensor) -> Callable[[], object]:
    """Forward and back, to the input (where it wants a gradient) and to the parameters."""
    wanted = [tensor for tensor in (maps, *module.parameters()) if tensor.requires_grad]

    def call() -> object:
        out = module(maps)
        return torch.autograd.grad(out, wanted, gradient.view_as(out))
    return call
