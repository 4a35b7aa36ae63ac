"""scikit-learn's 8×8 handwritten digits, enlarged: real, tiny, no download. One scale only, so a smoke test."""
from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VAL_PER_CLASS = 50


def halves(labels: NDArray[np.int64]) -> tuple[list[list[int]], list[list[int]]]:
    """Positions of the training and of the validation images, a list for every class, by one fixed shuffle.

    RandomState, because numpy promises never to change its streams.
    """
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = [[int(i) for i in shuffled if labels[i] == c] for c in range(10)]
    return [g[VAL_PER_CLASS:] for g in by_class], [g[:VAL_PER_CLASS] for g in by_class]


@lru_cache(maxsize=2)
def read(side: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All 1797 in scikit-learn's order: images (1797, side, side, 3) and labels (1797,)."""
    from sklearn.datasets import load_digits  # a second to import, and only this set needs it

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(g).resize((side, side), Image.Resampling.BILINEAR)) for g in grey]
    return np.repeat(np.stack(large)[..., None], 3, axis=3), digits.target.astype(np.int64)
