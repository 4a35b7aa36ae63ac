"""Training images in the order of a run: whole on the device, or, where they do not fit, sent there batch by batch.

The steps are the same to the last bit. REPLICATION_RESIDENT says which: yes, no, or auto, which is yes for images that
take at most SHARE of the device's memory. REPLICATION_READERS is the number of threads that gather batches to come.

Threads and no DataLoader: to gather rows of a mapped file is copying and waiting for the disk, for which torch lets go
of the interpreter, and a training process, which is a daemon of `workers`, may have no children.
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from replication.data.transforms import order
from replication.errors import count, unknown

SHARE = 0.5   # the rest is for weights, activations and the validation images
READERS = 4
AHEAD = 2     # batches that each reader may have ready


def resident(images: Tensor, device: torch.device) -> bool:
    """Whether training images are to lie where they are trained on. Raises BadInput for another REPLICATION_RESIDENT
    than auto, yes or no."""
    asked = os.environ.get("REPLICATION_RESIDENT") or "auto"
    if asked not in ("auto", "yes", "no"):
        raise unknown("value of REPLICATION_RESIDENT", asked, ("auto", "yes", "no"))
    return asked == "yes" or (asked == "auto" and images.nbytes <= SHARE * memory(device))


def memory(device: torch.device) -> int:
    """Bytes: of a GPU's own, of the machine's otherwise. All there are, free or not, so that runs that share a device
    decide alike."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def plan(n: int, batch: int, seed: int, steps: range, where: torch.device, rank: int = 0,
         world: int = 1) -> Iterator[Tensor]:
    """For each of these steps of a run the images, int64 (batch / world,), that process `rank` of `world` is to see:
    every `world`-th of the step's, which are `batch` of the epoch's order over n. On the device where the images lie.
    """
    for step in steps:
        epoch, i = divmod(step, n // batch)
        if step == steps.start or i == 0:
            sequence = order(n, seed, epoch).to(where)
        yield sequence[i * batch:(i + 1) * batch][rank::world]


def batches(images: Tensor, chosen: Iterator[Tensor], device: torch.device) -> Generator[tuple[Tensor, ...]]:
    """Each choice on the device and, unless all images lie there, its images with it, uint8 (batch, 3, H, W). To be
    closed, which ends the readers."""
    if resident(images, device):
        yield from ((each,) for each in chosen)
        return
    rows = images.permute(0, 2, 3, 1)  # as they lie
    pin = device.type == "cuda"

    def gather(each: Tensor) -> tuple[Tensor, Tensor]:
        out = torch.empty((len(each), *rows.shape[1:]), dtype=rows.dtype, pin_memory=pin)
        return each, torch.index_select(rows, 0, each, out=out)

    def start() -> None:
        if pin:  # or the memory would be pinned for the first GPU
            torch.cuda.set_device(device)

    many = readers()
    pool = ThreadPoolExecutor(many, "reader", start)
    try:
        coming = deque(pool.submit(gather, each) for each in islice(chosen, AHEAD * many))
        while coming:
            each, found = coming.popleft().result()
            coming.extend(pool.submit(gather, more) for more in islice(chosen, 1))
            yield each.to(device), found.to(device, non_blocking=True).permute(0, 3, 1, 2)
    finally:
        pool.shutdown(cancel_futures=True)


def readers() -> int:
    """Raises BadInput for a REPLICATION_READERS that is no positive number."""
    return count("REPLICATION_READERS") or READERS
