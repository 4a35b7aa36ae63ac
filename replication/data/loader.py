"""Images in the order of a run: whole on the device, or, where they do not fit, sent there batch by batch.

The steps are the same to the last bit. REPLICATION_RESIDENT says which: yes, no, or auto, which is yes for images that
take at most SHARE of the device's memory; images that are decoded when they are asked for (`streamed`) are always sent.
REPLICATION_READERS is the number of threads that gather batches to come, each of which has a process that decodes where
images are streamed.

Threads and no DataLoader: to gather rows of a mapped file is copying and waiting for the disk, for which torch lets go
of the interpreter, and a training process, which is a daemon of `workers`, may have no children of multiprocessing.
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import islice

import torch
from torch import Tensor

from replication.data import streamed
from replication.data.streamed import Streamed
from replication.data.transforms import order
from replication.errors import count
from replication.provenance import cores

SHARE = 0.5   # the rest is for weights, activations and the validation images
READERS = 4   # of images that need no decoding
AHEAD = 2     # batches that each reader may have ready


def resident(images: Tensor | Streamed, device: torch.device) -> bool:
    """Whether images are to lie where they are trained on or judged. Raises BadInput for another REPLICATION_RESIDENT
    than auto, yes, no or stream, which of images that need no decoding is auto."""
    asked = streamed.asked()
    if isinstance(images, Streamed):
        return False
    return asked == "yes" or (asked != "no" and images.nbytes <= SHARE * memory(device))


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


def batches(images: Tensor | Streamed, chosen: Iterator[Tensor], device: torch.device) -> Generator[tuple[Tensor, ...]]:
    """Each choice on the device and, unless all images lie there, its images with it, uint8 (batch, 3, H, W). To be
    closed, which ends the readers."""
    if resident(images, device):
        return ((each,) for each in chosen)
    return _sent(images, chosen, device, readers(images, int(os.environ.get("LOCAL_WORLD_SIZE") or 1)))


def parts(images: Tensor | Streamed, batch: int, device: torch.device) -> Generator[Tensor]:
    """All images in order, so many at once, on the device, wherever they lie. Of the processes of one machine that
    train together one judges while the others wait, so it has all cores to decode."""
    if isinstance(images, Tensor) and images.device == device:
        yield from images.split(batch)
        return
    every = iter(torch.arange(len(images)).split(batch))
    with closing(_sent(images, every, device, readers(images))) as sent:
        for _, part in sent:
            yield part


def _sent(images: Tensor | Streamed, chosen: Iterator[Tensor], device: torch.device,
          many: int) -> Generator[tuple[Tensor, ...]]:
    """Each choice and its images, gathered by so many readers while the device is busy with those before."""
    pin = device.type == "cuda"
    _, channels, height, width = images.shape
    dtype = torch.uint8 if isinstance(images, Streamed) else images.dtype

    def gather(fill: Callable[[Tensor, Tensor], object], each: Tensor) -> tuple[Tensor, Tensor]:
        out = torch.empty((len(each), height, width, channels), dtype=dtype, pin_memory=pin)
        fill(each, out)
        return each, out

    def start() -> None:
        if pin:  # or the memory would be pinned for the first GPU
            torch.cuda.set_device(device)

    with _filling(images, many) as fill:
        pool = ThreadPoolExecutor(many, "reader", start)
        try:
            coming = deque(pool.submit(gather, fill, each) for each in islice(chosen, AHEAD * many))
            while coming:
                each, found = coming.popleft().result()
                coming.extend(pool.submit(gather, fill, more) for more in islice(chosen, 1))
                yield each.to(device), found.to(device, non_blocking=True).permute(0, 3, 1, 2)
        finally:
            pool.shutdown(cancel_futures=True)


def _filling(images: Tensor | Streamed, many: int) -> AbstractContextManager[Callable[[Tensor, Tensor], object]]:
    """What puts the images at these positions into `out`, NHWC."""
    if isinstance(images, Streamed):
        return images.reading(many)
    rows = images.permute(0, 2, 3, 1)  # as they lie
    return nullcontext(lambda each, out: torch.index_select(rows, 0, each, out=out))


def readers(images: Tensor | Streamed | None = None, sharing: int = 1) -> int:
    """How many gather: to decode one more than there are cores, since each waits for a moment between batches, and of
    the cores an equal part for each of the processes that share them. Raises BadInput for a REPLICATION_READERS that is
    no positive number."""
    asked = count("REPLICATION_READERS")
    return asked or (cores() // sharing + 1 if isinstance(images, Streamed) else READERS)
