"""Tricks that make a run faster. None changes what is computed, but for rounding, so none is in a run's address.

compile     torch.compile fuses the small operations between convolutions. Compiling takes a minute or two, which only
            a long run earns back.
graph       A whole step, from the crops to the new weights, is recorded once as a CUDA graph and then replayed. Python
            then no longer launches some thousand kernels a step. GPU only.
merge       The 1×1 convolutions of a module that read the same map are computed as one.
memory      Freed memory stays with the process until the run ends. Left alone, glibc gives every map of more than 32 MB
            back to the system as soon as it is freed, and the next one is cleared anew, page by page, before it is
            written.
fold        Batch normalisation is part of the convolutions whenever the network is judged, in fp32 alone.

REPLICATION_FAST chooses: names ("compile,graph"), "none", or "auto". On a CPU auto is fold, and memory where the
system's C library is glibc. On a GPU it is graph, and for runs of at least COMPILE_FROM multiply-adds compile too. A
trick that fails on a machine is left out with a warning, and the run's provenance says so.
"""
from __future__ import annotations

import ctypes
import os
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from replication.errors import BadInput, unknown
from replication.models import layers
from replication.models.build import Net, folded
from replication.training import optim

TRICKS = ("compile", "graph", "merge", "memory", "fold")
# Multiply-adds. On an H200 compiling took some 80 s and made steps at 224 px 1.4 times as fast, from 27 T a second.
COMPILE_FROM = 7e15
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # malloc.h
AHEAD = 8      # recorded steps that may be queued
WARM_UP = 3    # steps before one is recorded: libraries choose their kernels, optimisers make their buffers


def tricks(device: str, work: float, asked: str | None = None) -> frozenset[str]:
    """The tricks of one run.

    device:  "cuda" or "cpu".
    work:    multiply-adds of the whole run, by which auto decides on compile.
    asked:   names, "none" or "auto"; by default what REPLICATION_FAST says.

    Raises BadInput for a trick that does not exist, for a graph without a GPU, and for memory without glibc.
    """
    asked = asked or os.environ.get("REPLICATION_FAST") or "auto"
    if asked == "auto" and device == "cpu":
        return frozenset({"fold", *(["memory"] if _glibc() else [])})
    if asked == "auto":
        return frozenset({"graph", *(["compile"] if work >= COMPILE_FROM else [])})
    if asked == "none":
        return frozenset()
    named = frozenset(asked.split(","))
    for name in named:
        if name not in TRICKS:
            raise unknown("trick in REPLICATION_FAST", name, TRICKS if len(named) > 1 else ("auto", "none", *TRICKS))
    if "graph" in named and device == "cpu":
        raise BadInput("REPLICATION_FAST asks for graph, which needs a GPU: leave it out, or say auto.")
    if "memory" in named and not _glibc():
        raise BadInput("REPLICATION_FAST asks for memory, which needs glibc: leave it out, or say auto.")
    return named


def prepare(network: nn.Module, which: frozenset[str]) -> None:
    """Sets a network, and the process, up for the tricks that change how it is called. Before it is wrapped for its
    device."""
    if "memory" in which:
        keep_memory()
    for module in network.modules():
        if isinstance(module, layers.Branches):
            module.merge = "merge" in which
    if "compile" in which:
        # One process trains every variant of a grid, seed by seed: compiled once each, not once more at each return.
        torch._dynamo.config.recompile_limit = 256
        torch._dynamo.config.accumulated_recompile_limit = 1024
        network.compile(dynamic=False)


def keep_memory(keep: bool = True) -> None:
    """Has glibc keep all memory that is freed, for the next map of that size; if not `keep`, what is small enough, as
    it does by itself once some maps have come and gone. For the whole process."""
    for parameter, value in ((M_MMAP_MAX, 0 if keep else 1 << 16), (M_MMAP_THRESHOLD, 32 << 20),
                             (M_TRIM_THRESHOLD, 2 ** 31 - 1 if keep else 64 << 20)):
        _glibc().mallopt(parameter, value)


def give_memory_back(which: frozenset[str]) -> None:
    """At a run's end, if it kept its memory: the system gets what is free, and the next run begins as this one did."""
    if "memory" in which:
        keep_memory(False)
        _glibc().malloc_trim(0)


def _glibc() -> Any:
    """The C library, where it has mallopt; else None."""
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "mallopt") else None
    except (OSError, TypeError):  # as Windows has it
        return None


def for_judging(network: Net, which: frozenset[str]) -> Net:
    """The network that is to say what it thinks of images: itself, or folded."""
    return folded(network) if "fold" in which else network


def as_written(which: frozenset[str]) -> AbstractContextManager[object]:
    """Within it compiled networks run as written: other batch sizes would each be compiled again."""
    return torch.compiler.set_stance("force_eager") if "compile" in which else nullcontext()


class Rate:
    """Sets the learning rate of an optimiser (optim.set_rate). On a GPU each group's stands on the device, where a
    recorded step reads it anew. After the optimiser's state has been loaded."""

    def __init__(self, optimiser: torch.optim.Optimizer, device: torch.device) -> None:
        self.optimiser = optimiser
        for group in optimiser.param_groups if device.type != "cpu" else ():
            group["lr"] = torch.zeros((), device=device)

    def __call__(self, value: float) -> None:
        optim.set_rate(self.optimiser, value)


class Steps:
    """`take(*batch)` again and again, with whichever tricks work; a batch is tensors, always of the same shapes.

    `take` must leave nothing behind that later calls do not overwrite in place, and read nothing that is not on the
    device, but for its batch. `network` is put back should compiling fail half-way through its first step.
    """

    def __init__(self, take: Callable[..., None], network: nn.Module, which: frozenset[str]) -> None:
        self.take, self.network, self.left = take, network, which
        self.failed: list[str] = []
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.queued: deque[torch.cuda.Event] = deque()

    def __call__(self, *batch: Tensor) -> None:
        self.calls += 1
        if self.graph is not None:
            for place, part in zip(self.batch, batch, strict=True):
                place.copy_(part)
            self.graph.replay()
            self._keep_up()
        elif self.calls == 1 and "compile" in self.left:
            self._first(*batch)
        elif "graph" in self.left and self.calls > WARM_UP:
            self._record(*batch)
        elif "graph" in self.left:
            self._aside(*batch)
        else:
            self.take(*batch)

    def _keep_up(self) -> None:
        """Waits for the recorded step before the last AHEAD: whoever asks the program to stop shall not wait for
        thousands that are queued, and a device that has several to do is busy all the same."""
        ended = torch.cuda.Event()
        ended.record()
        self.queued.append(ended)
        if len(self.queued) > AHEAD:
            self.queued.popleft().synchronize()

    @property
    def how(self) -> str:
        """For provenance: "compile, graph", "as written", "graph (compile failed: ...)"."""
        return (", ".join(name for name in TRICKS if name in self.left) or "as written") + (
            f" ({'; '.join(self.failed)})" if self.failed else "")

    def _first(self, *batch: Tensor) -> None:
        """Compiling happens here, forward and backward; both come before the weights move."""
        before = {name: value.clone() for name, value in self.network.state_dict().items()}
        drawn = torch.get_rng_state(), torch.cuda.get_rng_state_all()
        try:
            self._aside(*batch)
        except (torch.OutOfMemoryError, BadInput):
            raise
        except Exception as problem:
            self._without("compile", problem)
            torch.compiler.set_stance("force_eager")  # for this process: what failed once would fail for every seed
            self.network.load_state_dict(before)
            torch.set_rng_state(drawn[0])
            torch.cuda.set_rng_state_all(drawn[1])
            self._aside(*batch)

    def _aside(self, *batch: Tensor) -> None:
        """On a stream that can be recorded, as a recording asks of the steps before it."""
        if "graph" not in self.left:
            return self.take(*batch)
        side = _lane() or torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.take(*batch)
        torch.cuda.current_stream().wait_stream(side)

    def _record(self, *batch: Tensor) -> None:
        """Recording executes nothing, so the recorded step is replayed at once."""
        self.batch = tuple(part.clone() for part in batch)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=_lane()):
                self.take(*self.batch)
        except (torch.OutOfMemoryError, BadInput):
            raise
        except Exception as problem:
            self._without("graph", problem)
            self.take(*batch)
        else:
            self.graph = graph
            graph.replay()
            self._keep_up()

    def _without(self, trick: str, problem: Exception) -> None:
        text = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        self.left -= {trick}
        self.failed.append(f"{trick} failed: {text}")
        warnings.warn(f"{trick} does not work here and is left out ({text}).", stacklevel=3)


def _lane() -> torch.cuda.Stream | None:
    """The stream at hand, if runs take turns (`lanes`), on which a step is then recorded. cuBLAS works in memory of its
    own for each stream, and torch records all steps on one unless told otherwise: replayed side by side, they would
    write to the same. None for the default stream, which cannot be recorded."""
    now = torch.cuda.current_stream()
    return None if now == torch.cuda.default_stream() else now
