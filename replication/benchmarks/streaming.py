"""How fast images stream, beside the decoder alone on all cores; on Linux, where nothing else is at work.

Made-up JPEGs of ILSVRC's size (`photographs`) come through `loader.batches`, from folders and from shards, with as
many readers as it takes by itself. Beside that, in turns, as many processes as cores decode the same bytes, which they
hold in memory, in a plain loop: to squares, as streaming does, and, for what that costs, without making squares.

Of each turn it tells images a second and, because other programs change that and hardly this, the processor's
milliseconds an image, of all processes together; both as times of the plain loop to squares in the same turn.
"""
from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import PIL
import torch
from PIL import Image, features

from replication import provenance
from replication.benchmarks import harness, photographs
from replication.data import decode, imagenet, loader
from replication.data.streamed import Streamed

SIDE, BATCH = 256, 64
IMAGES = 256
TURNS, SECONDS = 9, 2.0  # of each kind in a turn
BASE = "decoder, squares"
COLUMNS = ("device", "kind", "side", "turns", *(f"{name}{end}" for name in (
    "images_per_s", "times_decoder", "cpu_ms", "times_decoder_by_cpu") for end in ("", "_low", "_high")),
    "bytes", "cores", "load", "versions", "commit", "utc")


class Rate(NamedTuple):
    images_per_s: float
    ms: float  # of the processor, an image


def plain(contents: list[bytes], squares: bool) -> Rate:
    """Of a plain loop in as many processes as cores."""
    def loop(start: float, told: Any) -> None:
        time.sleep(max(0.0, start - time.monotonic()))
        began, used = time.perf_counter(), time.process_time()
        for done, content in enumerate(itertools.cycle(contents), 1):
            with Image.open(io.BytesIO(content)) as image:
                decode.square(image, SIDE) if squares else image.load()
            if (took := time.perf_counter() - began) > SECONDS:
                told.put(Rate(done / took, 1000 * (time.process_time() - used) / done))
                return

    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()
    processes = [fork.Process(target=loop, args=(time.monotonic() + 0.5, told)) for _ in range(provenance.cores())]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    rates = [told.get() for _ in processes]
    return Rate(sum(one.images_per_s for one in rates), statistics.mean(one.ms for one in rates))


def streamed(images: Streamed) -> Rate:
    """Through the loader, from when those images are used up that its readers began with."""
    def plan() -> Iterator[torch.Tensor]:
        for epoch in itertools.count():
            yield from loader.plan(len(images), BATCH, epoch, range(len(images) // BATCH), torch.device("cpu"))

    with closing(loader.batches(images, plan(), torch.device("cpu"))) as batches:
        for _ in range(loader.AHEAD * loader.readers(images)):
            next(batches)
        done, began, used = 0, time.perf_counter(), processor()
        while (took := time.perf_counter() - began) < SECONDS or not done:
            done += len(next(batches)[0])
        return Rate(done / took, 1000 * (processor() - used) / done)


def processor() -> float:
    """Seconds that this process and its children that live have used, by Linux's count."""
    whole = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, rest = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            if os.getpid() in (number, int(rest[1])):
                whole += (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
    return whole


def run() -> Path:
    """Measures, prints and writes `<your store>/tables/streaming-<processor>.csv`; returns its path."""
    _, path, common = harness.begin("streaming", quick=False, of=provenance.processor())
    versions = f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    with tempfile.TemporaryDirectory() as place, patch.dict(os.environ, REPLICATION_RESIDENT="stream"):
        top, other = Path(place) / "imagenet", Path(place) / "shards" / "imagenet"
        photographs.folders(top, 4, IMAGES // 4, 1)
        photographs.shards(top, other)
        contents = [each.read_bytes() for each in sorted((top / "train").glob("*/*"))]
        size = sum(map(len, contents)) / len(contents)
        print(f"{IMAGES} JPEGs of 500×375 px and {size / 1000:.0f} kB to {SIDE} px, {versions}", flush=True)
        sets = []
        for root in (top, other):
            with patch.dict(os.environ, REPLICATION_DATA=str(root.parent)):
                sets.append(Streamed([item for group in imagenet.read().train for item in group], SIDE))
        kinds: dict[str, Callable[[], Rate]] = {
            BASE: lambda: plain(contents, squares=True), "folders": lambda: streamed(sets[0]),
            "shards": lambda: streamed(sets[1]), "decoder alone": lambda: plain(contents, squares=False)}
        found: dict[str, list[Rate]] = {kind: [] for kind in kinds}
        for turn in range(TURNS):
            for kind in list(kinds) if turn % 2 else list(kinds)[::-1]:
                found[kind].append(kinds[kind]())
            frame = harness.write(path, [{
                **common, "kind": kind, "side": SIDE, "turns": turn + 1, "bytes": size, "cores": provenance.cores(),
                "versions": versions, **row(rates, found[BASE])} for kind, rates in found.items()], COLUMNS)
    print(harness.shown(frame, COLUMNS[1:-5]))
    return path


def row(rates: list[Rate], base: list[Rate]) -> dict[str, float]:
    """Medians, lowest and highest of the turns; ratios are taken within a turn, and a half is half as fast."""
    pairs = list(zip(rates, base, strict=True))
    return {**harness.spread("images_per_s", [one.images_per_s for one in rates]),
            **harness.spread("times_decoder", [one.images_per_s / other.images_per_s for one, other in pairs]),
            **harness.spread("cpu_ms", [one.ms for one in rates]),
            **harness.spread("times_decoder_by_cpu", [other.ms / one.ms for one, other in pairs])}
