"""Every way to multiply gives the dense product; sizes by hand; a table with a line for each way."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from replication.__main__ import main
from replication.benchmarks import sparsity as measuring
from replication.benchmarks.sparsity import Product
from replication.pages import blocks, sparsity
from replication.pages.sparsity import HIDDEN, NUMBERED, PERMUTED, SCATTERED, TILED, TWO_OF_FOUR

CPU = torch.device("cpu")
SMALL = Product("small", 64, 96, 5)


def test_sizes_by_hand() -> None:
    """V1 Table 1: 3b sees 256 channels on 28×28, its reductions give 128 and 32; §5: a side head flattens 4×4×128."""
    assert [(p.name, p.rows, p.columns, p.positions) for p in measuring.products()] == [
        ("1×1", 128, 256, 784), ("3×3", 192, 1152, 784), ("5×5", 96, 800, 784), ("fully connected", 1024, 2048, 32)]


@pytest.mark.parametrize("product", measuring.products(), ids=lambda product: product.name)
def test_what_is_drawn_has_its_density(product: Product) -> None:
    if product.name == "fully connected":
        product = Product("half of it", 512, 1024, 32)  # faster, and divided by the same numbers
    found: dict[str, list[float]] = {}
    for pattern, density, weights in measuring.matrices(product, np.random.default_rng(0)):
        assert weights.shape == (product.rows, product.columns)
        assert density == pytest.approx(float((weights != 0).float().mean()))
        found.setdefault(pattern, []).append(density)
    assert found[SCATTERED] == pytest.approx(list(measuring.DENSITIES), rel=0.02)
    assert found[HIDDEN] == [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2]
    assert found[TWO_OF_FOUR] == [0.5]
    assert found[TILED] == sorted(set(found[TILED]))
    assert found[TILED][-1] == 1


@pytest.mark.parametrize(("pattern", "kind"), [
    (pattern, kind) for pattern, ways in measuring.WAYS.items() for kind in ways if pattern != TWO_OF_FOUR])
def test_every_way_gives_the_dense_product(pattern: str, kind: str) -> None:
    random = np.random.default_rng(1)
    given = torch.from_numpy(random.standard_normal((96, 5), dtype=np.float32))
    for density in (0.05, 0.5):
        weights = torch.from_numpy({
            SCATTERED: lambda d: blocks.scattered(64, 96, d, random),
            TILED: lambda d: blocks.tiled(64, 96, d, 16, random),
            HIDDEN: lambda d: blocks.hidden(64, 96, 16 if d < 0.1 else 2, random).matrix}[pattern](density))
        made = torch.as_tensor(measuring.WAYS[pattern][kind](weights, given)())
        assert made.dtype == torch.float32
        wanted = (weights.double() @ given.double()).float()
        if kind == NUMBERED:  # as sorted: the same rows in another order
            assert not torch.allclose(made, wanted, atol=1e-4)
            made, wanted = (each[each[:, 0].argsort()] for each in (made, wanted))
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)


def test_two_of_four() -> None:
    weights = torch.tensor([[1.0, -4, 2, 3, 0.1, 0.2, -0.3, 0.4]])
    assert measuring.two_of_four(weights).tolist() == [[0, -4, 0, 3, 0, 0, pytest.approx(-0.3), pytest.approx(0.4)]]


def test_formats_are_multiplied_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as what they were made into beforehand: a LIL makes a CSR matrix for every product, a DOK reads its entries
    one by one."""
    made: list[str] = []

    def watched(form: str, name: str) -> None:
        cls = type(measuring.sparse.coo_array(np.eye(2)).asformat(form))
        before = getattr(cls, name)
        monkeypatch.setattr(cls, name, lambda self, *given: (made.append(form), before(self, *given))[1])
    watched("lil", "tocsr")
    watched("dok", "items")
    for form in ("lil", "dok"):
        multiply = measuring.WAYS[SCATTERED][f"scipy {form.upper()}"](torch.eye(4), torch.ones(4, 2))
        made.clear()
        multiply()
        multiply()
        assert made == [form, form]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "products", lambda quick=False: (SMALL,))
    monkeypatch.setattr(measuring, "DENSITIES", (0.01, 0.1, 1.0))
    monkeypatch.setattr(measuring, "BLOCKS", (8, 2))
    monkeypatch.setattr(measuring, "LEAST_MS", 0.01)
    monkeypatch.setattr(measuring.provenance, "cores", lambda: 1)


def test_a_line_for_each_way(small: None, out: Path, capsys: pytest.CaptureFixture[str],
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "GIVE_UP", 1e9)
    before = torch.get_num_threads()
    assert main(["bench", "--sparsity", "--quick"]) == 0
    assert torch.get_num_threads() == before
    path, = (out / "tables").glob("sparsity-*-quick.csv")
    assert str(path) in capsys.readouterr().out
    table = pd.read_csv(path)
    assert list(table.columns) == list(measuring.COLUMNS)
    assert table.groupby("pattern").size().to_dict() == {SCATTERED: 3 * 6, TILED: 3 * 3, HIDDEN: 2 * 4, TWO_OF_FOUR: 1}
    done = table[table.pattern != TWO_OF_FOUR]
    assert set(done.status) == {"ok"}
    assert set(done.turns) == {measuring.QUICK_TURNS}
    assert ((done.ratio_low <= done.ratio) & (done.ratio <= done.ratio_high) & (done.ratio_low > 0)).all()
    each = sparsity.turns(done)
    assert np.median(each, axis=1) == pytest.approx(done.ratio.to_numpy(), rel=1e-3)
    assert table.status[table.pattern == TWO_OF_FOUR].to_list() == ["not on this device"]
    assert sparsity.tables() == {}, "a quick one is no measurement"


@pytest.mark.parametrize(("own", "load", "threads"), [(2, 1.5, {1, 2}), (2, 2.5, {1}), (1, 0.5, {1})])
def test_two_threads_are_timed_where_they_have_a_core_each(small: None, out: Path, monkeypatch: pytest.MonkeyPatch,
                                                           own: int, load: float, threads: set[int]) -> None:
    """`own`: threads that this process was given: pages that run side by side share the cores."""
    monkeypatch.setattr(measuring.provenance, "cores", lambda: 2)
    monkeypatch.setattr(measuring.os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(measuring, "WAYS", {pattern: {} for pattern in measuring.WAYS} | {
        SCATTERED: {"scipy CSR": measuring.WAYS[SCATTERED]["scipy CSR"]}})
    before = torch.get_num_threads()
    torch.set_num_threads(own)
    try:
        table = pd.read_csv(measuring.run(turns=2))
        assert torch.get_num_threads() == own
    finally:
        torch.set_num_threads(before)
    assert set(table.threads) == threads
    assert set(table.turns) == {2}


def test_what_is_slow_is_not_tried_at_higher_densities(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = iter(range(1000))
    monkeypatch.setattr(measuring, "_tried", lambda timed, cuda: (
        30.0 if timed.kind == "scipy DOK" and next(slow) else 1.0))
    found = [group for group in measuring.groups(SMALL, CPU) if group.pattern == SCATTERED]
    status = [{way.kind: way.status for way in group.ways}.get("scipy DOK") for group in found]
    assert status == ["ok", "given up", None]
    for group in found:
        group.turn(cuda=False)
    line = next(each for each in measuring.lines(SMALL, found[1]) if each["kind"] == "scipy DOK")
    assert (line["turns"], line["ratio"], line["ratios"]) == (1, 30, "30")


def test_a_failure_and_a_wrong_answer_are_lines(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(weights: torch.Tensor, given: torch.Tensor) -> Any:
        raise MemoryError("no room\nand more")
    monkeypatch.setitem(measuring.WAYS[SCATTERED], "scipy LIL", broken)
    monkeypatch.setitem(measuring.WAYS[SCATTERED], "scipy CSR", lambda weights, given: lambda: 2 * (weights @ given))
    group = measuring.groups(SMALL, CPU)[0]
    group.turn(cuda=False)
    status = {each["kind"]: each["status"] for each in measuring.lines(SMALL, group)}
    assert status["scipy LIL"] == "failed: MemoryError: no room"
    assert status["scipy CSR"] == "failed: ArithmeticError: another product than the dense one's"
    assert status["torch CSR"] == "ok"


def test_blocks_are_given_as_found_and_cut(small: None) -> None:
    """The permutations cancel: what comes is sorted, what goes is put back."""
    planted = blocks.hidden(64, 96, 4, np.random.default_rng(2))
    given = torch.eye(96)
    whole = measuring.WAYS[HIDDEN][PERMUTED](torch.from_numpy(planted.matrix), given)()
    torch.testing.assert_close(whole, torch.from_numpy(planted.matrix))
