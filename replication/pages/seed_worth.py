"""What *What a seed is worth* shows: runs that differ in one thing, and how far apart they end."""
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats as distributions

from replication import checked, paths
from replication.pages import figures, html, metrics, reproduced
from replication.pages.claim import Settled
from replication.pages.claims import CLAIMS
from replication.pages.measures import ERROR, Difference
from replication.runs import store
from replication.stats import Interval
from replication.studies.study import Cell, Grid

SHARED = {"nothing": "nothing", "order": "order of images", "start": "initial weights", "both": "both"}


# -- one thing at a time ------------------------------------------------------------------------------------------
def standard_deviation(values: Sequence[float]) -> Interval:
    """Of a normal sample of two or more, with the interval by the chi-square distribution."""
    freedom, sd = len(values) - 1, float(np.std(values, ddof=1))
    low, high = (sd * math.sqrt(freedom / float(distributions.chi2.ppf(0.5 + side * 0.95 / 2, freedom)))
                 for side in (1, -1))
    return Interval(sd, low, high, len(values))


def spread(seeds: Grid) -> pd.DataFrame:
    """The study `seeds`, a row an arm: mean top-1 error, and its standard deviation with a 95 % interval, in points."""
    rows, runs = [], seeds.summary()
    for key, arm in seeds.study.factors["varied"].items():
        errors = [100 * error for error in runs[runs.varied == key].val_error.dropna()] if len(runs) else []
        if len(errors) > 1:
            sd = standard_deviation(errors)
            rows.append({"varied": arm.label, "runs": sd.n, "mean error, %": np.mean(errors), "sd, points": sd.value,
                         "from": sd.low, "to": sd.high})
    return pd.DataFrame(rows, columns=None if rows else ["varied", "runs"])


def apart(seeds: Grid) -> pd.DataFrame:
    """How far two runs of the study `seeds` lie apart: a row a pair and epoch, with what the two `share` (a key of
    SHARED), `points` of top-1 error, the `gradient` at the first convolution as a logarithm of a ratio, and whether the
    two are `alike` to the last digit throughout.

    A start and an order that several arms have are one run, which counts once; that it was trained more than once, and
    its twins in the store, are the pairs that share both. The gradient is taken with dropout, which differs by seed
    even before the first step.
    """
    history = seeds.history()
    if history.empty:
        return pd.DataFrame(columns=["share", "epoch", "points", "gradient", "alike"])
    curves = dict(iter(history.groupby("address")))
    runs = [(_drawn(cell), _curve(curves[cell.address])) for cell in seeds.cells if cell.address in curves]
    first = {drawn: number for number, (drawn, _) in reversed([*enumerate(runs)])}
    pairs = [(_share(a, b), one, other) for (i, (a, one)), (j, (b, other)) in itertools.combinations(enumerate(runs), 2)
             if a == b or (first[a] == i and first[b] == j)]
    for cell in seeds.cells:
        pairs += [("both", _curve(a.history), _curve(b.history)) for a, b in _records(cell.address).values()]
    return pd.concat([pd.DataFrame({
        "share": share, "points": 100 * (a.val_error - b.val_error).abs(),
        "gradient": (a.grad_total / b.grad_total).map(math.log).abs(), "alike": a.equals(b)}).reset_index()
        for share, a, b in pairs])


def parting(seeds: Grid) -> pd.DataFrame:
    """By what two runs share: how many pairs, how many of them alike to the last digit, and how far the others lie
    apart on average: in the worst epoch, and after the last one, in points of top-1 error."""
    rows, found = [], apart(seeds)
    for key, label in SHARED.items():
        if (part := found[found.share == key]).empty:
            continue
        alike = part[part.epoch == part.epoch.max()].alike
        means = _means(part, "points")
        rows.append({"two runs share": label, "pairs": len(alike), "alike": int(alike.sum()),
                     "at worst, points": means.max(), "in epoch": means.idxmax() if len(means) else math.nan,
                     "at the end, points": means.iloc[-1] if len(means) else math.nan})
    return pd.DataFrame(rows, columns=None if rows else ["two runs share", "pairs"])


def parting_curves(seeds: Grid) -> Figure | figures.Nothing:
    """The mean distance of two runs over epochs, in error and gradient, a line for what they share; pairs that never
    part are left out."""
    found = apart(seeds)
    if found.empty:
        return figures.Nothing(figures.NOT_STORED)
    figure = figures.Drawn(figsize=(figures.WIDTH, 3.4), layout="constrained")
    unlike = found[~found.alike.astype(bool)]
    figure.data = unlike.groupby(["share", "epoch"])[["points", "gradient"]].mean().reset_index()
    for axis, (column, title) in zip(figure.subplots(1, 2), (
            ("points", "error, points"), ("gradient", "gradient at conv1, log of ratio")), strict=True):
        for (key, label), (colour, dashes) in zip(SHARED.items(), figures.LOOKS, strict=False):
            if len(means := _means(found[found.share == key], column)):
                axis.plot(means.index, means, color=colour, dashes=dashes or (None, None), linewidth=2, label=label)
        axis.set(xlabel="epoch", title=title, ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, title="two runs share")
    return figure


def _means(pairs: pd.DataFrame, column: str) -> pd.Series:
    """By epoch, of pairs that are not alike."""
    return pairs[~pairs.alike.astype(bool)].groupby("epoch")[column].mean()


def _drawn(cell: Cell) -> tuple[int, int]:
    """The seeds of a run's initial weights and of its order."""
    recipe = cell.experiment.recipe
    return (cell.seed if recipe.init_seed is None else recipe.init_seed,
            cell.seed if recipe.order_seed is None else recipe.order_seed)


def _share(a: tuple[int, int], b: tuple[int, int]) -> str:
    """A key of SHARED."""
    if a == b:
        return "both"
    return "start" if a[0] == b[0] else "order" if a[1] == b[1] else "nothing"


def _curve(history: Any) -> pd.DataFrame:
    return pd.DataFrame(history)[["epoch", "val_error", "val_loss", "grad_total"]].set_index("epoch")


# -- the same run again -------------------------------------------------------------------------------------------
def elsewhere(aux: Grid) -> pd.DataFrame:
    """The runs of `results/tables/elsewhere-v1.aux.csv`, trained again on other machines by the same code and seeds,
    against those stored here, in top-1 error: a row a machine and normalisation. `same seed, points` is the standard
    deviation of their differences, `two seeds, points` that of two runs here that differ in the seed alone."""
    here, rows = aux.summary(), []
    table = _there(aux)
    for device, norm in itertools.product(table.device.unique(), aux.study.factors["norm"]):
        both = table[(table.device == device) & (table.norm == norm)].merge(here, on="address", suffixes=("_there", ""))
        if len(both) < 2:
            continue
        difference = 100 * (both.val_error_there - both.val_error)
        within = (100 * here[here.norm == norm].set_index("aux").val_error).groupby("aux").var().mean()
        rows.append({"machine": device, "norm": norm, "runs": len(both), "mean difference, points": difference.mean(),
                     "same seed, points": difference.std(), "two seeds, points": math.sqrt(2 * within)})
    return aux.labelled(pd.DataFrame(rows, columns=None if rows else ["machine", "norm", "runs"]))


def _there(aux: Grid) -> pd.DataFrame:
    """Of that file the final state of runs that are stored here, too, with the keys of their arms. It holds no more."""
    table, here = checked.read(paths.PUBLISHED / "tables" / "elsewhere-v1.aux.csv"), aux.summary()
    return table.merge(here[["address", *aux.study.factors]], on="address")


def again(grids: Sequence[Grid]) -> pd.DataFrame:
    """Runs that are stored more than once (`store.twins`), a row a pair of records: the threads of each, how many runs,
    how many of them alike to the last digit, and how far the others lie apart on average after the last epoch, in
    points of top-1 error."""
    found: dict[tuple[str, str], list[tuple[store.Run, store.Run]]] = {}
    for address in dict.fromkeys(cell.address for grid in grids for cell in grid.cells):
        for names, pair in _records(address).items():
            found.setdefault(names, []).append(pair)
    rows = []
    for names, pairs in found.items():
        threads = [" and ".join(sorted({str(pair[side].provenance.get("threads")) for pair in pairs}))
                   for side in (0, 1)]
        apart = [100 * abs(a.history[-1]["val_error"] - b.history[-1]["val_error"]) for a, b in pairs
                 if not _curve(a.history).equals(_curve(b.history))]
        rows.append({"trained": names[0], "and again": names[1], "threads": " / ".join(threads), "runs": len(pairs),
                     "alike": len(pairs) - len(apart), "at the end, points": np.mean(apart) if apart else math.nan})
    return pd.DataFrame(rows, columns=None if rows else ["trained", "and again", "runs"])


def _records(address: str) -> dict[tuple[str, str], tuple[store.Run, store.Run]]:
    """Every two records of a run, by the labels of both; that of the store itself is "here"."""
    own = store.find(address)
    records = ({"here": own} if own else {}) | store.twins(address)
    return {(a, b): (records[a], records[b]) for a, b in itertools.combinations(records, 2)}


# -- what pairing buys --------------------------------------------------------------------------------------------
def lost(seeds: int) -> float:
    """Half-width of a paired interval over that of an unpaired one, of as many seeds, where pairing removes nothing of
    the scatter: Student's quantiles of n - 1 and 2 n - 2 degrees of freedom."""
    return float(distributions.t.ppf(0.975, seeds - 1) / distributions.t.ppf(0.975, 2 * seeds - 2))


def pairing(aux: Grid) -> pd.DataFrame:
    """Differences between two sets of heads, a row a machine and normalisation: their scatter where runs are paired by
    seed and where they are not (root of the mean variance over all two sets), the half-widths of the 95 % intervals
    that follow, and the ratio of these. Below 1, pairing pays."""
    here = aux.summary()
    if here.empty:
        return pd.DataFrame(columns=["machine", "norm", "seeds"])
    machines = {"here": here, **dict(iter(_there(aux).groupby("device", sort=False)))}
    rows = []
    for (machine, runs), norm in itertools.product(machines.items(), aux.study.factors["norm"]):
        errors = 100 * runs[runs.norm == norm].pivot_table(index="seed", columns="aux", values="val_error").dropna()
        two, n = [*itertools.combinations(errors.columns, 2)], len(errors)
        if n < 2 or not two:
            continue
        together = math.sqrt(sum((errors[a] - errors[b]).var() for a, b in two) / len(two))
        alone = math.sqrt(2 * errors.var().mean())
        wide = float(distributions.t.ppf(0.975, n - 1)) / math.sqrt(n)
        rows.append({"machine": machine, "norm": norm, "seeds": n, "sd, paired": together, "sd, unpaired": alone,
                     "±, paired": wide * together, "±, unpaired": wide / lost(n) * alone,
                     "ratio": lost(n) * together / alone})
    return aux.labelled(pd.DataFrame(rows))


# -- intervals that assume less -----------------------------------------------------------------------------------
def coverages(*seeds: int) -> pd.DataFrame:
    """A row a number of seeds: how often, in percent, each kind of 95 % interval holds the mean."""
    return pd.DataFrame([{"seeds": n, **coverage(n)} for n in seeds])


def coverage(seeds: int, samples: int = 2000, level: float = 0.95) -> dict[str, float]:
    """Of a mean of so many normal values, how often Student's interval holds it and how often those of a bootstrap,
    which draws again from the values there are: by percentiles, and corrected for bias and skewness (BCa).

    All that may be drawn again is counted, with its probability, and given the shape of a sample its mean over its
    deviation is Student's t: only shapes are drawn, `samples` of them."""
    shapes = np.random.default_rng(0).normal(size=(samples, seeds))
    shapes -= shapes.mean(1, keepdims=True)
    shapes /= shapes.std(1, ddof=1, keepdims=True)
    drawn = np.array([np.bincount(each, minlength=seeds)
                      for each in itertools.combinations_with_replacement(range(seeds), seeds)])
    chance = distributions.multinomial.pmf(drawn, seeds, np.full(seeds, 1 / seeds))
    means = shapes @ drawn.T / seeds
    order = means.argsort(1)
    means, below = np.take_along_axis(means, order, 1), chance[order].cumsum(1)

    def at(share: Any) -> Any:  # of each shape the mean below which this share of what is drawn again lies
        place = (below < np.reshape(share, (-1, 1))).sum(1, keepdims=True)
        return np.take_along_axis(means, place.clip(max=len(drawn) - 1), 1)[:, 0]

    def held(low: Any, high: Any) -> float:
        student = distributions.t(seeds - 1).cdf
        return 100 * float(np.mean(student(-math.sqrt(seeds) * low) - student(-math.sqrt(seeds) * high)))

    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    half = float(distributions.t.ppf(tails[1], seeds - 1)) / math.sqrt(seeds)
    less, same = means < -1e-12, abs(means) <= 1e-12
    bias = distributions.norm.ppf((chance[order] * (less + same / 2)).sum(1))
    skew = (shapes ** 3).sum(1) / 6 / (shapes ** 2).sum(1) ** 1.5
    moved = [bias + z for z in distributions.norm.ppf(tails)]
    return {"Student's": held(-half, half), "bootstrap, percentiles": held(*map(at, tails)),
            "bootstrap, BCa": held(*(at(distributions.norm.cdf(bias + z / (1 - skew * z))) for z in moved))}


# -- what "agree" can mean ----------------------------------------------------------------------------------------
def twice(aux: Grid, machine: str) -> list[reproduced.Pair]:
    """The claims about the final error of a grid's runs, measured here and on another machine."""
    there = _there(aux).query("device == @machine")
    there = there.assign(value=100 * there.val_error)
    found = []
    for claim in CLAIMS.values():
        if claim.study == aux.study.name and isinstance(claim.measure, Difference) and claim.measure.of is ERROR:
            one, other = claim.measure(aux), replace(claim.measure, of=lambda _: there)(aux)
            if one is not None and other is not None:
                found.append(reproduced.Pair(claim, *(metrics.record(Settled(claim, each)) for each in (one, other))))
    return found


def twice_table(aux: Grid, machine: str) -> html.Html:
    return html.Html(reproduced.table(twice(aux, machine), "Here", machine))


# -- in a few sentences -------------------------------------------------------------------------------------------
def answer(aux: Grid, seeds: Grid, machine: str) -> str:
    """What the page found, of what is stored."""
    said, moved = [], elsewhere(aux)
    if len(moved) and len(moved := moved[moved.machine == machine]):
        said.append(f"Trained again with the same seeds on another processor, a run's final error differs with a "
                    f"standard deviation of {_each(moved, 'same seed, points')} points; two seeds on one differ with "
                    f"{_each(moved, 'two seeds, points')}.")
    if len(bought := pairing(aux)):
        said.append(f"Pairing by seed makes the interval of a difference between variants "
                    f"{_each(bought[bought.machine == 'here'], 'ratio', 2)} times as wide as it is without.")
    if pairs := twice(aux, machine):
        wide = sorted(pair.half_width for pair in pairs)
        sharp = sum(p.agrees and p.excuse is None for p in pairs)
        said.append(f"Of {len(pairs)} claims that were measured on both processors {sum(p.agrees for p in pairs)} "
                    f"agree, which says something of {sharp or 'none'} of them: to show, a difference has to be of "
                    f"{wide[0]:.1f} to {wide[-1]:.1f} points.")
    if len(table := spread(seeds)):
        said.append("The standard deviation of the final error, by what varies from run to run: " + "; ".join(
            f"{row['varied']}, {row['sd, points']:.1f} points [{row['from']:.1f}, {row['to']:.1f}]"
            for row in table.to_dict("records")) + ".")
    return " ".join(said) or "No run of it is stored here: python -m replication run --profile worth trains them."


def _each(rows: pd.DataFrame, column: str, digits: int = 1) -> str:
    """`7.3 (LRN) and 2.7 (BN)`"""
    return " and ".join(f"{row[column]:.{digits}f} ({row['norm']})" for row in rows.to_dict("records"))


def numbers(aux: Grid, seeds: Grid, machine: str) -> dict[str, Any]:
    """The numbers and the sentences that the prose quotes."""
    data, n = aux.cells[0].experiment.data, aux.setting.seeds
    images = data.val_images or 0
    return {"answer": answer(aux, seeds, machine), "runs": len(aux.cells), "seeds": n,
            "lost": lost(n), "correlation": 1 - lost(n) ** -2,
            "covered": coverage(5)["bootstrap, percentiles"],
            "images": data.train_images, "val_images": images, "epochs": aux.setting.epochs,
            "binomial": {norm: 100 * math.sqrt(error * (1 - error) / images)
                         for norm, error in (("low", 0.05), ("high", 0.4))}}
