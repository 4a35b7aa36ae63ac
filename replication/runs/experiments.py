"""What a recipe and an experiment *are*: frozen values, no torch.

A value says everything: an experiment's address is a hash of all of it, so no default can change under a stored run.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replication import files
from replication.data.spec import Augmentation, Data
from replication.models.cost import multiply_adds, whole_run
from replication.models.ops import Network

# Raised by hand whenever the same experiment would train to other weights (tests/test_numerics.py notices).
NUMERICS = 1


@dataclass(frozen=True)
class SGD:
    """Kernels and matrices decay, biases and batch-norm parameters do not: Caffe's decay_mult 0, and slim's loss
    weight_decay ‖w‖² / 2. `decays="all"`: whatever is trained, as torchvision's references. `bias_rate` times the
    learning rate for biases: 2 in BVLC's prototxt (lr_mult). What is decayed is added after clipping, as Caffe does;
    slim, whose decay is in the loss, would clip it too."""
    momentum: float = 0.9
    weight_decay: float = 2e-4
    nesterov: bool = False
    decays: str | None = None
    bias_rate: float | None = None


@dataclass(frozen=True)
class RMSProp:
    """TensorFlow's, which V3 §8 trained with: epsilon inside the root, the mean square starts at one. Decay and
    epsilon are V3's; momentum and weight decay are slim's, V3 prints none. The other fields as in SGD."""
    decay: float = 0.9
    momentum: float = 0.9
    epsilon: float = 1.0
    weight_decay: float = 4e-5
    decays: str | None = None
    bias_rate: float | None = None


@dataclass(frozen=True)
class TorchRMSProp:
    """torch.optim.RMSprop: epsilon outside the root, the mean square starts at zero, and the rate multiplies the
    velocity. Fields and numbers are RMSProp's."""
    decay: float = 0.9
    momentum: float = 0.9
    epsilon: float = 1.0
    weight_decay: float = 4e-5
    decays: str | None = None
    bias_rate: float | None = None


@dataclass(frozen=True)
class ClipValue:
    """Every entry of the gradient kept within ±`limit`."""
    limit: float


@dataclass(frozen=True)
class Average:
    """Evaluates and stores a running average of the weights in place of the last weights (V1 §6, V3 §8).

    After step t, from 1: average ← d average + (1 - d) weights with d = min(`decay`, (1 + t) / (10 + t)), as TensorFlow
    does it. The default is that of Google's V3 code (research/inception).
    """
    decay: float = 0.9999


@dataclass(frozen=True)
class Constant:
    pass


@dataclass(frozen=True)
class Poly:
    """(1 - progress) ** power; power 1 is a straight line to zero, 0.5 BVLC's quick solver."""
    power: float = 1.0


@dataclass(frozen=True)
class Cosine:
    pass


@dataclass(frozen=True)
class Step:
    """×gamma every `epochs` epochs; V1 §6: 0.96 every 8; V3 §8: 0.94 every 2."""
    gamma: float
    epochs: float


@dataclass(frozen=True)
class OneCycle:
    """From lr / `start` up to lr in the first `rise` of the steps, down to lr / (`start` × `end`) at the last, each
    along half a cosine: torch's OneCycleLR (Smith and Topin, arXiv 1708.07120)."""
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4


@dataclass(frozen=True)
class Recipe:
    """How it is trained. `warmup` is the fraction of all steps over which the rate rises from zero. `clip` as a number
    is the largest norm of the whole gradient; V3 §8 clips at 2.0 and does not say whether norm or value. `init_seed`
    draws the initial weights, `order_seed` the order of the images, their augmentation and what dropout drops: by
    default both are the run's seed. `start`: the weights, but for those of every head's last layer, are those with
    which the run of another experiment ended, of the same seed or of `init_seed`. `trained` are the rows that learn;
    all others keep their weights and statistics and work as in evaluation. Where it is None, all learn."""
    epochs: int
    batch: int
    lr: float
    optimiser: SGD | RMSProp | TorchRMSProp = SGD()
    schedule: Constant | Poly | Cosine | Step | OneCycle = Poly()
    warmup: float = 0.0
    clip: float | ClipValue | None = 2.0
    aux_weight: float = 0.3
    label_smoothing: float = 0.0
    augment: tuple[Augmentation, ...] = ()
    precision: str = "fp32"
    average: Average | None = None
    init_seed: int | None = None
    order_seed: int | None = None
    start: Experiment | None = None
    trained: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Experiment:
    network: Network
    data: Data
    recipe: Recipe


# -- addresses ----------------------------------------------------------------------------------------------------
def record(experiment: Experiment, seed: int) -> dict[str, Any]:
    """Everything that changes the mathematics of a run, and nothing else: what `experiment.json` holds."""
    return {"numerics": NUMERICS, "experiment": files.plain(experiment), "seed": seed}


def address(experiment: Experiment, seed: int) -> str:
    return files.digest(record(experiment, seed))


def start(experiment: Experiment, seed: int) -> tuple[Experiment, int] | None:
    """The experiment and the seed of the run that a run starts from, if it does."""
    recipe = experiment.recipe
    return None if recipe.start is None else (recipe.start, seed if recipe.init_seed is None else recipe.init_seed)


def work(experiment: Experiment) -> float:
    """Multiply-adds of a run (`cost.whole_run`), as if all of it were trained; the data set is resolved."""
    data = experiment.data
    return whole_run(multiply_adds(experiment.network), experiment.recipe.epochs, data.train_images or 0,
                     data.val_images or 0)
