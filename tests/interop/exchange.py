"""What a library hands over: weights in the order in which its layers stand, what it made of images, and facts.

Imported by other Pythons too: numpy and nothing else.
"""
from __future__ import annotations

import json
from typing import Any

import numpy as np


class Side:
    """One network of a library. Weights are drawn here, so that nothing is at a value that leaving it out would give;
    images at `scale`, the deviation of what such networks are fed."""

    def __init__(self, name: str, library: str, version: str, resolution: int, scale: float = 1.0) -> None:
        self.said: dict[str, Any] = {"name": name, "library": library, "version": version, "facts": {}, "layers": []}
        self.arrays: dict[str, Any] = {}
        self.random = np.random.default_rng(0)
        self.images = self.random.normal(0, scale, (2, 3, resolution, resolution)).astype(np.float32)

    def layer(self, kind: str, **shapes: Any) -> dict[str, Any]:
        """The next layer: "conv" (weight as out, in, height, width), "linear" (out, in) or "norm"; gives its drawn
        parts by name: weight, bias, mean, var."""
        found = {part: self._drawn(kind, part, tuple(shape)) for part, shape in shapes.items() if shape is not None}
        number = len(self.said["layers"])
        self.said["layers"].append({"kind": kind, "parts": list(found)})
        self.arrays.update({f"{number}.{part}": value for part, value in found.items()})
        return found

    def _drawn(self, kind: str, part: str, shape: tuple[int, ...]) -> Any:
        if part == "weight" and kind != "norm":
            value = self.random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        elif part in ("weight", "var"):
            value = self.random.uniform(0.5, 1.5, shape)
        else:
            value = self.random.normal(0, 0.1, shape)
        return value.astype(np.float32)

    def fact(self, aspect: str, text: str) -> None:
        self.said["facts"][aspect] = text

    def write(self, folder: str, logits: Any, **more: Any) -> None:
        """`more`: what else came out, by name."""
        path = f"{folder}/{self.said['library']} {self.said['name']}.npz".replace(" ", "-")
        np.savez(path, said=json.dumps(self.said), images=self.images, logits=np.asarray(logits),
                 **{f"more {name}": np.asarray(value) for name, value in more.items()}, **self.arrays)


def sides(shapes: Any) -> str:
    """The sides of the maps (N, C, H, W) that a network goes through, each once, without the last averages."""
    found = dict.fromkeys(int(shape[2]) for shape in shapes if len(shape) == 4)
    return "; ".join(str(side) for side in sorted(found, reverse=True) if side > 1)
