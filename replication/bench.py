"""Images a second, ours beside torchvision's, in one process on one device: one command, one table.

Variants take turns (A B C A B C ...), so that whatever else the machine does meets all of them. A row is the median of
its turns, the lowest and the highest; ratios are taken within a turn. torchvision is shown twice: as its users run it
with references/classification (without that script's metrics, which would wait for the device at every step), and as
well as it can be made to run, without a data set to read.
"""
from __future__ import annotations

import ctypes
import gc
import math
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
import torchvision
from lightning.fabric import Fabric
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms

from replication import cost, fast, optim, places, provenance, spec, store, train, zoo, zoo_v3
from replication.data.augment import augment, evaluate_view, order
from replication.inception import build


@dataclass(frozen=True)
class Size:
    """What all variants have in common. The network sees `resolution` px, cut from images 8/7 as large. `stem` is its
    total stride: 8 as published, 4 without the first pool, 2 with a stride-1 first convolution as well."""
    resolution: int
    batch: int
    stem: int = 8
    steps: int = 3  # timed in a turn
    v3: bool = False  # Inception V3 instead

    @property
    def side(self) -> int:
        return math.ceil(self.resolution * 8 / 7)


CPU = (Size(64, 64), Size(32, 128), Size(224, 4, steps=2), Size(299, 4, steps=2, v3=True))
GPU = (Size(224, 128, steps=20), Size(299, 128, steps=20, v3=True), Size(56, 512, stem=2, steps=20),
       Size(64, 512, steps=20), Size(32, 1024, stem=4, steps=20))
TRICKS = {False: ("ours-merge",), True: ("ours-none", "ours-graph", "ours-compile+graph+merge")}
TURNS, QUICK_TURNS = 7, 3
PHASES = ("train", "infer")
FILES = 64  # different images
PARTS = ("data", "forward", "backward", "optimiser")
COLUMNS = (
    "device", "network", "variant", "phase", "resolution", "batch", "stem", "precision", "status", "turns",
    "images_per_s", "images_per_s_low", "images_per_s_high", "ms_per_step", *(f"ms_{part}" for part in PARTS),
    "times_reference", "times_reference_low", "times_reference_high",
    "times_tuned", "times_tuned_low", "times_tuned_high",
    "tflops", "matmul_tflops", "matmul_share", "copy_gb_per_s", "copy_share", "peak_memory_mb", "first_step_s",
    "threads", "load", "versions", "commit", "utc",
)


def run(quick: bool = False, until: float = math.inf) -> Path:
    """Measures, prints and writes `<your store>/tables/bench-<device>.csv`, again after every turn, so that what is
    measured stays. Quick: the first size alone, fewer turns, in a table of its own (`-quick`). No size is begun, and no
    turn, after `until` (by time.monotonic). Returns the table's path.

    A variant that fails (out of memory, say) is a row whose status says why.
    """
    where, path, common = begin("bench", quick)
    cuda = where.type == "cuda"
    ceiling = ceilings(where)
    wake(where)
    rows: list[dict[str, Any]] = []
    for phase, size in product(PHASES, (GPU if cuda else CPU)[:1 if quick else None]):  # training first
        if time.monotonic() > until:
            print("Time is up: the other sizes were not measured.", flush=True)
            break
        with tempfile.TemporaryDirectory() as folder:
            images = pictures(FILES, size.side)
            _write_jpegs(images, Path(folder))
            entries = [Entry(*kind, phase, size, where) for kind in _variants(size, phase, cuda)]
            for entry in entries:
                entry.start(images, Path(folder))
            for turn in range(QUICK_TURNS if quick else TURNS):
                if turn and time.monotonic() > until:
                    break
                for entry in entries:
                    entry.turn(turn)
                again = ceilings(where)
                ceiling = max(ceiling[0], again[0]), max(ceiling[1], again[1])
                now = [{**common, **row(entry, entries, *ceiling)} for entry in entries]
                frame = pd.DataFrame(rows + now, columns=list(COLUMNS))
                store.write(path, frame.to_csv(index=False, float_format="%.6g"))
            rows += now
            print(f"\n{_shown(now)}", flush=True)
            del entries, entry
            forget(cuda)
            if cuda:
                torch.compiler.reset()  # or the eighth shape of the same code would silently not be compiled
    print(f"\nThis device at its best: matrices {ceiling[0]:.3g} TFLOP/s, copies {ceiling[1]:.3g} GB/s.\n{path}")
    return path


def begin(kind: str, quick: bool) -> tuple[torch.device, Path, dict[str, Any]]:
    """The device, the path of its table of this kind, and what every line of it says of hardware and code."""
    where = torch.device(train.device())
    about = provenance.collect()
    device = torch.cuda.get_device_name() if where.type == "cuda" else provenance.processor()
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    path = places.mine() / "tables" / f"{kind}-{slug}{'-quick' if quick else ''}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {
        "device": device, "threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 2),
        "versions": ", ".join(f"{name} {about['versions'][name]}" for name in ("torch", "torchvision", "lightning")),
        "commit": f"{about['commit']}{' + changes' if about['dirty'] else ''}", "utc": about["utc"],
    }
    print(f"{device}, {common['threads']} threads, load {common['load']}", flush=True)
    return where, path, common


def _variants(size: Size, phase: str, cuda: bool) -> list[tuple[str, str, spec.Network]]:
    """(network, variant, its table). "ours" is as a long run takes its steps, "ours-graph" with that trick alone."""
    theirs = ("torchvision-reference", "torchvision-tuned")
    # Each trick alone, at one size of a GPU: every compiled variant costs a minute before its first step.
    tricks = TRICKS[cuda] if phase == "train" and not size.v3 and (not cuda or size == GPU[0]) else ()
    if size.v3:
        return [("inception_v3", variant, zoo_v3.inception_v3(resolution=size.resolution))
                for variant in ("ours", *theirs)]
    # He's start, as in the experiments: a network whose numbers underflow runs at another speed.
    published = zoo.googlenet(resolution=size.resolution, stem=size.stem, init=spec.He())
    normed = zoo.googlenet_bn(resolution=size.resolution, stem=size.stem, init=spec.He())
    same = torchvision_table(size)
    return [("googlenet", "ours", published), ("googlenet_bn", "ours", normed),
            *(("googlenet_torchvision", variant, same) for variant in ("ours", *tricks, *theirs))]


def torchvision_table(size: Size) -> spec.Network:
    """torchvision's GoogLeNet as a table, with the stem of the size."""
    stem = ("conv1", "pool1")
    net = zoo.googlenet_torchvision()
    first = zoo.googlenet_bn(resolution=size.resolution, stem=size.stem)
    rows = (*(r for r in first.rows if r.name in stem), *(r for r in net.rows if r.name not in stem))
    return replace(net, rows=rows, resolution=size.resolution)


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


@dataclass
class Entry:
    """One row in the making: a variant, and what its turns took. A problem ends it and is remembered."""
    network: str
    variant: str
    table: spec.Network
    phase: str
    size: Size
    where: torch.device

    def __post_init__(self) -> None:
        self.program: Program | None = None
        self.problem: str | None = None
        self.turns: dict[int, dict[str, float]] = {}  # ms a step, by part
        self.data: dict[int, float] = {}  # ms a step, of the data path run alone
        self.memory = self.first = self.multiply_adds = math.nan

    @property
    def ours(self) -> bool:
        return self.variant.startswith("ours")

    @property
    def precision(self) -> str:
        return "bf16" if self.where.type == "cuda" and self.variant != "torchvision-reference" else "fp32"

    def start(self, images: Tensor, folder: Path) -> None:
        """Builds it and warms it up; memory and the first step are looked at here, where it runs alone."""
        self._attempt(lambda: self._start(images, folder))

    def turn(self, number: int) -> None:
        """Times the steps of one turn, unless it has failed."""
        if self.program:
            self._attempt(lambda: self._turn(number))

    def _start(self, images: Tensor, folder: Path) -> None:
        cuda = self.where.type == "cuda"
        base = _memory(cuda, "now")
        torch.manual_seed(0)
        self.multiply_adds = cost.multiply_adds(self.table, aux=self.phase == "train")
        self.program = ours(self, images) if self.ours else theirs(self, folder)
        began = time.perf_counter()
        self.program.run(Clock(cuda), steps=1)
        _wait(cuda)
        self.first = time.perf_counter() - began
        self.program.run(Clock(cuda), steps=10 if cuda else 1)
        _wait(cuda)
        self.memory = max(0.0, _memory(cuda, "peak") - base)

    def _turn(self, number: int) -> None:
        assert self.program
        clock = Clock(self.where.type == "cuda")
        self.program.run(clock, self.size.steps, skip=self.program.ahead)
        self.turns[number] = {part: ms / self.size.steps for part, ms in clock.milliseconds().items()}
        if self.program.data:
            clock.begin()
            self.program.data(self.size.steps)
            clock("data")
            self.data[number] = clock.milliseconds()["data"] / self.size.steps

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:
            self.problem, self.program = brief(problem), None
        if self.problem:
            forget(self.where.type == "cuda")  # not above: the exception holds on to what it was raised over

    def rates(self) -> dict[int, float]:
        """Images a second, by turn."""
        return {number: 1e3 * self.size.batch / sum(parts.values()) for number, parts in self.turns.items()}


def row(entry: Entry, entries: list[Entry], matmul: float, copy: float) -> dict[str, Any]:
    """An entry's line in the table; what it did before it failed stays."""
    size, rates = entry.size, entry.rates()
    line: dict[str, Any] = {
        "network": entry.network, "variant": entry.variant, "phase": entry.phase, "resolution": size.resolution,
        "batch": size.batch, "stem": size.stem, "precision": entry.precision,
        "status": f"failed: {entry.problem}" if entry.problem else "ok", "turns": len(rates),
        "matmul_tflops": matmul, "copy_gb_per_s": copy, "peak_memory_mb": entry.memory, "first_step_s": entry.first,
    }
    if not rates:
        return line
    rate = statistics.median(rates.values())
    line |= spread("images_per_s", list(rates.values()))
    line["ms_per_step"] = 1e3 * size.batch / rate
    line |= {f"ms_{part}": statistics.median(turn[part] for turn in entry.turns.values())
             for part in PARTS if part in entry.turns[min(rates)]}
    if entry.data:
        line["ms_data"] = statistics.median(entry.data.values())
    line["tflops"] = tflops(entry.multiply_adds, entry.phase, rate)
    line["matmul_share"] = line["tflops"] / matmul
    traffic = _traffic(entry.table, entry.phase) / (2 if entry.precision == "bf16" else 1)
    line["copy_share"] = traffic * rate / (copy * 1e9)
    for other in entries:
        name = other.variant.removeprefix("torchvision-")
        # The reference is a yardstick for all of ours, the tuned one only for the same mathematics.
        if entry.ours and (name == "reference" or (name == "tuned" and other.network == entry.network)):
            paired = [rates[turn] / base for turn, base in other.rates().items() if turn in rates]
            line |= spread(f"times_{name}", paired) if paired else {}
    return line


def brief(problem: Exception) -> str:
    """The kind and the first line of a problem."""
    text = str(problem).strip().split("\n")[0][:200]
    return f"{type(problem).__name__}: {text}"


def spread(name: str, values: list[float]) -> dict[str, float]:
    return {name: statistics.median(values), f"{name}_low": min(values), f"{name}_high": max(values)}


def tflops(multiply_adds: float, phase: str, images_per_s: float) -> float:
    """10¹² additions and multiplications a second. Training counts three forward passes: one, and two to go back."""
    return 2 * multiply_adds * (3 if phase == "train" else 1) * images_per_s / 1e12


def _traffic(network: spec.Network, phase: str) -> int:
    """Bytes an image moves if every op's fp32 output is written and read once, and in training its gradient too."""
    train = phase == "train"
    return cost.activation_bytes(network, aux=train) * (4 if train else 2)


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


def _memory(cuda: bool, which: str) -> float:
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


def wake(where: torch.device) -> None:
    """The first convolution of a process loads libraries, which no variant should have to answer for."""
    maps = torch.randn(8, 16, 32, 32, device=where, requires_grad=True)
    F.conv2d(maps, torch.randn(16, 16, 3, 3, device=where)).sum().backward()


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def forget(cuda: bool) -> None:
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()


def _shown(rows: list[dict[str, Any]]) -> str:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    first = frame.iloc[0]
    head = (f"{first.phase}, {first.resolution} px, batch {first.batch}, stem {first.stem} "
            f"(images a second: median, lowest and highest of {frame.turns.max()} turns; times: ours over theirs)")
    shown = pd.DataFrame({
        "network": frame.network, "variant": frame.variant,
        "images/s": [_range(r, "images_per_s", 4) for _, r in frame.iterrows()],
        **{part: frame[f"ms_{part}"].map(_short) for part in PARTS},
        "ms": frame.ms_per_step.map(_short), "TFLOP/s": frame.tflops.map(_short),
        "of matmul": frame.matmul_share.map(_short), "MB": frame.peak_memory_mb.map(_short),
        "times reference": [_range(r, "times_reference", 3) for _, r in frame.iterrows()],
        "times tuned": [_range(r, "times_tuned", 3) for _, r in frame.iterrows()],
    })
    failed = [f"{r.network}, {r.variant}: {r.status}" for _, r in frame.iterrows() if r.status != "ok"]
    return "\n".join([head, shown.to_string(index=False), *failed])


def _short(value: Any, digits: int = 3) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.0f}" if value >= 10 ** digits else f"{value:.{digits}g}"


def _range(line: Any, name: str, digits: int) -> str:
    middle, low, high = (_short(line[f"{name}{end}"], digits) for end in ("", "_low", "_high"))
    return middle if middle == "–" else f"{middle} [{low}, {high}]"


# -- what is measured ---------------------------------------------------------------------------------------------
def pictures(count: int, side: int) -> Tensor:
    """uint8 (count, 3, side, side), NHWC in memory: clouds of colour with grain, so that a JPEG is of a photograph's
    size and takes as long to decode."""
    generator = torch.Generator().manual_seed(0)
    clouds = torch.rand(count, 3, 8, 8, generator=generator)
    images = F.interpolate(clouds, size=(side, side), mode="bicubic", align_corners=False)
    images += 0.04 * torch.randn(images.shape, generator=generator)
    return (images * 255).clamp(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)


def _write_jpegs(images: Tensor, folder: Path) -> None:
    """As torchvision's ImageFolder wants them: ten folders, one a class."""
    for i, image in enumerate(images.permute(0, 2, 3, 1).contiguous().numpy()):
        (folder / str(i % 10)).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / str(i % 10) / f"{i}.jpg", quality=90)


def ours(entry: Entry, images: Tensor) -> Program:
    """What `train.train` does between two looks at the validation set, and what `evaluate.logits` does there."""
    size = entry.size
    recipe = spec.Recipe(epochs=1, batch=size.batch, lr=0.01, precision=entry.precision,
                         augment=(spec.RandomCrop(size.resolution), spec.Flip()))
    fabric = Fabric(accelerator=entry.where.type, devices=1, precision=train.PRECISION[entry.precision])  # type: ignore[arg-type]
    bare = build(entry.table).to(fabric.device).to(memory_format=torch.channels_last)
    tricks = _tricks(entry)
    fast.prepare(bare, tricks)
    network, optimiser = fabric.setup(bare, optim.optimiser(bare, recipe))
    set_rate = fast.Rate(optimiser, fabric.device)
    count = size.batch * size.steps  # a turn is an epoch
    which = torch.arange(count)
    resident = images[which % len(images)].contiguous(memory_format=torch.channels_last).to(fabric.device)
    labels = (which % 10).to(fabric.device)
    sums = torch.zeros(2, device=fabric.device, dtype=torch.float64)
    done = 0

    def batches(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        network.train()
        sequence = order(count, seed=0, epoch=0).to(fabric.device)
        for _ in range(n):
            torch.manual_seed(train.stream(0, "step", done))
            at = done % size.steps * size.batch
            yield sequence[at:at + size.batch], labels

    def take(chosen: Tensor, mark: Callable[[str], None] = lambda _: None) -> None:
        batch = augment(resident[chosen], recipe.augment)
        mark("data")
        main, wrong = train.step(fabric, network, optimiser, batch, labels[chosen], recipe, mark)
        sums.add_(torch.stack([main.double() * size.batch, wrong.double()]))

    advance = fast.Steps(take, bare, tricks)

    def recorded(chosen: Tensor, clock: Clock) -> None:
        advance(chosen)
        if advance.failed:
            raise RuntimeError("; ".join(advance.failed))
        clock("step")

    go = recorded if "graph" in tricks else take

    def step(chosen: Tensor, _: Tensor, clock: Clock) -> None:
        nonlocal done
        set_rate(optim.rate(recipe, done % size.steps, size.steps))
        go(chosen, clock)
        done += 1

    def data(n: int) -> None:
        for chosen, _ in batches(n):
            augment(resident[chosen], recipe.augment)

    def views(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        network.eval()
        for i in range(n):
            part = slice(i % size.steps * size.batch, (i % size.steps + 1) * size.batch)
            yield evaluate_view(resident[part], recipe.augment), labels[part]

    @torch.inference_mode()
    def look(images: Tensor, labels: Tensor, clock: Clock) -> None:
        network(images).float()
        clock("forward")

    if entry.phase == "infer":
        return Program(views, look)
    return Program(batches, step, data=data if "graph" in tricks else None)


def _tricks(entry: Entry) -> frozenset[str]:
    """Those of a long run, or the ones that the variant names; judging (evaluate.logits) is done as written."""
    _, _, named = entry.variant.partition("-")
    asked = named.replace("+", ",") or "auto"
    return fast.tricks(entry.where.type, math.inf, asked) if entry.phase == "train" else frozenset()


def theirs(entry: Entry, folder: Path) -> Program:
    """torchvision's network. Reference: NCHW, eager, fp32, JPEG files through a DataLoader with the workers and views
    of references/classification. Tuned: channels_last, one batch that stays on the device, a fused optimiser, and on a
    GPU bf16 and torch.compile."""
    size, training, tuned = entry.size, entry.phase == "train", entry.variant == "torchvision-tuned"
    cuda = entry.where.type == "cuda"
    make = torchvision.models.inception_v3 if size.v3 else torchvision.models.googlenet
    bare = make(weights=None, init_weights=False, aux_logits=True)
    if size.stem < 8:  # what people do to it for small images
        bare.maxpool1 = nn.Identity()
    if size.stem == 2:
        bare.conv1.conv.stride = (1, 1)
    bare = bare.train(training).to(entry.where)
    network: Callable[[Tensor], Any] = bare
    if tuned:
        bare = bare.to(memory_format=torch.channels_last)
        network = torch.compile(bare, dynamic=False) if cuda else bare
    optimiser = torch.optim.SGD(bare.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=tuned)
    criterion, weight = nn.CrossEntropyLoss(), 0.4 if size.v3 else 0.3

    workers = min(16, os.cpu_count() or 1)  # 16: the script's default
    view = [transforms.RandomResizedCrop(size.resolution), transforms.RandomHorizontalFlip()] if training else \
        [transforms.Resize(size.side), transforms.CenterCrop(size.resolution)]
    files = torchvision.datasets.ImageFolder(str(folder), transforms.Compose([
        *view, transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]))
    ahead = 0 if tuned else 2 * workers  # what the loader prepares while nobody asks

    def loaded(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        # More than is asked for, so that the workers are as busy at the last step as at the first.
        sampler = RandomSampler(files, replacement=True, num_samples=(n + ahead) * size.batch)
        for images, labels in DataLoader(files, size.batch, sampler=sampler, num_workers=workers, pin_memory=cuda):
            yield images.to(entry.where), labels.to(entry.where)

    resident = torch.randn(size.batch, 3, size.resolution, size.resolution).to(
        entry.where, memory_format=torch.channels_last)
    labels = (torch.arange(size.batch) % 10).to(entry.where)

    def same(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(n):
            yield resident, labels

    def half() -> torch.autocast:
        return torch.autocast(entry.where.type, torch.bfloat16, enabled=tuned and cuda)

    def step(images: Tensor, labels: Tensor, clock: Clock) -> None:
        with half():
            main, *aux = network(images)
            loss = criterion(main, labels) + weight * sum(criterion(head, labels) for head in aux)
        clock("forward")
        optimiser.zero_grad()
        loss.backward()
        clock("backward")
        optimiser.step()
        clock("optimiser")

    @torch.inference_mode()
    def look(images: Tensor, labels: Tensor, clock: Clock) -> None:
        with half():
            network(images)
        clock("forward")

    return Program(same if tuned else loaded, step if training else look, ahead)
