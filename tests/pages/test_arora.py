"""What the page says of tables whose numbers are known, and that what it draws follows its settings."""
from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from scipy.stats import spearmanr, ttest_1samp

from replication import files
from replication.pages import arora, claim, figures, findings
from replication.studies import correlations, grid

pytestmark = pytest.mark.usefixtures("out")


class Runs:
    """A grid of which all that matters is which runs have finished."""
    study, setting, cells = grid.STUDIES[arora.STUDY], None, ()

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def summary(self) -> pd.DataFrame:
        return pd.DataFrame({"address": self.addresses})


def keep(path: Any, rows: list[dict[str, Any]]) -> None:
    files.write(path, pd.DataFrame(rows).to_csv(index=False))


def drawn(right: float = 90.0, units: float = 97.0) -> None:
    """Tables of all parts."""
    networks = [(n, (n - 1.5) / 10) for n in range(4)]
    keep(arora._path("recovery"), [
        {"width": width, "degree": width ** 0.4, "active": 4, "network": n, "samples": samples, "false": 10,
         **{name: most * min(1, math.log2(samples / 500) / 6) + off for name, most in
            (("positive", 99.8), ("negative", 80), ("edges", 96.5))}}
        for width in arora.WIDTHS for samples in arora.SAMPLES for n, off in networks])
    keep(arora._path("degrees"), [
        {"width": width, "degree": degree, "network": n, "positive": 100 - abs(degree - 12) + off}
        for width in arora.WIDTHS for degree in arora.DEGREES for n, off in networks])
    keep(arora._path("layers"), [
        {"kind": kind, "layer": layer, "network": n, "positive": 90, "false": 5, "middle": 80}
        for kind in ("by chance", "the same for all") for layer in ("lower", "upper") for n, _ in networks])
    keep(arora._path("denoising"), [{"degree": degree, "network": n, "noise": 100 * noise, "units": units + off}
                                    for degree in arora.DENOISED for noise in arora.NOISE for n, off in networks])
    keep(arora._path("depth"), [
        {"generator": name, "active": on, "network": n, "firing": 5, "right": right + more + off}
        for name, more in (("two layers", 0), ("one layer", 3)) for on in arora.ACTIVE for n, off in networks])


def looked(rising: bool = True, index: float = 0.3) -> Runs:
    """Two networks and their controls."""
    modules, rings, rows = [], [], list(arora.INCEPTION)
    for address, off in (("a", 0.0), ("b", 0.02)):
        for trained in (True, False):
            for n, row in enumerate(rows):
                share = (n if rising else 8 - n) / 20 + (0.3 if trained else 0.1) + off
                modules.append({"row": row, "trained": trained, "addresses": address, "index": index + off,
                                "n1": round(1000 * (1 - share)), "n3": round(500 * share), "n5": round(500 * share)})
                rings += [{"row": row, "trained": trained, "addresses": address, "ring": ring, "pairs": 9,
                           "side": 8 if n < 2 else 4 if n < 7 else 2, "strong": 0.3 - 0.1 * ring,
                           "own": 1 - (0.4 + off) * ring} for ring in range(3)]
    for part, lines in (("modules", modules), ("rings", rings)):
        keep(correlations._path(correlations.paths.mine(), part), lines)
    return Runs("a", "b")


def settled(name: str, *grids: Any) -> str:
    one, = (each for each in arora.CLAIMS if each.id == name)
    assert one.measure is not None
    return claim.verdict(one.measure(*grids), one.region)


def test_claims_of_drawn_networks() -> None:
    assert all(one.measure() is None for one in arora.CLAIMS if one.study is None and one.measure)
    drawn()
    found = {one.id: one.measure() for one in arora.CLAIMS if one.study is None and one.measure}
    values = [96.5 + (n - 1.5) / 10 for n in range(4)]
    ends = ttest_1samp(values, 0).confidence_interval(0.95)
    assert [getattr(found["AR-1"], end) for end in ("value", "low", "high")] == pytest.approx([96.5, *ends], abs=1e-4)
    assert found["AR-1"].of == "networks"
    assert [settled(name) for name in found] == [claim.SUPPORTED] * 3
    drawn(right=99.9, units=90)
    assert [settled(name) for name in found] == [claim.SUPPORTED, claim.CONTRADICTED, claim.CONTRADICTED]
    assert found["AR-1"].high <= 100


def test_claims_of_trained_networks() -> None:
    assert arora.wider(Runs()) is arora.alike(Runs()) is arora.rising(Runs()) is None  # type: ignore[arg-type]
    runs = looked()
    # own falls by 0.4 and 0.42 a ring: halves after 1.25 and 1.19 positions, of 8 and of 2
    assert arora.wider(runs).value == pytest.approx(4)  # type: ignore[arg-type, union-attr]
    assert arora.alike(runs).value == pytest.approx(0.31)  # type: ignore[arg-type, union-attr]
    assert arora.rising(runs).value == pytest.approx(1)  # type: ignore[arg-type, union-attr]
    assert arora.rising(looked(rising=False)).value == pytest.approx(-1)  # type: ignore[arg-type, union-attr]
    assert arora.alike(Runs("c")) is None, "runs of another setting"  # type: ignore[arg-type]


@pytest.mark.parametrize(("own", "distance"), [
    ([1, 0.5], 1), ([1, 0.75, 0.25], 1.5), ([1, 0.2, 0.1], 0.625), ([1, 0.9, 0.8], 5), ([1, 1, 1], math.inf),
    ([0.8, 0.6, 0.2], 1.5)])
def test_where_a_correlation_halves(own: list[float], distance: float) -> None:
    assert arora.halves(own) == pytest.approx(distance)


def test_samples_needed_lie_between_those_that_were_tried() -> None:
    found = pd.DataFrame({"samples": [100, 100, 400, 400], "positive": [50, 70, 95, 105], "negative": [1, 1, 2, 2]})
    assert arora.needed(found, "positive", 80) == pytest.approx(200)  # half-way in the logarithm
    assert arora.needed(found, "positive", 60) == pytest.approx(100)
    assert arora.needed(found, "negative", 80) is None


def test_table_1_does_not_rise() -> None:
    share = arora.printed()
    assert share["3a"] == pytest.approx(100 * 160 / 224)
    assert share["5b"] == pytest.approx(100 * 512 / 896)
    assert spearmanr(range(9), list(share.values())).statistic < 0.1


def test_what_is_drawn_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arora, "NETWORKS", 2)
    found = arora.recovery((40,), (200, 400))
    assert found.groupby(["width", "samples"]).size().to_dict() == {(40, 200): 2, (40, 400): 2}
    assert found.equals(arora.recovery((40,), (200, 400))), "always the same"
    assert found.degree.iloc[0] == pytest.approx(40 ** 0.4)
    assert set(arora.degrees((40,), (4,)).columns) >= {"width", "degree", "network", "positive"}
    assert arora.layers(40, 4, 1, 200).layer.tolist() == ["lower", "upper"] * 4
    monkeypatch.setattr(arora, "DENOISED", (30,))
    clean = arora.denoising(60, 50).groupby("noise").units.mean()
    assert clean[0] > clean[40]
    monkeypatch.setattr(arora, "ACTIVE", (1,))
    deep = arora.depth(30, 4, 8, 600, 60)
    assert deep.groupby("generator").right.mean().to_numpy() == pytest.approx(100), "one unit alone"


def test_the_page_speaks_with_and_without_runs() -> None:
    drawn()
    for runs in (Runs(), looked()):
        said = arora.numbers(runs)  # type: ignore[arg-type]
        assert said["positive"] == "99.8"
        assert said["network"]["number"] == ("2" if runs.addresses else "no")
        assert said["needed"]["negative90"] == "more than were drawn"
        assert set(findings.found(arora.SECTIONS, [])) == set(arora.SECTIONS)
        arora.by_module(runs)  # type: ignore[arg-type]
    assert "99.8 % of the positive edges" in said["answer"]
    assert "from 0.59 at 4a to 0.59 at 4e" in said["network"]["offsets"]
    assert "Table 1 57 to 76 %" in said["network"]["groups"]


def test_figures() -> None:
    empty = pd.DataFrame()
    for draw in (figures.recovered, figures.by_degree, figures.denoised, figures.collapsed, figures.correlated):
        assert isinstance(draw(empty), figures.Nothing)
    drawn()
    runs: Any = looked()
    figure = figures.recovered(arora.table("recovery"))
    lines = [line for line in figure.axes[0].get_lines() if line.get_label().endswith("units")]  # type: ignore[union-attr]
    assert [len(line.get_xdata()) for line in lines] == [len(arora.SAMPLES)] * 3
    figure = figures.correlated(correlations.table(runs, "rings"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["3a", "3b", "4e", "5b"]  # type: ignore[union-attr]
    figure = figures.wide_groups(arora.proposed(runs), arora.printed())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [  # type: ignore[union-attr]
        "trained", "untrained", "Table 1"]
    for draw, part in ((figures.by_degree, "degrees"), (figures.denoised, "denoising"), (figures.collapsed, "depth")):
        draw(arora.table(part))
