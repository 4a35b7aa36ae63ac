"""Images that are decoded each time they are asked for, because all of them decoded would be too many to keep.

They are brought to squares by the code that decodes for the cache (`decode`), so that a run is the same to the last
bit whether its images stream or not. Processes decode them, not threads: Pillow lets go of the interpreter while it
decodes and resizes, but opening a file and handing over its pixels hold it for nearly a tenth of the time, which would
keep a dozen cores from doing more. They are started as programs, since a training process, a daemon of `workers`, may
have no children of multiprocessing.
"""
from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue

import numpy as np
import torch
from torch import Tensor

from replication import paths
from replication.data import decode, spec
from replication.errors import BadInput, word

LARGEST = 64e9  # bytes of decoded training images that are still worth a cache; ILSVRC-2012 at 256 px has 252e9
RESIDENT = ("auto", "yes", "no", "stream")


def asked() -> str:
    """Where training images are to lie, as REPLICATION_RESIDENT says. Raises BadInput for another word than
    RESIDENT has."""
    return word("REPLICATION_RESIDENT", *RESIDENT) or "auto"


def wanted(data: spec.Data) -> bool:
    """Whether the images of a resolved value are to be streamed; of a set that is files. Raises as `asked`."""
    decoded = 3 * data.resolution ** 2 * (data.train_images or 0)
    return asked() == "stream" or (asked() == "auto" and decoded > LARGEST)


class Streamed:
    """uint8 images (N, 3, side, side), channels_last: so much of a tensor as those who take images ask of one."""

    device = torch.device("cpu")

    def __init__(self, items: Sequence[decode.Item], side: int) -> None:
        self.items, self.side = items, side

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.items), 3, self.side, self.side))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """A few images, decoded here and now; `chosen` as positions is int64 (n,). Raises BadInput, naming the file,
        for one that cannot be decoded."""
        chosen = torch.arange(len(self))[chosen]
        out = torch.empty(len(chosen), self.side, self.side, 3, dtype=torch.uint8)
        at = 0
        for images, _ in decode.squares([self.items[i] for i in chosen.tolist()], self.side, skip=False):
            out[at:at + len(images)] = torch.from_numpy(images)
            at += len(images)
        return out.permute(0, 3, 1, 2)

    @contextmanager
    def reading(self, many: int) -> Generator[Callable[[Tensor, Tensor], object]]:
        """A function that threads may call at once, as many as there are readers: it decodes the images at the
        positions, int64 (n,), into `out`, uint8 (n, side, side, 3). Raises BadInput as `Reader.fill`."""
        readers = [Reader() for _ in range(many)]
        free: SimpleQueue[Reader] = SimpleQueue()
        for reader in readers:
            free.put(reader)

        def fill(chosen: Tensor, out: Tensor) -> None:
            reader = free.get()
            try:
                reader.fill([self.items[i] for i in chosen.tolist()], out)
            finally:
                free.put(reader)

        try:
            yield fill
        finally:
            for reader in readers:
                reader.close()


class Reader:
    """A process that decodes (`reader`), from here. Pixels come by memory that both have: through a pipe they would
    cost a tenth of the time that decoding does. It has a session of its own: a signal to all of a training's processes
    is the training's to hear, which then writes a checkpoint."""

    def __init__(self) -> None:
        self.memory = _memory()
        self.mapped = np.empty(0, np.uint8)
        found = [str(paths.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "replication.data.reader", f"{self.memory}"], pass_fds=(self.memory,),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(found)})

    def fill(self, items: Sequence[decode.Item], out: Tensor) -> None:
        """Decodes into `out`, uint8 (n, side, side, 3).

        Raises BadInput for an image that cannot be decoded, by its name, and for a process that ended.
        """
        asked, told = self.process.stdin, self.process.stdout
        assert asked is not None
        assert told is not None
        if out.nbytes > len(self.mapped):
            os.ftruncate(self.memory, out.nbytes)
            self.mapped = np.frombuffer(mmap.mmap(self.memory, out.nbytes), np.uint8)
        try:
            pickle.dump((items, out.shape[1]), asked)
            asked.flush()
            bad = pickle.load(told)
        except (BrokenPipeError, EOFError) as problem:
            raise BadInput(f"A process that decodes images was ended from outside (status {self.process.wait()}), "
                           f"perhaps for lack of memory: set REPLICATION_READERS to fewer than there are cores."
                           ) from problem
        if bad is not None:
            at, why = bad
            raise BadInput(f"{items[at]} cannot be decoded ({why}); take it out of the set. REPLICATION_SKIP_BAD skips "
                           f"no images that are streamed, since which ones there are, and so their order, must be "
                           f"known before they are decoded.")
        np.copyto(out.numpy(), self.mapped[:out.nbytes].reshape(out.shape))  # torch would start threads for it

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # something was still to be asked of a process that has ended
                pipe.close()
        self.process.wait()
        os.close(self.memory)


def _memory() -> int:
    """A descriptor of memory; of a file without a name, where there is no such thing. Nothing in /dev/shm, which
    containers often have 64 MB of."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("images")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
