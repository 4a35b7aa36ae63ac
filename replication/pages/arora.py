"""*Arora's construction*: random sparse networks drawn and learnt again, and what of it a trained GoogLeNet shows."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from scipy.stats import spearmanr

from replication import checked, paths, stats
from replication.models import random_sparse
from replication.models.googlenet import INCEPTION
from replication.models.random_sparse import forward, layer, top
from replication.pages import html
from replication.pages.claim import Claim
from replication.stats import Interval
from replication.studies import correlations
from replication.studies.study import Grid

INF = math.inf

# What is drawn. A hidden unit has n^GAMMA edges, and is on in one of as many samples as that squared.
NETWORKS = 4
GAMMA = 0.4
WIDTHS = (250, 500, 1000)
SAMPLES = tuple(1000 * 2 ** n for n in range(7))
DEGREES = (4, 6, 8, 12, 16, 24, 32)
WIDE, OFTEN = 1000, 32   # of `degrees`: samples in which a hidden unit is on
NOISE = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
DENOISED = (8, 16, 32, 64)
CLAIMED = 16             # the degree at which AR-2 is settled
TWO = {"width": 1000, "degree": 12, "active": 2, "samples": 16_000}
DEPTH = {"width": 300, "degree": 6, "outputs": 30, "samples": 8000, "steps": 60}
ACTIVE = (1, 3, 9, 27)   # units of the top layer that are on; AR-3 is settled at the second
FOUND = (90, 99)         # per cent of the edges
STUDY, ARM = "v1.head", {"norm": ("bn",), "head": ("average",), "dropout": ("0.4",)}  # of which profiles have runs
PARTS = ("recovery", "degrees", "layers", "denoising", "depth")


# -- drawn networks -----------------------------------------------------------------------------------------------
def active(width: int, degree: float) -> int:
    """So many hidden units are on at a time that few outputs have two of them."""
    return max(1, round(width / degree ** 2))


def recovery(widths: Sequence[int] = WIDTHS, samples: Sequence[int] = SAMPLES) -> pd.DataFrame:
    """A line a width, network and number of samples: how much of a layer of as many hidden units as outputs is found
    (random_sparse.Recovery, in per cent)."""
    rows = []
    for width in widths:
        degree = width ** GAMMA
        on = active(width, degree)
        for network in range(NETWORKS):
            rng = np.random.default_rng((1, width, network))
            planted = layer(width, width, degree, rng)
            gives = forward(planted, top(max(samples), width, on, rng))
            for number in samples:
                found = random_sparse.learn(gives[:number], on / width, degree, rng)
                rows.append({"width": width, "degree": degree, "active": on, "network": network, "samples": number,
                             **_percent(random_sparse.recovery(found, planted))})
    return pd.DataFrame(rows)


def degrees(widths: Sequence[int] = WIDTHS, each: Sequence[int] = DEGREES) -> pd.DataFrame:
    """A line a width, degree and network: the positive edges found, with OFTEN samples in which a unit is on."""
    rows = []
    for width in widths:
        for degree in each:
            on = active(width, degree)
            for network in range(NETWORKS):
                rng = np.random.default_rng((2, width, degree, network))
                planted = layer(width, width, degree, rng)
                gives = forward(planted, top(OFTEN * width // on, width, on, rng))
                found = random_sparse.positive(gives, on / width, degree, rng)
                rows.append({"width": width, "degree": degree, "network": network,
                             **_percent(random_sparse.recovery(found, planted))})
    return pd.DataFrame(rows)


def layers(width: int, degree: int, active: int, samples: int) -> pd.DataFrame:
    """A line a network, kind of upper layer and layer of two: the positive edges found of the lower from what the two
    give, and of the upper from the hidden vectors that the lower one's found edges make of that. By chance, the units
    between them are on unequally often; in an even upper layer they have the same number of edges from above."""
    rows = []
    for kind, draw in (("by chance", layer), ("the same for all", random_sparse.even)):
        for network in range(NETWORKS):
            rng = np.random.default_rng((3, network))
            upper, lower = draw(width, width, degree, rng), layer(width, width, degree, rng)
            middle = forward(upper, top(samples, width, active, rng))
            gives = forward(lower, middle)
            first = random_sparse.positive(gives, active * degree / 2 / width, degree, rng)
            seen = random_sparse.encode(random_sparse.matched(first, lower), gives)
            second = random_sparse.positive(seen, active / width, degree, rng)
            for name, found, planted in (("lower", first, lower), ("upper", second, upper)):
                rows.append({"kind": kind, "layer": name, "network": network,
                             **_percent(random_sparse.recovery(found, planted)),
                             "middle": 100 * random_sparse.overlap(seen, middle)})
    return pd.DataFrame(rows)


def denoising(width: int = WIDE, samples: int = 2000) -> pd.DataFrame:
    """A line a degree, network and share of noise: the hidden units found again by the layer's own weights transposed,
    over those that are on or are said to be, in per cent."""
    rows = []
    for degree in DENOISED:
        for network in range(NETWORKS):
            rng = np.random.default_rng((4, degree, network))
            planted = layer(width, width, degree, rng)
            hidden = top(samples, width, active(width, degree), rng)
            gives = forward(planted, hidden)
            for noise in NOISE:
                said = random_sparse.encode(planted, random_sparse.flipped(gives, noise, rng))
                rows.append({"degree": degree, "network": network, "noise": 100 * noise,
                             "units": 100 * random_sparse.overlap(said, hidden)})
    return pd.DataFrame(rows)


def depth(width: int, degree: int, outputs: int, samples: int, steps: int) -> pd.DataFrame:
    """A line a number of active units, network and kind of generator: the outputs that one fitted layer gives right on
    new samples, over those that fire or are said to, in per cent. Of two layers, and of one that is as dense as they
    are together."""
    rows = []
    for on in ACTIVE:
        for network in range(NETWORKS):
            rng = np.random.default_rng((5, on, network))
            upper, lower = (layer(width, width, degree, rng) for _ in range(2))
            alone = layer(width, width, degree ** 2 / 2, rng)
            train, test = (top(samples, width, on, rng) for _ in range(2))
            for name, chain in (("two layers", (upper, lower[:outputs])), ("one layer", (alone[:outputs],))):
                given, true = (reduce(lambda h, w: forward(w, h), chain, hidden) for hidden in (train, test))
                fitted = random_sparse.one_layer(train, given, steps)
                rows.append({"generator": name, "active": on, "network": network,
                             "firing": 100 * true.nnz / (samples * outputs),
                             "right": 100 * random_sparse.overlap(random_sparse.given_by(*fitted, test), true)})
    return pd.DataFrame(rows)


def _percent(found: random_sparse.Recovery) -> dict[str, float]:
    return {name: 100 * value for name, value in asdict(found).items()}


def simulate() -> None:
    """Draws and learns everything anew, always the same, and writes it to the tables of your store."""
    made = {"recovery": recovery(), "degrees": degrees(), "layers": layers(**TWO), "denoising": denoising(),
            "depth": depth(**DEPTH)}
    for part, rows in made.items():
        checked.write(_path(part), rows.to_csv(index=False, float_format="%.6g"))


def table(part: str) -> pd.DataFrame:
    """One of PARTS, yours before the published one; empty where there is none."""
    for place in paths.stores():
        if (path := place / "tables" / f"arora-{part}.csv").exists():
            return checked.read(path)
    return pd.DataFrame()


def _path(part: str) -> Any:
    return paths.mine() / "tables" / f"arora-{part}.csv"


def needed(found: pd.DataFrame, column: str, percent: float) -> float | None:
    """Samples at which the mean over networks of a column of `recovery` first reaches so much, in straight lines over
    the logarithm; None where it never does."""
    mean = found.groupby("samples")[column].mean()
    there = np.flatnonzero(mean.to_numpy() >= percent)
    if not len(there):
        return None
    last = slice(max(0, there[0] - 1), there[0] + 1)
    return float(np.exp(np.interp(percent, mean.to_numpy()[last], np.log(mean.index.to_numpy(float)[last]))))


# -- claims -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Drawn:
    """The mean over networks of a column of a table, in per cent, of the lines that have these values."""
    part: str
    column: str
    where: tuple[tuple[str, Any], ...]

    def __call__(self) -> Interval | None:
        found = table(self.part)
        for name, value in self.where if len(found) else ():
            found = found[found[name] == value]
        if len(found) < 2:
            return None
        mean = stats.mean(found[self.column])
        return replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 100.0), of="networks")


@dataclass(frozen=True)
class Looked:
    """What trained networks show, over seeds, and whose."""
    of: Callable[[Grid], Interval | None]
    arms: Mapping[str, tuple[str, ...]] = field(default_factory=ARM.copy)

    def __call__(self, grid: Grid) -> Interval | None:
        return self.of(grid)


def wider(grid: Grid) -> Interval | None:
    """V1-10."""
    found = spread(grid)
    if found.empty:
        return None
    modules = list(dict.fromkeys(found.row))
    share = found[found.trained].pivot_table(index="addresses", columns="row", values="share")
    return stats.geometric(share[modules[-1]] / share[modules[0]])


def alike(grid: Grid) -> Interval | None:
    """AR-4."""
    found = correlations.table(grid, "modules")
    return stats.mean(found[found.trained].groupby("addresses")["index"].mean()) if len(found) else None


def rising(grid: Grid) -> Interval | None:
    """V1-09c."""
    found = proposed(grid)
    return stats.mean(_ranks(found[found.trained])) if len(found) else None


CLAIMS = (
    Claim("V1-09c", "Clustered by correlation, units form more wide groups in higher layers.", "V1 §4", "no number",
          "rank correlation of a module's place and of the share of groups wider than one position among the groups of "
          "what comes in; trained network", "rank", (0, INF), STUDY, Looked(rising)),
    Claim("V1-10", "What correlates lies close together in early layers and further apart in late ones.", "V1 §4",
          "no number", "share of the map's side over which a channel's correlation with itself halves, last module "
          "over first; trained network", "×", (1, INF), STUDY, Looked(wider)),
    Claim("AR-1", "A random sparse network can be learnt layer by layer from correlations.", "Arora et al., abstract",
          "no number", f"edges of a random layer, of both signs, found again from pairwise correlations of what it "
          f"gives; {WIDTHS[-1]:,} units, n^{GAMMA} edges each, {SAMPLES[-1]:,} samples", "% of edges", (95, 100), None,
          Drawn("recovery", "edges", (("width", WIDTHS[-1]), ("samples", SAMPLES[-1])))),
    Claim("AR-2", "Two neighbouring layers form a denoising autoencoder.", "Arora et al., abstract", "no number",
          f"units of the hidden layer found again by the transposed weights and a threshold, of those that are on or "
          f"said to be; {WIDE:,} units, {CLAIMED} edges each, a tenth of the firing outputs lost and as many added",
          "% of units", (95, 100), None, Drawn("denoising", "units", (("degree", CLAIMED), ("noise", 10)))),
    Claim("AR-3", "Such a network cannot in general be replaced by one of fewer layers.", "Arora et al., abstract",
          "no number", f"outputs of two random layers that one layer, fitted to them, gives right, of those that fire "
          f"or are said to; {DEPTH['width']} units, {DEPTH['degree']} edges each, {ACTIVE[1]} units on", "% of outputs",
          (0, 95), None, Drawn("depth", "right", (("generator", "two layers"), ("active", ACTIVE[1])))),
    Claim("AR-4", "Inception approximates the sparse structure that such a construction finds (V1 calls this "
          "speculative).", "V1 §3", "no number", "adjusted Rand index of a module's branches and of its channels, "
          "clustered by correlation, mean over modules", "index", (0.2, 1), STUDY, Looked(alike)),
)
SECTIONS = {  # of the page, and what each settles
    "recovery": ("AR-1",), "denoising": ("AR-2",), "depth": ("AR-3",), "offsets": ("V1-10",), "branches": ("AR-4",),
    "groups": ("V1-09c",)}


# -- trained networks ---------------------------------------------------------------------------------------------
def halves(own: Sequence[float]) -> float:
    """The distance in positions at which a channel's correlation with itself, `own` from 0 positions on, first falls to
    half of what it is at 0, in straight lines from ring to ring and on from the last two; infinite where that does not
    fall."""
    half = own[0] / 2
    for n in range(1, len(own)):
        if own[n] <= half or n == len(own) - 1:
            fall = own[n - 1] - own[n]
            return n - 1 + (own[n - 1] - half) / fall if fall > 0 else INF
    return INF


def spread(grid: Grid) -> pd.DataFrame:
    """A line a network, trained or not, and module: `share`, that distance over the side of one image's map."""
    found = correlations.table(grid, "rings")
    return pd.DataFrame([
        {"addresses": address, "trained": trained, "row": row,
         "share": halves(part.sort_values("ring").own.tolist()) / part.side.iloc[0]}
        for (address, trained, row), part in found.groupby(["addresses", "trained", "row"], sort=False)])


def proposed(grid: Grid) -> pd.DataFrame:
    """A line a network, trained or not, and module: of the groups of units that come in, the `share` in per cent that
    is wider than one position; not a number where there are none."""
    found = correlations.table(grid, "modules")
    if found.empty:
        return found
    wide, every = found.n3 + found.n5, found.n1 + found.n3 + found.n5
    return found.assign(share=100 * wide / every.where(every > 0), groups=every)


def printed() -> dict[str, float]:
    """By module, V1's Table 1: of its 1×1, 3×3 and 5×5 filters the share in per cent that is wider than 1×1."""
    return {name: 100 * (m.n3x3 + m.n5x5) / (m.n1x1 + m.n3x3 + m.n5x5) for name, m in INCEPTION.items()}


def _ranks(found: pd.DataFrame) -> pd.Series[float]:
    """By network, Spearman's correlation of a module's place and its share."""
    order = {row: n for n, row in enumerate(dict.fromkeys(found.row))}
    return pd.Series({address: float(spearmanr(part.row.map(order), part.share, nan_policy="omit").statistic)
                      for address, part in found.groupby("addresses")})


# -- tables -------------------------------------------------------------------------------------------------------
def samples_needed() -> Styler | html.Html:
    """A line a width: its degree, how often a unit is on, samples at which so many of the positive and of all edges are
    found, and what is found at the end."""
    found = table("recovery")
    if found.empty:
        return html.Html("<p>Not yet measured.</p>")
    rows = []
    for width, part in found.groupby("width"):
        last = part[part.samples == part.samples.max()]
        rows.append({
            "units": width, "edges of a unit": part.degree.iloc[0], "on in one of": width / part.active.iloc[0],
            **{f"{percent} % of {word}": needed(part, column, percent)
               for column, word in (("positive", "positive"), ("negative", "negative")) for percent in FOUND},
            "found at the end, %": last.edges.mean(), "false, %": last.false.mean()})
    return html.neat(pd.DataFrame(rows).astype(dict.fromkeys(
        [f"{percent} % of {word}" for word in ("positive", "negative") for percent in FOUND], float)), 0)


def by_layer() -> Styler | html.Html:
    """A line a kind of upper layer and layer of two: means over networks."""
    found = table("layers")
    if found.empty:
        return html.Html("")
    means = found.groupby(["kind", "layer"], sort=False)[["positive", "false", "middle"]].mean().reset_index()
    return html.neat(means.rename(columns={
        "kind": "edges to a unit between the two", "positive": "positive edges found, %", "false": "false, %",
        "middle": "units between the two found again, %"}), 0)


def by_module(grid: Grid) -> Styler | html.Html:
    """A line a module: groups of what comes in by the square that holds them and their wide share, Table 1's, and the
    index of branches and clusters; means over networks, trained and untrained."""
    found = proposed(grid)
    if found.empty:
        return html.Html("<p>Not yet measured: no run of this setting, or not its weights, is here.</p>")
    table1, rows = printed(), []
    for row, part in found.groupby("row", sort=False):
        line: dict[str, Any] = {"module": row}
        for trained, word in ((True, "trained"), (False, "untrained")):
            of = part[part.trained == trained]
            line |= {f"{word}: 1×1, 3×3, 5×5": ", ".join(html.fixed(of[name].mean(), 0) for name in ("n1", "n3", "n5")),
                     f"{word}: wide, %": of.share.mean(), f"{word}: index": of["index"].mean()}
        rows.append({**line, "Table 1: wide, %": table1.get(str(row), math.nan)})
    return html.neat(pd.DataFrame(rows)).format(precision=0, na_rep="–", subset=[
        "trained: wide, %", "untrained: wide, %", "Table 1: wide, %"])


# -- in words -----------------------------------------------------------------------------------------------------
def numbers(grid: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes."""
    found = {part: table(part) for part in PARTS}
    rec, deep, clean = found["recovery"], found["depth"], found["denoising"]
    most = rec[rec.width == WIDTHS[-1]]
    last = most[most.samples == most.samples.max()]
    two, one = (deep[deep.generator == name].groupby("active").right.mean() for name in ("two layers", "one layer"))
    units = clean.groupby(["degree", "noise"]).units.mean()
    by = found["layers"].groupby(["kind", "layer"]).positive.mean().unstack()
    said = {
        "gamma": GAMMA, "samples": f"{SAMPLES[-1]:,}", "networks": NETWORKS, "widest": f"{WIDTHS[-1]:,}",
        "positive": f"{last.positive.mean():.1f}", "negative": f"{last.negative.mean():.1f}",
        "edges": f"{last.edges.mean():.1f}", "false": f"{last.false.mean():.0f}",
        "needed": {f"{column}{percent}": _samples(needed(most, column, percent))
                   for column in ("positive", "negative") for percent in FOUND},
        "layers": {word: {which: f"{by[which][kind]:.0f}" for which in by}
                   for word, kind in (("chance", "by chance"), ("even", "the same for all"))},
        "two": {name: f"{value:,}" for name, value in TWO.items()},
        "units": {f"d{degree}": {f"noise{noise:.0f}": f"{units[degree, noise]:.0f}" for noise in (0, 10, 40)}
                  for degree in DENOISED},
        "depth": {f"on{on}": {"two": f"{two[on]:.1f}", "one": f"{one[on]:.1f}"} for on in ACTIVE},
        "degrees": _window(found["degrees"])}
    return {**said, "network": network(grid), "answer": _answer(said)}


def _answer(said: dict[str, Any]) -> str:
    deep = {on: said["depth"][f"on{on}"]["two"] for on in (ACTIVE[1], ACTIVE[-1])}
    return (f"Of a random sparse layer of {said['widest']} units, {said['positive']} % of the positive edges come back "
            f"from the pairwise correlations of {said['samples']} samples, and {said['negative']} % of the negative "
            f"ones, which take many more. One fitted layer gives {deep[ACTIVE[1]]} % of what two sparse layers give, "
            f"and {deep[ACTIVE[-1]]} % where many units are on at a time.")


def _samples(number: float | None) -> str:
    return "more than were drawn" if number is None else f"{float(f'{number:.2g}'):,.0f}"


def _window(found: pd.DataFrame) -> dict[str, str]:
    """Of the widest layers, the degree at which most positive edges are found, how many, and at the largest degree."""
    of = found[found.width == WIDTHS[-1]].groupby("degree").positive.mean()
    return {"best": f"{of.idxmax()}", "most": f"{of.max():.1f}", "least": f"{of.iloc[0]:.0f}",
            "last": f"{of.iloc[-1]:.0f}", "largest": f"{of.index[-1]}"}


def network(grid: Grid) -> dict[str, Any]:
    """What the trained networks show, in words that are there without them, too."""
    rings, groups = correlations.table(grid, "rings"), proposed(grid)
    if rings.empty or groups.empty:
        return {"answer": "No trained network has been looked at yet.", "offsets": "", "branches": "", "groups": "",
                "number": "no"}
    strong = rings.groupby(["trained", "row", "ring"]).strong.mean() * 100
    modules = list(dict.fromkeys(groups.row))
    first, last = modules[0], modules[-1]
    near = {trained: [strong[trained, row, 1] for row in modules] for trained in (True, False)}
    index = groups.groupby("trained")["index"].mean()
    rank = {trained: _ranks(groups[groups.trained == trained]).mean() for trained in (True, False)}
    table1 = printed()
    shared = [row for row in modules if row in table1]
    own = spearmanr(range(len(shared)), [table1[row] for row in shared]).statistic if len(shared) > 2 else math.nan
    most = rings.groupby("side").row.nunique().idxmax()  # the grid of most modules
    ends = list(dict.fromkeys(rings[rings.side == most].row))
    own1 = rings[rings.ring == 1].groupby(["trained", "row"]).own.mean()
    wide = groups.groupby("trained").share.agg(["min", "max"])
    width = spread(grid).groupby(["trained", "row"]).share.median() * 100
    return {
        "number": f"{groups.addresses.nunique()}",
        "answer": f"In a trained GoogLeNet, units one position apart correlate (|r| above 0.3) in "
                  f"{min(near[True]):.0f} to {max(near[True]):.0f} % of pairs, module by module; untrained in "
                  f"{min(near[False]):.0f} to {max(near[False]):.0f} %.",
        "offsets": f"A channel's correlation with itself halves within {width[True, first]:.0f} % of the map's side at "
                   f"{first} and {width[True, last]:.0f} % at {last}; untrained within {width[False, first]:.0f} and "
                   f"{width[False, last]:.0f} %, for each pool halves the map. One position apart on one grid it goes "
                   f"from {html.fixed(own1[True, ends[0]])} at {ends[0]} to {html.fixed(own1[True, ends[-1]])} at "
                   f"{ends[-1]}, untrained from {html.fixed(own1[False, ends[0]])} to "
                   f"{html.fixed(own1[False, ends[-1]])}.",
        "branches": f"The index is {html.fixed(index[True])} for trained networks and {html.fixed(index[False])} for "
                    f"the same untrained.",
        "groups": f"Module by module, {wide['min'][True]:.0f} to {wide['max'][True]:.0f} % of the groups are wide, "
                  f"untrained {wide['min'][False]:.0f} to {wide['max'][False]:.0f} %, and in Table 1 "
                  f"{min(table1.values()):.0f} to {max(table1.values()):.0f} % of the filters. With the place of the "
                  f"module the share of wide groups has a rank correlation of "
                  f"{html.fixed(rank[True])} in trained networks and {html.fixed(rank[False])} in untrained ones; "
                  f"Table 1's own share has {html.fixed(own)}."}
