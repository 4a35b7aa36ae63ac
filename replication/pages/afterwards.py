"""*Crops, ensembles and heads*: the claims about trained networks looked at again, and the page's tables."""
from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from replication.pages import html
from replication.pages.claim import NOT_RUN, Claim, verdict
from replication.stats import Interval
from replication.studies import afterwards
from replication.studies.study import Grid

INF = math.inf

# V1 Table 3: top-5 error in per cent on ImageNet, by networks and crops.
PRINTED = {(1, 1): 10.07, (1, 10): 9.15, (1, 144): 7.89, (7, 1): 8.09, (7, 10): 7.62, (7, 144): 6.67}


@dataclass(frozen=True)
class Measured:
    """A row of `afterwards.table`, by its id; None where the grid's runs are not in it."""
    id: str

    def __call__(self, grid: Grid) -> Interval | None:
        found = afterwards.table(grid)
        rows = found[found.id == self.id].to_dict("list")
        if not rows["id"]:
            return None
        value, low, high = (float(rows[name][0]) for name in ("value", "low", "high"))
        freedom = float(rows.get("freedom", [math.nan])[0])  # tables of before have none
        return Interval(value, low, high, int(rows["n"][0]), str(rows["of"][0]),
                        None if math.isnan(freedom) else freedom)


CLAIMS = (
    Claim("V1-24", "Auxiliary heads make the middle layers more discriminative.", "V1 §5", "no number",
          "error of a linear probe on the averaged outputs of 4a and 4d (mean of both), without heads less with both; "
          "BN", "points", (0, INF), "v1.aux", Measured("V1-24")),
    Claim("V1-32a", "Ten crops do better than one.", "V1 §7, Table 3", "10.07 − 9.15 (top-5)",
          "a network's error at 1 view less its error at 10", "points", (0, INF), "v1.start", Measured("V1-32a")),
    Claim("V1-32b", "More crops bring less and less.", "V1 §7, Table 3", "0.92, then 1.26 (top-5)",
          "what 10 views gain over 1, less what 144 gain over 10", "points", (0, INF), "v1.start", Measured("V1-32b")),
    Claim("V1-33a", "Seven networks averaged do better than one.", "V1 §7, Table 3", "10.07 − 8.09 (top-5)",
          "mean error of seven networks less the error of their average, 1 view", "points", (0, INF), "v1.start",
          Measured("V1-33a")),
    Claim("V1-33b", "Crops help an ensemble, too.", "V1 §7, Table 3", "8.09 − 7.62 (top-5)",
          "error of seven networks at 1 view less at 10", "points", (0, INF), "v1.start", Measured("V1-33b")),
    Claim("V1-34", "Averaging probabilities over crops does better than their maximum.", "V1 §7", "no number",
          "a network's error by the maximum less by the mean, 10 views", "points", (0, INF), "v1.start",
          Measured("V1-34")),
    Claim("V1-35", "Networks that start with the same weights gain as much from averaging.", "V1 §7 (an oversight)",
          "no number", "what seven networks gain by averaging, each started its own way, less the same where all start "
          "alike", "points", (-0.5, 0.5), "v1.start", Measured("V1-35")),
    Claim("V1-36", "A wider network adds marginally to an ensemble.", "V1 §5", "marginally",
          "error of seven networks less the mean error of six of them and one half as wide again", "points", (0, 1),
          "v1.start", Measured("V1-36")),
)


# -- in words -----------------------------------------------------------------------------------------------------
SAID = {  # of each quantity; of lowers/raises and the like the first word is for what is above 0
    "V1-33a": "averaging seven networks instead of taking one lowers/raises the top-1 error by",
    "V1-32a": "ten crops instead of one lower/raise a single network's error by",
    "V1-33b": "ten crops instead of one lower/raise the error of seven networks by",
    "V1-32c": "144 crops instead of ten lower/raise a single network's error by",
    "V1-32b": "what ten crops gain over one is more/less than what 144 gain over ten, by",
    "V1-34": "over crops, the mean probability does better/worse than the maximum, by",
    "V1-34b": "it does better/worse than the mean of the logits by",
    "V1-35": "seven networks that start each its own way gain more/less from averaging than seven that start alike, by",
    "V1-36": "a network half as wide again in the place of one of seven lowers/raises the error by",
    "V1-24": "auxiliary heads lower/raise the error of linear probes on the middle layers by",
    "S2-5a": "taking each image's most confident head in place of the main one lowers/raises the error by",
    "S2-5b": "the average of the three heads in place of the main one lowers/raises it by",
    "S2-5c": "the head that these very images show to be the best lowers/raises it by",
}


def said(grid: Grid, *ids: str) -> html.Html:
    """What was found, a sentence a quantity, with its interval and, of a claim, its verdict."""
    regions = {claim.id: claim.region for claim in CLAIMS}
    found = []
    for name in ids:
        of = Measured(name)(grid)
        below = of is not None and of.value < 0
        words = re.sub(r"([a-z]+)/([a-z]+)", r"\2" if below else r"\1", SAID[name])
        if of is None:
            found.append(f"Whether {re.sub(',? by$', '', words)} is {html.word(NOT_RUN)}.")
            continue
        words = words[0].upper() + words[1:]
        ends = (-of.high, -of.low) if below else (of.low, of.high)
        told = html.word(verdict(of, regions[name])) if name in regions else (
            "may be either" if ends[0] <= 0 else "")
        found.append(f"{words} <strong>{html.fixed(abs(of.value))}</strong> points [{html.fixed(ends[0])} to "
                     f"{html.fixed(ends[1])}; {of.n:,} {of.of}{f'; {told}' if told else ''}].")
    return html.Html(f"<p>{' '.join(found)}</p>")


def judged_on(grid: Grid) -> html.Html:
    """How many networks and images, and how far chance alone moves an error measured on so many."""
    table = afterwards.table(grid, "crops")
    if table.empty:
        return html.Html("<p>Not yet measured: the runs of this setting, or their weights, are not here.</p>")
    alone = table[(table.start == "own") & (table.networks == 1) & (table.views == 1)].sort_values("images")
    few, images, error = int(alone.images.iloc[0]), int(alone.images.iloc[-1]), float(alone.error.iloc[-1])
    half = 1.96 * math.sqrt(error * (100 - error) / images)
    return html.Html(
        f"<p>{alone.subsets.iloc[-1]} networks, judged on {images:,} images; all 144 views were looked at for "
        f"{f'the first {few:,}' if few < images else 'all'}. From {images:,} images one network's error of "
        f"{error:.1f} % is known to ±{half:.1f} points (binomial, 95 %); differences on the same images are known "
        f"better.</p>")


# -- tables -------------------------------------------------------------------------------------------------------
def table3(grid: Grid) -> Styler | html.Html:
    """V1's Table 3: networks, crops, their product, and errors: of the images that have all views, and of all."""
    table = afterwards.table(grid, "crops")
    if table.empty:
        return html.Html("")
    own = table[(table.start == "own") & table.networks.isin((1, table.networks.max()))]
    few, everything = own.images.min(), own.images.max()
    shown = own[own.images == few].sort_values(["networks", "views"])
    all_of_it = own[own.images == everything].set_index(["networks", "views"]).error
    each = list(zip(shown.networks, shown.views, strict=True))
    found = pd.DataFrame({"networks": shown.networks, "crops": shown.views, "cost": shown.networks * shown.views,
                          f"top-1 error, %: {few:,} images": shown.error, "lowest, %": shown.lowest,
                          "highest, %": shown.highest})
    if few < everything:
        found[f"{everything:,} images"] = [all_of_it.get(of) for of in each]
    found["V1: top-5, ImageNet"] = [PRINTED.get(of) for of in each]
    return html.neat(found.astype({f"top-1 error, %: {few:,} images": float, "V1: top-5, ImageNet": float}))


def by_rule(grid: Grid) -> Styler | html.Html:
    """Error by rule and number of views: mean over networks, lowest, highest."""
    return _summary(afterwards.table(grid, "rules"), ["views", "rule"])


def by_head(grid: Grid) -> Styler | html.Html:
    """Error by head, and of their average and the most confident: mean over networks, lowest, highest."""
    return _summary(afterwards.table(grid, "heads"), ["head"])


def by_probe(grid: Grid) -> Styler | html.Html:
    """Error of linear probes by row and heads: mean over runs, lowest, highest."""
    table = grid.labelled(afterwards.table(grid, "probes"))
    return _summary(table.sort_values("row", kind="stable") if len(table) else table, ["row", "aux"])


def _summary(table: pd.DataFrame, by: list[str]) -> Styler | html.Html:
    if table.empty:
        return html.Html("")
    found = table.groupby(by, sort=False).error.agg(["mean", "min", "max", "count"]).reset_index()
    return html.neat(found.rename(columns={"mean": "top-1 error, %", "min": "lowest, %", "max": "highest, %",
                                           "count": "networks", "aux": "trained with heads", "row": "output of"}))


def numbers(start: Grid) -> dict[str, Any]:
    """What the prose quotes: what was found, and the paper's numbers."""
    return {"answer": html.plain(said(start, "V1-33a", "V1-32a", "V1-34")),
            "printed": {f"networks{networks}": {f"crops{crops}": error for (n, crops), error in PRINTED.items()
                                                if n == networks} for networks in (1, 7)}}
