"""Modules with other filters: the ratios V1 §4 speaks of, at the multiply-adds of Table 1, which are added up here."""
from __future__ import annotations

import pytest
from table1 import MODULES

from replication.models import cost, mixtures
from replication.models.googlenet import INCEPTION, googlenet
from replication.models.ops import Inception


def work(modules: dict[str, Inception], width: float) -> int:
    """Multiply-adds by the column heads of Table 1, on its grids."""
    total, channels = 0, round(192 * width)
    for at, m in modules.items():
        inner = channels * (m.n1x1 + m.n3x3_reduce + m.n5x5_reduce + m.pool_proj)
        total += MODULES[at].side ** 2 * (inner + 9 * m.n3x3_reduce * m.n3x3 + 25 * m.n5x5_reduce * m.n5x5)
        channels = m.n1x1 + m.n3x3 + m.n5x5 + m.pool_proj
    return total


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("mix", mixtures.MIXES)
def test_every_mixture_costs_what_table_1_costs(mix: str, width: float) -> None:
    table = {at: Inception(*(max(8, int(n * width / 8 + 0.5) * 8) for n in (
        m.n1x1, m.n3x3_reduce, m.n3x3, m.n5x5_reduce, m.n5x5, m.pool_proj))) for at, m in INCEPTION.items()}
    assert work(mixtures.mixed(INCEPTION, mix, width), width) == pytest.approx(work(table, width), rel=0.025)
    whole = cost.multiply_adds(googlenet(width=width, mix=mix)) / cost.multiply_adds(googlenet(width=width))
    assert whole == pytest.approx(1, abs=0.015)


def ratios(mix: str) -> list[float]:
    return [(m.n3x3 + m.n5x5) / m.n1x1 for m in mixtures.mixed(INCEPTION, mix, 1.0).values()]


def test_the_share_of_large_filters_rises_falls_or_stays() -> None:
    rising, falling, flat = ratios("rising"), ratios("falling"), ratios("flat")
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert (rising[0], rising[-1]) == pytest.approx((1, 4), rel=0.12)
    assert (falling[0], falling[-1]) == pytest.approx((4, 1), rel=0.12)
    assert flat == pytest.approx([2] * 9, rel=0.12)


def test_drawn_mixtures_are_themselves_every_time_and_each_its_own() -> None:
    drawn = [mixtures.mixed(INCEPTION, f"drawn {n}", 1.0) for n in (1, 2, 3)]
    assert len({str(each) for each in drawn}) == 3
    assert drawn[0]["3a"] == mixtures.mixed(dict(INCEPTION), "drawn 1", 1.0)["3a"]
    for modules in drawn:  # ×0.6 to ×1.4, times the factor that keeps the cost, which is near one
        factors = [getattr(modules[at], name) / getattr(m, name) for at, m in INCEPTION.items()
                   for name in ("n1x1", "n3x3", "pool_proj")]
        assert 0.5 < min(factors) < 0.8 < 1.2 < max(factors) < 1.6
