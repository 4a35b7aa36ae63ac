from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from replication.models.googlenet import googlenet
from replication.pages import drawings, figures, pictures
from replication.pages.googlenet_row_by_row import relatives, table1

RATIOS = pd.DataFrame({"gradient": [0.1, 1.0, 0.1, 1.0], "ratio": [1.5, 1.0, 0.9, 0.7],
                       "when": ["first <step>", "first <step>", "many & many", "many & many"]})


def data(svg: str) -> list[str]:
    """What the pictures say they show."""
    return [found.text or "" for found in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}metadata")
            if not found.get("class")]


def test_a_figure_takes_its_numbers_along() -> None:
    csv, = data(figures.svg(figures.torch_over_tensorflow(RATIOS)))
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv)), RATIOS)  # names with < and & too


def test_a_figure_of_devices_says_whose_each_number_is() -> None:
    table = pd.DataFrame({"row": ["conv1", "pool1"], "phase": "infer", "ratio": [1.5, 2.0], "device": "as it says"})
    csv, = data(figures.svg(figures.over_bound({"CPU, fast": table, "GPU": table})))
    found = pd.read_csv(io.StringIO(csv))
    assert list(found.device) == ["CPU, fast"] * 2 + ["GPU"] * 2
    assert list(found.ratio) == [1.5, 2, 1.5, 2]


def test_a_figure_without_numbers_brings_none() -> None:
    assert data(figures.svg(Figure())) == []


def test_printed_and_counted_differ_by_more_than_a_colour() -> None:
    figure = figures.table1_bars(table1())
    bars = [bar for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert len(bars) == 24
    assert {bar.get_facecolor()[3] for bar in bars[:12]} == {0}  # outlines
    assert {bar.get_facecolor()[3] for bar in bars[12:]} == {1}
    assert [bar.get_width() for bar in bars[:3]] == [2.7, 112, 159]


DOTS = {
    "probes": lambda: figures.probes(pd.DataFrame({"row": ["4a", "4a", "4d", "4d"], "aux": ["none", "4a + 4d"] * 2,
                                                   "error": [9.0, 8.0, 7.0, 6.0]})),
    "over_bound": lambda: figures.over_bound({"CPU": pd.DataFrame({"row": ["conv1"] * 2, "phase": ["infer", "train"],
                                                                   "ratio": [1.5, 2.0]})}),
}
DRAWN = {**DOTS, "relatives": lambda: figures.relatives_bars(relatives()),
         "table1": lambda: figures.table1_bars(table1()),
         "ratios": lambda: figures.torch_over_tensorflow(RATIOS), "network": lambda: drawings.network(googlenet()),
         "sheet": lambda: pictures.sheet(np.zeros((8, 4, 4, 3)), ["golden retriever"] * 8)}


@pytest.mark.parametrize("draw", DOTS.values(), ids=DOTS)
def test_dots_differ_by_more_than_a_colour(draw: Callable[[], Figure]) -> None:
    lines = [line for line in draw().axes[0].lines if not str(line.get_label()).startswith("_")]
    assert len(lines) == 2
    assert len({line.get_marker() for line in lines}) == 2
    assert len({tuple(line.get_ydata()) for line in lines}) == 2  # side by side


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_on_a_phone_letters_have_nine_pixels(draw: Callable[[], Figure]) -> None:
    with mpl.rc_context():
        figures.style()
        text = figures.svg(draw())
    wide, = re.findall(r'<svg [^>]*?width="([\d.]+)pt"', text)
    sizes = {float(size) for size in re.findall(r"<text style=\"[^\"]*?([\d.]+)px", text)}
    assert sizes
    assert min(sizes) * 343 / float(wide) >= 9


def test_a_legend_names_what_any_panel_shows() -> None:
    figure = Figure()
    one, other = figure.subplots(1, 2)
    one.plot([1], label="here")
    other.plot([1], label="here")
    other.plot([2], label="only there")
    figures._legend_below(figure, one)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["here", "only there"]
