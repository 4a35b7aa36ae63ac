"""What the page says of a stored table whose numbers are known."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from replication import files
from replication.pages import afterwards, claim, html, metrics
from replication.stats import Interval
from replication.studies import grid, study

pytestmark = pytest.mark.usefixtures("out")


class Runs:
    """A grid of which all that matters is which runs have finished."""
    study = grid.STUDIES["v1.start"]

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def summary(self) -> pd.DataFrame:
        return pd.DataFrame({"address": self.addresses})


def keep(part: str, **columns: Any) -> None:
    files.write(afterwards.afterwards._path(metrics.paths.mine(), part), pd.DataFrame(columns).to_csv(index=False))


def quantity(name: str, value: float, low: float, high: float, of: str = "images") -> None:
    keep("", id=[name], value=[value], low=[low], high=[high], n=[4000], of=[of], addresses=["a b"])


def test_a_claim_is_measured_where_its_runs_are_those_of_the_table() -> None:
    measure = afterwards.Measured("V1-35")
    assert measure(Runs("a", "b")) is None  # type: ignore[arg-type]
    quantity("V1-35", 0.1, -0.2, 0.4)
    assert measure(Runs("a", "b", "c")) == Interval(0.1, -0.2, 0.4, 4000, "images")  # type: ignore[arg-type]
    assert measure(Runs("a", "c")) is None, "b is a run of another setting"  # type: ignore[arg-type]
    assert afterwards.Measured("V1-36")(Runs("a", "b")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "ends", "verdict"), [
    ("V1-35", (-0.4, 0.4), claim.SUPPORTED), ("V1-35", (0.6, 1.4), claim.CONTRADICTED),
    ("V1-36", (0.1, 0.9), claim.SUPPORTED), ("V1-36", (1.1, 3), claim.CONTRADICTED),
    ("V1-36", (-2, -0.1), claim.CONTRADICTED), ("V1-32b", (-2, -1), claim.CONTRADICTED),
    ("V1-32a", (1, 2), claim.SUPPORTED), ("V1-33a", (-1, 2), claim.UNRESOLVED)])
def test_regions_are_those_written_before_the_runs(name: str, ends: tuple[float, float], verdict: str) -> None:
    one, = (each for each in afterwards.CLAIMS if each.id == name)
    quantity(name, sum(ends) / 2, *ends)
    assert one.measure is not None
    assert claim.verdict(one.measure(Runs("a", "b")), one.region) == verdict
    assert f"{verdict}</span>]" in afterwards.said(Runs("a", "b"), name)  # type: ignore[arg-type]


def test_sentences_say_what_is_not_known() -> None:
    quantity("V1-33a", 1.25, 1, 1.5)
    words = afterwards.said(Runs("a", "b"), "V1-33a", "S2-5a")  # type: ignore[arg-type]
    assert "<strong>1.25</strong> points [1.00 to 1.50; 4,000 images" in words
    assert words.startswith("<p>Averaging seven networks instead of taking one lowers the top-1 error by")
    assert words.endswith(f"place of the main one lowers the error is {html.word(claim.NOT_RUN)}.</p>")


def test_what_is_below_zero_is_said_the_other_way_round() -> None:
    quantity("V1-34", -0.5, -1.25, 0.25, "seeds")
    assert afterwards.said(Runs("a", "b"), "V1-34").startswith(  # type: ignore[arg-type]
        "<p>Over crops, the mean probability does worse than the maximum, by <strong>0.50</strong> points "
        "[−0.25 to 1.25; 4,000 seeds; ")
    quantity("S2-5a", -0.5, -1.25, 0.25, "seeds")
    words = afterwards.said(Runs("a", "b"), "S2-5a")  # type: ignore[arg-type]
    assert "raises the error by" in words
    assert "may be either]" in words, "no claim, so no verdict"


def test_intervals_over_images_say_so() -> None:
    one, = (each for each in afterwards.CLAIMS if each.id == "V1-33a")
    record = metrics.record(claim.Settled(one, Interval(0.5, -0.5, 1.5, 4000, "images")))
    assert "−0.5 to +1.5 <small>(4,000 images)</small>" in html.interval(record)
    # (1.96 + 0.84) σ / √n must come down to 0.5, from 1.43 with 4,000: 8.2 times as many, and none is told from 10,000
    assert record["seeds_needed"] is None
    fewer = metrics.record(claim.Settled(one, Interval(0.5, -0.5, 1.5, 1000, "images")))
    assert fewer["seeds_needed"] == pytest.approx(1000 * (2 * (1.96 + 0.8416) / 1.96) ** 2, rel=0.01)
    assert "images would" in html.verdict(one, fewer)
    assert "of" not in metrics.record(claim.Settled(one, Interval(0.5, -0.5, 1.5, 4)))


def test_table_3() -> None:
    """Printed beside measured: the 144 views of the first 10 images, one and ten of 30."""
    lines = [(networks, views, images, networks + views + images) for networks in (1, 2, 7) for views, images in
             ((1, 10), (10, 10), (144, 10), (1, 30), (10, 30))]
    columns = dict(zip(("networks", "views", "images", "error"), zip(*lines, strict=True), strict=True))
    keep("crops", start="own", lowest=1.0, highest=2.0, subsets=7, addresses="a b", **columns)
    shown = afterwards.table3(Runs("a", "b")).data  # type: ignore[arg-type, union-attr]
    assert shown[["networks", "crops", "cost"]].to_numpy().tolist() == [
        [1, 1, 1], [1, 10, 10], [1, 144, 144], [7, 1, 7], [7, 10, 70], [7, 144, 1008]]  # V1 Table 3's own costs
    assert shown["V1: top-5, ImageNet"].tolist() == [10.07, 9.15, 7.89, 8.09, 7.62, 6.67]
    assert shown["top-1 error, %: 10 images"].tolist() == [12, 21, 155, 18, 27, 161]
    assert shown["30 images"].fillna(0).tolist() == [32, 41, 0, 38, 47, 0]
    said = afterwards.judged_on(Runs("a", "b"))  # type: ignore[arg-type]
    assert "7 networks, judged on 30 images" in said
    assert "the first 10" in said
    assert "32.0 % is known to ±16.7 points" in said  # 1.96 √(.32 × .68 / 30)


def test_without_runs_the_page_says_so() -> None:
    nothing = study.asked("v1.start", "cpu")
    assert afterwards.table3(nothing) == afterwards.by_rule(nothing) == afterwards.by_head(nothing) == ""
    assert "Not yet measured" in afterwards.judged_on(nothing)


def test_a_summary_has_a_line_a_head(out: Path) -> None:
    keep("heads", head=["main", "4a", "main", "4a"], error=[10.0, 20.0, 14.0, 22.0], addresses="a")
    assert afterwards.by_head(Runs("a")).data.to_numpy().tolist() == [  # type: ignore[arg-type, union-attr]
        ["main", 12.0, 10.0, 14.0, 2], ["4a", 21.0, 20.0, 22.0, 2]]
