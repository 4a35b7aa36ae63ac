"""How long each row of V1's Table 1 should take on this device, and how long it does take, alone and by itself.

A row cannot be faster than its bytes can be moved, nor than its operations can be calculated: predicted is the longer
of the two, at the speeds this device shows in the same process (`harness.ceilings`).
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from replication.benchmarks import harness
from replication.models import cost, ops
from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.pages import speed

BATCH = {"cpu": 16, "cuda": 512}  # on a GPU enough to hide what it takes to launch a row
CALLS = {"cpu": 3, "cuda": 20}    # timed in a turn
TURNS, QUICK_TURNS, QUICK_BATCH = 7, 3, 2
COLUMNS = (
    "device", "row", "phase", "resolution", "batch", "precision", "status", "turns", "operations", "bytes",
    "intensity", "bound", "predicted_ms", "ms", "ms_low", "ms_high", "ratio", "tflops", "matmul_tflops",
    "copy_gb_per_s", "threads", "load", "versions", "commit", "utc",
)


@dataclass(frozen=True)
class Work:
    """What a row does to a batch: bytes moved between memory and processor, additions and multiplications."""
    bytes: int
    operations: int

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes

    def predicted(self, matmul: float, copy: float) -> tuple[float, str]:
        """(ms, "bytes" or "arithmetic": what takes so long) at `matmul` TFLOP/s and `copy` GB/s."""
        return max((self.bytes / copy / 1e6, "bytes"), (self.operations / matmul / 1e9, "arithmetic"))


def works(network: ops.Network, batch: int, phase: str, bytes_a_number: int) -> dict[str, Work]:
    """By row, of a network without normalisation that is trained (LRN is a row). The rule:

    "infer": the row's input is read and its output written once, every map between its ops is written and read, every
    parameter is read. What works in place (ReLU) or is not counted by the paper (LRN's sums) costs nothing.
    "train" has the way back too: every map is read again and its gradient moved like itself, parameters are read and
    their gradient written. That triples the bytes, as it triples the operations: one product forward, two back. The
    images alone get no gradient.
    """
    shape = cost.input_shape(network)
    found = {}
    for i, (_, name, row) in enumerate(cost.costs(network, None, aux=False)):
        between = row.outputs - prod(row.shape)
        numbers = batch * (prod(shape) + 2 * between + prod(row.shape)) + row.parameters
        operations = 2 * batch * row.multiply_adds
        if phase == "train":
            numbers = 3 * numbers - (batch * prod(shape) if i == 0 else 0)
            operations *= 3 if i else 2
        found[name] = Work(numbers * bytes_a_number, operations)
        shape = row.shape
    return found


def table1(batch: int) -> tuple[ops.Network, int]:
    """What is measured: the published network, drawn as in the experiments, and how many images at once."""
    return googlenet(aux=(), init=ops.He()), batch


def run(quick: bool = False) -> Path:
    """Measures, prints and writes `<your store>/tables/roofline-<device>.csv`. Quick: a small batch and fewer turns, in
    a table of its own (`-quick`). Returns its path.

    Rows take turns as variants do in `throughput.run`. A row that fails (out of memory, say) says so in its status.
    """
    where, path, common = harness.begin("roofline", quick)
    network, batch = table1(QUICK_BATCH if quick else BATCH[where.type])
    cuda = where.type == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    harness.keep_memory(where)  # as a run has it
    ceiling = harness.ceilings(where)
    harness.wake(where)
    timed = [Timed(name, phase, call, cuda) for name, phase, call in _calls(network, batch, where, dtype)]
    for _ in range(QUICK_TURNS if quick else TURNS):
        for one in timed:
            one.turn()
        again = harness.ceilings(where)
        ceiling = max(ceiling[0], again[0]), max(ceiling[1], again[1])
    sums = {phase: works(network, batch, phase, dtype.itemsize) for phase in harness.PHASES}
    common |= {"resolution": network.resolution, "batch": batch, "precision": "bf16" if cuda else "fp32"}
    frame = harness.write(
        path, [{**common, **line(one, sums[one.phase][one.row], *ceiling)} for one in timed], COLUMNS)
    print(harness.shown(frame, ("row", "phase", "bound", "predicted_ms", "ms", "ratio", "status")))
    print(f"\nThis device at its best: matrices {ceiling[0]:.3g} TFLOP/s, copies {ceiling[1]:.3g} GB/s.\n{path}")
    print(speed.in_words({}, {frame.device.iloc[0]: frame}))
    return path


@dataclass
class Timed:
    """One line in the making: a row in one phase, and how long its turns took. A problem ends it."""
    row: str
    phase: str
    call: Callable[[], object]
    cuda: bool

    def __post_init__(self) -> None:
        self.problem: str | None = None
        self.turns: list[float] = []  # ms a call

    def turn(self) -> None:
        """One call that is not timed, and then some that are."""
        if self.problem is not None:
            return
        calls = CALLS["cuda" if self.cuda else "cpu"]
        try:
            self.call()
            clock = harness.Clock(self.cuda)
            for _ in range(calls):
                self.call()
            clock("row")
            self.turns.append(clock.milliseconds()["row"] / calls)
        except Exception as problem:
            self.problem = harness.brief(problem)
        if self.problem:
            harness.forget(self.cuda)  # not above: the exception holds on to what it was raised over


def line(timed: Timed, work: Work, matmul: float, copy: float) -> dict[str, Any]:
    """A row's line in the table."""
    predicted, bound = work.predicted(matmul, copy)
    found: dict[str, Any] = {
        "row": timed.row, "phase": timed.phase, "status": f"failed: {timed.problem}" if timed.problem else "ok",
        "turns": len(timed.turns), "operations": work.operations, "bytes": work.bytes, "intensity": work.intensity,
        "bound": bound, "predicted_ms": predicted, "matmul_tflops": matmul, "copy_gb_per_s": copy,
    }
    if timed.turns:
        ms = statistics.median(timed.turns)
        found |= {**harness.spread("ms", timed.turns), "ratio": ms / predicted, "tflops": work.operations / ms / 1e9}
    return found


def _calls(network: ops.Network, batch: int, where: torch.device,
           dtype: torch.dtype) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """(row, phase, call) of every row but dropout, which does nothing at inference; each has an input of its own."""
    torch.manual_seed(0)
    built = build(network).to(where, dtype).to(memory_format=torch.channels_last)
    shape = cost.input_shape(network)
    for i, (name, after) in enumerate(cost.shapes(network)):
        if not isinstance(network.row(name).op, ops.Dropout):
            maps, gradient = (torch.randn(batch, *size, device=where, dtype=dtype).to(memory_format=torch.channels_last)
                              for size in (shape, after))
            row = getattr(built, name)
            yield name, "infer", harness.forward(row, maps)
            yield name, "train", harness.both(row, maps.requires_grad_(i > 0), gradient)
        shape = after
