from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.axes import Axes

from replication.pages import figures
from replication.pages.figures import DOTTED, INK, Drawn

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def drawn(columns: int = 1, **shared: Any) -> tuple[Drawn, list[Axes]]:
    figure = Drawn(figsize=(5, 3), layout="constrained")
    figure.data = pd.DataFrame({"a": [1]})
    return figure, list(figure.subplots(1, columns, squeeze=False, **shared).ravel())


def told(figure: Drawn) -> tuple[list[dict[str, Any]], ET.Element]:
    """What the picture says of its points, and the picture."""
    text = figures.svg(figure)
    found = re.search(r'<metadata class="points">(.*?)</metadata>', text, re.S)
    return json.loads(unescape(found[1])) if found else [], ET.fromstring(text)


def places(series: dict[str, Any], picture: ET.Element) -> list[tuple[float, float]]:
    """In the units of the picture."""
    wide, high = (float(word) for word in picture.attrib["viewBox"].split()[2:])
    return [(wide * left, high * top) for left, top, *_ in series["points"]]


def marks(picture: ET.Element) -> list[tuple[float, float]]:
    """Where the file itself puts the marks of its first panel, without those of its ticks."""
    panel = next(group for group in picture.iter(f"{SVG}g") if group.get("id") == "axes_1")
    return [(float(use.attrib["x"]), float(use.attrib["y"])) for group in panel
            if str(group.get("id")).startswith(("line2d", "LineCollection")) for use in group.iter(f"{SVG}use")]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_points_lie_where_the_file_draws_them(scale: str) -> None:
    figure, (axis,) = drawn()
    axis.plot([1, 2, 4, 8], [0.5, 20, 3, 1234], "o", label="a <b> & c")
    axis.set(xscale=scale, xlabel="steps", ylabel="error,\n%")
    figure.legend(loc="outside lower center")
    found, picture = told(figure)
    series, = found
    assert series["of"] == "a <b> & c"
    assert series["axes"] == ["steps", "error, %"]
    assert [says for *_, says in series["points"]] == ["0.5", "20", "3", "1,234"]
    assert [x for _, _, x, _ in series["points"]] == ["1", "2", "4", "8"]
    assert len(marks(picture)) == 4
    np.testing.assert_allclose(places(series, picture), marks(picture), atol=0.05)  # of 360


def test_an_interval_and_a_band_are_said() -> None:
    figure, axes = drawn(2)
    axes[0].errorbar([1, 2], [5, 6], xerr=[[0.5, 0], [0.25, 0]], yerr=[[1, 2], [3, 4]], fmt="o", label="bars")
    axes[1].plot([0, 1], [10, 20], color="C3", label="mean")
    axes[1].fill_between([0, 1], [8, 15], [11, 27], color="C3", alpha=0.2)
    axes[1].fill_between([0, 1], [0, 0], [99, 99], color="C1", alpha=0.2)  # another's
    (bars, mean), _ = told(figure)
    assert [point[2:] for point in bars["points"]] == [["1 (0.5 to 1.25)", "5 (4 to 8)"], ["2", "6 (4 to 10)"]]
    assert [point[2:] for point in mean["points"]] == [["0", "10 (8 to 11)"], ["1", "20 (15 to 27)"]]


@pytest.mark.parametrize("upright", [True, False])
def test_a_bar_is_pointed_at_where_it_ends(upright: bool) -> None:
    figure, (axis,) = drawn()
    (axis.bar if upright else axis.barh)(["cat", "dog"], [3, 7], label="seen")
    (series,), picture = told(figure)
    words = [("cat", "3"), ("dog", "7")]
    assert [tuple(point[2:]) for point in series["points"]] == (words if upright else [pair[::-1] for pair in words])
    bars = [path.attrib["d"] for group in picture.iter(f"{SVG}g") if str(group.get("id")).startswith("patch")
            for path in group.iter(f"{SVG}path") if path.get("clip-path")]
    for place, bar in zip(places(series, picture), bars, strict=True):
        corners = np.array([[float(x) for x in corner.split()] for corner in re.findall(r"[ML] ([\d.]+ [\d.]+)", bar)])
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        np.testing.assert_allclose(place, ((x0 + x1) / 2, y0) if upright else (x1, (y0 + y1) / 2), atol=0.05)


def test_bars_of_seaborn_in_another_unit_say_what_their_axis_says() -> None:
    figure, (axis,) = drawn()
    table = pd.DataFrame({"network": ["one", "two"], "cost": [2_500_000, 61_000_000]})
    sns.barplot(table, y="network", x="cost", ax=axis)
    axis.set(xlabel="cost, M", ylabel="")
    axis.xaxis.set_major_formatter(lambda number, _: f"{number / 1e6:g}")
    (series,), _ = told(figure)
    assert [point[2:] for point in series["points"]] == [["2.5", "one"], ["61", "two"]]


def test_words_at_ticks_name_what_lies_beside_them_on_every_panel() -> None:
    figure, axes = drawn(2, sharey=True)
    for axis, shift in zip(axes, (-0.2, 0.2), strict=True):
        axis.plot([1.0, 2.0], [shift, 1 + shift], "o", color="C0")
        axis.set(title=f"panel\n{shift}", yticks=(0, 1), yticklabels=["first\nrow", "second"], ylabel="row")
        axis.label_outer()
    found, _ = told(figure)
    assert [series["of"] for series in found] == ["panel -0.2", "panel 0.2"]
    assert [series["axes"] for series in found] == [["", "row"]] * 2
    assert [[point[3] for point in series["points"]] for series in found] == [["first row", "second"]] * 2


def test_whose_a_point_is_its_colour_says_where_the_legend_has_another_artist() -> None:
    figure, (axis,) = drawn()
    sns.lineplot(pd.DataFrame({"x": [0, 1] * 2, "y": [1.0, 2, 3, 4], "kind": ["a"] * 2 + ["b"] * 2}), x="x", y="y",
                 hue="kind", ax=axis)
    axis.plot([0.5], [2.5], "s", color=axis.lines[1].get_color(), alpha=0.4)  # one network of b
    found, _ = told(figures._legend_below(figure, axis))
    assert {series["of"]: len(series["points"]) for series in found} == {"a": 2, "b": 3}


def test_lines_to_compare_with_and_hairlines_are_no_points() -> None:
    figure, (axis,) = drawn()
    axis.axhline(1, **DOTTED)
    axis.plot([0, 1], [0, 1], **DOTTED)
    axis.plot([0, 1], [1, 0], color=INK)
    axis.plot([0, 1], [1, 0], color="C0", alpha=0.4)
    axis.plot([0, np.nan, 5], [1, 1, 1], "o", color=INK, label="off the panel")
    axis.set(xlim=(-1, 2))
    found, _ = told(figure)
    assert [(series["of"], len(series["points"])) for series in found] == [("off the panel", 1)]


def test_a_picture_without_numbers_has_no_points() -> None:
    figure, (axis,) = drawn()
    axis.plot([0, 1], "o")
    figure.data = None
    assert told(figure)[0] == []
