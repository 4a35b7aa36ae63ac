"""A module and a network, drawn from their tables."""
from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from replication.models import cost
from replication.models.ops import Conv, Inception, MaxPool, Network, Op, Row, Split
from replication.pages.figures import INK, LETTERS, PALETTE, WIDTH

KERNELS = {"1×1": PALETTE[0], "3×3": PALETTE[1], "5×5": PALETTE[2], "pool": PALETTE[3]}  # of V1's branches
LINE = 0.25     # inches a row of a network


def modules(forms: dict[str, Inception | Split], channels: int, side: int) -> Figure:
    """Forms of a module below each other, data from top to bottom: what every layer makes of how many maps, and its
    multiply-adds on side×side px."""
    figure = Figure(figsize=(WIDTH, 3.7 * len(forms)), layout="constrained")
    axes = figure.subplots(len(forms), 1, squeeze=False).ravel()
    for axis, (title, form) in zip(axes, forms.items(), strict=True):
        _module(axis, title, form.split() if isinstance(form, Inception) else form, channels, side)
    return figure


def _module(axis: Axes, title: str, form: Split, channels: int, side: int) -> None:
    shape = (channels, side, side)
    whole, columns = cost.step(form, shape, None), len(form.branches)
    middle = (columns - 1) / 2
    axis.set(xlim=(-0.55, columns - 0.45), ylim=(-0.4, 3.4), title=f"{title}: {whole.multiply_adds / 1e6:.0f} M")
    axis.axis("off")
    _box(axis, middle, 3, [f"{channels} maps of {side}×{side}"], INK, columns)
    for x, branch in enumerate(form.branches):
        above, seen = (x, 2.78), shape
        for op, y in zip(branch, (2, 1) if len(branch) == 2 else (1.5,), strict=True):
            after = cost.step(op, seen, None)
            price = [f"{after.multiply_adds / 1e6:.1f} M"] if after.multiply_adds else []
            axis.annotate("", (x, y + 0.34), above, arrowprops={"arrowstyle": "->", "color": INK})
            _box(axis, x, y, [_name(op), f"{seen[0]} → {after.shape[0]}", *price], KERNELS[_kernel(op)])
            above, seen = (x, y - 0.34), after.shape
        axis.annotate("", (x, 0.22), above, arrowprops={"arrowstyle": "->", "color": INK})
    _box(axis, middle, 0, [f"side by side: {whole.shape[0]} maps"], INK, columns)


def _box(axis: Axes, x: float, y: float, lines: list[str], colour: str, columns: float = 1,
         high: float | None = None) -> None:
    """Of three lines, or of one where it spans several columns, unless its height is given."""
    wide, high = columns - 0.16, high or (0.68 if columns == 1 else 0.44)
    axis.add_patch(FancyBboxPatch((x - wide / 2, y - high / 2), wide, high, facecolor=colour, alpha=0.16,
                                  edgecolor="none", boxstyle="round,pad=0,rounding_size=0.08"))
    axis.annotate("\n".join(lines), (x, y), ha="center", va="center", color=INK, fontsize=LETTERS, linespacing=1.3)


def _name(op: Op) -> str:
    return f"{_kernel(op)} {'pool' if isinstance(op, MaxPool) else 'conv'}".replace("pool pool", "3×3 max pool")


def _kernel(op: Op) -> str:
    match op:
        case Conv(kernel=int(kernel)):
            return f"{kernel}×{kernel}"
        case MaxPool():
            return "pool"
    raise ValueError(op)


def stack(of: Network) -> Figure:
    """The whole network in a few lines, top to bottom: a line a size of the maps, a box a row that makes or pools them;
    a box with an auxiliary classifier says so."""
    heads = {aux.at for aux in of.aux}
    by_size: dict[int, list[Row]] = {}
    rows = {row.name: row for row in of.rows}
    for line in cost.table(of):
        if line["head"] == "main" and not _silent(rows[line["name"]]):
            by_size.setdefault(line["output"][-1], []).append(rows[line["name"]])
    figure = Figure(figsize=(WIDTH, 0.62 * len(by_size)), layout="constrained")
    axis = figure.subplots()
    most = max(map(len, by_size.values()))
    axis.set(xlim=(-1.5, most - 0.4), ylim=(len(by_size) - 0.5, -0.5))
    axis.axis("off")
    for y, (side, boxes) in enumerate(by_size.items()):
        axis.annotate(f"{side}×{side}", (-1.45, y), va="center", color=INK, fontsize=LETTERS)
        for x, row in enumerate(boxes):
            words = [_short(row), *(["+ head"] if row.name in heads else [])]
            _box(axis, x, y, words, _tint(row), high=0.74)
    return figure


def _short(row: Row) -> str:
    match row.op:
        case Conv(kernel=int(kernel)):
            return f"{kernel}×{kernel}"
        case MaxPool():
            return "pool"
    return {"avgpool": "average"}.get(row.name, row.name)


def _tint(row: Row) -> str:
    match row.op:
        case MaxPool():
            return KERNELS["pool"]
        case Inception():
            return KERNELS["3×3"]
    return INK


def network(of: Network) -> Figure:
    """A line a row that makes or pools maps: the map's size, its channels as a bar, which a module divides among its
    branches, and the multiply-adds. Rows with an auxiliary classifier say so."""
    lines = [line for line in cost.table(of) if line["head"] == "main"]
    rows = {row.name: row for row in of.rows}
    before = dict(zip(rows, [of.channels, *(line["output"][0] for line in lines)], strict=False))
    shown = [line for line in lines if not _silent(rows[line["name"]])]
    figure = Figure(figsize=(WIDTH, LINE * len(shown) + 0.9), layout="constrained")
    axis = figure.subplots()
    most = max(line["output"][0] for line in shown)
    for y, line in enumerate(shown):
        left = 0
        for kernel, wide in _shares(rows[line["name"]], before[line["name"]], line["output"][0]):
            axis.barh(y, wide, left=left, color=KERNELS.get(kernel, INK), height=0.72, alpha=0.85,
                      edgecolor="none", label=kernel)
            left += wide
        heads = " + classifier" if line["name"] in {aux.at for aux in of.aux} else ""
        price = f"{line['multiply_adds'] / 1e6:.0f} M" if line["multiply_adds"] > 5e5 else ""
        axis.annotate(f"{price}{heads}", (left, y), xytext=(4, 0), textcoords="offset points", va="center",
                      color=INK, fontsize=LETTERS)
    sizes = [f"{line['name']}  {'×'.join(map(str, line['output'][1:]))}" for line in shown]
    axis.set(yticks=range(len(shown)), yticklabels=sizes, ylim=(len(shown) - 0.5, -0.5), xlabel="channels",
             xlim=(0, 1.3 * most))
    axis.tick_params(axis="y", length=0, labelsize=LETTERS)
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend([handles[name] for name in KERNELS], list(KERNELS), title="a module's channels, left to right",
                  loc="outside lower center", ncols=len(KERNELS), frameon=False)
    return figure


def _silent(row: Row) -> bool:
    """LRN and dropout change no shape."""
    return type(row.op).__name__ in ("LRN", "Dropout")


def _shares(row: Row, before: int, after: int) -> list[tuple[str, int]]:
    """(kernel of the branch, channels it gives), left to right; a single entry where there are no branches."""
    if not isinstance(row.op, Inception):
        return [("", after)]
    columns = [cost.chain(branch, (before, 28, 28), None).shape[0] for branch in row.op.split().branches]
    return list(zip(KERNELS, columns, strict=True))
