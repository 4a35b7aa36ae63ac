"""Planted networks found again, edge by edge; every step against loops over units."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from replication.models import random_sparse as rs


def planted(outputs: int = 60, size: int = 5, seed: int = 0) -> csr_array:
    """Units with as many positive edges each, no two outputs in common, and a negative one to the next unit's first."""
    hidden = outputs // size
    weights = np.zeros((outputs, hidden), np.float32)
    for unit in range(hidden):
        weights[unit * size:(unit + 1) * size, unit] = 1
        weights[(unit + 1) * size % outputs, unit] = -1
    return csr_array(weights[np.random.default_rng(seed).permutation(outputs)])


def dense(of: csr_array) -> np.ndarray:
    return of.toarray()


def test_a_planted_layer_is_found_exactly() -> None:
    weights, rng = planted(), np.random.default_rng(1)
    gives = rs.forward(weights, rs.top(4000, 12, 2, rng))
    found = rs.learn(gives, 2 / 12, 6, rng)
    assert found.shape == weights.shape
    np.testing.assert_array_equal(dense(rs.matched(found, weights)), dense(weights))
    assert rs.recovery(found, weights) == rs.Recovery(1, 1, 1, 0)


def test_a_random_layer_is_mostly_found_and_needs_samples() -> None:
    rng = np.random.default_rng(2)
    weights = rs.layer(120, 120, 8, rng)
    gives = rs.forward(weights, rs.top(8000, 120, 2, rng))
    many, few = (rs.recovery(rs.learn(gives[:number], 2 / 120, 8, rng), weights) for number in (8000, 200))
    assert many.positive > 0.85
    assert many.positive > few.positive + 0.1
    assert many.negative > few.negative


def test_two_layers_are_found_one_after_the_other() -> None:
    lower, upper, rng = planted(60, 5), planted(12, 4, 3), np.random.default_rng(3)
    middle = rs.forward(upper, rs.top(2000, 3, 1, rng))
    gives = rs.forward(lower, middle)
    seen = rs.encode(lower, gives)
    np.testing.assert_array_equal(dense(seen), dense(middle))
    found = rs.learn(seen, 1 / 3, 6, rng)
    assert rs.recovery(found, upper).positive == 1


def test_layers_and_samples_are_as_sparse_as_asked() -> None:
    rng = np.random.default_rng(4)
    weights = dense(rs.layer(400, 300, 10, rng))
    assert set(np.unique(weights)) == {-1, 0, 1}
    assert (weights != 0).sum(0).mean() == pytest.approx(10, abs=0.6)
    assert weights.sum() == pytest.approx(0, abs=4 * np.sqrt(3000))
    weights = dense(rs.even(50, 30, 6, rng))
    assert ((weights == 1).sum(1) == 3).all()
    assert ((weights == -1).sum(1) == 3).all()
    for active in (3, 7):
        hidden = dense(rs.top(500, 20, active, rng))
        assert set(np.unique(hidden)) == {0, 1}
        assert (hidden.sum(1) == active).all()
        assert hidden.mean(0) == pytest.approx(active / 20, abs=0.12)


def test_a_layer_gives_the_sign_of_its_sums() -> None:
    rng = np.random.default_rng(5)
    weights, hidden = rs.layer(30, 20, 9, rng), rs.top(40, 20, 4, rng)
    expected = [[1.0 if sum(dense(weights)[i, j] * h[j] for j in range(20)) > 0 else 0.0 for i in range(30)]
                for h in dense(hidden)]
    np.testing.assert_array_equal(dense(rs.forward(weights, hidden)), expected)


def test_pairs_are_joined_where_numpy_finds_the_covariance() -> None:
    rng = np.random.default_rng(6)
    gives = rs.forward(rs.layer(40, 40, 6, rng), rs.top(600, 40, 2, rng))
    joined = np.cov(dense(gives).T.astype(float), bias=True) > 0.05 / 2
    np.fill_diagonal(joined, False)
    assert joined.sum() > 40
    np.testing.assert_array_equal(dense(rs.pairwise(gives, 0.05)) > 0, joined)


def test_groups_that_overlap_in_one_output_are_told_apart() -> None:
    sets = [range(5), range(4, 9), range(8, 12)]
    joined = np.zeros((13, 13))
    for one in sets:
        joined[np.ix_(one, one)] = 1
    joined[0, 12] = joined[12, 0] = 1  # an edge alone: a unit of two
    np.fill_diagonal(joined, 0)
    found = rs.groups(csr_array(joined), 8, np.random.default_rng(7))
    assert set(found) == {*map(frozenset, sets), frozenset({0, 12})}
    assert rs.groups(csr_array(joined), 1, np.random.default_rng(7)) == [frozenset({0, 12})], "too many in common"


def by_sets(joined: np.ndarray, degree: float, rng: np.random.Generator) -> list[frozenset[int]]:
    """`groups` as its docstring says it, edge by edge, with sets."""
    near = [set(np.flatnonzero(row).tolist()) for row in joined]
    edges = [(u, v) for u in range(len(near)) for v in sorted(near[u]) if u < v]
    done: set[tuple[int, int]] = set()
    found: set[frozenset[int]] = set()
    for u, v in (edges[i] for i in rng.permutation(len(edges))):
        group = {u, v} | (near[u] & near[v])
        if (u, v) in done or len(group) - 2 > 1.3 * degree:
            continue
        while len(near[worst := min(group, key=lambda one: (len(near[one] & group), one))] & group
                  ) < rs.CLIQUE * (len(group) - 1):
            group.remove(worst)
        if {u, v} <= group:
            group |= {one for one in range(len(near)) if len(near[one] & group) >= rs.CLIQUE * len(group)}
            found.add(frozenset(group))
            done |= {(a, b) for a in group for b in group}
    kept: list[frozenset[int]] = []
    for one in sorted(found, key=lambda one: (-len(one), sorted(one))):
        if all(2 * len(one & other) <= len(one | other) for other in kept):
            kept.append(one)
    return kept


@pytest.mark.parametrize(("width", "degree", "samples"), [(60, 5, 300), (90, 9, 900), (80, 20, 2000)])
def test_groups_are_those_that_sets_give(width: int, degree: int, samples: int) -> None:
    """Of few samples, of enough, and of units that overlap."""
    rng = np.random.default_rng(10)
    on = max(1, round(width / degree ** 2))
    joined = rs.pairwise(rs.forward(rs.layer(width, width, degree, rng), rs.top(samples, width, on, rng)), on / width)
    found = rs.groups(joined, degree, np.random.default_rng(11))
    assert len(found) > 20
    assert found == by_sets(dense(joined), degree, np.random.default_rng(11))


def test_a_missing_edge_does_not_make_two_of_a_group() -> None:
    joined = np.ones((7, 7)) - np.eye(7)
    joined[1, 4] = joined[4, 1] = 0
    assert rs.groups(csr_array(joined), 8, np.random.default_rng(8)) == [frozenset(range(7))]


# -- read backwards -------------------------------------------------------------------------------------------------
def test_a_threshold_by_hand() -> None:
    """A unit of four outputs and one it silences, another of two: 0.7 of 4 is 2.8, of 2 is 1.4."""
    weights = csr_array(np.array([[1, 0], [1, 0], [1, 0], [1, 0], [-1, 1], [0, 1]], np.float32))
    cases = {(1, 1, 1, 1, 0, 0): (1, 0),  # as the first gives them
             (1, 1, 1, 0, 0, 0): (1, 0),  # one lost: 3
             (1, 1, 0, 0, 0, 0): (0, 0),  # two lost: 2
             (1, 1, 1, 0, 1, 0): (0, 0),  # one lost, one that should be silent: 2
             (1, 1, 1, 1, 1, 0): (1, 0),  # 3
             (0, 0, 0, 0, 1, 1): (0, 1), (0, 0, 0, 0, 1, 0): (0, 0)}
    said = rs.encode(weights, csr_array(np.array(list(cases), np.float32)))
    np.testing.assert_array_equal(dense(said), list(cases.values()))


def test_noise_loses_and_adds_as_much_as_it_says() -> None:
    rng = np.random.default_rng(9)
    gives = csr_array((rng.random((400, 200)) < 0.05).astype(np.float32))
    noisy = rs.flipped(gives, 0.25, rng)
    assert set(np.unique(dense(noisy))) == {0, 1}
    kept = noisy.multiply(gives).count_nonzero()
    assert kept / gives.nnz == pytest.approx(0.75, abs=0.03)
    assert (noisy.count_nonzero() - kept) / gives.nnz == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(dense(rs.flipped(gives, 0, rng)), dense(gives))


# -- compared -------------------------------------------------------------------------------------------------------
def test_recovery_by_hand() -> None:
    true = csr_array(np.array([[1, 0], [1, 0], [1, -1], [0, 1], [0, 1]], np.float32))
    found = csr_array(np.array([[0, 1, 0], [0, 1, 0], [0, -1, 0], [1, 0, 0], [1, -1, 1]], np.float32))
    # the second is planted 0 with 2 of 3 edges, the first planted 1 without its negative one; 2 + 2 of 7 are right
    placed = rs.recovery(found, true)
    assert (placed.positive, placed.negative, placed.edges) == pytest.approx((4 / 5, 0, 4 / 6))
    assert placed.false == pytest.approx(3 / 7)


def test_overlap_by_hand() -> None:
    a, b = (csr_array(np.array([row], np.float32)) for row in ([1, 1, 1, 0], [0, 1, 1, 1]))
    assert rs.overlap(a, b) == 2 / 4
    assert rs.overlap(a, a) == rs.overlap(csr_array((1, 4)), csr_array((1, 4))) == 1


def test_one_layer_fits_what_one_layer_gives_and_not_an_exclusive_or() -> None:
    inputs = csr_array(np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 5, np.float32))
    either = csr_array(np.array([[0, 0], [1, 0], [1, 0], [1, 1]] * 5, np.float32))  # or, and
    assert rs.overlap(rs.given_by(*rs.one_layer(inputs, either), inputs), either) == 1
    apart = csr_array(np.array([[0], [1], [1], [0]] * 5, np.float32))
    assert rs.overlap(rs.given_by(*rs.one_layer(inputs, apart), inputs), apart) < 1
