"""The random sparse networks of Arora, Bhaskara, Ge and Ma (arXiv 1310.6343), and a layer of them learnt from what it
gives. numpy and scipy alone.

A layer is a sparse matrix (outputs, hidden) of weights +1 and −1. A hidden vector is binary and sparse, and an output
is 1 where its weighted sum is above 0. Samples are rows.
"""
from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

CLIQUE = 0.8  # the share of a group to which each of its members must be joined (their RecoverGraph has it too)
TRIES, EVER = 3, 1 / 3  # a negative weight: seen in so many samples at least, of which at most this share fired
ON = 0.7  # the share of its positive weights above which a hidden unit is taken to be on


# -- the network --------------------------------------------------------------------------------------------------
def layer(outputs: int, hidden: int, degree: float, rng: Generator) -> csr_array:
    """Weights (outputs, hidden): a hidden unit has `degree` edges on average, each +1 or −1 with equal chances."""
    edges = rng.random((outputs, hidden)) < degree / outputs
    return csr_array(np.where(edges, rng.choice((-1.0, 1.0), edges.shape), 0.0).astype(np.float32))


def even(outputs: int, hidden: int, degree: int, rng: Generator) -> csr_array:
    """Weights (outputs, hidden): every output has `degree` edges, half of them +1 and half −1, so that all outputs fire
    about equally often, as those of a very wide `layer` do."""
    weights = np.zeros((outputs, hidden), np.float32)
    columns = rng.random((outputs, hidden)).argpartition(degree - 1)[:, :degree]
    np.put_along_axis(weights, columns, rng.permuted(np.tile(np.repeat((1, -1), degree // 2), (outputs, 1)), axis=1)
                      .astype(np.float32), 1)
    return csr_array(weights)


def top(samples: int, units: int, active: int, rng: Generator) -> csr_array:
    """Binary vectors (samples, units) with exactly so many ones, everywhere alike."""
    if active ** 2 > units:
        drawn = rng.random((samples, units)).argpartition(active - 1)[:, :active]
    else:  # few: draw those again that have one twice
        drawn = rng.integers(0, units, (samples, active))
        while (again := (np.diff(np.sort(drawn)) == 0).any(1)).any():
            drawn[again] = rng.integers(0, units, (again.sum(), active))
    ends = np.arange(0, drawn.size + 1, active, dtype=np.int32)  # scipy keeps the type in all that is made of them
    return csr_array((np.ones(drawn.size, np.float32), drawn.ravel().astype(np.int32), ends), shape=(samples, units))


def forward(weights: csr_array, hidden: csr_array) -> csr_array:
    """What a layer gives, (samples, outputs)."""
    return binary(hidden @ weights.T)


def binary(sums: csr_array) -> csr_array:
    """1 where above 0."""
    return _ones(sums, sums.data > 0)


def _ones(of: csr_array, where: NDArray[np.bool_]) -> csr_array:
    """1 at those of a matrix's stored entries."""
    kept = where.nonzero()[0]
    ends = np.searchsorted(kept, of.indptr).astype(of.indptr.dtype)
    return csr_array((np.ones(len(kept), np.float32), of.indices[kept], ends), shape=of.shape)


def encode(weights: csr_array, outputs: csr_array) -> csr_array:
    """The hidden vectors behind what a layer gave, by its own weights transposed and a threshold: a unit is on where
    its weighted sum is above the share ON of its positive weights."""
    sums = outputs @ weights
    least = np.floor(ON * np.asarray((weights > 0).sum(0))).astype(np.float32)  # the sums are whole numbers
    return _ones(sums, sums.data > least[sums.indices])


def flipped(outputs: csr_array, share: float, rng: Generator) -> csr_array:
    """With noise: of the ones this share is lost, and as many zeros, on average, become ones."""
    kept = outputs.copy()
    kept.data = (rng.random(kept.nnz) >= share).astype(np.float32)
    kept.eliminate_zeros()
    number = rng.binomial(outputs.shape[0] * outputs.shape[1] - outputs.nnz,
                          share * outputs.nnz / (outputs.shape[0] * outputs.shape[1] - outputs.nnz))
    rows, columns = (rng.integers(0, side, number) for side in outputs.shape)
    more = csr_array((np.ones(number, np.float32), (rows, columns)), shape=outputs.shape)
    return binary(kept + more - more.multiply(outputs))


# -- learnt -------------------------------------------------------------------------------------------------------
def pairwise(outputs: csr_array, rate: float) -> csr_array:
    """Which outputs correlate, (outputs, outputs) of ones: those whose covariance is above half the `rate` at which a
    hidden unit is on, since two that share a hidden unit fire together at that rate and others by chance.

    Their PairwiseGraph compares how often two fire together with a third of the rate; where few outputs fire, this is
    the same but for the constant."""
    samples = outputs.shape[0]
    together = (outputs.T @ outputs).toarray()
    often = np.asarray(outputs.sum(0))
    joined = together - np.outer(often, often) / samples > rate * samples / 2
    np.fill_diagonal(joined, False)
    return csr_array(joined.astype(np.float32))


def groups(joined: csr_array, degree: float, rng: Generator) -> list[frozenset[int]]:
    """Outputs that share a hidden unit with a positive weight, a set a hidden unit: their RecoverGraph.

    It takes an edge, and of all that are joined to both its ends those that are joined to nearly all of each other; the
    edges among these are done with. An edge with more than 1.3 `degree` common neighbours lies in several groups and is
    passed over. What "nearly all" is they count in units of the degree, which hardly differs between units of a very
    wide layer; here it is a share of the group."""
    near = joined.toarray() > 0
    rows, columns = np.nonzero(np.triu(near))
    both = near.astype(np.float32)
    order = rng.permutation(len(rows))
    order = order[(both @ both)[rows[order], columns[order]] <= 1.3 * degree]
    done = np.zeros_like(near)
    found: dict[frozenset[int], None] = {}
    for u, v in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if done[u, v]:
            continue
        common = near[u] & near[v]
        common[[u, v]] = True
        group = _tight(common.nonzero()[0], near)
        if u in group and v in group:
            more = near[group].sum(0, dtype=np.int32) >= math.ceil(CLIQUE * len(group))
            more[group] = True
            group = more.nonzero()[0]
            found[frozenset(group.tolist())] = None
            done[group[:, None], group] = True
    return _distinct(found, len(near))


def _distinct(found: Collection[frozenset[int]], outputs: int) -> list[frozenset[int]]:
    """Without those that are nearly the same as a larger one: an edge that was missed makes two of one."""
    kept: list[frozenset[int]] = []
    holds, sizes = np.zeros((outputs, len(found)), bool), np.zeros(len(found), int)  # of those that are kept
    for group in sorted(found, key=lambda one: (-len(one), sorted(one))):
        members, number = list(group), len(kept)
        shared = holds[members, :number].sum(0, dtype=np.int32)
        if not (3 * shared > len(group) + sizes[:number]).any():  # half of their union
            holds[members, number], sizes[number] = True, len(group)
            kept.append(group)
    return kept


def _tight(group: NDArray[np.intp], near: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Without those, the worst first, that are joined to too few of the others."""
    among = near[group[:, None], group].astype(np.int32)
    joins, left, out = among.sum(0), len(group), 2 * len(near)
    while joins[worst := joins.argmin()] < CLIQUE * (left - 1):
        joins -= among[worst]
        joins[worst], left = out, left - 1
    return group[joins < len(near)]


def positive(outputs: csr_array, rate: float, degree: float, rng: Generator) -> csr_array:
    """The positive weights (outputs, hidden units in no order) of a layer whose hidden units are on at that rate, from
    what it gave: an edge from each output of a group to a hidden unit of its own."""
    sets = groups(pairwise(outputs, rate), degree, rng)
    rows = np.array([member for one in sets for member in sorted(one)], dtype=int)
    columns = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    return csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(outputs.shape[1], len(sets)))


def learn(outputs: csr_array, rate: float, degree: float, rng: Generator) -> csr_array:
    """All weights: the positive ones, the hidden vectors behind the samples by these, and of both the negative ones."""
    plus = positive(outputs, rate, degree, rng)
    return csr_array(plus - negative(plus, encode(plus, outputs), outputs))


def negative(positive: csr_array, hidden: csr_array, outputs: csr_array) -> csr_array:
    """1 where a hidden unit has a negative weight: whenever it is on and the output has exactly one positive unit that
    is on, the output, which else would fire, is silent."""
    sums = hidden @ positive.T
    sums.data = (sums.data == 1).astype(np.float32)
    sums.eliminate_zeros()
    tries = (sums.T @ hidden).toarray()
    fires = (sums.multiply(outputs).T @ hidden).toarray()
    return csr_array(((tries >= TRIES) & (fires <= EVER * tries)).astype(np.float32))


# -- compared -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Recovery:
    """Shares, 0 to 1: of the planted positive and negative edges and of both, those that were found; of all that were
    found, those that are `false`."""
    positive: float
    negative: float
    edges: float
    false: float


def matched(found: csr_array, planted: csr_array) -> csr_array:
    """The found weights with their hidden units in the planted order: those whose positive outputs overlap most in all.
    A planted unit that was not found has no weights."""
    overlap = ((found > 0).astype(np.float32).T @ (planted > 0).astype(np.float32)).toarray()
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    place = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=overlap.shape)
    return csr_array(found @ place)


def recovery(found: csr_array, planted: csr_array) -> Recovery:
    """How much of a planted layer was found, whatever the order of its hidden units. A found unit without a planted one
    has false edges alone."""
    placed = matched(found, planted)
    plus, minus = (int(((sign * placed > 0) * (sign * planted > 0)).sum()) for sign in (1, -1))
    of = [int((sign * planted > 0).sum()) for sign in (1, -1)]
    return Recovery(_share(plus, of[0]), _share(minus, of[1]), _share(plus + minus, sum(of)),
                    _share(found.count_nonzero() - plus - minus, found.count_nonzero()))


def overlap(said: csr_array, true: csr_array) -> float:
    """Of all ones in either, the share that is in both: 1 where binary matrices are equal."""
    both = int(said.multiply(true).count_nonzero())
    return _share(both, said.count_nonzero() + true.count_nonzero() - both, 1.0)


def _share(part: int, whole: int, of_none: float = 0.0) -> float:
    return float(part / whole) if whole else of_none


# -- one layer in the place of two --------------------------------------------------------------------------------
def one_layer(hidden: csr_array, outputs: csr_array, steps: int = 150) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weights (hidden, outputs) and biases of one layer with any weights and thresholds that gives what is given:
    a logistic regression an output, all of them at once."""
    from scipy.optimize import minimize
    from scipy.special import expit

    y = outputs.toarray().astype(float)
    units, number = hidden.shape[1], outputs.shape[1]
    turned = hidden.T.tocsr()

    def loss(x: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        weights, bias = x[number:].reshape(units, number), x[:number]
        sums = hidden @ weights + bias
        error = expit(sums) - y
        value = float(np.logaddexp(0, sums).sum() - (sums * y).sum())
        return value, np.concatenate([error.sum(0), (turned @ error).ravel()])

    found = minimize(loss, np.zeros((units + 1) * number), jac=True, method="L-BFGS-B",
                     options={"maxiter": steps, "maxfun": 2 * steps}).x
    return found[number:].reshape(units, number), found[:number]


def given_by(weights: NDArray[Any], bias: NDArray[Any], hidden: csr_array) -> csr_array:
    """What `one_layer`'s layer gives."""
    return csr_array((hidden @ weights + bias > 0).astype(np.float32))
