"""Calibration against loops, scikit-learn and cases that can be worked out."""
from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from replication.training import calibration

RNG = np.random.default_rng(1)
N, CLASSES = 1000, 7
LOGITS = RNG.normal(0, 2, (N, CLASSES))
LABELS: NDArray[np.int64] = RNG.integers(0, CLASSES, N)


def loop(logits: NDArray[np.float64], labels: NDArray[np.int64], bins: int) -> float:
    """Guo et al. 2017, eqs. 2 and 3, as they stand."""
    p = [[math.exp(z) / sum(math.exp(y) for y in row) for z in row] for row in logits.tolist()]
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, row in enumerate(p) if (m - 1) / bins < max(row) <= m / bins]
        if inside:
            accuracy = sum(p[i].index(max(p[i])) == labels[i] for i in inside) / len(inside)
            confidence = sum(max(p[i]) for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


def say(confidence: float, classes: int = 4) -> list[float]:
    """Logits that give class 0 this probability and the others equal shares of the rest."""
    return [math.log(confidence), *[math.log((1 - confidence) / (classes - 1))] * (classes - 1)]


def ece(logits: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    return calibration.ece(calibration.reliability(logits, labels, calibration.equal_width(bins)))


@pytest.mark.parametrize("bins", [1, 5, 15, 100])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_ece_is_guos(bins: int, scale: float) -> None:
    assert ece(scale * LOGITS, LABELS, bins) == pytest.approx(loop(scale * LOGITS, LABELS, bins), rel=1e-9)


def test_the_table_has_guos_bins() -> None:
    table = calibration.reliability(LOGITS, LABELS, calibration.equal_width())
    confidence = softmax(LOGITS, axis=1).max(1)
    right = LOGITS.argmax(1) == LABELS
    assert table.images.sum() == N
    assert len(table) < 15, "1/7 is the least confidence: the first two bins are empty and left out"
    for row in table.itertuples():
        inside = (confidence > row.low) & (confidence <= row.high)
        assert row.high - row.low == pytest.approx(1 / 15)
        assert row.images == inside.sum()
        assert row.confidence == pytest.approx(confidence[inside].mean())
        assert row.accuracy == pytest.approx(right[inside].mean())


def test_one_confidence_throughout() -> None:
    """Says 0.7 of every image and is right of 6 in 10."""
    logits, labels = np.array([say(0.7)] * 10), np.array([0] * 6 + [1, 2, 3, 1])
    assert ece(logits, labels) == pytest.approx(0.1)
    table = calibration.reliability(logits, labels, calibration.equal_width())
    assert len(table) == 1
    assert table.iloc[0].to_dict() == pytest.approx(
        {"low": 10 / 15, "high": 11 / 15, "images": 10, "confidence": 0.7, "accuracy": 0.6})


def test_who_is_right_as_often_as_he_says_has_none() -> None:
    """0.9 of ten images and right of nine; 0.5 of four and right of two."""
    logits = np.array([say(0.9)] * 10 + [say(0.5)] * 4)
    labels = np.array([0] * 9 + [2] + [0, 0, 1, 3])
    assert ece(logits, labels) == pytest.approx(0, abs=1e-12)
    swapped = np.concatenate([logits[10:], logits[:10]])
    assert ece(swapped, labels) == pytest.approx(abs(4 / 4 - 0.5) * 4 / 14 + abs(7 / 10 - 0.9) * 10 / 14)


def test_labels_drawn_from_the_probabilities_are_calibrated() -> None:
    n = 200_000
    logits = RNG.normal(0, 2, (n, 3))
    p = softmax(logits, axis=1)
    labels = (RNG.random(n)[:, None] > p.cumsum(1)).sum(1).clip(max=2)
    assert ece(logits, labels) < 0.005
    assert ece(3 * logits, labels) > 0.1, "overconfident by construction"
    assert calibration.nll(logits, labels) < calibration.nll(1.2 * logits, labels)
    assert calibration.nll(logits, labels) < calibration.nll(0.8 * logits, labels)


def test_an_edge_belongs_to_the_bin_below() -> None:
    logits = np.array([[0.0, 0.0], [0.0, 0.0]])  # confidence one half
    table = calibration.reliability(logits, np.array([0, 1]), calibration.equal_width(2))
    assert table[["low", "high", "images"]].to_numpy().tolist() == [[0.0, 0.5, 2]]


def test_images_that_are_all_alike_are_one_bin() -> None:
    constant = calibration.reliability(np.zeros((5, 2)), np.array([0, 1, 1, 1, 1]), calibration.equal_width())
    assert constant.images.tolist() == [5]
    assert calibration.ece(constant) == pytest.approx(0.3)


def test_nll_and_brier_are_scikit_learns() -> None:
    p = softmax(LOGITS, axis=1)
    assert calibration.nll(LOGITS, LABELS) == pytest.approx(log_loss(LABELS, p))
    assert calibration.brier(LOGITS, LABELS) == pytest.approx(
        brier_score_loss(LABELS, p, labels=range(CLASSES), scale_by_half=False))


def test_brier_of_one_image_by_hand() -> None:
    """(0.7 - 0)² + (0.2 - 1)² + (0.1 - 0)²; and 2 for who is sure of the wrong class."""
    assert calibration.brier(np.log([[0.7, 0.2, 0.1]]), np.array([1])) == pytest.approx(0.49 + 0.64 + 0.01)
    assert calibration.brier(np.array([[999.0, 0.0]]), np.array([1])) == pytest.approx(2)
    assert calibration.nll(np.array([[999.0, 0.0]]), np.array([1])) == pytest.approx(999)


def test_gaps_by_hand() -> None:
    rows = calibration.gaps(np.array([[1.0, 5.0, 3.0, -1.0], [2.0, 2.0, 0.0, 2.0]]))
    assert rows.logit_gap.tolist() == pytest.approx([5 - (1 + 3 - 1) / 3, 2 - 4 / 3])
    assert rows.top2_gap.tolist() == [2.0, 0.0]


def test_gaps_know_no_constant_and_grow_with_the_scale() -> None:
    rows, moved, doubled = (calibration.gaps(z) for z in (LOGITS, LOGITS + 17, 2 * LOGITS))
    np.testing.assert_allclose(moved, rows)
    np.testing.assert_allclose(doubled, 2 * rows)
    for i, z in enumerate(LOGITS.tolist()):
        first, second, *_ = sorted(z, reverse=True)
        assert rows.top2_gap[i] == pytest.approx(first - second)
        assert rows.logit_gap[i] == pytest.approx(first - (sum(z) - first) / (CLASSES - 1))


def test_the_summary_holds_each() -> None:
    found = calibration.summary(LOGITS.astype(np.float32), LABELS)
    rows = calibration.gaps(LOGITS)
    assert found == pytest.approx({
        "ece": loop(LOGITS, LABELS, 15), "nll": calibration.nll(LOGITS, LABELS),
        "brier": calibration.brier(LOGITS, LABELS), "logit_gap": rows.logit_gap.mean(),
        "top2_gap": rows.top2_gap.mean()}, rel=1e-5)
    assert all(type(value) is float for value in found.values())
