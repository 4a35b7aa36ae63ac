"""Where in its picture each point of a figure lies, and what it says, for who points at it (`book/_static/book.js`).

Points are whatever matplotlib drew of data: marks, lines, bars, and with them bands and intervals. Lines to compare
with, dotted or grey, are none, nor are the faded lines of single seeds, of which there would be too many.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter
from matplotlib.transforms import Bbox

from replication.pages import html

Ends = tuple[float, float] | None  # of a band or an interval


class Point(NamedTuple):
    """Numbers as its axes have them."""
    x: float
    y: float
    x_ends: Ends = None
    y_ends: Ends = None


def points(figure: Figure, crop: Bbox, ground: str) -> list[dict[str, Any]]:
    """{"of": whose, "axes": the names of x and y, "points": [from the left, from the top, x, y]} a series; places are
    shares of the picture, which shows `crop` of the drawn figure, in inches. `ground`: colour of what is no data."""
    names: dict[str, str] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            names.setdefault(_colour(handle), label)
    found: dict[tuple[str, ...], list[list[Any]]] = {}
    for axes in figure.axes:
        x_name, y_name = _name(axes, "x"), _name(axes, "y")
        title = axes.get_title().replace("\n", " ")
        if not y_name and not _worded(axes.yaxis):
            title, y_name = "", title  # a panel that is headed by what it shows
        for artist, drawn in _series(axes, ground) if axes.get_visible() else ():
            own = str(artist.get_label())
            whose = names.get(_colour(artist), "") if own.startswith("_") or own == "None" else own
            kept = found.setdefault((" · ".join(filter(None, (title, whose))), x_name, y_name), [])
            for point in drawn:
                pixels = axes.transData.transform((point.x, point.y))
                if np.isfinite(pixels).all() and axes.bbox.padded(1).contains(*pixels):
                    left, top = _place(pixels / figure.dpi, crop)
                    kept.append([left, top, _says(axes.xaxis, point.x, point.x_ends),
                                 _says(axes.yaxis, point.y, point.y_ends)])
    return [{"of": whose, "axes": axes, "points": kept} for (whose, *axes), kept in found.items() if kept]


def _place(inches: Any, crop: Bbox) -> tuple[float, float]:
    return (round(float((inches[0] - crop.x0) / crop.width), 4), round(float((crop.y1 - inches[1]) / crop.height), 4))


def _series(axes: Axes, ground: str) -> Iterator[tuple[Any, list[Point]]]:
    """What was drawn of data, each artist with its points."""
    parts: list[Any] = []
    for container in axes.containers:
        if isinstance(container, BarContainer):
            yield container, [_end(bar, container.orientation) for bar in container.patches]
        elif isinstance(container, ErrorbarContainer):
            line, caps, bars = container.lines
            parts += [line, *caps]
            yield container, _with_ends(line, bars)
    for line in axes.lines:
        if line not in parts and line.get_transform() == axes.transData and not _no_data(line, ground):
            band = _band(axes, line)
            yield line, [Point(x, y, None, band.get(x)) for x, y in _xy(line)]


def _no_data(line: Line2D, ground: str) -> bool:
    """Of lines without marks: those to compare with, and those of one seed."""
    marked = line.get_marker() not in ("None", "none", "", " ", None)
    faint = line.get_linestyle() == ":" or _colour(line) == to_hex(ground) or (line.get_alpha() or 1) < 1
    return not marked and faint


def _xy(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata(), dtype=float)]


def _end(bar: Any, orientation: str | None) -> Point:
    """Where a bar ends."""
    x, y, wide, tall = bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()
    return Point(x + wide, y + tall / 2) if orientation == "horizontal" else Point(x + wide / 2, y + tall)


def _with_ends(line: Line2D, bars: tuple[LineCollection, ...]) -> list[Point]:
    """The points of error bars, each with the ends of the bars that go through it."""
    found = []
    for n, (x, y) in enumerate(_xy(line)):
        ends: dict[str, Ends] = {}
        for segments in (bar.get_segments() for bar in bars):
            (x0, y0), (x1, y1) = segments[n] if n < len(segments) and len(segments[n]) == 2 else ((x, y), (x, y))
            if x0 != x1:
                ends["x_ends"] = float(x0), float(x1)
            elif y0 != y1:
                ends["y_ends"] = float(y0), float(y1)
        found.append(Point(x, y, **ends))
    return found


def _band(axes: Axes, line: Line2D) -> dict[float, tuple[float, float]]:
    """By x, the ends of the band in a line's colour."""
    found: dict[float, tuple[float, float]] = {}
    for band in axes.collections:
        if isinstance(band, PolyCollection) and _colour(band) == _colour(line):
            for x, y in (corner for path in band.get_paths() for corner in np.asarray(path.vertices)):
                low, high = found.get(float(x), (y, y))
                found[float(x)] = float(min(low, y)), float(max(high, y))
    return found


def _colour(artist: Any) -> str:
    """Of whatever can stand in a legend; the edge's where there is nothing within."""
    if isinstance(artist, ErrorbarContainer):
        return _colour(artist.lines[0])
    if isinstance(artist, BarContainer):
        return _colour(artist.patches[0]) if artist.patches else ""
    if hasattr(artist, "get_color"):
        return to_hex(artist.get_color())
    within = np.atleast_2d(artist.get_facecolor())
    return to_hex((within if len(within) and within[0][3] else np.atleast_2d(artist.get_edgecolor()))[0])


def _name(axes: Axes, which: str) -> str:
    """Of an axis, also where the panel beside or below it has the label."""
    shared = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    labels = [getattr(each, f"get_{which}label")() for each in (axes, *shared.get_siblings(axes))]
    return next(filter(None, labels), "").replace("\n", " ")


def _worded(axis: Axis) -> bool:
    """Whether words stand at its ticks. matplotlib makes a function of those that are set at fixed places."""
    formatter, fixed = axis.get_major_formatter(), isinstance(axis.get_major_locator(), FixedLocator)
    return bool(len(axis.get_majorticklocs())) and (isinstance(formatter, (FixedFormatter, StrCategoryFormatter)) or
                                                    (fixed and isinstance(formatter, FuncFormatter)))


def _says(axis: Axis, value: float, ends: Ends) -> str:
    """A number, or the word that stands at its place, with its interval."""
    formatter = axis.get_major_formatter()
    if _worded(axis):
        ticks = [float(tick) for tick in axis.get_majorticklocs()]
        nearest = min(range(len(ticks)), key=lambda n: abs(ticks[n] - value))
        return formatter.format_ticks(ticks)[nearest].replace("\n", " ")

    def word(number: float) -> str:
        # a function may show another unit than the one drawn
        return formatter(float(f"{number:.3g}")) if isinstance(formatter, FuncFormatter) else html.digits(number)

    return word(value) + (f" ({word(ends[0])} to {word(ends[1])})" if ends else "")
