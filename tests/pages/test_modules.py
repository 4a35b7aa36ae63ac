"""Filters and prices of the modules, from the paper's Table 1."""
from __future__ import annotations

import pytest
from table1 import MODULES

from replication.models.googlenet import googlenet
from replication.pages import modules
from replication.studies import study


@pytest.mark.parametrize("form", ["reduced", "unreduced", "naive"])
def test_a_module_s_filters_are_table_1_s_in_every_form(form: str) -> None:
    assert modules.filters(googlenet(module=form)) == {
        at: (printed.n1, printed.n3, printed.n5) for at, printed in MODULES.items()}


def test_the_ratio_of_large_to_small() -> None:
    """(n3×3 + n5×5) / n1×1 of Table 1, computed by somebody else."""
    grid = study.study("v1.mix", width=1.0, resolution=224, stem=8)
    found = modules.ratios(grid).pivot(index="mix", columns="module", values="ratio")
    assert found.loc["table"].round(2).tolist() == [2.50, 2.25, 1.33, 1.80, 2.50, 3.14, 1.75, 1.75, 1.33]
    rising, falling = found.loc["rising"], found.loc["falling"]
    assert rising.is_monotonic_increasing
    assert falling.is_monotonic_decreasing
    for ends in (rising[["3a", "5b"]], falling[["5b", "3a"]]):
        assert ends.tolist() == pytest.approx([1, 4], rel=0.1)  # of 45 filters, four more or less


def test_equal_prices_buy_less_width_where_nothing_is_reduced() -> None:
    found = modules.costs(study.study("v1.module", width=1.0, resolution=224, stem=8)).set_index("module")
    assert found.width["reduced"] == 1
    assert found.width["naive"] < found.width["unreduced"] < 1
    assert found["off, %"].abs().max() < 5
    assert found["off, %"]["reduced"] == 0
    assert found["multiply-adds"]["naive"] == pytest.approx(found["multiply-adds"]["reduced"], rel=0.05)
