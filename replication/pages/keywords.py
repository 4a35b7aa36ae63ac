"""What *A network for keywords* shows besides its claims: errors by speaker, and how long a clip takes."""
from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import combinations
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from replication.data import speech
from replication.data.speech import MIXED, SPEAKERS
from replication.models import cost
from replication.pages import finals, findings, html, predictions
from replication.pages.figures import Nothing
from replication.pages.speed import Tables, lines_of, ranged, tables_of
from replication.runs.experiments import Experiment
from replication.studies.study import Grid

SECTIONS: findings.Sections = {"mixed": ("KWS-3a",), "speakers": ("KWS-3b",), "network": ("KWS-1a",),
                               "commands": ("KWS-1b", "KWS-2")}
KINDS = {"features": "features, from a wav file", "network": "network, torch", "exported": "network, ONNX Runtime"}
NONE = "–"  # where there is nothing to say it from


# -- speakers -----------------------------------------------------------------------------------------------------
def speakers(grid: Grid) -> pd.Series[float]:
    """Top-1 error in percent, the mean over seeds, by what is held out; what has no run is missing."""
    runs = grid.summary()
    return 100 * runs.dropna(subset=["val_error"]).groupby("held").val_error.mean().astype(float)


def table(grid: Grid) -> Styler | html.Html:
    """A line a split: mean error over seeds, lowest and highest; last the mean of the speakers, with the speakers
    understood best and worst, where all of them have runs."""
    found, by = grid.errors(), speakers(grid)
    if found.empty:
        return html.Html("<p>No run of it is stored here.</p>")
    if set(SPEAKERS) <= set(by.index):
        each = by[list(SPEAKERS)]
        mean = {"held": "mean of the six speakers", "top-1 error, %": each.mean(), "lowest, %": each.min(),
                "highest, %": each.max(), "seeds": found["seeds"].min(),
                "diverged": found.loc[found.held.isin(SPEAKERS), "diverged"].sum()}
        found = pd.concat([found, pd.DataFrame([mean])], ignore_index=True)
    return html.neat(found.rename(columns={"held": "judged on"}), 1)


def inputs(grid: Grid, examples: Callable[[Experiment, int, int], Any]) -> Figure | Nothing:
    """Training examples, a digit each, where the recordings are here: a page downloads nothing."""
    if not speech.root("fsdd").is_dir():
        return Nothing("the recordings are not on this machine")
    return predictions.inputs(grid, examples, 10)


# -- latency ------------------------------------------------------------------------------------------------------
def latencies() -> Tables:
    return tables_of("latency")


def latency(tables: Tables) -> html.Html:
    """Milliseconds a clip on one thread, a table a device."""
    if not tables:
        return html.Html('<p class="state">Not yet measured: <code>make bench</code> does it.</p>')
    return html.Html("\n".join(
        f"<p><strong>{escape(device)}</strong>, one thread, medians of {table.turns.max()} turns [of which 95 % lie "
        f"between], {escape(table.versions.iloc[0])}, commit <code>{escape(str(table.commit.iloc[0])[:9])}</code></p>\n"
        + html.grouped(("", "ms a clip"), {"": [[KINDS[line.kind], ranged(line, "ms")] for line in lines_of(table)]})
        for device, table in tables.items()))


# -- numbers ------------------------------------------------------------------------------------------------------
def numbers(grid: Grid, tables: Tables) -> dict[str, Any]:
    """The numbers and sentences that the page quotes, which are there without runs, too."""
    by, mixed, alone = speakers(grid), finals.experiment(grid, held=MIXED), finals.experiment(grid, held=SPEAKERS[0])
    heard = by.reindex(list(SPEAKERS))
    whole = heard.notna().all() and MIXED in by
    said = dict.fromkeys(("mixed", "speakers", "best", "lowest", "worst", "highest", "flatters", "pair", "easier"),
                         NONE)
    if whole:
        said = {"mixed": html.fixed(by[MIXED], 1), "speakers": html.fixed(heard.mean(), 1),
                "best": str(heard.idxmin()), "lowest": html.fixed(heard.min(), 1),
                "worst": str(heard.idxmax()), "highest": html.fixed(heard.max(), 1),
                "flatters": html.fixed(heard.mean() - by[MIXED], 1), **_pair(heard)}
    recipe = mixed.recipe
    return {**finals.protocol(grid), "found": findings.found(SECTIONS, [grid]), "error": said,
            "held": " and ".join(speech.SETS["fsdd"].held),
            "answer": _answer(said) if whole else "It has not been trained yet in all of the ways that would tell.",
            "images": {name: {"train": made.data.train_images, "val": made.data.val_images}
                       for name, made in (("mixed", mixed), ("alone", alone))},
            "recipe": {"batch": recipe.batch, "lr": recipe.lr},
            "parameters": cost.parameters(mixed.network), "multiply_adds_m": cost.multiply_adds(mixed.network) / 1e6,
            "latency": _latency(tables)}


def _pair(heard: pd.Series[float]) -> dict[str, str]:
    """Of the two speakers who are held out unless something is said, the mean error where each is left out alone, and
    how many of all pairs have a lower one."""
    pairs: dict[tuple[str, ...], float] = {pair: heard[[*pair]].mean() for pair in combinations(SPEAKERS, 2)}
    own = pairs[speech.SETS["fsdd"].held]
    return {"pair": html.fixed(own, 1), "easier": str(sum(error < own for error in pairs.values()))}


def _answer(said: dict[str, str]) -> str:
    return (f"Of digits spoken by people it was trained on, the network gets {said['mixed']} % wrong; of digits spoken "
            f"by somebody it has never heard, {said['speakers']} %, from {said['lowest']} % ({said['best']}) to "
            f"{said['highest']} % ({said['worst']}). The difference, {said['flatters']} points, is by how much the "
            f"split that most people report flatters it.")


def _latency(tables: Tables) -> str:
    """Of the first device, in words."""
    for device, table in tables.items():
        ms = table.set_index("kind").ms
        exported = f", or {html.digits(ms.exported)} ms exported to ONNX Runtime" if "exported" in ms else ""
        return (f"On one core of {device} a clip takes {html.digits(ms.features)} ms to become features and "
                f"{html.digits(ms.network)} ms in the network{exported}.")
    return "How long a clip takes has not been measured yet."
