"""Where in an image a network sees a class: class activation maps of one that ends in a global average (Zhou et al.
2016), and what covering a part of the image does to the answer of any."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor, nn

from replication.data import loader
from replication.data.load import Split
from replication.data.tiny_imagenet import IOU, NO_BOX, Box
from replication.data.transforms import normalise
from replication.errors import BadInput
from replication.models import layers
from replication.models.build import Net

Point = tuple[float, float]
Look = Callable[[Net, Tensor, Tensor], tuple[Tensor, Tensor]]  # of a network, images and classes: logits and maps

SHARE = 0.2  # of a map's maximum, above which it is the object: Zhou et al. 2016, §3.2


@torch.inference_mode()
def maps(network: Net, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Main logits (N, classes), and the map (N, H', W') of classes[i] in image i, by default of the class it is taken
    for. `images` are as the network takes them. A map's mean and the class's bias make the logit (NIN §3.2 has no
    weights between the two, and every class a map). Leaves the network in eval mode.

    Raises BadInput for a network that does not end in a global average, dropout or not, and one linear layer.
    """
    _, pool, linear = ending(network)
    seen: list[Tensor] = []
    handle = pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        logits = network.eval()(images)
    finally:
        handle.remove()
    weights = linear.weight[logits.argmax(1) if classes is None else classes]
    return logits, torch.einsum("nk,nkhw->nhw", weights, seen[0])


def enlarged(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps (N, H', W') bilinearly to the images' height × width px."""
    return F.interpolate(maps[:, None].float(), (height, width), mode="bilinear")[:, 0]


def mapped(network: Net, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Main logits, and maps as `maps` gives them, enlarged to the images' size, (N, H, W)."""
    logits, small = maps(network, images, classes)
    return logits, enlarged(small, *images.shape[2:])


@torch.inference_mode()
def covered(network: Net, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Main logits, and by how much the logit of classes[i] falls where a part of image i is covered, (N, H, W): squares
    of a quarter of the side in steps of half of that, filled with the image's mean colour; of a px, the mean over the
    squares that cover it (Zeiler and Fergus 2014, §4.2). Needs no average at the end. Leaves the network in eval mode.
    """
    height, width = images.shape[2:]
    side = max(1, min(height, width) // 4)
    logits = network.eval()(images)
    chosen = (logits.argmax(1) if classes is None else classes)[:, None]
    whole, mean = logits.gather(1, chosen), images.mean((2, 3), keepdim=True)
    fall, times = (torch.zeros(n, height, width, device=images.device) for n in (len(images), 1))
    for y, x in itertools.product(*(range(0, n - side + 1, max(1, side // 2)) for n in (height, width))):
        square = (slice(None), slice(y, y + side), slice(x, x + side))
        part = images.clone()
        part[(slice(None), *square)] = mean
        fall[square] += (whole - network(part).gather(1, chosen))[:, :, None]
        times[square] += 1
    return logits, fall / times.clamp(min=1)


def box(map: NDArray[np.floating], share: float = SHARE) -> Box:
    """x0 y0 x1 y1, corners included, around the largest part of a map (H, W) that is above `share` of its maximum and
    hangs together by sides; -1 where no value is positive."""
    high = map.max()
    if not high > 0:
        return NO_BOX
    parts, _ = ndimage.label(map > share * high)
    largest = 1 + int(np.bincount(parts.ravel())[1:].argmax())
    y, x = np.nonzero(parts == largest)
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


def peak(map: NDArray[np.floating]) -> Point:
    """x, y in px of the highest place of a map (H, W), the middle of several that are equally high."""
    y, x = np.nonzero(map == map.max())
    return float(x.mean()), float(y.mean())


def within(points: ArrayLike, boxes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each point (..., 2), x y, lies in its box (..., 4), corners included."""
    points = np.asarray(points)
    return np.asarray(((points >= boxes[..., :2]) & (points <= boxes[..., 2:])).all(-1))


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4), x0 y0 x1 y1 with corners included; 0 with one that is -1."""
    a, b = np.asarray(a), np.asarray(b)
    corner, end = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.clip(end - corner + 1, 0, None).prod(-1)
    union = sum((one[..., 2:] - one[..., :2] + 1).prod(-1) for one in (a, b)) - common
    known = (a[..., 0] >= 0) & (b[..., 0] >= 0)
    return np.where(known, common / union, 0.0)


def localise(network: Net, split: Split, batch: int = 250, look: Look = mapped,
             shares: Sequence[float] = (SHARE,)) -> pd.DataFrame:
    """A row per image whose box is known and share of a map's maximum that makes a box: `share`, `image` (its
    position), label, predicted, `iou` of the box of the label's map with the one known, and `iou_whole`, what the whole
    image as a box would have had; `peak` and `middle`, whether the map's highest place and the image's middle lie in
    the box known (the pointing game of Zhang et al. 2016). `look` makes the maps.

    Whole images are looked at, which may be larger than the crops of training. Raises BadInput as `maps` does, and for
    a set without boxes.
    """
    if "box" not in split.extra:
        raise BadInput("These images have no boxes; localisation needs tiny-imagenet-200, or shapes.boxes.")
    height, width = split.images.shape[2:]
    predicted: list[int] = []
    found: list[list[Box]] = []
    peaks: list[Point] = []
    parts = loader.parts(split.images, batch, split.labels.device)
    for images, labels in zip(parts, split.labels.split(batch), strict=True):
        logits, large = look(network, normalise(images), labels)
        predicted += logits.argmax(1).tolist()
        found += [[box(one, share) for share in shares] for one in large.cpu().numpy()]
        peaks += [peak(one) for one in large.cpu().numpy()]
    known = split.extra["box"].cpu().numpy()
    rows = pd.concat([pd.DataFrame({
        "share": share, "image": range(len(known)), "label": split.labels.tolist(), "predicted": predicted,
        "iou": iou([each[n] for each in found], known), "iou_whole": iou((0, 0, width - 1, height - 1), known),
        "peak": within(peaks, known), "middle": within(((width - 1) / 2, (height - 1) / 2), known)})
        for n, share in enumerate(shares)])
    return rows[np.tile(known[:, 0] >= 0, len(shares))].reset_index(drop=True)


def localisation_errors(rows: pd.DataFrame) -> dict[str, float]:
    """Of `localise`: `error`, class or box wrong (ILSVRC's top-1 localisation error), `error_box`, box wrong though the
    class is told, and `error_whole`, as that for whoever answers with the whole image. A box is right from IoU 0.5."""
    right = rows.iou >= IOU
    return {"error": float(1 - (right & (rows.predicted == rows.label)).mean()),
            "error_box": float(1 - right.mean()), "error_whole": float(1 - (rows.iou_whole >= IOU).mean())}


def ending(network: Net) -> tuple[str, nn.AdaptiveAvgPool2d, layers.Linear]:
    """The global average, by the name of its row first, and the linear layer that a network ends in. Raises BadInput as
    `maps` does."""
    chain = [(row, module) for row in network.rows if not isinstance(module := getattr(network, row), nn.Dropout)]
    (row, pool), (_, linear) = chain[-2:] if len(chain) > 1 else (("", None), ("", None))
    if not (isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size == 1 and isinstance(linear, layers.Linear)
            and not linear.relu):
        raise BadInput(f"{network.network.name} ends in {', '.join(network.rows[-3:])}; class activation maps need a "
                       f"global average and then one linear layer (head='average').")
    return row, pool, linear
