"""The processes that train one run together: those torchrun started, which numbers them in the environment.

One process, which is the usual case, gets back from everything here what it gave. No torch before it is needed.
"""
from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from replication.errors import BadInput, count

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch import Tensor

T = TypeVar("T")
NEEDED = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
MEET = timedelta(minutes=5)  # from the first process at the meeting place to the last: slow disks, many machines


def world() -> int:
    """How many train one run together: WORLD_SIZE. Raises BadInput where it is no number, or names others and not
    where they are."""
    size = count("WORLD_SIZE") or 1
    if size > 1 and (missing := [name for name in NEEDED if name not in os.environ]):
        raise BadInput(f"WORLD_SIZE={size} says that {size} processes train together, but {', '.join(missing)} is "
                       f"not set: start them with torchrun, or unset WORLD_SIZE.")
    return size


def rank() -> int:
    """Which of them this is, from 0. The first alone writes, prints and holds the lease."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def fabric(device: str, precision: Any = "32-true") -> Fabric:
    """Lightning's view of the device ("cuda", "cpu"), once all processes have met.

    Gradients are averaged over them. Statistics are not: batch normalisation takes those of its own device, and what
    is kept of them is the first process's. Raises BadInput where a machine has fewer GPUs than processes, and where
    some have not come.
    """
    lightning = _lightning()
    if world() == 1:
        return lightning.Fabric(accelerator=device, devices=1, precision=precision)
    import torch
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or world())
    if device == "cuda" and torch.cuda.device_count() < here:
        raise BadInput(f"{here} processes train together on a machine with {torch.cuda.device_count()} GPUs: start as "
                       f"many as it has (torchrun --nproc_per_node).")
    made = lightning.Fabric(accelerator=device, devices=here, num_nodes=world() // here, precision=precision,
                            plugins=[lightning.plugins.environments.TorchElasticEnvironment()], strategy="ddp")
    _meet("nccl" if device == "cuda" else "gloo")
    made.launch()
    return made


def _lightning() -> Any:
    """Fabric's package, by the name that does not bring the Trainer along, and without torchmetrics: to learn its
    version Fabric would import all of that, with torchvision's networks, matplotlib and scipy.signal, which is more
    than half of the time that a process takes to start."""
    if not importlib.util.find_spec("lightning_fabric"):
        return importlib.import_module("lightning.fabric")
    unknown = "torchmetrics" not in sys.modules
    if unknown:
        sys.modules["torchmetrics"] = None  # type: ignore[assignment]  # so an import says that there is none
    try:
        return importlib.import_module("lightning_fabric")
    finally:
        if unknown:
            del sys.modules["torchmetrics"]


def _meet(backend: str) -> None:
    """All processes find one another, once. One that does not come is waited for as long as MEET, not as long as for an
    answer: half an hour, in which the first may judge a large data set alone."""
    import torch.distributed as dist
    if dist.is_initialized():
        return
    try:
        place, own, count = next(dist.rendezvous("env://", timeout=MEET))
    except dist.DistError as problem:
        raise BadInput(f"Only some of the {world()} processes have come to {os.environ['MASTER_ADDR']}:"
                       f"{os.environ['MASTER_PORT']} within {MEET.total_seconds():.0f} s: see why the others have not, "
                       f"then start all of them again.") from problem
    dist.init_process_group(backend, store=place, rank=own, world_size=count)


def lost(problem: Exception) -> bool:
    """Whether this is what a process gets to hear once another has gone."""
    import torch.distributed as dist
    return isinstance(problem, dist.DistError) or (isinstance(problem, RuntimeError) and "gloo/" in str(problem))


def told(make: Callable[[], T]) -> T:
    """Calls `make` in the first process alone and gives its result to all of them. Every process must call this."""
    if world() == 1:
        return make()
    import torch.distributed as dist
    said = [make() if rank() == 0 else None]
    dist.broadcast_object_list(said, src=0, group=_words())
    return said[0]  # type: ignore[return-value]


def any_of(flag: bool) -> bool:
    """Whether one of them says yes: an answer they all have."""
    if world() == 1:
        return flag
    import torch
    import torch.distributed as dist
    said = torch.tensor([flag], dtype=torch.uint8)
    dist.all_reduce(said, dist.ReduceOp.MAX, group=_words())
    return bool(said)


def total(value: Tensor) -> Tensor:
    """The sum over all of them, in place and on the device."""
    if world() > 1:
        import torch.distributed as dist
        dist.all_reduce(value)
    return value


@cache
def _words() -> Any:
    """A group for what is said from CPU to CPU: over the GPUs' own, every word would wait for the device."""
    import torch.distributed as dist
    return dist.new_group(backend="gloo")
