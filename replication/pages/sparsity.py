"""From which density on a sparse product is faster than the dense one, as `bench --sparsity` measured it. V1 §3.

Everything is a ratio: the time of one way to multiply over that of the dense product of the same sizes in the same
turn.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication import checked, provenance, stats
from replication.errors import BadInput
from replication.models.googlenet import INCEPTION
from replication.pages import html, speed
from replication.pages.blocks import STRAY
from replication.pages.claim import verdict
from replication.pages.html import Groups, Html, digits, grouped
from replication.pages.speed import Tables
from replication.stats import Interval

SCATTERED, TILED, HIDDEN, TWO_OF_FOUR = "scattered", "blocks of 16", "hidden blocks", "2:4"
PERMUTED, NUMBERED = "dense blocks, permuted", "dense blocks, numbered so"
HUNDREDTH = 0.01
SLOWER = (1, math.inf)  # the region of both claims: a ratio of times
OK, GIVEN_UP = "ok", "given up"
FEWER = 5     # turns: their range holds the median in 94 of 100 cases, that of seven in 98
GIVE_UP = 10  # times the dense product: what takes longer at one density is not tried at higher ones

# Percent of the weights at which each would begin to pay: written down before anything was measured.
GUESSED = {("scipy CSR", SCATTERED): 5, ("torch CSR", SCATTERED): 10,
           ("scipy BSR", TILED): 20, ("torch BSR", TILED): 20}

Turns = NDArray[np.float64]


# -- what was measured --------------------------------------------------------------------------------------------
def tables() -> Tables:
    """Every table of this kind, yours before the published one. Raises BadInput for a file that bench did not write."""
    return speed.tables_of("sparsity", _read)


def measured(run: Callable[..., object]) -> Tables:
    """The tables; where there are none, after `run` has made one, in fewer turns than `bench --sparsity` takes."""
    if not (found := tables()):
        run(turns=FEWER)
        found = tables()
    return found


def state(tables: Tables) -> Html:
    """Where it was measured, and how much else was going on there."""
    seen = " and ".join(f"{escape(device)} (load {table.load.max():.1f} as it began)"
                        for device, table in tables.items())
    return Html(f'<p class="state">Measured on {seen}; <code>python -m replication bench --sparsity</code> does it '
                "again.</p>")


def _read(path: Path) -> pd.DataFrame:
    table = checked.read(path, dtype={"ratios": str})
    if not len(table) or not {"device", "product", "pattern", "kind", "density", "status", "ratios"} <= {*table}:
        raise BadInput(f"{path} is no table that bench wrote: delete it and measure again.")
    return table


def main(tables: Tables) -> pd.DataFrame:
    """The table of this processor, or else the first."""
    return tables.get(provenance.processor(), next(iter(tables.values())))


def turns(lines: pd.DataFrame) -> Turns:
    """The ratios of each line (lines, turns). One that was given up was measured once, and is that in every turn."""
    found = [np.array(each.split(), dtype=float) for each in lines.ratios]
    most = max(map(len, found))
    return np.array([np.resize(each, most) if len(each) == 1 else each for each in found])


def _by(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, pd.DataFrame]]:
    """Its parts, in its own order."""
    return list(frame.groupby(list(columns), sort=False))


def break_even(densities: Turns, ratios: Turns) -> float:
    """The density below which every ratio is under 1, in a straight line between the logarithms of neighbours; 0 where
    already the lowest is above, infinite where none is."""
    above = np.flatnonzero(ratios > 1)
    if not len(above):
        return math.inf
    if not (first := above[0]):
        return 0.0
    x, y = (np.log(each[first - 1:first + 1]) for each in (densities, ratios))
    return float(np.exp(np.interp(0, y, x)))


def breaks(table: pd.DataFrame) -> pd.DataFrame:
    """In percent the density at which each way begins to pay: the median of the turns, the lowest and the highest. Of
    patterns with several densities."""
    rows = []
    some = table[table.status.isin((OK, GIVEN_UP)) & table.pattern.isin((SCATTERED, TILED))]
    for (threads, kind, pattern, product), lines in _by(some, "threads", "kind", "pattern", "product"):
        lines = lines.sort_values("density")
        each = [100 * break_even(lines.density.to_numpy(), turn) for turn in turns(lines).T]
        rows.append({"kind": kind, "pattern": pattern, "product": product, "threads": threads,
                     "least": 100 * lines.density.min(),
                     "density": float(np.median(each)), "low": min(each), "high": max(each)})
    return pd.DataFrame(rows)


# -- claims -------------------------------------------------------------------------------------------------------
def hundredth(tables: Tables) -> Interval | None:
    """V1-12: time over that of the dense product with 1 % of the weights, scattered, in the format that is fastest for
    each product, on one thread; the geometric mean over the products, by turns, on every device."""
    found = []
    for table in tables.values():
        some = table[(table.pattern == SCATTERED) & (table.threads == 1) & (table.status == OK)
                     & np.isclose(table.density, HUNDREDTH, rtol=0.1)]
        best = [_fastest(lines) for _, lines in _by(some, "product")]
        found += [np.exp(np.log(best).mean(0))] if best else []
    return _everywhere(found)


def clustered(tables: Tables) -> Interval | None:
    """V1-12b: time of the fastest sparse format on matrices of hidden blocks over that of their dense blocks, both
    permutations included, on one thread; the geometric mean over products and numbers of blocks."""
    found = []
    for table in tables.values():
        some = table[(table.pattern == HIDDEN) & (table.threads == 1) & (table.status == OK)]
        times = []
        for _, lines in _by(some, "product", "density"):
            sparse, dense = lines[~lines.kind.isin((PERMUTED, NUMBERED))], lines[lines.kind == PERMUTED]
            if len(sparse) and len(dense):
                times.append(_fastest(sparse) / turns(dense)[0])
        found += [np.exp(np.log(times).mean(0))] if times else []
    return _everywhere(found)


def _fastest(lines: pd.DataFrame) -> Turns:
    """The turns of the line with the lowest median: the lowest of each turn would be a choice of its luck."""
    return turns(lines)[int(lines.ratio.argmin())]


def _everywhere(devices: list[Turns]) -> Interval | None:
    """The interval that holds those of all devices; None without one."""
    if not devices:
        return None
    each = [stats.geometric(ratios) for ratios in devices]
    value = math.exp(np.mean([math.log(one.value) for one in each]))
    return replace(stats.exact(value), low=min(one.low for one in each), high=max(one.high for one in each),
                   n=min(one.n for one in each), of="turns")


# -- tables -------------------------------------------------------------------------------------------------------
def label(kind: str, pattern: str) -> str:
    return kind if pattern == SCATTERED else f"{kind}, {pattern}"


def products(table: pd.DataFrame) -> Html:
    """The four products and what the dense one takes."""
    once = table[table.status == OK].groupby(["product", "threads"], sort=False).first().reset_index()
    lines = []
    for (product,), of in _by(once, "product"):
        first = of.iloc[0]
        lines.append([escape(product), f"{first.rows} × {first.columns}", f"{first.positions}",
                      f"{first.rows * first.columns * first.positions / 1e6:.1f}",
                      *(digits(ms) for ms in of.dense_ms)])
    threads = [f"dense, ms, {_threads(n)}" for n in once.threads.unique()]
    return Html(grouped(("", "weights", "columns", "multiply-adds, M", *threads), {"": lines}))


def where_it_pays(tables: Tables) -> Html:
    """In percent of the weights the density at which each way begins to be faster than the dense product."""
    def groups(table: pd.DataFrame) -> Groups:
        found, names = breaks(table), list(dict.fromkeys(table["product"]))
        groups: Groups = {}
        for (threads, kind, pattern), lines in _by(found, "threads", "kind", "pattern"):
            by = {row.product: row for row in speed.lines_of(lines)}
            guess = GUESSED.get((kind, pattern))
            groups.setdefault(_threads(threads), []).append([
                escape(label(kind, pattern)), "–" if guess is None else str(guess),
                *(_break(by[name]) if name in by else "–" for name in names)])
        for (kind, pattern, status), _ in _by(table[~table.status.isin((OK, GIVEN_UP))], "kind", "pattern", "status"):
            groups.setdefault("Not measured", []).append([escape(label(kind, pattern)), escape(status)])
        return groups
    return _by_device(tables, ("percent of the weights", "guessed"), groups)


def _break(row: Any) -> str:
    middle, *ends = (_word(each, row.least) for each in (row.density, row.low, row.high))
    return middle if row.low == row.high else f"{middle} <small>[{', '.join(ends)}]</small>"


def a_hundredth(tables: Tables) -> Html:
    """How many times as fast as the dense product each way is with a hundredth of the weights."""
    def groups(table: pd.DataFrame) -> Groups:
        names, found = list(dict.fromkeys(table["product"])), Groups()
        for (threads, kind, pattern), lines in _by(_at_a_hundredth(table), "threads", "kind", "pattern"):
            by = {row.product: row for row in speed.lines_of(lines)}
            found.setdefault(_threads(threads), []).append([
                escape(label(kind, pattern)),
                *(f"{digits(1 / by[name].ratio)} <small>[{digits(1 / by[name].ratio_high)}, "
                  f"{digits(1 / by[name].ratio_low)}]</small>" if name in by else "–" for name in names)])
        return found
    return _by_device(tables, ("times as fast as dense",), groups)


def _at_a_hundredth(table: pd.DataFrame) -> pd.DataFrame:
    """The lines that have 1 % of the weights; of tiles, the number that comes closest."""
    return table[table.status.isin((OK, GIVEN_UP)) & table.pattern.isin((SCATTERED, TILED))
                 & np.isclose(table.density, HUNDREDTH, rtol=0.25)]


def _by_device(tables: Tables, columns: tuple[str, ...], groups: Any) -> Html:
    parts = []
    for device, table in tables.items():
        names = tuple(dict.fromkeys(table["product"]))
        first = table.iloc[0]
        parts.append(f"<p><strong>{escape(device)}</strong>, medians of {table.turns.max()} turns [lowest, highest], "
                     f"{escape(first.versions)}, commit <code>{escape(str(first.commit)[:9])}</code></p>\n"
                     f"{grouped((*columns, *names), groups(table))}")
    return Html("\n".join(parts))


def _threads(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def searched(found: pd.DataFrame) -> Html:
    """What `blocks.recovery` found."""
    lines = []
    for row in speed.lines_of(found):
        stray = "no blocks at all" if pd.isna(row.stray) else f"{100 * row.stray:.0f} %"
        agreement = "–" if pd.isna(row.agreement) else _with(row.agreement, row.agreement_low, row.agreement_high, 2)
        lines.append([stray, agreement, _with(row.inside, row.inside_low, row.inside_high, 0)])
    return Html(grouped(("entries outside the blocks", "agreement with the planted blocks", "entries inside the blocks "
                         "found, %"), {"": lines}))


def _with(value: float, low: float, high: float, decimals: int) -> str:
    show = [html.fixed(each, decimals) for each in (value, low, high)]
    return show[0] if show[1] == show[2] else f"{show[0]} <small>[{show[1]}, {show[2]}]</small>"


# -- numbers and sentences ----------------------------------------------------------------------------------------
def module(name: str = "3b") -> float:
    """The share of weights that are not zero when the kernels of a module, 1×1, 3×3 and 5×5 on the same map, are
    written as one 5×5 convolution."""
    m = INCEPTION[name]
    return (m.n1x1 + 9 * m.n3x3 + 25 * m.n5x5) / (25 * (m.n1x1 + m.n3x3 + m.n5x5))


def numbers(tables: Tables, found: pd.DataFrame, blocks: int) -> dict[str, Any]:
    """What the prose quotes, of `main` where it is one device's."""
    table = main(tables)
    whole = [100 * float(row.stray) for row in speed.lines_of(found) if row.agreement > 1 - 1e-9]
    none = found[found.stray.isna()].iloc[0]
    return {"devices": len(tables), "here": str(table.device.iloc[0]), "turns": int(table.turns.max()),
            "load": float(table.load.max()),
            "covered": 100 * (1 - 2 * 0.5 ** int(table.turns.max())),
            "give_up": GIVE_UP, "module": module(), "found": sentences(tables), "blocks": blocks,
            "recovered": max(whole, default=0.0), "stray": 100 * max(STRAY), "none": none.inside,
            "chance": 100 / blocks}


def sentences(tables: Tables) -> dict[str, str]:
    """What was found, true whichever way it fell; of `main`."""
    table = main(tables)
    paid, blocks = hundredth({"": table}), clustered({"": table})
    answer = "" if paid is None else (
        "Sparse arithmetic does not pay even at a hundredth of the operations, says the first paper. On "
        f"{table.device.iloc[0]} that is {verdict(paid, SLOWER)}: with a hundredth of the weights the fastest sparse "
        f"product is {_times(paid)} as fast as the dense one. Arithmetic promises 100 times.")
    return {"answer": answer, "first": _first(table), "guesses": _guesses(table), "formats": _formats(table),
            "hundredth": _hundredth(table), "threads": _more(table),
            "blocks": "" if blocks is None else _blocks(table, blocks)}


def _times(of: Interval) -> str:
    """Of the way back: how many times as fast."""
    return f"{digits(1 / of.value)} times [{digits(1 / of.high)}, {digits(1 / of.low)}]"


def _first(table: pd.DataFrame) -> str:
    """From where on the best way of each product pays."""
    found = breaks(table)
    best = found[(found.threads == 1) & (found.pattern == SCATTERED)].groupby("product", sort=False).density.max()
    return (f"It begins to pay where {_from_to(best.min(), best.max(), 100 * table.density.min())} of the weights are "
            f"left, by the layer.")


def _guesses(table: pd.DataFrame) -> str:
    """Each guess, and the median over the products on one thread."""
    found = breaks(table)
    median = found[found.threads == 1].groupby(["kind", "pattern"]).density.median()
    parts = [f"{label(*way)}: guessed {guess} %, measured {digits(median[way])} %" for way, guess in GUESSED.items()
             if way in median]
    return f"On one thread, the median over the products: {'; '.join(parts)}."


def _formats(table: pd.DataFrame) -> str:
    """The format that pays first, the one that pays last, and from where on."""
    found = breaks(table)
    one = found[found.threads == 1]
    ends = one.groupby(["kind", "pattern"]).agg(middle=("density", "median"), low=("density", "min"),
                                                high=("density", "max"), least=("least", "min")).reset_index()
    last, *_, first = speed.lines_of(ends.sort_values("middle"))
    return (f"On one thread {_whole(first)} pays first, at {_from_to(first.low, first.high, first.least)} of the "
            f"weights, by the product, and {_whole(last)} last, at {_from_to(last.low, last.high, last.least)}.")


def _whole(row: Any) -> str:
    return label(row.kind, row.pattern).replace(",", " with")


def _from_to(low: float, high: float, least: float) -> str:
    ends = [_word(each, least) for each in (low, high)]
    return f"{ends[0]} %" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} %"


def _word(percent: float, least: float) -> str:
    """A density; where even the lowest did not pay, that it is below, and where all did, that it is above."""
    return f"below {least:.1g}" if percent == 0 else "over 100" if math.isinf(percent) else digits(percent)


def _hundredth(table: pd.DataFrame) -> str:
    """The best and the worst of the formats at 1 %, over the products."""
    some = _at_a_hundredth(table)
    some = some[(some.threads == 1) & (some.pattern == SCATTERED)]
    each = some.assign(times=1 / some.ratio).groupby("kind").times.agg(["min", "max"]).reset_index()
    worst, *_, best = speed.lines_of(each.sort_values("max"))
    slower = [f"{kind} on {(lines.ratio > 1).sum()} of {len(lines)} products"
              for (kind,), lines in _by(some, "kind") if (lines.ratio > 1).any()]
    end = f"The paper's sentence holds here for {' and '.join(slower) or 'no format'}."
    return (f"By the product, {best.kind} is {digits(best.min)} to {digits(best.max)} times as fast as dense with a "
            f"hundredth of the weights, {worst.kind} {digits(worst.min)} to {digits(worst.max)} times. {end}")


def _more(table: pd.DataFrame) -> str:
    """What the last number of threads changes, for the ways that pay first."""
    most = int(table.threads.max())
    if most == 1:
        return ("Two threads are timed only where there are two cores for them alone and no more programs at work than "
                "that, since they would wait for each other; here they were not.")
    dense = table[table.status == OK].groupby(["product", "threads"]).dense_ms.median().unstack()
    gain = dense[1] / dense[most]
    found = breaks(table)
    found = found[found.pattern == SCATTERED].groupby(["threads", "kind"]).density.median().unstack(0)
    parts = [f"{kind} {digits(row[1])} to {digits(row[most])} %" for kind, row in found.iterrows()
             if kind in ("scipy CSR", "torch CSR", "torch COO")]
    return (f"{most} threads make the dense product {digits(gain.min())} to {digits(gain.max())} times as fast. The "
            f"median density at which a sparse one pays goes from {', '.join(parts)}. scipy uses one thread, however "
            "many there are; what it is compared with uses all.")


def _blocks(table: pd.DataFrame, of: Interval) -> str:
    some = table[(table.pattern == HIDDEN) & (table.threads == 1) & (table.status == OK)]
    by = some.pivot_table(index=["product", "density"], columns="kind", values="ratio")
    cost = float(np.exp(np.log(by[PERMUTED] / by[NUMBERED]).mean()))
    fastest = by.drop(columns=[PERMUTED, NUMBERED]).min(axis=1)
    won = {kind: f"{int((by[kind] < fastest).sum())} of {len(by)}" for kind in (PERMUTED, NUMBERED)}
    least = by[by.index.get_level_values("density") == by.index.get_level_values("density").min()]
    blocks = round(1 / least.index.get_level_values("density")[0])
    gains = {kind: 1 / least[kind] for kind in (PERMUTED, NUMBERED)}
    ranges = {kind: f"{digits(each.min())} to {digits(each.max())}" for kind, each in gains.items()}
    return (f"The same entries as dense blocks, permuted there and back, are {digits(of.value)} times as fast as the "
            f"fastest sparse format [{digits(of.low)}, {digits(of.high)}] in the mean, and faster in {won[PERMUTED]} "
            f"cases; numbered so, in {won[NUMBERED]}. With {blocks} blocks they are {ranges[PERMUTED]} times as fast "
            f"as the dense matrix, and {ranges[NUMBERED]} times where nothing need be permuted; in all, the two "
            f"permutations make a product {digits(cost)} times as long.")
