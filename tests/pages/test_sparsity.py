"""Where lines cross by hand, both claims from made-up turns, and what the page says of them."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from table1 import MODULES

from replication.errors import BadInput
from replication.pages import claims, figures, sparsity
from replication.pages.claim import CONTRADICTED, NOT_RUN, SUPPORTED, UNRESOLVED
from replication.pages.sparsity import HIDDEN, NUMBERED, PERMUTED, SCATTERED, TILED, TWO_OF_FOUR

INF = math.inf


@pytest.mark.parametrize(("ratios", "expected"), [
    ((0.1, 1, 10, 100), 0.01),                           # exactly on a density
    ((0.1, 0.5, 2, 9), math.sqrt(0.01 * 0.1)),           # half way between, on both logarithms
    ((0.1, 0.1, 10, 9), math.sqrt(0.01 * 0.1)), ((0.01, 0.1, 0.1, 1000), 0.1 * 10 ** 0.25),
    ((2, 3, 4, 5), 0.0), ((0.1, 0.2, 0.3, 0.4), INF), ((0.1, 0.5, 2, 0.5), math.sqrt(0.01 * 0.1))])
def test_the_crossing_by_hand(ratios: tuple[float, ...], expected: float) -> None:
    found = sparsity.break_even(np.array([0.001, 0.01, 0.1, 1]), np.array(ratios))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "power"), [(3, 1), (20, 1), (0.5, 0.7), (8, 1.2)])
def test_a_power_law_crosses_where_it_must(scale: float, power: float) -> None:
    """ratio = scale · density^power is 1 at scale^(-1/power), between whichever densities that falls."""
    densities = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
    expected = scale ** (-1 / power)
    found = sparsity.break_even(densities, scale * densities ** power)
    assert found == pytest.approx(expected) if expected < 1 else found == INF


def line(ratios: str, kind: str = "scipy CSR", pattern: str = SCATTERED, density: float = 0.01, product: str = "1×1",
         threads: int = 1, **given: Any) -> dict[str, Any]:
    each = np.array(ratios.split(), dtype=float)
    spread = {} if not len(each) else {"ratio": np.median(each), "ratio_low": each.min(), "ratio_high": each.max()}
    return {"device": "P", "product": product, "rows": 64, "columns": 32, "positions": 10, "threads": threads,
            "pattern": pattern, "density": density, "kind": kind, "status": "ok", "turns": len(each), "dense_ms": 4.0,
            "load": 0.5, "versions": "torch 9", "commit": "abc", "ratios": ratios, **spread, **given}


def table(*lines: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(lines)


MEASURED = table(
    *(line(ratios, kind, density=density, product=product, threads=threads)
      for product in ("1×1", "3×3") for threads in (1, 2)
      for kind, by in {"scipy CSR": ("0.02 0.02 0.02", "0.2 0.1 0.2", "2 10 2"),
                       "scipy DOK": ("2 2 2", "9 9 9", "25")}.items()
      for density, ratios in zip((0.001, 0.01, 0.1), by, strict=True)),
    *(line("0.2 0.2 0.2", "torch BSR", TILED, 0.0085, product) for product in ("1×1", "3×3")),
    *(line(ratios, kind, HIDDEN, 0.25, product) for product in ("1×1", "3×3") for kind, ratios in {
        "scipy CSR": "2 2 3", "torch CSR": "3 3 2", PERMUTED: "0.5 0.5 0.5", NUMBERED: "0.25 0.25 0.25"}.items()),
    line("", "torch semi-structured", TWO_OF_FOUR, 0.5, status="not on this device"))
MEASURED.loc[MEASURED.ratios == "25", "status"] = "given up"


def test_where_each_way_begins_to_pay() -> None:
    found = sparsity.breaks(MEASURED).set_index(["kind", "product", "threads"])
    csr = found.loc[("scipy CSR", "1×1", 1)]
    low = 100 * 10 ** (-2 + math.log(5) / math.log(10))  # from 0.2 at 1 % to 2 at 10 %: log 5 of log 10
    assert (csr.density, csr.low, csr.high) == (pytest.approx(low), pytest.approx(10 ** 0.5), pytest.approx(low))
    dok = found.loc[("scipy DOK", "3×3", 2)]
    assert (dok.density, dok.low, dok.high) == (0, 0, 0)
    assert found.loc[("torch BSR", "1×1", 1)].density == INF
    assert "torch semi-structured" not in found.index.get_level_values("kind")


def test_what_was_given_up_is_above_in_every_turn() -> None:
    lines = table(line("0.5 0.25", density=0.01), line("8", density=0.1, status="given up"))
    assert sparsity.turns(lines).tolist() == [[0.5, 0.25], [8, 8]]
    found = sparsity.breaks(lines).iloc[0]
    assert found.low == pytest.approx(10 ** 0.25)   # 0.5 to 8: a quarter of the way
    assert found.high == pytest.approx(10 ** 0.4)   # 0.25 to 8: two fifths


def test_a_hundredth_takes_the_fastest_format_of_each_product() -> None:
    """By turn √(0.1·0.4), √(0.2·0.2), √(0.05·0.8): always 0.2. What is fastest in one turn alone is not the fastest."""
    lines = table(line("0.1 0.2 0.05"), line("9 0.01 9", "torch CSR"), line("7 7 7", product="3×3"),
                  line("0.4 0.2 0.8", "torch CSR", product="3×3"), line("0.01 0.01 0.01", density=0.002),
                  line("0.01 0.01 0.01", threads=2), line("0.01 0.01 0.01", pattern=HIDDEN))
    found = sparsity.hundredth({"P": lines})
    assert found is not None
    assert (found.value, found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2))
    assert (found.n, found.of) == (3, "turns")


def test_every_device_has_its_say() -> None:
    one, other = table(line("0.5 0.6 0.7")), table(line("2 3 4"))
    alone = sparsity.hundredth({"P": one})
    both = sparsity.hundredth({"P": one, "Q": other})
    assert alone is not None
    assert both is not None
    assert both.low == alone.low < 1 < both.high


def test_blocks_against_the_fastest_format() -> None:
    """By turn 2/0.5, 2/0.5 and 3/0.5: scipy's CSR has the lower median, though torch's is faster in the last."""
    found = sparsity.clustered({"P": MEASURED})
    assert found is not None
    assert found.value == pytest.approx((4 * 4 * 6) ** (1 / 3))
    assert sparsity.clustered({"P": table(line("1 1"))}) is None


@pytest.mark.parametrize(("ratios", "verdict"), [
    ("0.1 0.12 0.11", CONTRADICTED), ("1.2 1.3 1.25", SUPPORTED), ("0.9 1.1 1", UNRESOLVED)])
def test_the_claim_by_its_rule(ratios: str, verdict: str, out: Path) -> None:
    assert claims.settle(["V1-12"])[0].verdict == NOT_RUN
    (out / "tables").mkdir(parents=True)
    table(line(ratios)).to_csv(out / "tables" / "sparsity-p.csv", index=False)
    assert claims.settle(["V1-12"])[0].verdict == verdict


def test_tables_are_read_or_made(out: Path) -> None:
    made = []

    def run(turns: int) -> None:
        made.append(turns)
        (out / "tables").mkdir(parents=True, exist_ok=True)
        MEASURED.to_csv(out / "tables" / "sparsity-p.csv", index=False)
    first, again = sparsity.measured(run), sparsity.measured(run)
    assert made == [sparsity.FEWER]
    assert list(first) == list(again) == ["P"]
    assert first["P"].ratios.dropna().to_list() == [each for each in MEASURED.ratios if each]
    (out / "tables" / "sparsity-p.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no table that bench wrote"):
        sparsity.tables()


def test_the_tables_of_the_page() -> None:
    shown = sparsity.where_it_pays({"P": MEASURED})
    assert '<td>scipy CSR</td><td class="number">5</td><td class="number">5 <small>[3.16, 5]</small></td>' in shown
    assert ('<td>scipy DOK</td><td class="number">–</td><td class="number">below 0.1</td>'
            '<td class="number">below 0.1</td>') in shown
    assert '<td>torch BSR, blocks of 16</td><td class="number">20</td><td class="number">over 100</td>' in shown
    assert '<td>torch semi-structured, 2:4</td><td colspan="3">not on this device</td>' in shown
    shown = sparsity.a_hundredth({"P": MEASURED})
    assert '<td>scipy CSR</td><td class="number">5 <small>[5, 10]</small></td>' in shown
    assert '<td>torch BSR, blocks of 16</td><td class="number">5 <small>[5, 5]</small></td>' in shown
    line = "".join(f'<td class="number">{number}</td>' for number in ("10", "0.0", "4", "4"))
    assert f"<td>1×1</td><td>64 × 32</td>{line}" in sparsity.products(MEASURED)


def test_sentences_follow_the_numbers() -> None:
    found = sparsity.sentences({"P": MEASURED})
    assert "sparse product is 6.3 times" in found["answer"]  # of 0.2, 0.1 and 0.2 the geometric mean
    assert found["first"] == "It begins to pay where 5 % of the weights are left, by the layer."
    assert "the median over the products: scipy CSR: guessed 5 %, measured 5 %; torch BSR" in found["guesses"]
    assert found["hundredth"].startswith("By the product, scipy CSR is 5 to 5 times as fast as dense with a hundredth")
    assert "scipy DOK 0.111 to 0.111 times" in found["hundredth"]
    assert found["hundredth"].endswith("The paper's sentence holds here for scipy DOK on 2 of 2 products.")
    assert "are 4.58 times as fast as the fastest sparse format" in found["blocks"]
    assert "they are 2 to 2 times as fast as the dense matrix, and 4 to 4 times where" in found["blocks"]
    assert "in the mean, and faster in 2 of 2 cases; numbered so, in 2 of 2." in found["blocks"]
    assert "make a product 2 times as long" in found["blocks"]
    assert found["formats"] == ("On one thread torch BSR with blocks of 16 pays first, at over 100 % of the weights, "
                                "by the product, and scipy DOK last, at below 0.1 %.")


def test_a_module_as_one_convolution() -> None:
    """Of 3b: (128 + 9·192 + 25·96) / (25·416)."""
    m = MODULES["3b"]
    assert sparsity.module() == pytest.approx((m.n1 + 9 * m.n3 + 25 * m.n5) / (25 * (m.n1 + m.n3 + m.n5)))
    assert sparsity.module() == pytest.approx(4256 / 10400)


def test_figures() -> None:
    tables = {"P": MEASURED}
    first = figures.over_dense(tables).axes[0]
    csr = next(each for each in first.lines if each.get_label() == "scipy CSR")
    assert list(csr.get_xdata()) == pytest.approx([0.1, 1, 10])
    assert list(csr.get_ydata()) == [0.02, 0.2, 2]
    pays = figures.where_it_pays(tables).axes
    assert [axis.get_title() for axis in pays] == ["one thread", "2 threads"]
    blocks = figures.as_blocks(tables).axes[0]
    assert list(blocks.lines[0].get_xdata()) == [4]
    looks = [look[1:] for look in figures.WAYS_TO_MULTIPLY.values()]
    assert len(set(looks)) == len(looks), "two ways are told apart by their colour alone"
    for draw in (figures.over_dense, figures.where_it_pays, figures.as_blocks):
        assert isinstance(draw({}), figures.Nothing)
