"""Matrices most of whose entries are zero, and the search for dense blocks in them (V1 §3, "clustering sparse matrices
into relatively dense submatrices")."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication import stats
from replication.errors import BadInput, check

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]  # the block of each row, or of each column
STRAY = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


# -- matrices -----------------------------------------------------------------------------------------------------
def scattered(rows: int, columns: int, density: float, random: np.random.Generator) -> Matrix:
    """Normal entries in that share of the places, drawn at random, at least one."""
    return tiled(rows, columns, density, 1, random)


def tiled(rows: int, columns: int, density: float, side: int, random: np.random.Generator) -> Matrix:
    """The same in whole tiles of side×side, which lie on a grid. Raises BadInput for sides that the tiles do not
    divide."""
    if rows % side or columns % side:
        raise BadInput(f"A matrix of {rows}×{columns} cannot be cut into tiles of {side}×{side}.")
    grid = np.zeros((rows // side, columns // side), dtype=np.float32)
    some = random.choice(grid.size, max(1, round(density * grid.size)), replace=False)
    grid.flat[some] = 1
    return np.kron(grid, np.ones((side, side), np.float32)) * _normal(rows, columns, random)


@dataclass(frozen=True)
class Hidden:
    """A matrix, and of each of its rows and columns the block that it belongs to."""
    matrix: Matrix
    rows: Labels
    columns: Labels


def hidden(rows: int, columns: int, blocks: int, random: np.random.Generator, stray: float = 0.0) -> Hidden:
    """So many full blocks of one size, its rows and columns then shuffled; a share `stray` of the entries has been
    moved to places outside the blocks. Raises BadInput for sides that the blocks do not divide."""
    check("blocks", blocks, int, 1)
    if rows % blocks or columns % blocks:
        raise BadInput(f"{blocks} blocks do not divide {rows} rows and {columns} columns.")
    of_rows, of_columns = (random.permutation(np.repeat(np.arange(blocks), side // blocks)) for side in (rows, columns))
    within = of_rows[:, None] == of_columns[None, :]
    filled = within.copy()
    full, empty = np.flatnonzero(within), np.flatnonzero(~within)
    moved = min(round(stray * len(full)), len(empty))
    filled.flat[random.choice(full, moved, replace=False)] = False
    filled.flat[random.choice(empty, moved, replace=False)] = True
    return Hidden(filled * _normal(rows, columns, random), of_rows, of_columns)


def example(rows: int, columns: int, blocks: int) -> Hidden:
    """One such matrix, for a picture."""
    return hidden(rows, columns, blocks, np.random.default_rng(0))


def _normal(rows: int, columns: int, random: np.random.Generator) -> Matrix:
    return random.standard_normal((rows, columns), dtype=np.float32)


# -- found again --------------------------------------------------------------------------------------------------
def clusters(matrix: Matrix, blocks: int, seed: int = 0) -> tuple[Labels, Labels]:
    """The blocks of rows and of columns, by where entries are, whatever their values.

    Spectral co-clustering (Dhillon 2001): each place is divided by the root of how full its row and its column are.
    Rows and columns of a block then have the same direction in the space of the largest singular vectors, and k-means
    groups the directions.
    """
    from sklearn.cluster import KMeans  # not at the top, where every page with a figure would wait for it
    from sklearn.utils.extmath import randomized_svd

    full = (matrix != 0).astype(np.float64)
    by_row, by_column = (1 / np.sqrt(np.maximum(full.sum(axis), 1)) for axis in (1, 0))
    left, _, right = randomized_svd(by_row[:, None] * full * by_column, blocks, random_state=seed)
    points = np.concatenate([left, right.T])
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    labels = KMeans(blocks, n_init=10, random_state=seed).fit_predict(points).astype(np.int64)
    return labels[:len(matrix)], labels[len(matrix):]


def together(labels: Labels) -> NDArray[np.int64]:
    """The order that puts what belongs together side by side."""
    return np.argsort(labels, kind="stable")


def inside(matrix: Matrix, rows: Labels, columns: Labels) -> float:
    """The share of its entries that lie in the blocks."""
    full = matrix != 0
    return float((full & (rows[:, None] == columns[None, :])).sum() / full.sum())


def product(matrix: Matrix, rows: Labels, columns: Labels, given: Matrix) -> Matrix:
    """What the blocks make of `given` (columns, n), each by a dense product: matrix @ given where nothing lies
    outside them."""
    made = np.zeros((len(matrix), given.shape[1]), dtype=given.dtype)
    for block in np.unique(rows):
        out, into = np.flatnonzero(rows == block), np.flatnonzero(columns == block)
        made[out] = matrix[np.ix_(out, into)] @ given[into]
    return made


def apart(matrix: Matrix, rows: Labels, columns: Labels) -> float:
    """By how much the product of the blocks and that of the whole matrix differ at most, on normal numbers."""
    given = _normal(matrix.shape[1], 64, np.random.default_rng(0))
    return float(np.abs(product(matrix, rows, columns, given) - matrix @ given).max())


def recovery(rows: int, columns: int, blocks: int, matrices: int) -> pd.DataFrame:
    """Blocks hidden and searched for again, with ever more of the entries outside them, and in a matrix that has none:
    means over so many `matrices` with their intervals. `agreement`: the adjusted Rand index of planted and found
    blocks, 1 where they are the same and about 0 by chance. `inside`: percent of the entries that the blocks found
    hold."""
    from sklearn.metrics import adjusted_rand_score

    check("matrices", matrices, int, 2)
    lines = []
    for stray in (*STRAY, None):
        agreements, shares = [], []
        for seed in range(matrices):
            random = np.random.default_rng(seed)
            if stray is None:
                matrix = scattered(rows, columns, 1 / blocks, random)
            else:
                planted = hidden(rows, columns, blocks, random, stray)
                matrix = planted.matrix
            found = clusters(matrix, blocks, seed)
            shares.append(100 * inside(matrix, *found))
            if stray is not None:
                agreements.append(adjusted_rand_score(np.concatenate([planted.rows, planted.columns]),
                                                      np.concatenate(found)))
        line = {"stray": stray}
        for name, values in (("agreement", agreements), ("inside", shares)):
            if values:
                of = stats.mean(values)
                line |= {name: of.value, f"{name}_low": of.low, f"{name}_high": of.high}
        lines.append(line)
    return pd.DataFrame(lines)
