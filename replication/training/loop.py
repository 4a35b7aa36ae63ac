"""The one training loop. Variation enters as a value in the experiment; nothing here asks which experiment it is.

Every random number is a function of the seed and of where in the run it is drawn, so a checkpoint needs no generator's
state and a resumed run ends, on a CPU, at the same bits.

Several processes (see `distributed`) share each batch. They see the images, in the order and crops, that one would see,
and average their gradients: the same run up to rounding, but for what belongs to a device. Batch normalisation takes
the statistics of the images there, `batch` / processes, and what is kept for evaluation is the first process's; dropout
draws anew in each.
"""
from __future__ import annotations

import hashlib
import math
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from replication import provenance
from replication.data import loader
from replication.data.load import Loaded, Split, load
from replication.data.transforms import augment
from replication.errors import BadInput
from replication.models import cost
from replication.models.build import Net, build
from replication.runs import experiments, store
from replication.training import (
    accelerate,
    calibration,
    checkpoint,
    distributed,
    evaluate,
    lanes,
    logits,
    members,
    optim,
    views,
)
from replication.training.device import device, device_name, matmul_gflops

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}
CHECKPOINT_EVERY = 20.0  # seconds
WATCH_EVERY = 0.5        # seconds; each look waits for the device once
PROBE = 64               # images whose gradient is looked at


@dataclass(frozen=True)
class Progress:
    """Where a run is: images seen of all it will see, and the mean loss and error of this epoch so far."""
    address: str
    images: int
    total: int
    epoch: int
    loss: float = math.nan
    error: float = math.nan


class Stopped(Exception):
    """A run was asked to stop before its end; its checkpoint is written."""


def stream(seed: int, *place: object) -> int:
    """A generator's seed for one place in one run: 63 bits of SHA-256."""
    return int.from_bytes(hashlib.sha256(repr((seed, *place)).encode()).digest()[:8], "big") >> 1


def step(fabric: Fabric, network: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor,
         recipe: experiments.Recipe, mark: Callable[[str], None] = lambda _: None) -> tuple[Tensor, Tensor]:
    """One step on a batch, float (N, 3, H, W): the main loss and the number of errors, left on the device. `mark` is
    called after "forward", "backward" and "optimiser", for whoever times them."""
    outputs = network(images)
    main, aux = evaluate.loss(outputs, labels, recipe)
    mark("forward")
    optimiser.zero_grad()
    fabric.backward(main + aux)
    mark("backward")
    optim.clip((p for group in optimiser.param_groups for p in group["params"]), recipe.clip)
    optimiser.step()
    mark("optimiser")
    return main.detach(), (outputs["main"].detach().argmax(1) != labels).sum()


def train(experiment: experiments.Experiment, seed: int, watch: Callable[[Progress], None] = lambda _: None,
          stop: Callable[[], bool] = lambda: False) -> store.Run:
    """`steps` to the end."""
    return lanes.finish(steps(experiment, seed, watch, stop))


def steps(experiment: experiments.Experiment, seed: int, watch: Callable[[Progress], None] = lambda _: None,
          stop: Callable[[], bool] = lambda: False) -> Generator[None, None, store.Run]:
    """Trains one run to its end, from its checkpoint if there is one, and commits it to your store. Pauses after every
    step, so that several runs can take turns (`lanes`).

    A loss that is no longer finite ends the run as "diverged"; its history is kept. The caller holds the lease. `stop`
    is asked before every step; once it says yes, to any process, a checkpoint is written and Stopped raised.
    Raises BadInput for what cannot be trained (a batch larger than the data set or not to be shared by all processes,
    a full disk, data that is not there).
    """
    run = Training(experiment, seed)
    with closing(run):
        return (yield from _steps(run, watch, stop))


def _steps(run: Training, watch: Callable[[Progress], None],
           stop: Callable[[], bool]) -> Generator[None, None, store.Run]:
    experiment = run.experiment
    saved = seen = time.monotonic()
    if not run.state.history:
        run.note(0)
    with closing(run.batches()) as batches:
        for epoch in range(run.state.step // run.per_epoch if run.per_epoch else 0, experiment.recipe.epochs):
            if not run.state.finite:
                break
            run.network.train()
            for i in range(run.state.step % run.per_epoch, run.per_epoch):
                if distributed.any_of(stop()):
                    run.save()
                    raise Stopped
                run.step(next(batches))
                now = time.monotonic()
                if now - seen > WATCH_EVERY:
                    seen = now
                    watch(run.progress(epoch + 1, i + 1))
                if now - saved > CHECKPOINT_EVERY and i + 1 < run.per_epoch:  # an epoch's end is saved with its row
                    saved = now
                    run.save()
                yield
            run.note(epoch + 1)
            run.save()
            saved = time.monotonic()
    images = run.steps * experiment.recipe.batch
    watch(Progress(run.address, images, images, experiment.recipe.epochs))
    run.save()
    done = distributed.told(run.commit)
    accelerate.give_memory_back(run.tricks)
    return done


class Training:
    """A run under way: what it needs on its device, and where it is. Raises BadInput as `steps` does."""

    def __init__(self, experiment: experiments.Experiment, seed: int) -> None:
        self.experiment, self.seed, self.recipe = experiment, seed, experiment.recipe
        self.address = experiments.address(experiment, seed)
        self.rank, self.world = distributed.rank(), distributed.world()
        if self.recipe.batch % self.world:
            raise BadInput(f"batch={self.recipe.batch} does not divide over {self.world} processes: use a multiple of "
                           f"{self.world}, or another number of processes.")
        self.order = seed if self.recipe.order_seed is None else self.recipe.order_seed
        self.tricks = accelerate.tricks(device(), experiments.work(experiment))
        if self.recipe.precision != "fp32":  # folded weights would be rounded where the statistics are not
            self.tricks -= {"fold"}
        self.fabric, self.data, self.bare, self.network, self.optimiser = _begin(experiment, seed, self.tricks)
        self.images, self.labels = self.data.train.images, self.data.train.labels
        if self.world > 1 or not loader.resident(self.images, self.fabric.device):
            self.tricks -= {"graph"}  # recorded is what one process does, alone, with what lies on the device
        self.per_epoch = len(self.labels) // self.recipe.batch
        if self.recipe.epochs and not self.per_epoch:
            raise BadInput(f"batch={self.recipe.batch} is more than the {len(self.labels)} training images: use a "
                           f"smaller batch.")
        if self.recipe.epochs and self.recipe.batch == self.world:
            self.bare.need_two(f"batch={self.recipe.batch}" + f" over {self.world} processes" * (self.world > 1))
        self.steps = self.per_epoch * self.recipe.epochs
        self.average = optim.RunningAverage(self.bare, self.recipe.average)
        self.state = checkpoint.resume(self.address, self.bare, self.optimiser, self.average, self.fabric.device)
        self.set_rate = accelerate.Rate(self.optimiser, self.fabric.device)
        self.sums = torch.tensor(self.state.sums, device=self.fabric.device, dtype=torch.float64)
        self.began, self.before = time.monotonic(), self.state.seconds
        self.advance = accelerate.Steps(self._take, self.bare, self.tricks)

    def close(self) -> None:
        """Lets go of its steps, which hold on to it: its device then has its memory back at once, and not only when
        Python next looks for such cycles."""
        del self.advance

    def batches(self) -> Generator[tuple[Tensor, ...]]:
        """What is left of the run, step by step, for this process."""
        plan = loader.plan(len(self.labels), self.recipe.batch, self.order, range(self.state.step, self.steps),
                           self.images.device, self.rank, self.world)
        return loader.batches(self.images, plan, self.fabric.device)

    def step(self, batch: tuple[Tensor, ...]) -> None:
        torch.manual_seed(stream(self.order, "step", self.state.step))
        self.set_rate(optim.rate(self.recipe, self.state.step, self.steps))
        self.advance(*batch)
        self.state.step += 1

    def _take(self, chosen: Tensor, *sent: Tensor) -> None:
        """What happens on the device in a step, which may be recorded: nothing here waits for it."""
        batch = augment(sent[0] if sent else self.images[chosen], self.recipe.augment, self.rank, self.world)
        if self.world > 1:
            torch.manual_seed(stream(self.order, "step", self.state.step, self.rank))  # each image its own dropout
        main, wrong = step(self.fabric, self.network, self.optimiser, batch, self.labels[chosen], self.recipe)
        self.average.update()
        self.sums.add_(distributed.total(torch.stack([main.double() * len(chosen), wrong.double()])))

    def progress(self, epoch: int, steps: int) -> Progress:
        """After so many steps of an epoch."""
        loss, error = (value / (steps * self.recipe.batch) for value in self.sums.tolist())
        return Progress(self.address, self.state.step * self.recipe.batch, self.steps * self.recipe.batch, epoch, loss,
                        error)

    def note(self, epoch: int) -> None:
        """Adds a row to the history: the state after `epoch` epochs."""
        torch.manual_seed(stream(self.seed, "probe"))
        seen = self.per_epoch * self.recipe.batch
        loss, error = (value / seen if epoch else math.nan for value in self.sums.tolist())
        some = self.images[:PROBE].to(self.fabric.device)
        view = evaluate.evaluate_view(some, self.recipe.augment)
        self.state.history.append(distributed.told(lambda: {
            "epoch": epoch,
            "lr": optim.rate(self.recipe, max(0, self.state.step - 1), self.steps) if self.steps else math.nan,
            "train_loss": loss, "train_error": error, **evaluate.errors(self._judged(), self.data.val.labels),
            **evaluate.first_gradient(self.bare, view, self.labels[:PROBE], self.recipe),
        }))
        self.sums.zero_()

    def _judged(self) -> Tensor:
        """Logits of the validation images."""
        with self.average.applied(), self.fabric.autocast(), accelerate.as_written(self.tricks):
            return evaluate.logits(self._for_judging(), self.data.val, self.recipe.augment)

    def _for_judging(self) -> Net:
        return accelerate.for_judging(self.bare, self.tricks)

    def save(self) -> None:
        """Writes the checkpoint."""
        self.state.sums, self.state.seconds = self.sums.tolist(), self.before + time.monotonic() - self.began
        if self.rank == 0:
            checkpoint.save(store.checkpoint(self.address), {
                "model": self.bare.state_dict(), "optimiser": self.optimiser.state_dict(),
                "average": self.average.state_dict(), "state": vars(self.state), "record": self.address})

    def commit(self) -> store.Run:
        """Writes the finished run, its weights and what it says of the validation images."""
        with self.average.applied():
            with self.fabric.autocast():
                said = views.of_network(self._for_judging(), self.experiment, self.data.val)
            return _commit(self.experiment, self.seed, self.bare, self.data, self.state, said, self.advance.how)


def _begin(experiment: experiments.Experiment, seed: int, which: frozenset[str] = frozenset(),
           ) -> tuple[Fabric, Loaded, Net, nn.Module, torch.optim.Optimizer]:
    """What a run needs on its device: the images, the network as it is and as Fabric wraps it, the optimiser.

    Raises BadInput for bf16 on a GPU that has none, and where the weights that the run starts from are not here.
    """
    if experiment.recipe.precision == "bf16" and device() == "cuda" and not torch.cuda.is_bf16_supported(
            including_emulation=False):
        raise BadInput(f"{device_name()} cannot compute in bf16: use -p precision fp32, or precision: fp32 in the "
                       f"profile.")
    fabric = distributed.fabric(device(), PRECISION[experiment.recipe.precision])
    data = _to(load(experiment.data), fabric.device)
    first = experiment.recipe.init_seed
    torch.manual_seed(stream(seed if first is None else first, "init"))
    bare = build(experiment.network)
    if (start := experiments.start(experiment, seed)) is not None:
        members.begin(bare, members.network(*start))
    if experiment.recipe.trained is not None:
        bare.freeze(experiment.recipe.trained)
    bare = bare.to(fabric.device).to(memory_format=torch.channels_last)
    accelerate.prepare(bare, which)
    network, optimiser = fabric.setup(bare, optim.optimiser(bare, experiment.recipe))
    return fabric, data, bare, network, optimiser


def too_large(experiment: experiments.Experiment, problem: BaseException) -> BadInput:
    """What to say of a run that ran out of the device's memory: which part of its batch fits, found by trying."""
    batch = asked = experiment.recipe.batch
    alone = replace(experiment, recipe=replace(experiment.recipe, start=None))  # as large, whatever it starts from
    while batch := batch // 2:
        if problem.__traceback__ is not None:
            traceback.clear_frames(problem.__traceback__)  # they hold the tensors of the attempt
        torch.cuda.empty_cache()
        try:
            fabric, data, _, network, optimiser = _begin(alone, 0)
            images = data.train.images[:batch].to(fabric.device)
            step(fabric, network, optimiser, augment(images, experiment.recipe.augment), data.train.labels[:batch],
                 experiment.recipe)
        except torch.OutOfMemoryError as again:
            problem = again
        except BadInput:  # one image, of which batch normalisation cannot learn
            break
        else:
            return BadInput(f"batch={asked} does not fit into this device's memory, batch={batch} does: use that, or a "
                            f"smaller width or resolution.")
    return BadInput(f"batch={asked} does not fit into this device's memory, and no smaller one does: use a smaller "
                    f"width or resolution.")


def _commit(experiment: experiments.Experiment, seed: int, network: nn.Module, data: Loaded, state: checkpoint.State,
            said: logits.Scores, how: str) -> store.Run:
    address = experiments.address(experiment, seed)
    summary: dict[str, Any] = {
        "status": "done" if state.finite else "diverged", "steps": state.step,
        "train_images": len(data.train.labels), "val_images": len(data.val.labels), "skipped": data.skipped,
        "parameters": cost.parameters(experiment.network, aux=True),
        "multiply_adds": cost.multiply_adds(experiment.network),
        **{key: value if math.isfinite(value) else None for key, value in state.history[-1].items()},
    }
    checkpoint.save(store.weights(address), network.state_dict())  # first: logits older than these are made again
    if not state.finite:  # the argmax of what is not a number is still a class, and would count as a result
        summary |= {"val_error": None, "val_error5": None}
    else:
        summary |= calibration.summary(said.logits["main"], said.labels)
        logits.keep(store.logits(address), said)
    if state.finite and (radius := data.val.extra.get("radius")) is not None:
        summary["error_by_radius"] = evaluate.error_by(torch.from_numpy(said.logits["main"]), data.val.labels.cpu(),
                                                       radius.cpu())
    images = state.step * experiment.recipe.batch
    run = store.commit(address, experiments.record(experiment, seed), state.history, summary, provenance.collect(
        device=f"{distributed.world()} × {device_name()}" if distributed.world() > 1 else device_name(),
        threads=torch.get_num_threads(), matmul_gflops=matmul_gflops(), fast=how, seed=seed,
        resident=loader.resident(data.train.images, torch.device(device())),
        seconds=round(state.seconds, 1), images_per_s=round(images / state.seconds, 1) if images else None,
    ))
    store.checkpoint(address).unlink(missing_ok=True)
    return run


def _to(data: Loaded, where: torch.device) -> Loaded:
    """The whole data set on the device, images as uint8; but for a part whose images do not fit (`resident`)."""
    if where.type == "cpu":
        return data

    def move(split: Split) -> Split:
        images = split.images
        if isinstance(images, Tensor) and loader.resident(images, where):
            images = images.to(where)
        return Split(images, split.labels.to(where), {key: value.to(where) for key, value in split.extra.items()})

    return Loaded(data.classes, move(data.train), move(data.val), data.skipped)
