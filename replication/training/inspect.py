"""One run looked at: the examples as its network gets them, what it says of the validation images, and its weights in
files for other programs."""
from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from replication import paths
from replication.data import sound, tiny_imagenet
from replication.data.load import Split, load
from replication.data.spec import Data, LogMel
from replication.data.transforms import MEAN, STD, augment, evaluate_view, order
from replication.errors import BadInput
from replication.models import onnx, weights
from replication.runs import experiments, store
from replication.training import logits, loop, members

SIDE = 128  # px of a picture at most: it is to be looked at, not to be trained on

Pictures = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """`pictures` as `pictures` gives them, and the class of each by name."""
    pictures: Pictures
    names: list[str]


def examples(experiment: experiments.Experiment, seed: int, number: int = 12) -> Examples:
    """Of the first step's images, as the network gets them: cropped, mirrored and so on with what chance gave them
    there (on a CPU; on another device, the same with other draws). As many classes as there are come first."""
    data, recipe = load(experiment.data), experiment.recipe
    chosen = order(len(data.train.labels), seed, 0)[:recipe.batch]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(loop.stream(seed, "step", 0))
        batch = augment(data.train.images[chosen], recipe.augment)
    labels = data.train.labels[chosen].numpy()
    place = pd.Series(labels).groupby(labels).cumcount()
    shown = np.lexsort((labels, place))[:number].copy()
    called = names(experiment.data, data.classes)
    return Examples(pictures(batch[shown], experiment.data.features), [called[label] for label in labels[shown]])


@dataclass(frozen=True)
class Seen:
    """What a run says of its validation images: `logits` (N, classes) by head; of a run that diverged they are no
    numbers."""
    experiment: experiments.Experiment
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: dict[str, logits.Logits]
    val: Split

    def pictures(self, positions: Sequence[int]) -> Pictures:
        """Validation images by their positions, as the network gets them."""
        chosen = self.val.images[torch.as_tensor(list(positions), dtype=torch.int64)]
        return pictures(evaluate_view(chosen, self.experiment.recipe.augment), self.experiment.data.features)

    def heads(self) -> pd.DataFrame:
        """`logits.heads`; without rows where the run diverged."""
        if not all(np.isfinite(one).all() for one in self.logits.values()):
            return pd.DataFrame(columns=["head", "error", "error5"])
        return logits.heads(logits.Scores(self.logits, self.labels, ""))


def look(experiment: experiments.Experiment, seed: int) -> Seen:
    """What a finished run says. Trains it again where it is published and its weights are not here, for they stay on
    the machine that trained."""
    address = experiments.address(experiment, seed)
    if not store.weights(address).exists():
        with store.lease(address):
            loop.train(experiment, seed)
    data, said = load(experiment.data), members.member(experiment, seed)
    return Seen(experiment, names(experiment.data, data.classes), said.labels, said.logits, data.val)


def names(data: Data, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Of the classes, for people."""
    return tiny_imagenet.words(classes) if data.name == "tiny-imagenet-200" else classes


def pictures(images: Tensor, of: LogMel | None = None) -> Pictures:
    """What a network gets, to be looked at, at most SIDE px a side: colours (n, H, W, 3) from 0 to 1; of sound its
    log-mel energies, (n, bands, frames), as far as cepstral coefficients hold them."""
    if of is not None:  # features are its channels, frames its height
        heard = images[..., 0]
        return (heard if of.mfcc is None else sound.dct(of.mels)[:of.mfcc].T @ heard).numpy()
    height, width = images.shape[2:]
    if (scale := SIDE / max(height, width)) < 1:
        images = F.interpolate(images, (round(scale * height), round(scale * width)), mode="bilinear", antialias=True)
    return (images * STD + MEAN).clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy()


def export(experiment: experiments.Experiment, seed: int, name: str) -> dict[str, Path | str]:
    """Writes the weights of a finished run as `exports/<name>-<address>.safetensors`, and the network as .onnx, to
    your store: by format the path or, where there can be none, why not."""
    network, classes = members.network(experiment, seed), load(experiment.data).classes
    path = paths.mine() / "exports" / f"{name}-{experiments.address(experiment, seed)}.safetensors"
    if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
        return {"safetensors": "The run diverged: its weights are no numbers, and nothing was written."}
    found: dict[str, Path | str] = {"safetensors": weights.save(network, path, classes)}
    try:
        with _quiet():
            found["onnx"] = onnx.save(network, path.with_suffix(".onnx"), classes=classes)
    except BadInput as problem:
        found["onnx"] = str(problem)
    return found


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """torch's exporter tells of its progress; on a page that is noise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
