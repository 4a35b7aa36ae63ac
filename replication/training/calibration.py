"""Whether a network is right as often as it says, and how far its largest logit has run away. No torch.

Everything takes logits (N, classes) and labels (N,). An image's confidence is its largest probability.
"""
from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from replication.training.logits import Logits, place

BINS = 15  # Guo et al. 2017, §4


def equal_width(bins: int = BINS) -> NDArray[np.float64]:
    """The edges of bins of one width over 0 … 1."""
    return np.linspace(0, 1, bins + 1)


def reliability(logits: Logits, labels: NDArray[np.int64], edges: NDArray[np.float64]) -> pd.DataFrame:
    """A row per bin that is not empty: low, high, images, confidence, accuracy, the last two means over its images.

    A bin is (low, high], as in Guo et al. 2017, §2; the first holds its lower edge too.
    """
    confidence, right = _confidence(logits), place(logits, labels) == 0
    at = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
    rows = pd.DataFrame({"at": at, "confidence": confidence, "accuracy": right.astype(float)})
    found = rows.groupby("at").agg(images=("at", "size"), confidence=("confidence", "mean"),
                                   accuracy=("accuracy", "mean"))
    return pd.DataFrame({"low": edges[found.index], "high": edges[found.index + 1], "images": found.images.to_numpy(),
                         "confidence": found.confidence.to_numpy(), "accuracy": found.accuracy.to_numpy()})


def ece(table: pd.DataFrame) -> float:
    """Expected calibration error of a reliability table, Guo et al. 2017, eq. 3: Σ n_b / N |accuracy_b - confidence_b|.
    """
    return float((table.images * (table.accuracy - table.confidence).abs()).sum() / table.images.sum())


def nll(logits: Logits, labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the label, in nats."""
    return float(-np.take_along_axis(log_softmax(logits.astype(float), axis=1), labels[:, None], 1).mean())


def brier(logits: Logits, labels: NDArray[np.int64]) -> float:
    """Mean over images of the squared distance from the probabilities to the label's unit vector, 0 … 2 (Brier 1950).
    """
    p = softmax(logits.astype(float), axis=1)
    p[np.arange(len(labels)), labels] -= 1
    return float(np.square(p).sum(1).mean())


def gaps(logits: Logits) -> pd.DataFrame:
    """A row per image: `logit_gap`, its largest logit less the mean of the others, which V3 §7 says label smoothing
    keeps small, and `top2_gap`, its largest less its second."""
    z = logits.astype(float)
    ordered = np.partition(z, -2, axis=1)
    first, second = ordered[:, -1], ordered[:, -2]
    return pd.DataFrame({"logit_gap": first - (z.sum(1) - first) / (z.shape[1] - 1), "top2_gap": first - second})


def summary(logits: Logits, labels: NDArray[np.int64]) -> dict[str, float]:
    """`ece` over 15 bins of equal width, `nll`, `brier`, and the means of both gaps."""
    table = reliability(logits, labels, equal_width())
    return {"ece": ece(table), "nll": nll(logits, labels), "brier": brier(logits, labels),
            **{str(name): float(mean) for name, mean in gaps(logits).mean().items()}}


def _confidence(logits: Logits) -> NDArray[np.float64]:
    found: NDArray[np.float64] = softmax(logits.astype(float), axis=1).max(1)
    return found
