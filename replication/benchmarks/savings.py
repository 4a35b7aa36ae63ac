"""How much of a saving that arithmetic promises arrives: what the papers put in place of a convolution, or of a module,
timed beside it on this device.

The convolutions are built as networks here have them, with bias and ReLU and without normalisation, channels last. What
is replaced and what replaces it are timed one after the other, turn by turn, and a turn's ratio is that of the two.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from replication.benchmarks import harness
from replication.models import cost
from replication.models.build import build
from replication.models.googlenet import INCEPTION, naive
from replication.models.ops import Conv, He, Network, Op, Row

BATCH = {"cpu": 16, "cuda": 512}
CALLS = {"cpu": 3, "cuda": 50}  # timed in a turn, of each of the two
TURNS, QUICK_TURNS = 21, 3
COLUMNS = (
    "device", "saving", "phase", "batch", "precision", "turns", "multiply_adds_before", "multiply_adds_after",
    "promised", "ms_before", "ms_before_low", "ms_before_high", "ms_after", "ms_after_low", "ms_after_high", "times",
    "times_low", "times_high", "threads", "load", "versions", "commit", "utc",
)


@dataclass(frozen=True)
class Saving:
    """`before` and, in its place, `after`, on `channels` maps of side×side px."""
    channels: int
    side: int
    before: tuple[Op, ...]
    after: tuple[Op, ...]

    def networks(self) -> tuple[Network, Network]:
        """The two, each as a table of its own."""
        before, after = (Network(name, tuple(Row(f"op{n}", op) for n, op in enumerate(ops)), self.side, init=He(),
                                 channels=self.channels)
                         for name, ops in (("before", self.before), ("after", self.after)))
        return before, after


_3A = INCEPTION["3a"]
_MODULE = {"channels": 192, "side": 28}  # what reaches module 3a
SAVINGS = {
    "reduction": Saving(**_MODULE, before=(Conv(_3A.n5x5, 5),), after=(Conv(_3A.n5x5_reduce), Conv(_3A.n5x5, 5))),
    "module": Saving(**_MODULE, before=(naive(_3A),), after=(_3A,)),  # V1 Fig. 2: (a) and (b)
    "two 3x3": Saving(64, 28, (Conv(64, 5),), (Conv(64, 3), Conv(64, 3))),                      # V3 §3.1, α = 1
    "3x1 1x3": Saving(64, 28, (Conv(64, 3),), (Conv(64, (3, 1)), Conv(64, (1, 3)))),            # V3 §3.2
    "7x1 1x7": Saving(192, 17, (Conv(192, 7),), (Conv(192, (7, 1)), Conv(192, (1, 7)))),        # V3 §3.2, Fig. 6
}


def run(quick: bool = False) -> Path:
    """Measures, prints and writes `<your store>/tables/savings-<device>.csv`. Quick: two images and fewer turns, in a
    table of its own (`-quick`). Returns its path."""
    where, path, common = harness.begin("savings", quick)
    cuda = where.type == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    batch, turns = (2, QUICK_TURNS) if quick else (BATCH[where.type], TURNS)
    harness.keep_memory(where)
    harness.wake(where)
    pairs = {(name, phase): [_call(network, phase, batch, where, dtype) for network in saving.networks()]
             for name, saving in SAVINGS.items() for phase in harness.PHASES}
    found: dict[tuple[str, str], list[list[float]]] = {key: [] for key in pairs}
    for turn in range(turns + 1):  # the first, which loads and allocates, does not count
        for key, calls in pairs.items():
            ms = [_milliseconds(call, CALLS[where.type], cuda) for call in calls]
            if turn:
                found[key].append(ms)
    common |= {"batch": batch, "precision": "bf16" if cuda else "fp32", "turns": turns}
    frame = harness.write(path, [{**common, "saving": name, "phase": phase, **line(SAVINGS[name], ms)}
                                 for (name, phase), ms in found.items()], COLUMNS)
    print(harness.shown(frame, ("saving", "phase", "promised", "times", "times_low", "times_high")))
    print(path)
    return path


def line(saving: Saving, turns: list[list[float]]) -> dict[str, Any]:
    """From the milliseconds of both in each turn: medians with the lowest and the highest, and how many times as fast
    `after` is, by its multiply-adds (promised) and by the clock (times)."""
    before, after = map(cost.multiply_adds, saving.networks())
    return {"multiply_adds_before": before, "multiply_adds_after": after, "promised": before / after,
            **harness.spread("ms_before", [turn[0] for turn in turns]),
            **harness.spread("ms_after", [turn[1] for turn in turns]),
            **harness.spread("times", [turn[0] / turn[1] for turn in turns])}


def _call(network: Network, phase: str, batch: int, where: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    torch.manual_seed(0)
    module = build(network).to(where, dtype).to(memory_format=torch.channels_last)
    maps = torch.randn(batch, *cost.input_shape(network), device=where, dtype=dtype)
    maps = maps.to(memory_format=torch.channels_last)
    rows = torch.nn.Sequential(*(getattr(module, row) for row in module.rows))
    if phase == "infer":
        return harness.forward(rows, maps)
    with torch.no_grad():
        gradient = torch.randn_like(rows(maps))
    return harness.both(rows, maps.requires_grad_(), gradient)


def _milliseconds(call: Callable[[], object], calls: int, cuda: bool) -> float:
    """A call's, the mean of some."""
    clock = harness.Clock(cuda)
    for _ in range(calls):
        call()
    clock("calls")
    return clock.milliseconds()["calls"] / calls
