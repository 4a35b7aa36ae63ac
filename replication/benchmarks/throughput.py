"""Images a second, ours beside torchvision's, in one process on one device: one command, one table.

Variants take turns (A B C A B C ...), so that whatever else the machine does meets all of them. A row is the median of
its turns, the lowest and the highest; ratios are taken within a turn. torchvision is shown twice: as its users run it
with references/classification (without that script's metrics, which would wait for the device at every step), and as
well as it can be made to run, without a data set to read.
"""
from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms

from replication import checked, paths
from replication.benchmarks import harness
from replication.data import spec
from replication.data.transforms import augment, evaluate_view, order
from replication.models import cost, onnx, ops
from replication.models.build import build
from replication.models.googlenet import googlenet, googlenet_bn, googlenet_torchvision
from replication.models.inception_v3 import inception_v3
from replication.pages import speed
from replication.runs import experiments
from replication.training import accelerate, distributed, lanes, loop, optim


@dataclass(frozen=True)
class Size:
    """What all variants have in common. The network sees `resolution` px, cut from images 8/7 as large. `stem` is its
    total stride: 8 as published, 4 without the first pool, 2 with a stride-1 first convolution as well. `runs`: so many
    trainings take turns (`lanes`), each with batches of its own. Of a network less than whole in `width` there is ours
    alone."""
    resolution: int
    batch: int
    stem: int = 8
    steps: int = 3  # timed in a turn
    v3: bool = False  # Inception V3 instead
    runs: int = 1
    width: float = 1.0

    @property
    def side(self) -> int:
        return math.ceil(self.resolution * 8 / 7)

    @property
    def images(self) -> int:
        """Of a step of all runs."""
        return self.batch * self.runs

    @property
    def key(self) -> tuple[int, int, int, int]:
        """By which its lines are found in a table."""
        return self.resolution, self.batch, self.stem, self.runs


CPU = (Size(64, 64), Size(32, 128), Size(224, 4, steps=2), Size(299, 4, steps=2, v3=True))
GPU = (Size(224, 128, steps=10), Size(299, 128, steps=10, v3=True), Size(56, 512, stem=2, steps=20),
       Size(64, 512, steps=20), Size(32, 1024, stem=4, steps=20),
       *(Size(56, 64, stem=4, steps=50, runs=runs, width=0.25) for runs in (1, 4, 16)))  # as the runs of a grid
TRICKS = {False: ("ours-memory+merge",), True: ("ours-none", "ours-graph")}
TURNS, QUICK_TURNS = 5, 3
FILES = 64  # different images
PARTS = ("data", "forward", "backward", "optimiser")
COLUMNS = (
    "device", "network", "variant", "phase", "resolution", "batch", "stem", "width", "runs", "precision", "status",
    "turns", "images_per_s", "images_per_s_low", "images_per_s_high", "ms_per_step", *(f"ms_{part}" for part in PARTS),
    "times_reference", "times_reference_low", "times_reference_high",
    "times_tuned", "times_tuned_low", "times_tuned_high",
    "times_normalised", "times_normalised_low", "times_normalised_high",
    "tflops", "matmul_tflops", "matmul_share", "copy_gb_per_s", "copy_share", "peak_memory_mb", "first_step_s",
    "threads", "load", "versions", "commit", "utc",
)
SHOWN = ("network", "variant", "images_per_s", "images_per_s_low", "images_per_s_high", "ms_per_step",
         *(f"ms_{part}" for part in PARTS), "tflops", "matmul_share", "peak_memory_mb", "times_reference",
         "times_tuned", "status")


def run(quick: bool = False, until: float = math.inf, go_on: bool = False) -> Path:
    """Measures, prints and writes `<your store>/tables/bench-<device>.csv`, again after every turn, so that what is
    measured stays. Quick: the first size alone, fewer turns, in a table of its own (`-quick`). No size, variant or turn
    is begun after `until` (by time.monotonic). Returns the table's path.

    `go_on`: sizes that this code has measured here, and those of a published table of this device, are not measured
    again; their lines stay.

    A variant that fails (out of memory, say) is a row whose status says why.
    """
    where, path, common = harness.begin("bench", quick)
    cuda = where.type == "cuda"
    wanted = [*product(harness.PHASES, (GPU if cuda else CPU)[:1 if quick else None])]  # training first
    wanted = [(phase, size) for phase, size in wanted if size.width == 1 or phase == "train"]
    rows: list[dict[str, Any]] = []
    if go_on:
        rows, wanted = _gone_on(path, common, wanted)
    ceiling = harness.ceilings(where)
    harness.wake(where)
    for phase, size in wanted:
        if time.monotonic() > until:
            print("Time is up: the other sizes were not measured.", flush=True)
            break
        with tempfile.TemporaryDirectory() as folder:
            images = pictures(FILES, size.side)
            _write_jpegs(images, Path(folder))
            entries: list[Entry] = []
            for kind in _variants(size, phase, cuda):
                if time.monotonic() > until:
                    break
                entries.append(Entry(*kind, phase, size, where))
                entries[-1].start(images, Path(folder))
                if cuda:  # where a start may be minutes of compiling, in which the time may end, and a turn is a second
                    _turn(entries, len(entries) - 1)
                    harness.write(path, rows + _rows(entries, common, ceiling), COLUMNS)
            if not entries:
                continue
            first = len(entries) if cuda else 0
            for turn in range(first, first + (QUICK_TURNS if quick else TURNS)):
                if turn and time.monotonic() > until:
                    break
                _turn(entries, turn)
                again = harness.ceilings(where)
                ceiling = max(ceiling[0], again[0]), max(ceiling[1], again[1])
                harness.write(path, rows + _rows(entries, common, ceiling), COLUMNS)
            now = _rows(entries, common, ceiling)
            rows += now
            frame = harness.write(path, rows, COLUMNS)
            more = f", {size.runs} runs at once" if size.runs > 1 else ""
            print(f"\n{phase}, {size.resolution} px, batch {size.batch}, stem {size.stem}{more}, {now[0]['turns']} "
                  f"turns\n{harness.shown(frame[-len(now):], SHOWN)}", flush=True)
            del entries
            harness.forget(cuda)
            if cuda:
                torch.compiler.reset()  # or the eighth shape of the same code would silently not be compiled
    print(f"\nThis device at its best: matrices {ceiling[0]:.3g} TFLOP/s, copies {ceiling[1]:.3g} GB/s.\n{path}")
    if rows:
        frame = harness.write(path, rows, COLUMNS)  # with what was measured before
        print(speed.in_words({frame.device.iloc[0]: frame}, {}))
    return path


def _turn(entries: list[Entry], number: int) -> None:
    for entry in entries:
        entry.turn(number)


def _rows(entries: list[Entry], common: dict[str, Any], ceiling: tuple[float, float]) -> list[dict[str, Any]]:
    return [{**common, **row(entry, entries, *ceiling)} for entry in entries]


def _key(row: dict[Any, Any]) -> tuple[Any, ...]:
    """A phase and Size.key; tables of before have no `runs`."""
    runs = row.get("runs", 1)
    return (row["phase"], row["resolution"], row["batch"], row["stem"], 1 if runs != runs else runs)


def _gone_on(path: Path, common: dict[str, Any], wanted: list[tuple[str, Size]],
             ) -> tuple[list[dict[str, Any]], list[tuple[str, Size]]]:
    """The lines that there are, this code's and published ones, and the sizes that none of them is of: small networks
    first, which take seconds where others compile for minutes."""
    rows: list[Any] = [row for row in harness.so_far(path, common)
                       if row["turns"] >= QUICK_TURNS or row["status"] != "ok"]
    known = {_key(row) for row in rows}
    published = paths.PUBLISHED / "tables" / path.name
    if published.exists():
        rows += [row for row in checked.read(published).to_dict("records") if _key(row) not in known]
        known = {_key(row) for row in rows}
    left = [(phase, size) for phase, size in wanted if (phase, *size.key) not in known]
    return rows, sorted(left, key=lambda each: each[1].width == 1)


def _variants(size: Size, phase: str, cuda: bool) -> list[tuple[str, str, ops.Network]]:
    """(network, variant, its table). "ours" is as a long run takes its steps, "ours-graph" with that trick alone, a
    runtime's what it makes of our network once exported."""
    if size.width < 1:
        return [("googlenet_bn", "ours-graph" if cuda else "ours", googlenet_bn(
            resolution=size.resolution, stem=size.stem, width=size.width, init=ops.He()))]
    theirs = ("torchvision-reference", "torchvision-tuned")
    # Each trick alone, at one size of a GPU: every compiled variant costs a minute before its first step.
    tricks = TRICKS[cuda] if phase == "train" and not size.v3 and (not cuda or size == GPU[0]) else ()
    runtimes = () if cuda or phase == "train" else speed.RUNTIMES
    if size.v3:
        return [("inception_v3", variant, inception_v3(resolution=size.resolution))
                for variant in ("ours", *theirs, *runtimes)]
    # He's start, as in the experiments: a network whose numbers underflow runs at another speed.
    published = googlenet(resolution=size.resolution, stem=size.stem, init=ops.He())
    normed = googlenet_bn(resolution=size.resolution, stem=size.stem, init=ops.He())
    same = torchvision_table(size)
    plain = () if cuda else (("googlenet", "ours-none", published),)  # what a CPU's tricks are worth
    return [("googlenet", "ours", published), *plain, ("googlenet_bn", "ours", normed),
            *(("googlenet_torchvision", variant, same) for variant in ("ours", *tricks, *theirs, *runtimes))]


def torchvision_table(size: Size) -> ops.Network:
    """torchvision's GoogLeNet as a table, with the stem of the size."""
    stem = ("conv1", "pool1")
    net = googlenet_torchvision()
    first = googlenet_bn(resolution=size.resolution, stem=size.stem)
    rows = (*(r for r in first.rows if r.name in stem), *(r for r in net.rows if r.name not in stem))
    return replace(net, rows=rows, resolution=size.resolution)


@dataclass
class Entry:
    """One row in the making: a variant, and what its turns took. A problem ends it and is remembered."""
    network: str
    variant: str
    table: ops.Network
    phase: str
    size: Size
    where: torch.device

    def __post_init__(self) -> None:
        self.program: harness.Program | None = None
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

    @property
    def exported(self) -> bool:
        return self.variant in speed.RUNTIMES

    def start(self, images: Tensor, folder: Path) -> None:
        """Builds it and warms it up; memory and the first step are looked at here, where it runs alone."""
        self._attempt(lambda: self._start(images, folder))

    def turn(self, number: int) -> None:
        """Times the steps of one turn, unless it has failed."""
        if self.program:
            self._attempt(lambda: self._turn(number))

    def _start(self, images: Tensor, folder: Path) -> None:
        cuda = self.where.type == "cuda"
        base = harness.memory(cuda, "now")
        torch.manual_seed(0)
        self.multiply_adds = cost.multiply_adds(self.table, aux=self.phase == "train")
        self._settle()
        self.program = (several(self, images) if self.size.runs > 1 else ours(self, images) if self.ours
                        else exported(self, images, folder) if self.exported else theirs(self, folder))
        began = time.perf_counter()
        self.program.run(harness.Clock(cuda), steps=1)
        harness.wait(cuda)
        self.first = time.perf_counter() - began
        self.program.run(harness.Clock(cuda), steps=10 if cuda else 1)
        harness.wait(cuda)
        self.memory = max(0.0, harness.memory(cuda, "peak") - base)

    def _turn(self, number: int) -> None:
        assert self.program
        self._settle()
        clock = harness.Clock(self.where.type == "cuda")
        self.program.run(clock, self.size.steps, skip=self.program.ahead)
        self.turns[number] = {part: ms / self.size.steps for part, ms in clock.milliseconds().items()}
        if self.program.data:
            clock.begin()
            self.program.data(self.size.steps)
            clock("data")
            self.data[number] = clock.milliseconds()["data"] / self.size.steps

    def _settle(self) -> None:
        """What is freed stays with the process or not, as this variant has it: tuned is as good as we know how."""
        harness.keep_memory(self.where, "memory" in _tricks(self) if self.ours
                            else self.variant != "torchvision-reference")

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:
            self.problem, self.program = harness.brief(problem), None
        if self.problem:
            harness.forget(self.where.type == "cuda")  # not above: the exception holds on to what it was raised over

    def rates(self) -> dict[int, float]:
        """Images a second, by turn."""
        return {number: 1e3 * self.size.images / sum(parts.values()) for number, parts in self.turns.items()}


def row(entry: Entry, entries: list[Entry], matmul: float, copy: float) -> dict[str, Any]:
    """An entry's line in the table; what it did before it failed stays."""
    size, rates = entry.size, entry.rates()
    line: dict[str, Any] = {
        "network": entry.network, "variant": entry.variant, "phase": entry.phase, "resolution": size.resolution,
        "batch": size.batch, "stem": size.stem, "width": size.width, "runs": size.runs, "precision": entry.precision,
        "status": f"failed: {entry.problem}" if entry.problem else "ok", "turns": len(rates),
        "matmul_tflops": matmul, "copy_gb_per_s": copy, "peak_memory_mb": entry.memory, "first_step_s": entry.first,
    }
    if not rates:
        return line
    rate = statistics.median(rates.values())
    line |= harness.spread("images_per_s", list(rates.values()))
    line["ms_per_step"] = 1e3 * size.images / rate
    line |= {f"ms_{part}": statistics.median(turn[part] for turn in entry.turns.values())
             for part in PARTS if part in entry.turns[min(rates)]}
    if entry.data:
        line["ms_data"] = statistics.median(entry.data.values())
    line["tflops"] = tflops(entry.multiply_adds, entry.phase, rate)
    line["matmul_share"] = line["tflops"] / matmul
    traffic = _traffic(entry.table, entry.phase) / (2 if entry.precision == "bf16" else 1)
    line["copy_share"] = traffic * rate / (copy * 1e9)
    for other in entries:
        if base := _yardstick(entry, other):
            rates_there = other.rates()
            paired = [rates[turn] / rates_there[turn] for turn in rates_there if turn in rates]
            line |= harness.spread(base, paired) if paired else {}
    return line


def _yardstick(entry: Entry, other: Entry) -> str | None:
    """The ratio, if any, that `other` is the base of: the reference for all of ours, the tuned network for the same
    mathematics, and of the published network for what people train in its place."""
    if not (entry.ours or entry.exported):
        return None
    if other.variant == "torchvision-reference":
        return "times_reference"
    if other.variant == "torchvision-tuned" and other.network == entry.network:
        return "times_tuned"
    return "times_normalised" if other.variant == "torchvision-tuned" and entry.network == "googlenet" else None


def tflops(multiply_adds: float, phase: str, images_per_s: float) -> float:
    """10¹² additions and multiplications a second. Training counts three forward passes: one, and two to go back."""
    return 2 * multiply_adds * (3 if phase == "train" else 1) * images_per_s / 1e12


def _traffic(network: ops.Network, phase: str) -> int:
    """Bytes an image moves if every op's fp32 output is written and read once, and in training its gradient too."""
    train = phase == "train"
    return cost.activation_bytes(network, aux=train) * (4 if train else 2)


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


def ours(entry: Entry, images: Tensor) -> harness.Program:
    """What `loop.train` does between two looks at the validation set, and what `evaluate.logits` does there."""
    size = entry.size
    recipe = experiments.Recipe(epochs=1, batch=size.batch, lr=0.01, precision=entry.precision,
                                augment=(spec.RandomCrop(size.resolution), spec.Flip()))
    fabric = distributed.fabric(entry.where.type, loop.PRECISION[entry.precision])
    bare = build(entry.table).to(fabric.device).to(memory_format=torch.channels_last)
    tricks = _tricks(entry)
    accelerate.prepare(bare, tricks)
    network, optimiser = fabric.setup(bare, optim.optimiser(bare, recipe))
    set_rate = accelerate.Rate(optimiser, fabric.device)
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
            torch.manual_seed(loop.stream(0, "step", done))
            at = done % size.steps * size.batch
            yield sequence[at:at + size.batch], labels

    def take(chosen: Tensor, mark: Callable[[str], None] = lambda _: None) -> None:
        batch = augment(resident[chosen], recipe.augment)
        mark("data")
        main, wrong = loop.step(fabric, network, optimiser, batch, labels[chosen], recipe, mark)
        sums.add_(torch.stack([main.double() * size.batch, wrong.double()]))

    advance = accelerate.Steps(take, bare, tricks)

    def recorded(chosen: Tensor, clock: harness.Clock) -> None:
        advance(chosen)
        if advance.failed:
            raise RuntimeError("; ".join(advance.failed))
        clock("step")

    go = recorded if "graph" in tricks else take

    def step(chosen: Tensor, _: Tensor, clock: harness.Clock) -> None:
        nonlocal done
        set_rate(optim.rate(recipe, done % size.steps, size.steps))
        go(chosen, clock)
        done += 1

    def data(n: int) -> None:
        for chosen, _ in batches(n):
            augment(resident[chosen], recipe.augment)

    def views(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(n):
            part = slice(i % size.steps * size.batch, (i % size.steps + 1) * size.batch)
            yield evaluate_view(resident[part], recipe.augment), labels[part]

    if entry.phase == "infer":
        judging = accelerate.for_judging(bare.eval(), tricks)

        @torch.inference_mode()
        def judge(images: Tensor, labels: Tensor, clock: harness.Clock) -> None:
            with fabric.autocast():
                judging(images).float()
            clock("forward")
        return harness.Program(views, judge)
    return harness.Program(batches, step, data=data if "graph" in tricks else None)


def several(entry: Entry, images: Tensor) -> harness.Program:
    """Trainings that take turns as those of a grid do: a step of this program is one of each."""
    size = entry.size
    where = [lanes.Lane(entry.where.type) for _ in range(size.runs)]
    parts = []
    for lane in where:
        with lane():
            parts.append(ours(replace(entry, size=replace(size, runs=1)), images))

    def batches(n: int) -> Iterator[tuple[Any, Any]]:
        sources = [part.batches(n) for part in parts]
        for _ in range(n):
            yield sources, None

    def step(sources: Any, _: Any, clock: harness.Clock) -> None:
        unheard = harness.Clock(cuda=False)
        for lane, part, source in zip(where, parts, sources, strict=True):
            with lane():
                chosen, labels = next(source)
                part.step(chosen, labels, unheard)
        for lane in where:
            lane.join()
        clock("step")

    return harness.Program(batches, step)


def _tricks(entry: Entry) -> frozenset[str]:
    """Those of a long run, or the ones that the variant names; of them, those with which networks are judged."""
    _, _, named = entry.variant.partition("-")
    asked = named.replace("+", ",") or "auto"
    found = accelerate.tricks(entry.where.type, math.inf, asked)
    return found if entry.phase == "train" else found & {"fold", "memory"}


def _openvino(file: Path, shape: list[int], threads: int) -> Callable[[Any], Any]:
    import openvino
    model = openvino.Core().read_model(str(file))
    model.reshape(shape)
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: compiled([images])[0]


def exported(entry: Entry, images: Tensor, folder: Path,
             watch: Callable[[Any], None] = lambda logits: None) -> harness.Program:
    """Our network as an ONNX file, run by another runtime on as many threads as torch has, on the same views."""
    size, threads = entry.size, torch.get_num_threads()
    file = onnx.save(build(entry.table), folder / "network.onnx", size.resolution)
    if entry.variant == "onnxruntime":
        answer = harness.runtime(file, threads)
    else:
        answer = _openvino(file, [size.batch, *cost.input_shape(entry.table, size.resolution)], threads)

    def views(n: int) -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(n):
            chosen = torch.arange(i * size.batch, (i + 1) * size.batch)
            part = images[chosen % len(images)].contiguous(memory_format=torch.channels_last)
            yield evaluate_view(part, (spec.RandomCrop(size.resolution), spec.Flip())).contiguous(), chosen

    def judge(images: Tensor, labels: Tensor, clock: harness.Clock) -> None:
        watch(answer(images.numpy()))
        clock("forward")

    return harness.Program(views, judge)


def theirs(entry: Entry, folder: Path) -> harness.Program:
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

    def step(images: Tensor, labels: Tensor, clock: harness.Clock) -> None:
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
    def judge(images: Tensor, labels: Tensor, clock: harness.Clock) -> None:
        with half():
            network(images)
        clock("forward")

    return harness.Program(same if tuned else loaded, step if training else judge, ahead)
