"""Matrices with as many entries as asked for, blocks found again where they were hidden, and products block by
block."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array
from scipy.sparse.csgraph import connected_components

from replication.errors import BadInput
from replication.pages import blocks, figures, sparsity


def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(("density", "entries"), [(1, 480), (0.1, 48), (0.01, 5), (0.001, 1)])
def test_as_many_entries_as_asked(density: float, entries: int) -> None:
    matrix = blocks.scattered(20, 24, density, random())
    assert matrix.shape == (20, 24)
    assert matrix.dtype == np.float32
    assert np.count_nonzero(matrix) == entries


def test_tiles_are_whole() -> None:
    matrix = blocks.tiled(32, 48, 0.5, 8, random())
    full = (matrix != 0).reshape(4, 8, 6, 8).sum((1, 3))
    assert sorted(full.ravel()) == [0] * 12 + [64] * 12
    with pytest.raises(BadInput, match="cut into tiles"):
        blocks.tiled(32, 50, 0.5, 8, random())


def test_hidden_blocks_are_full_and_of_one_size() -> None:
    planted = blocks.hidden(12, 20, 4, random())
    assert (planted.matrix != 0).tolist() == (planted.rows[:, None] == planted.columns[None, :]).tolist()
    assert [(planted.rows == n).sum() for n in range(4)] == [3] * 4
    assert [(planted.columns == n).sum() for n in range(4)] == [5] * 4
    assert list(planted.rows) != sorted(planted.rows)
    assert blocks.inside(planted.matrix, planted.rows, planted.columns) == 1


@pytest.mark.parametrize("stray", [0.25, 0.5, 1])
def test_stray_entries_move_and_none_is_lost(stray: float) -> None:
    planted = blocks.hidden(12, 20, 4, random(), stray)
    assert np.count_nonzero(planted.matrix) == 60
    assert blocks.inside(planted.matrix, planted.rows, planted.columns) == 1 - stray


@pytest.mark.parametrize("number", [0, 5, 8])
def test_blocks_must_divide_the_matrix(number: int) -> None:
    with pytest.raises(BadInput):
        blocks.hidden(12, 20, number, random())


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two labellings part alike, whatever their numbers."""
    return ((a[:, None] == a) == (b[:, None] == b)).all()


@pytest.mark.parametrize(("rows", "columns", "number"), [
    (12, 20, 2), (24, 48, 8), (64, 32, 16), (96, 144, 8), (9, 9, 1)])
def test_planted_blocks_are_found_exactly(rows: int, columns: int, number: int) -> None:
    """As the connected components of rows and columns, which is another way to the same."""
    planted = blocks.hidden(rows, columns, number, random())
    found = np.concatenate(blocks.clusters(planted.matrix, number))
    assert same(found, np.concatenate([planted.rows, planted.columns]))
    corner = csr_array(planted.matrix != 0)
    graph = block_diag([csr_array((rows, rows)), csr_array((columns, columns))]).tolil()
    graph[:rows, rows:] = corner.toarray()
    assert same(found, connected_components(graph, directed=False)[1])


def test_a_few_strays_do_not_hide_them() -> None:
    planted = blocks.hidden(48, 96, 6, random(), 0.2)
    rows, columns = blocks.clusters(planted.matrix, 6)
    assert same(rows, planted.rows)
    assert same(columns, planted.columns)
    assert blocks.inside(planted.matrix, rows, columns) == pytest.approx(0.8, abs=0.002)


def test_what_is_small_counts_as_an_entry_too() -> None:
    """Blocks are where entries are, not where they are large; a row without any belongs anywhere."""
    planted = blocks.hidden(12, 20, 4, random())
    scaled = planted.matrix * np.logspace(-6, 6, 20, dtype=np.float32)
    assert all(same(*each) for each in zip(blocks.clusters(planted.matrix, 4), blocks.clusters(scaled, 4), strict=True))
    scaled[0] = 0
    rows, columns = blocks.clusters(scaled, 4)
    assert same(rows[1:], planted.rows[1:])
    assert same(columns, planted.columns)


def test_block_by_block_is_the_same_product() -> None:
    planted, given = blocks.hidden(24, 40, 4, random()), random().standard_normal((40, 7), dtype=np.float32)
    found = blocks.clusters(planted.matrix, 4)
    np.testing.assert_allclose(blocks.product(planted.matrix, *found, given), planted.matrix @ given, rtol=1e-5,
                               atol=1e-5)
    order = blocks.together(found[0])
    cornered = planted.matrix[order][:, blocks.together(found[1])]
    for n in range(4):  # sorted, the blocks lie along the diagonal
        assert (cornered[6 * n:6 * n + 6, 10 * n:10 * n + 10] != 0).all()


def test_how_far_apart_they_are() -> None:
    planted = blocks.hidden(24, 40, 4, random())
    assert blocks.apart(planted.matrix, planted.rows, planted.columns) < 1e-4
    assert blocks.apart(planted.matrix, planted.rows, np.roll(planted.columns, 7)) > 1


def test_strays_are_what_it_leaves_out() -> None:
    planted, given = blocks.hidden(24, 40, 4, random(), 0.1), np.eye(40, dtype=np.float32)
    made = blocks.product(planted.matrix, planted.rows, planted.columns, given)
    assert np.count_nonzero(planted.matrix - made) == 24


def test_recovery_and_its_control() -> None:
    found = blocks.recovery(24, 36, 4, 3)
    assert found.stray.to_list()[:-1] == list(blocks.STRAY)
    first, last, none = found.iloc[0], found.iloc[-2], found.iloc[-1]
    assert (first.agreement, first.inside) == (1, 100)
    assert last.agreement < 0.5 < 1
    assert np.isnan(none.agreement)
    assert 25 <= none.inside < 60  # a quarter by chance, more by search, far from all
    assert ((found.inside_low <= found.inside) & (found.inside <= found.inside_high)).all()
    assert sparsity.searched(found).count("<tr>") == len(found) + 1


def test_the_picture() -> None:
    planted = blocks.example(12, 20, 4)
    before, after = figures.sorted_blocks(planted, *blocks.clusters(planted.matrix, 4)).axes
    assert len(before.lines[0].get_xdata()) == len(after.lines[0].get_xdata()) == 60
    x, y = (np.asarray(each) for each in after.lines[0].get_data())
    assert {(int(down) // 3, int(across) // 5) for across, down in zip(x, y, strict=True)} == {(n, n) for n in range(4)}
