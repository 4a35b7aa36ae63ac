"""A trained network as files that a page of the book runs: ONNX with all heads and the class maps, and beside it what
the page must know, with examples and what torch says of them."""
from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from replication import files
from replication.data.load import load
from replication.data.transforms import evaluate_view
from replication.models import build, onnx, weights
from replication.models.build import Net
from replication.models.ops import MEAN, STD
from replication.runs import experiments, store
from replication.training import localise, members

NETWORK, ABOUT = "network.onnx", "network.json"
MISTAKEN = 2  # examples that the network takes for something else, besides one of each class


class Whole(nn.Module):
    """What a network says in evaluation, in one pass: the main logits, those of its auxiliary heads in their order, and
    the class activation maps (N, classes, H', W'). A map's mean and the class's bias make the main logit."""

    kernel: Tensor

    def __init__(self, network: Net) -> None:
        super().__init__()
        self.network = network
        self.pooled, _, linear = localise.ending(network)
        self.register_buffer("kernel", linear.weight.detach()[:, :, None, None].clone())
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x, said, maps = images, {}, images
        for row in self.network.rows:
            if row == self.pooled:
                maps = F.conv2d(x, self.kernel)
            x = getattr(self.network, row)(x)
            if row in self.network.heads:
                said[row] = self.network.aux[row](x)
        return x, *(said[head] for head in self.network.heads[1:]), maps


def save(experiment: experiments.Experiment, seed: int, folder: Path) -> Path:
    """Writes a finished run whose weights are here to `folder`: NETWORK, with weights of 16 bits, and ABOUT. Gives the
    first back. Both name the run, the commit that trained it and the digest of its weights. Raises BadInput where the
    weights are not here or the network has no class maps."""
    address = experiments.address(experiment, seed)
    trained, data = members.network(experiment, seed), load(experiment.data)
    run = store.find(address)
    assert run is not None
    about: dict[str, Any] = {
        "run": address, "commit": run.provenance.get("commit"), "error": run.summary["val_error"],
        "weights": hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in trained.state_dict().values()))
        .hexdigest(), "classes": data.classes, "side": experiment.data.resolution, "mean": MEAN, "std": STD,
        "heads": trained.heads}
    whole = Whole(build.folded(trained))
    images = evaluate_view(data.val.images[:], experiment.recipe.augment)
    said = {weights.KEY: weights.description(trained, data.classes), **{
        name: str(about[name]) for name in ("run", "commit", "weights")}}
    outputs = (*trained.heads, "maps")
    path = onnx.write(whole, images[:2], outputs, said, folder / NETWORK, half=True)

    with torch.inference_mode():
        logits = dict(zip(outputs, whole(images), strict=True))
    about["examples"] = [{
        "label": int(data.val.labels[n]), "png": _png(data.val.images[n:n + 1][0]),
        "logits": {head: [round(float(one), 4) for one in logits[head][n]] for head in trained.heads},
    } for n in _examples(logits["main"], data.val.labels, len(data.classes))]
    files.write(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return path


def _examples(logits: Tensor, labels: Tensor, classes: int) -> list[int]:
    """The first image of each class, and the surest mistakes."""
    sure, taken = logits.softmax(1).max(1)
    wrong = torch.where(taken != labels, sure, 0.0).argsort(descending=True, stable=True)[:MISTAKEN]
    return [*(int((labels == c).nonzero()[0]) for c in range(classes)), *wrong.tolist()]


def _png(image: Tensor) -> str:
    """A file's bytes as text, of (3, H, W) bytes."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy())).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
