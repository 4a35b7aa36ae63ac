"""seaborn figures from tidy frames: SVG whose ink follows the page between light and dark."""
from __future__ import annotations

import functools
import io
import itertools
import json
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from replication import stats
from replication.models.ops import Conv
from replication.pages import sparsity, speed
from replication.pages.blocks import Hidden, Labels, together
from replication.pages.measures import ERROR, Of
from replication.pages.network_in_network import Branch
from replication.pages.points import points
from replication.pages.roofline import WAYS
from replication.pages.savings import NAMES
from replication.studies.study import Grid

WIDTH = 5.6  # inches: a phone shrinks it to 60 %, and its letters must stay legible
LETTERS = 11  # points, of whatever is written in a figure: nine pixels on a phone
INK = "#6e7681"  # a colour nothing else uses: written to the file as currentColor
# seaborn's "colorblind" without the colours under 3:1 on white or on #121212
PALETTE = ["#0173b2", "#d55e00", "#029e73", "#cc78bc", "#949494"]
LOOKS: list[tuple[str, Any]] = [  # colour and dashes of the arms of a factor, in the order declared; none is dotted
    (PALETTE[0], ""), (PALETTE[1], (4, 1.5)), (PALETTE[2], (7, 1.5, 1, 1.5)), (PALETTE[3], (2, 1.5)),
    (PALETTE[4], (5, 1, 1, 1, 1, 1))]
DOTTED: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": ":"}  # only ever a line to compare with
INKS = ("<style>svg{color:#24292f;color-scheme:light dark}"
        "@media (prefers-color-scheme:dark){svg{color:#d5dae0}}</style>")

P = ParamSpec("P")
F = TypeVar("F")
FEW = 20  # images, below which a share of them is not drawn
NOT_STORED = "no run of it is stored here"
NOT_MEASURED = "not yet measured"


class Nothing:
    """Shown where a figure would be."""
    def __init__(self, why: str) -> None:
        self.why = why

    def __repr__(self) -> str:
        return f"Nothing to draw: {self.why}."


class Drawn(Figure):
    """A figure and the numbers it shows, which its SVG takes along for a reader to download."""
    data: pd.DataFrame | None = None
    tight: Bbox | None = None  # in inches, what the last picture of it was cut to, before its margin

    def get_tightbbox(self, *args: Any, **kwargs: Any) -> Bbox:
        self.tight = super().get_tightbbox(*args, **kwargs)
        return self.tight


def told(draw: Callable[P, F]) -> Callable[P, F]:
    """Of what draws a frame, or a frame a device: that frame is the figure's data, unless it has told others."""
    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> F:
        figure = draw(*args, **kwargs)
        if isinstance(figure, Drawn) and figure.data is None:
            for given in (*args, *kwargs.values()):
                if isinstance(given, Mapping) and given and isinstance(next(iter(given.values())), pd.DataFrame):
                    given = pd.concat([frame.assign(device=device) for device, frame in given.items()])
                if isinstance(given, pd.DataFrame):
                    figure.data = given
        return figure
    return drawn


def svg(figure: Figure) -> str:
    """SVG text: no date, fixed ids, ink by the page's colour scheme (inside <img> too), the data as csv, and where each
    point lies as json."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # it is the browser's font that draws the letters
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<\?xml.*?\?>\s*<!DOCTYPE.*?>\s*|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.S)
    more = INKS + _brought(figure)
    return re.sub(r"<svg[^>]*>", lambda opening: opening[0] + more, text.replace(INK, "currentColor"), count=1)


def _brought(figure: Figure) -> str:
    """What a picture of data takes along besides."""
    if not isinstance(figure, Drawn) or figure.data is None or figure.tight is None:
        return ""
    csv = escape(figure.data.to_csv(index=False, float_format="%.6g"))
    found = points(figure, figure.tight.padded(mpl.rcParams["savefig.pad_inches"]), INK)
    json_ = escape(json.dumps(found, ensure_ascii=False, separators=(",", ":")), quote=False) if found else ""
    return f"<metadata>{csv}</metadata>" + (f'<metadata class="points">{json_}</metadata>' if found else "")


def style() -> None:
    """Once at the top of a notebook: the book's look, and figures shown as the SVG above."""
    sns.set_theme(context="notebook", style="ticks", palette=PALETTE)
    mpl.rcParams.update({
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "savefig.transparent": True, "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
        "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "legend.labelcolor": INK, "grid.color": INK,
        "grid.alpha": 0.25, "legend.framealpha": 0, "svg.fonttype": "none", "svg.hashsalt": "replication",
        **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize",
                         "legend.fontsize", "legend.title_fontsize"), LETTERS),
        "axes.spines.top": False, "axes.spines.right": False, "font.family": "sans-serif",
    })
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if (shell := get_ipython()) is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
        set_matplotlib_formats("svg")
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, svg)


@told
def table1_bars(table: pd.DataFrame) -> Figure:
    """Parameters, operations and memory of every row of V1's Table 1: printed and recomputed, side by side."""
    looks = (("printed", {"facecolor": "none", "edgecolor": PALETTE[0]}), ("from the filters", {"color": PALETTE[1]}))
    figure, axes = _canvas(4.4, 1, 3, sharey=True)
    lines = range(len(table))
    parts = (("parameters", "weights, K"), ("operations", "multiply-adds, M"))
    for axis, (name, unit) in zip(axes, parts, strict=False):
        for column, shift, (label, look) in zip((f"{name}_printed", name), (-0.2, 0.2), looks, strict=True):
            axis.barh([y + shift for y in lines], table[column], 0.38, label=label, **look)
        axis.set(xlabel=unit, yticks=lines, yticklabels=table.row, ylim=(len(table) - 0.5, -0.5))
        for y, row in enumerate(table.itertuples()):
            if not getattr(row, f"{name}_agree"):
                end = max(getattr(row, name), getattr(row, f"{name}_printed"))
                axis.annotate("≠", (end, y), xytext=(3, 0), textcoords="offset points", va="center", color=INK)
    axes[2].barh(lines, table.activation_mb, 0.7, color=PALETTE[2])
    axes[2].set(xlabel="activations, MB")
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(2))
    return _legend_below(figure, axes[0])


@told
def relatives_bars(table: pd.DataFrame) -> Figure:
    """Parameters and multiply-adds of GoogLeNet and its neighbours, on logarithmic axes."""
    figure, axes = _canvas(2.4, 1, 2, sharey=True)
    for axis, column, colour in zip(axes, ("parameters", "multiply-adds"), PALETTE, strict=False):
        sns.barplot(table, y="network", x=column, ax=axis, color=colour)
        axis.set(ylabel="", xscale="log", xlabel=f"{column}, M")
        axis.xaxis.set_major_formatter(lambda number, _: f"{number / 1e6:,g}")  # exponents would be too small to read
        axis.grid(axis="x")
    return figure


def reduction(of: Branch) -> Figure:
    """Multiply-adds of a branch against the width of its reduction; where it stops paying is marked."""
    top = 1.2 * max(of.break_even, of.reduction)
    one, both = of.through(Conv(1)).multiply_adds / 1e6, of.reduced_to(1).multiply_adds / 1e6
    lines = (("1×1", one, (7, 1.5, 1, 1.5)), (f"{of.kernel}×{of.kernel} after it", both - one, (4, 1.5)),
             ("together", both, ""))
    figure, (axis,) = _canvas(3.2)
    widths = pd.Series([0, of.reduction, of.break_even, top]).sort_values(ignore_index=True)
    figure.data = pd.DataFrame({"width": widths, **{f"{name}, M": slope * widths for name, slope, _ in lines}})
    for (name, slope, dashes), colour in zip(lines, (PALETTE[1], PALETTE[2], PALETTE[0]), strict=True):
        sns.lineplot(x=[0, top], y=[0, top * slope], color=colour, label=name, linewidth=2, ax=axis,
                     **({"dashes": dashes} if dashes else {}))
    direct = of.direct.multiply_adds / 1e6
    axis.axhline(direct, **DOTTED)
    axis.annotate("without a reduction", (0.01, direct), xycoords=("axes fraction", "data"), xytext=(0, -3),
                  textcoords="offset points", va="top", color=INK, fontsize=LETTERS)
    for width, price, words in ((of.break_even, direct, f"{of.break_even:.0f}: no gain"),
                                (of.reduction, of.reduced.multiply_adds / 1e6, str(of.reduction))):
        axis.plot(width, price, "o", color=PALETTE[0])
        axis.annotate(words, (width, price), xytext=(-4, 5), textcoords="offset points", ha="right", color=INK,
                      fontsize=LETTERS)
    axis.set(xlabel="width of the 1×1 reduction", ylabel="multiply-adds, M", xlim=(0, top), ylim=(0, None))
    return _legend_below(figure, axis)


@told
def growth(modules: pd.DataFrame) -> Figure:
    """Channels after each module and its multiply-adds, a line a form of the module."""
    figure, axes = _canvas(3.2, 1, 2)
    shown = modules.assign(**{"multiply-adds, G": modules["multiply-adds"] / 1e9})
    for axis, column in zip(axes, ("channels", "multiply-adds, G"), strict=True):
        sns.lineplot(shown, x="module", y=column, hue="form", style="form", markers=["o", "X", "s"], ax=axis,
                     markeredgewidth=0, markersize=5, legend=axis is axes[1])
        axis.set(xlabel="", title=column, ylabel="", ylim=(0, None))
    return _legend_below(figure, axes[1])


@told
def saved(table: pd.DataFrame) -> Figure:
    """What two 3×3 save in place of each module's 5×5, by the width between them. Dotted: nothing, and V3's 28 %."""
    figure, (axis,) = _canvas(3.6)
    tall = table.melt(["module", "α"], var_name="between the two", value_name="saved, %")
    for (name, part), marker, colour in zip(tall.groupby("between the two", sort=False), "osD", PALETTE, strict=False):
        axis.plot(part["saved, %"], part.module, marker, color=colour, label=name)
    for x, words, side in ((0, "as dear as the 5×5 ", "right"), (28, "28 % at α = 1", "left")):  # V3 §3.1
        axis.axvline(x, **DOTTED)
        axis.annotate(words, (x, 1), xycoords=("data", "axes fraction"), ha=side, va="bottom", color=INK,
                      fontsize=LETTERS)
    axis.set(xlabel="saved, %", ylabel="module")
    axis.invert_yaxis()
    return _legend_below(figure, axis)


@told
def counted_and_printed(table: pd.DataFrame) -> Figure:
    """Parameters and multiply-adds of the networks called GoogLeNet or Inception: as counted, and as papers print."""
    figure, axes = _canvas(3.2, 1, 2, sharey=True)
    for axis, column in zip(axes, ("parameters, M", "multiply-adds, G"), strict=True):
        sns.barplot(table, y="network", x=column, ax=axis, color=PALETTE[0], label="counted", legend=False)
        axis.plot(table[f"{column}: printed"], range(len(table)), "D", color=PALETTE[1], markersize=6, label="printed")
        axis.set(ylabel="")
        axis.grid(axis="x")
    return _legend_below(figure, axes[0])


@told
def torch_over_tensorflow(ratios: pd.DataFrame) -> Figure:
    """Length of torch's RMSProp step over TensorFlow's, by the size of the gradient."""
    figure, (axis,) = _canvas(2.8)
    sns.lineplot(ratios, x="gradient", y="ratio", hue="when", style="when", linewidth=2, ax=axis)
    axis.axhline(1, **DOTTED)
    axis.set(xscale="log", ylabel="torch's step ÷ TensorFlow's")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.grid(axis="y")
    return _legend_below(figure, axis)


def learning_curves(grid: Grid) -> Figure | Nothing:
    """Top-1 error over epochs: a panel an arm of the first factor, a line an arm of the last, thin lines the seeds."""
    history = grid.history()
    if history.empty:
        return Nothing(NOT_STORED)
    figure, panels = _panels(grid, history.assign(error=100 * history.val_error), "epoch", "error")
    for axis, title, part in panels:
        _lines(grid, part, "epoch", "error", axis)
        chance = 100 * part.chance.iloc[0]
        axis.axhline(chance, **DOTTED)
        axis.annotate("chance", (0.99, chance), xycoords=("axes fraction", "data"), ha="right",
                      va="bottom", color=INK, fontsize=LETTERS)
        axis.set(title=title, ylabel="top-1 error, %", ylim=(0, None))
    return _legend_below(figure, panels[-1][0])


def training_curves(grid: Grid) -> Figure | Nothing:
    """Error and loss over epochs, of the training images as they were trained on and of the validation images; a thin
    line a seed where there are several. What is no number is not drawn."""
    history = grid.history()
    if history.empty:
        return Nothing(NOT_STORED)
    figure, axes = _canvas(3.2, 1, 2)
    figure.data = _of_runs(grid, history, "epoch", "train_error", "val_error", "train_loss", "val_loss")
    for axis, (column, title, times) in zip(axes, (("error", "top-1 error, %", 100), ("loss", "loss", 1)), strict=True):
        for (part, name), (colour, dashes) in zip((("train", "training"), ("val", "validation")), LOOKS, strict=False):
            values = history.assign(y=times * history[f"{part}_{column}"])
            for _, run in values.groupby("seed"):
                axis.plot(run.epoch, run.y, color=colour, linewidth=0.7, alpha=0.4)
            mean = values.groupby("epoch").y.mean()
            axis.plot(mean.index, mean, color=colour, linewidth=2, dashes=dashes or (None, None), label=name,
                      marker="o", markersize=3)
        axis.set(xlabel="epoch", title=title, ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    chance = 100 * history.chance.iloc[0]
    axes[0].axhline(chance, color=INK, linewidth=1, linestyle=":")
    axes[0].annotate("chance", (0.99, chance), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=INK,
                     fontsize=LETTERS)
    return _legend_below(figure, axes[0])


def final_errors(grid: Grid, x: str, by: str | None = None, of: Of = ERROR,
                 name: str = "final top-1 error, %") -> Figure | Nothing:
    """A number of every run at its end, `name`: small dots the seeds, large ones their mean with its 95 % interval. A
    line an arm of `x`, a colour an arm of `by`, a panel an arm of what other factor there is; how many runs diverged
    stands beside their line."""
    values = of(grid)
    if values.empty or values.value.isna().all():
        return Nothing(NOT_STORED)
    factors = grid.study.factors
    other = next((factor for factor in factors if factor not in (x, by)), None)
    panels = [(arm.label, values[values[other] == key]) for key, arm in factors[other].items()] if other else [
        ("", values)]
    panels = [(title, part) for title, part in panels if len(part)]
    lines = [key for key in factors[x] if (values[x] == key).any()]
    colours = [key for key in factors[by] if (values[by] == key).any()] if by else [""]
    slot = 0.8 / len(colours)  # of a line, for each colour
    figure, axes = _canvas(1.3 + len(lines) * (0.15 + 0.25 * len(colours)), 1, len(panels), sharey=True)
    figure.data = _of_runs(grid, values.rename(columns={"value": name}), name)
    for axis, (title, panel) in zip(axes, panels, strict=True):
        for (line, key), (n, colour) in itertools.product(enumerate(lines), enumerate(colours)):
            part = panel[(panel[x] == key) & (panel[by] == colour)] if by else panel[panel[x] == key]
            runs = part.value.dropna()
            y = line + slot * (n - (len(colours) - 1) / 2)
            look: dict[str, Any] = {"color": LOOKS[n][0], "marker": "osD^v"[n], "linestyle": ""}
            axis.plot(runs, [y + slot / 4] * len(runs), markersize=4, alpha=0.5, markeredgewidth=0, **look)
            if len(runs):
                mean = stats.mean(runs)
                axis.errorbar(mean.value, y, xerr=mean.high - mean.value if mean.n > 1 else None, markersize=7,
                              capsize=3, label=factors[by][colour].label if by else None, **look)
            if lost := len(part) - len(runs):
                axis.annotate(f"{lost} of {len(part)} diverged", (1, y), xycoords=("axes fraction", "data"), ha="left",
                              xytext=(4, 0), textcoords="offset points", va="center", color=INK, fontsize=LETTERS)
        axis.set(title=title, xlabel=name, ylim=(len(lines) - 0.5, -0.5), yticks=range(len(lines)))
        axis.set_yticklabels([textwrap.fill(factors[x][key].label, 20) for key in lines])
        axis.grid(axis="x")
    return _legend_below(figure, axes[0]) if by else figure


def gradient_at_start(grid: Grid) -> Figure | Nothing:
    """Gradient norm at conv1 of the untrained network, from the main loss and from the weighted heads."""
    history = grid.labelled(grid.history())
    if history.empty:
        return Nothing(NOT_STORED)
    start = history[history.epoch == 0].melt(["norm", "init", "seed"], ["grad_main", "grad_aux"], var_name="from",
                                             value_name="gradient norm at conv1")
    start["from"] = start["from"].map({"grad_main": "main loss", "grad_aux": "auxiliary losses × weight"})
    figure, axes = _canvas(3.2, 1, start.norm.nunique(), sharey=True)
    figure.data = start
    for axis, (name, part) in zip(axes, start.groupby("norm", sort=False), strict=True):
        _dots(axis, part, "init", "gradient norm at conv1", "from", upright=True)
        axis.set(title=name, yscale="log")
        axis.yaxis.set_major_formatter("{x:.0e}")
        axis.tick_params(axis="x", rotation=20)
        axis.grid(axis="y")
    axes[0].set(ylabel="gradient norm at conv1")
    return _legend_below(figure, axes[-1])


def gradient_in_training(grid: Grid) -> Figure | Nothing:
    """The auxiliary losses' gradient at conv1 over the main loss's, epoch by epoch; geometric means over seeds."""
    history = grid.history()
    if history.empty:
        return Nothing(NOT_STORED)
    headed = history[history.grad_aux > 0].assign(ratio=lambda f: f.grad_aux / f.grad_main)
    figure, panels = _panels(grid, headed, "epoch", "ratio")
    panels[0][0].set_yscale("log")  # before any line: seaborn then takes its means of the logarithms
    for axis, title, part in panels:
        _lines(grid, part, "epoch", "ratio", axis)
        axis.axhline(1, **DOTTED)
        _plain(axis.yaxis)
        axis.set(title=title, ylabel="gradient at conv1, heads ÷ main")
    return _legend_below(figure, panels[-1][0])


def error_by_size(grid: Grid) -> Figure | Nothing:
    """Top-1 error against the size of the object, of images that have one; panels as in `learning_curves`."""
    parts = grid.by_radius()
    if parts.empty:
        return Nothing("these images carry no size")
    figure, panels = _panels(grid, parts.assign(error=100 * parts.error), "fifth", "radius", "error")
    for axis, title, part in panels:
        _lines(grid, part, "fifth", "error", axis)
        axis.set(title=title, xlabel="radius / image side", ylabel="top-1 error, %",
                 xticks=sorted(part.fifth.unique()),
                 xticklabels=[f"{r:.2f}"[1:] for r in part.groupby("fifth").radius.mean()])
    return _legend_below(figure, panels[-1][0])


@told
def ensembles(table: pd.DataFrame) -> Figure | Nothing:
    """Top-1 error by the number of networks averaged: the mean over all subsets of so many, and from the best to the
    worst of them. `table`: of studies.afterwards, "crops"; a line a kind of start at one view, and ten views."""
    lines = {"one view": ("own", 1), "ten views": ("own", 10), "one view, all start alike": ("same", 1)}
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(3.4)
    for (label, (start, views)), (colour, dashes) in zip(lines.items(), LOOKS, strict=False):
        part = table[(table.start == start) & (table.views == views) & (table.images == table.images.max())]
        if len(part):
            axis.plot(part.networks, part.error, color=colour, dashes=dashes or (None, None), marker="o", markersize=4,
                      linewidth=2, label=label)
            axis.fill_between(part.networks, part.lowest, part.highest, color=colour, alpha=0.12, linewidth=0)
    axis.set(xlabel="networks averaged", ylabel="top-1 error, %")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
    return _legend_below(figure, axis)


@told
def reliability(grid: Grid, table: pd.DataFrame) -> Figure | Nothing:
    """Share of right answers over confidence, a line a share of v3.smoothing, all its networks together; bins of fewer
    than FEW images are left out. Dotted: right as often as sure. `table`: of studies.afterwards, "reliability"."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(3.8)
    axis.plot([0, 1], [0, 1], **DOTTED)
    sums = table.assign(sure=table.images * table.confidence, right=table.images * table.accuracy)
    arms = grid.study.factors["smoothing"].items()
    for (key, arm), (colour, dashes), marker in zip(arms, LOOKS, "osD^", strict=False):
        part = sums[sums.smoothing == float(key)]
        bins = part.groupby("low")[["images", "sure", "right"]].sum()
        bins = bins[bins.images >= FEW]
        if len(bins):
            axis.plot(bins.sure / bins.images, bins.right / bins.images, color=colour, dashes=dashes or (None, None),
                      marker=marker, markersize=5, label=f"ε = {arm.label} (networks: {part.addresses.nunique()})")
    axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axis.grid()
    return _legend_below(figure, axis, columns=2)


@told
def probes(table: pd.DataFrame) -> Figure | Nothing:
    """Error of linear probes by row, a dot a run. `table`: of studies.afterwards, "probes", under labels."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(2.8)
    _dots(axis, table, "row", "error", "aux")
    axis.set(xlabel="top-1 error of a linear probe, %", ylabel="output of")
    axis.grid(axis="x")
    return _legend_below(figure, axis)


@told
def recovered(table: pd.DataFrame) -> Figure | Nothing:
    """Edges of a random sparse layer found, by samples, a line a width: the positive ones, and the negative ones.
    Dotted: 99 %. `table`: of pages.arora, "recovery"."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, axes = _canvas(3.4, 1, 2, sharey=True)
    for axis, column in zip(axes, ("positive", "negative"), strict=True):
        axis.axhline(99, **DOTTED)
        _marked(axis, table, "samples", column, {width: f"{width:,} units" for width in table.width.unique()}, "width")
        axis.set(xscale="log", xlabel="samples", ylabel="edges found, %", title=column, ylim=(0, 103))
        axis.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    return _legend_below(figure, axes[0])


@told
def by_degree(table: pd.DataFrame) -> Figure | Nothing:
    """Positive edges of a random sparse layer found, by the edges of a hidden unit, a line a width."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(3.2)
    _marked(axis, table, "degree", "positive", {width: f"{width:,} units" for width in table.width.unique()}, "width")
    axis.set(xlabel="edges of a hidden unit", ylabel="positive edges found, %", ylim=(0, 103))
    return _legend_below(figure, axis)


@told
def denoised(table: pd.DataFrame) -> Figure | Nothing:
    """Hidden units found again, by the noise on the outputs, a line a degree."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(3.2)
    _marked(axis, table, "noise", "units", {degree: f"{degree} edges" for degree in table.degree.unique()}, "degree")
    axis.set(xlabel="firing outputs lost, and as many added, %", ylabel="units found again, %", ylim=(0, 103))
    return _legend_below(figure, axis)


@told
def collapsed(table: pd.DataFrame) -> Figure | Nothing:
    """Outputs that one fitted layer gives right, by how many top units are on, a line a kind of generator."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    figure, (axis,) = _canvas(3.2)
    _marked(axis, table, "active", "right", {name: f"given by {name}" for name in table.generator.unique()},
            "generator")
    axis.set(xscale="log", xlabel="units of the top layer that are on", ylabel="right by one layer, %",
             ylim=(None, 101))
    axis.set_xticks(sorted(table.active.unique()), labels=[str(number) for number in sorted(table.active.unique())])
    axis.xaxis.set_minor_formatter(NullFormatter())
    return _legend_below(figure, axis)


@told
def correlated(table: pd.DataFrame) -> Figure | Nothing:
    """Pairs of units that correlate, by how far apart they are, a line a module: the first of all and the last of each
    grid, in trained networks and in the same untrained. `table`: of studies.correlations, "rings"."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    shown = list(dict.fromkeys([table.row.iloc[0], *table.groupby("side", sort=False).row.last()]))[:len(LOOKS)]
    figure, axes = _canvas(3.4, 1, 2, sharey=True)
    for axis, (trained, title) in zip(axes, ((True, "trained"), (False, "untrained")), strict=True):
        part = table[table.trained == trained].assign(percent=lambda of: 100 * of.strong)
        _marked(axis, part, "ring", "percent", {row: row for row in shown}, "row")
        axis.set(xlabel="positions apart", ylabel="pairs with |r| above 0.3, %", title=title, ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _legend_below(figure, axes[0])


@told
def wide_groups(table: pd.DataFrame, printed: dict[str, float]) -> Figure | Nothing:
    """Share of the groups of units wider than one position, module by module, trained and untrained, beside that of
    the filters in `printed`. `table`: of pages.arora, `proposed`."""
    if table.empty:
        return Nothing(NOT_MEASURED)
    paper = pd.DataFrame([{"row": row, "share": share, "of": "Table 1"} for row, share in printed.items()
                          if row in set(table.row)])
    named = table.assign(of=table.trained.map({True: "trained", False: "untrained"}))
    shown = pd.concat([named[["row", "share", "of"]], *([paper] if len(paper) else [])])
    figure, (axis,) = _canvas(3.2)
    _marked(axis, shown, "row", "share", {word: word for word in shown.of.unique()}, "of")
    axis.set(xlabel="module", ylabel="wider than one position, %", ylim=(0, 103))
    return _legend_below(figure, axis)


def _marked(axis: Axes, table: pd.DataFrame, x: str, y: str, lines: dict[Any, str], by: str) -> None:
    """Means over networks, a line each with dashes and a mark of its own, and each network as a small mark."""
    for (key, label), (colour, dashes), marker in zip(lines.items(), LOOKS, "osD^v", strict=False):
        part = table[table[by] == key]
        mean = part.groupby(x, sort=False)[y].mean()
        axis.plot(part[x], part[y], marker, color=colour, markersize=2.5, alpha=0.4, markeredgewidth=0)
        axis.plot(mean.index, mean, color=colour, dashes=dashes or (None, None), marker=marker, markersize=5,
                  linewidth=1.5, label=label)
    axis.grid(axis="y")


def rates(grid: Grid, by: str) -> Figure | Nothing:
    """The learning rate at the end of every epoch, a line an arm of a factor; of the first seed, for all have one."""
    history = grid.history()
    if history.empty:
        return Nothing(NOT_STORED)
    figure, (axis,) = _canvas(2.8)
    figure.data = _of_runs(grid, history, "epoch", "lr")
    for (key, arm), (colour, dashes) in zip(grid.study.factors[by].items(), LOOKS, strict=False):
        runs = history[(history[by] == key) & history.lr.notna()]
        if len(runs):
            run = runs[runs.address == runs.address.iloc[0]]
            axis.plot(run.epoch, run.lr, color=colour, dashes=dashes or (None, None), linewidth=2, label=arm.label)
    axis.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return _legend_below(figure, axis)


@told
def mixtures(shares: pd.DataFrame) -> Figure:
    """Filters of 3×3 and 5×5 for each 1×1, over the modules: a line a mixture, the drawn ones thin and grey."""
    figure, (axis,) = _canvas(3.4)
    looks = iter(LOOKS)
    for (key, label), part in shares.groupby(["mix", "label"], sort=False):
        drawn = str(key).startswith("drawn")
        colour, dashes = (PALETTE[4], (1, 1)) if drawn else next(looks)
        axis.plot(part.module, part.ratio, color=colour, dashes=dashes or (None, None), linewidth=1 if drawn else 2,
                  label=label, marker="o", markersize=3)
    axis.set(xlabel="module", ylabel="filters of 3×3 and 5×5 for a 1×1", ylim=(0, None))
    return _legend_below(figure, axis, columns=4)


BENCH = {  # colour and marker of a variant
    "ours, as published": (PALETTE[0], "o"), "ours, with BN": (PALETTE[2], "s"),
    "ours, same network": (PALETTE[3], "^"), "torchvision's script": (PALETTE[4], "x"),
    "torchvision, tuned": (PALETTE[1], "D"),
}


@told
def images_per_second(tables: speed.Tables) -> Figure | Nothing:
    """Images a second, a row of panels a device: medians, and lines from the lowest to the highest turn."""
    if not tables:
        return Nothing(NOT_MEASURED)
    sizes = {device: [*dict.fromkeys(map(speed.size, table.itertuples()))] for device, table in tables.items()}
    tall = [0.6 * len(of) + 0.6 for of in sizes.values()]
    figure, axes = _canvas(sum(tall) + 1, len(tables), 2, sharey="row", gridspec_kw={"height_ratios": tall})
    for (device, table), line in zip(tables.items(), axes.reshape(-1, 2), strict=True):
        labels = pd.Series([speed.label(row) for row in table.itertuples()], index=table.index)
        for axis, (phase, name) in zip(line, speed.PHASES.items(), strict=True):
            for n, (variant, (colour, marker)) in enumerate(BENCH.items()):
                part = table[(labels == variant) & (table.phase == phase)]
                y = [sizes[device].index(speed.size(row)) + 0.15 * (n - 2) for row in part.itertuples()]
                spread = (part.images_per_s - part.images_per_s_low, part.images_per_s_high - part.images_per_s)
                axis.errorbar(part.images_per_s, y, xerr=spread, fmt=marker, color=colour, markersize=4, label=variant)
            title = _narrow(f"{device}, {name}" if len(tables) > 1 else name)
            axis.set(title=title, xlabel="images a second", xscale="log")
            axis.set_visible((table.phase == phase).any())
            _plain(axis.xaxis)
            axis.grid(axis="x")
        line[0].set(yticks=range(len(sizes[device])), yticklabels=sizes[device], ylim=(len(sizes[device]) - 0.5, -0.5))
    return _legend_below(figure, axes[0], columns=2)


@told
def roofline(tables: speed.Tables) -> Figure | Nothing:
    """Operations a second over operations a byte, a panel a device: its roof, and the rows that calculate."""
    if not tables:
        return Nothing(NOT_MEASURED)
    figure, axes = _canvas(3.4 * len(tables) + 0.4, len(tables), 1)
    for axis, (device, table) in zip(axes, tables.items(), strict=True):
        done = table[(table.operations > 0) & (table.status == "ok")]
        matmul, copy = table.matmul_tflops.max(), table.copy_gb_per_s.max() / 1e3
        ends = min(done.intensity.min(), matmul / copy) / 2, max(done.intensity.max(), matmul / copy) * 2
        axis.plot([ends[0], matmul / copy, ends[1]], [copy * ends[0], matmul, matmul], color=INK, linewidth=1)
        for (phase, name), colour, marker in zip(WAYS.items(), PALETTE, "os", strict=False):
            part = done[done.phase == phase]
            axis.plot(part.intensity, part.tflops, marker, color=colour, label=name, markersize=5)
        for row in done[(done.phase == "infer") & ~done.row.str.match(r"\d")].itertuples():  # modules lie too close
            axis.annotate(str(row.row), (row.intensity, row.tflops), xytext=(0, 6), textcoords="offset points",
                          ha="center", fontsize=LETTERS, color=INK)
        axis.set(title=device, xscale="log", yscale="log", xlabel="operations a byte", ylabel="TFLOP/s")
        _plain(axis.xaxis)
        _plain(axis.yaxis)
        axis.grid()
    return _legend_below(figure, axes[-1])


@told
def over_bound(tables: speed.Tables) -> Figure | Nothing:
    """Measured over predicted time of every row, a panel a device; 1 is the bound."""
    if not tables:
        return Nothing(NOT_MEASURED)
    figure, axes = _canvas(4.6, 1, len(tables), sharey=True)
    for axis, (device, table) in zip(axes, tables.items(), strict=True):
        _dots(axis, table.replace({"phase": WAYS}), "row", "ratio", "phase")
        axis.axvline(1, **DOTTED)
        axis.set(title=_narrow(device), xscale="log", xlabel="measured ÷ predicted")
        axis.set_xlim(left=min(0.8, axis.get_xlim()[0]))  # or the bound lies upon the edge
        _plain(axis.xaxis)
        axis.grid(axis="x")
    return _legend_below(figure, axes[-1])


@told
def savings(tables: speed.Tables) -> Figure | Nothing:
    """How many times as fast what replaces a convolution is, forward and with the way back, beside what multiply-adds
    promise; a panel a device."""
    if not tables:
        return Nothing(NOT_MEASURED)
    figure, axes = _canvas(2.4 * len(tables) + 0.8, len(tables), 1)
    for axis, (device, table) in zip(axes, tables.items(), strict=True):
        names = [NAMES[name] for name in table.saving.unique()]
        for (phase, words), colour, marker, shift in zip(WAYS.items(), PALETTE, "os", (-0.12, 0.12), strict=False):
            part = table[table.phase == phase]
            axis.errorbar(part.times, [names.index(NAMES[name]) + shift for name in part.saving],
                          xerr=(part.times - part.times_low, part.times_high - part.times), fmt=marker, color=colour,
                          markersize=5, label=words)
        once = table.drop_duplicates("saving")
        axis.plot(once.promised, range(len(once)), "D", color=INK, fillstyle="none", markersize=7, label="promised")
        axis.axvline(1, **DOTTED)
        axis.set(title=device, xscale="log", xlabel="times as fast", yticks=range(len(names)), yticklabels=names,
                 ylim=(len(names) - 0.5, -0.5))
        _plain(axis.xaxis)
        axis.grid(axis="x")
    return _legend_below(figure, axes[-1])


# colour, marker and line of a way to multiply: the colour is the library's, the marker the format's
WAYS_TO_MULTIPLY = {
    ("scipy DOK", sparsity.SCATTERED): (PALETTE[0], "v", "-"),
    ("scipy LIL", sparsity.SCATTERED): (PALETTE[0], "^", "-"),
    ("scipy COO", sparsity.SCATTERED): (PALETTE[0], "o", "-"),
    ("scipy CSR", sparsity.SCATTERED): (PALETTE[0], "s", "-"),
    ("torch COO", sparsity.SCATTERED): (PALETTE[1], "o", "--"),
    ("torch CSR", sparsity.SCATTERED): (PALETTE[1], "s", "--"),
    ("torch CSR", sparsity.TILED): (PALETTE[2], "s", ":"), ("scipy BSR", sparsity.TILED): (PALETTE[2], "D", "-"),
    ("torch BSR", sparsity.TILED): (PALETTE[2], "P", "--"),
}
PRODUCT_MARKERS = "osD^"
IN_BLOCKS = {"scipy CSR": (PALETTE[0], "s", "-"), "torch CSR": (PALETTE[1], "s", "--"),
             sparsity.PERMUTED: (PALETTE[2], "D", "-"), sparsity.NUMBERED: (PALETTE[3], "P", "--")}


def over_dense(tables: speed.Tables) -> Figure | Nothing:
    """Time over the dense product's against the density, a panel a product, a line a way to multiply; one thread.
    Dotted: the dense product, and what arithmetic promises."""
    if not tables:
        return Nothing(NOT_MEASURED)
    return _over_dense(sparsity.main(tables), WAYS_TO_MULTIPLY, "weights that are not zero, %", 100)


def as_blocks(tables: speed.Tables) -> Figure | Nothing:
    """The same for matrices of hidden blocks, by their number."""
    if not tables:
        return Nothing(NOT_MEASURED)
    table = sparsity.main(tables)
    some = table[table.pattern == sparsity.HIDDEN]
    return _over_dense(some, {(kind, sparsity.HIDDEN): look for kind, look in IN_BLOCKS.items()}, "blocks", None)


def _over_dense(table: pd.DataFrame, looks: dict[tuple[str, str], tuple[str, str, str]], xlabel: str,
                percent: float | None) -> Figure:
    """`percent`: the density is shown as such; else as one over it, the number of blocks."""
    one = table[(table.threads == 1) & (table.status == sparsity.OK)]
    names = list(dict.fromkeys(one["product"]))
    figure, axes = _canvas(2.4 * ((len(names) + 1) // 2) + 1.1, (len(names) + 1) // 2, 2, sharex=True, sharey=True)
    figure.data = one[["product", "kind", "pattern", "density", "ratio"]]
    for axis, name in zip(axes, names, strict=False):
        for (kind, pattern), (colour, marker, dashes) in looks.items():
            part = one[(one["product"] == name) & (one.kind == kind) & (one.pattern == pattern)]
            x = percent * part.density if percent else 1 / part.density
            axis.plot(x, part.ratio, dashes, marker=marker, color=colour, markersize=4, linewidth=1.2,
                      label=sparsity.label(kind, pattern) if percent else kind)
        ends = sorted(percent * each if percent else 1 / each for each in (one.density.min(), one.density.max()))
        axis.plot(ends, [each / 100 for each in ends] if percent else [1 / each for each in ends], **DOTTED)
        axis.axhline(1, **DOTTED)
        axis.set(title=name, xscale="log", yscale="log", xlabel=xlabel, ylabel="time ÷ dense")
        if percent:
            axis.xaxis.set_major_locator(LogLocator())
            axis.xaxis.set_major_formatter("{x:g}")
        else:
            axis.set_xticks(sorted(round(each) for each in {*(1 / one.density)}))
            axis.xaxis.set_major_formatter("{x:.0f}")
            axis.minorticks_off()
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_locator(LogLocator())
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.label_outer()
        axis.grid()
    return _legend_below(figure, axes[0], columns=2)


def where_it_pays(tables: speed.Tables) -> Figure | Nothing:
    """The density at which each way begins to pay, with the lowest and the highest turn: a panel a number of threads, a
    marker a product; a cross is the guess. What is off to the left never pays, off to the right always."""
    if not tables:
        return Nothing(NOT_MEASURED)
    found = sparsity.breaks(sparsity.main(tables))
    ways = [way for way in WAYS_TO_MULTIPLY if ((found.kind == way[0]) & (found.pattern == way[1])).any()]
    threads, products = list(found.threads.unique()), list(found["product"].unique())
    figure, axes = _canvas(0.42 * len(ways) + 1.5, 1, len(threads), sharey=True)
    figure.data = found
    left, right = 0.06, 150
    for axis, number in zip(axes, threads, strict=True):
        for n, (product, marker, colour) in enumerate(zip(products, PRODUCT_MARKERS, PALETTE, strict=False)):
            part = found[(found.threads == number) & (found["product"] == product)]
            y = [ways.index((row.kind, row.pattern)) + 0.18 * (n - 1.5) for row in part.itertuples()]
            x, low, high = (part[end].clip(left, right) for end in ("density", "low", "high"))
            axis.errorbar(x, y, xerr=(x - low, high - x), fmt=marker, color=colour, markersize=4, linewidth=1.2,
                          label=product)
        guesses = [(percent, ways.index(way)) for way, percent in sparsity.GUESSED.items() if way in ways]
        axis.plot(*zip(*guesses, strict=True), "x", color=INK, markersize=8, label="guessed")
        axis.set(title="one thread" if number == 1 else f"{number} threads", xscale="log", xlim=(left, right),
                 xlabel="pays below, % of the weights", ylim=(len(ways) - 0.5, -0.5))
        axis.set_yticks(range(len(ways)), [textwrap.fill(sparsity.label(*way), 12) for way in ways])
        axis.xaxis.set_major_locator(LogLocator())
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(axis="x")
    return _legend_below(figure, axes[0], columns=3)


def sorted_blocks(planted: Hidden, rows: Labels, columns: Labels) -> Figure:
    """Where a matrix has entries: as it stands, and with rows and columns that belong together side by side."""
    figure, axes = _canvas(2.6, 1, 2, sharey=True)
    shown = (planted.matrix, planted.matrix[together(rows)][:, together(columns)])
    for axis, title, matrix in zip(axes, ("as it stands", "sorted"), shown, strict=True):
        full = matrix != 0
        y, x = full.nonzero()
        axis.plot(x, y, "s", color=INK, markersize=1.2, markeredgewidth=0)
        axis.set(title=title, xlabel="column", aspect="equal", xlim=(-1, full.shape[1]), ylim=(full.shape[0], -1))
    axes[0].set(ylabel="row")
    return figure


def _canvas(height: float, rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Drawn, NDArray[Any]]:
    """A figure of the page's width, `height` inches tall, and its axes in reading order; `shared` as for subplots."""
    figure = Drawn(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared).ravel()


def _dots(axis: Axes, table: pd.DataFrame, line: str, value: str, by: str, upright: bool = False) -> None:
    """A mark a row of the table, on a line for each `line`, or a column where `upright`; whose it is by `by` says its
    colour and its shape."""
    lines, kinds = (list(dict.fromkeys(table[column])) for column in (line, by))
    for n, (kind, marker, (colour, _)) in enumerate(zip(kinds, "osD^v", LOOKS, strict=False)):
        part = table[table[by] == kind]
        place = [lines.index(name) + 0.3 * (n - (len(kinds) - 1) / 2) for name in part[line]]
        axis.plot(*((place, part[value]) if upright else (part[value], place)), marker, color=colour, markersize=6,
                  label=kind)
    if upright:
        axis.set_xticks(range(len(lines)), lines)
    else:
        axis.set(yticks=range(len(lines)), yticklabels=lines, ylim=(len(lines) - 0.5, -0.5))


def _narrow(title: str) -> str:
    """Of a panel of two side by side: a processor's name takes two lines there."""
    return textwrap.fill(title, 24)


def _plain(axis: Axis) -> None:
    """Logarithmic, with its numbers written out: 0.5, 1, 2, and 5k, which leaves room for its neighbours."""
    low, high = axis.get_view_interval()
    # beside another panel it is half as wide, without room for as many
    beside = axis is axis.axes.xaxis and len({other.get_position().x0 for other in axis.axes.figure.axes}) > 1
    axis.set_major_locator(LogLocator(subs=(1,) if beside and high > 30 * low else (1, 2, 5)))
    axis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _panels(grid: Grid, frame: pd.DataFrame, *columns: str) -> tuple[Figure, list[tuple[Any, str, pd.DataFrame]]]:
    """A panel an arm of the first of several factors: (axis, title, its part of the frame). `columns` are drawn."""
    factor = next(iter(grid.study.factors), "") if len(grid.study.factors) > 1 else ""
    parts = [(arm.label, frame[frame[factor] == key]) for key, arm in grid.study.factors[factor].items()
             if (frame[factor] == key).any()] if factor else [("", frame)]
    figure, axes = _canvas(3.2, 1, len(parts), sharey=True)
    figure.data = _of_runs(grid, frame, *columns)
    return figure, [(axis, title, part) for axis, (title, part) in zip(axes, parts, strict=True)]


def _of_runs(grid: Grid, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """What is drawn of runs, with their arms as people see them and their seeds."""
    return grid.labelled(frame)[[*(name for name in grid.study.factors if name in frame), "seed", *columns]]


def _legend_below(figure: Figure, axis: Axes, columns: int | None = None) -> Figure:
    """What is drawn on `axis`, and what other panels have besides."""
    named: dict[str, Any] = {}
    for each in (axis, *figure.axes):
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    for each in figure.axes:
        if (legend := each.get_legend()) is not None:
            legend.remove()
    fit = max(1, int(72 * WIDTH // (0.55 * LETTERS * max(map(len, named), default=1) + 45)))  # side by side on the page
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=min(columns or len(named), fit),
                  frameon=False)
    return figure


def _lines(grid: Grid, frame: pd.DataFrame, x: str, y: str, axis: Axes) -> None:
    """A line a combination of the arms that share a panel; each has one look in every figure of its study."""
    factors = list(grid.study.factors)[1:] or list(grid.study.factors) or ["network"]
    every = [", ".join(labels) for labels in itertools.product(*(
        [arm.label for arm in grid.study.factors[name].values()] for name in factors if name in grid.study.factors))]
    named = grid.labelled(frame)
    shown = named.assign(line=named[factors].agg(", ".join, axis=1))
    order = [line for line in every if (shown.line == line).any()] or list(shown.line.unique())
    looks = {line: LOOKS[(every.index(line) if line in every else n) % len(LOOKS)] for n, line in enumerate(order)}
    common: dict[str, Any] = {"x": x, "y": y, "hue": "line", "style": "line", "hue_order": order, "style_order": order,
                              "palette": {name: look[0] for name, look in looks.items()},
                              "dashes": {name: look[1] for name, look in looks.items()}, "ax": axis, "errorbar": None}
    sns.lineplot(shown, units="seed", estimator=None, linewidth=0.7, alpha=0.4, legend=False, **common)
    sns.lineplot(shown, linewidth=2, **common)
