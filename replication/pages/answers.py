"""Verdicts as sentences, for a page to open with: each says no more than its record does."""
from __future__ import annotations

from collections.abc import Sequence

from replication.errors import unknown
from replication.pages import html, metrics, verdicts
from replication.pages.claim import NOT_RUN, OUT_OF_REACH
from replication.pages.claims import CLAIMS
from replication.pages.html import Html
from replication.pages.metrics import Record

# Of claims whose number is "error without this less error with it": where it was measured, and what "this" is.
CHANGES = {
    "V1-08b": ("At equal cost", "the module with reductions in place of the naive one"),
    "V1-08c": ("At equal cost", "reducing before the 3×3 and 5×5"),
    "V1-20": ("On shapes", "average pooling in place of a fully connected layer"),
    "V1-20b": ("On photographs", "average pooling in place of a fully connected layer"),
    "V1-21": ("On shapes", "dropout before the last layer"),
    "V1-21b": ("On photographs", "dropout before the last layer"),
    "V1-22": ("On shapes", "the extra linear layer after the average"),
    "V1-25a": ("In the published network", "a pair of auxiliary heads"),
    "V1-25b": ("In the published network", "the second auxiliary head"),
    "V3-14": ("With batch normalisation", "a pair of auxiliary heads"),
    "V3-14b": ("On photographs", "a pair of auxiliary heads"),
    "V3-15": ("With batch normalisation", "the lower auxiliary head beside the upper one"),
    "V1-27": ("Over the steps of the first paper", "averaging the weights"),
    "V1-29": ("On shapes", "cropping to 8 to 100 % of the image"),
    "V1-30": ("On shapes", "distorting the colours"),
    "V1-31": ("On shapes", "resizing in random ways"),
    "V3-22": ("In GoogLeNet with batch normalisation", "label smoothing"),
    "V3-25": ("In GoogLeNet with batch normalisation", "RMSProp in place of momentum"),
}


def answer(ids: Sequence[str]) -> Html:
    """A sentence a claim, from the pages' records as they are now: a page asks after its `write_page`.

    Raises BadInput for a claim that is none.
    """
    for name in ids:
        if name not in CLAIMS:
            raise unknown("claim", name, CLAIMS)
    known = verdicts.records(metrics.pages())
    return Html(" ".join(sentence(name, known[name]) for name in ids))


def sentence(name: str, record: Record) -> str:
    """What one record says of its claim."""
    claim, verdict = CLAIMS[name], record["verdict"]
    if name not in CHANGES:
        said = claim.sentence.removesuffix(".")
        return f"“{said}”: {verdict}." if record.get("value") is None else f"“{said}”: {verdict}, {_range(record)}."
    context, change = CHANGES[name]
    if verdict in (NOT_RUN, OUT_OF_REACH):
        return f"{context}, whether {change} lowers the top-1 error has not been measured yet."
    if record.get("value") is None or record.get("low") is None or record.get("high") is None:
        return f"{context}, whether {change} lowers the top-1 error could not be told: too few runs."
    return f"{context}, {_effect(change, record)}{_claimed(claim.region, verdict)}."


def _effect(change: str, record: Record) -> str:
    value, low, high = record["value"], record["low"], record["high"]
    if low > 0:
        return f"{change} lowers the top-1 error by {_number(value)} points [{_number(low)}, {_number(high)}]"
    if high < 0:
        return f"{change} raises the top-1 error by {_number(-value)} points [{_number(-high)}, {_number(-low)}]"
    return (f"whether {change} lowers or raises the top-1 error could not be told: it is lower by {_number(value)} "
            f"points [{_number(low)}, {_number(high)}]")


def _claimed(region: tuple[float, float], verdict: str) -> str:
    """The verdict, where the direction alone does not say it."""
    return "" if region == (0, float("inf")) else f"; the claim, {html.region(region)}, is {verdict}"


def _range(record: Record) -> str:
    if record["n"] == 0:
        return html.measured(record)
    return f"{html.measured(record)} [{html.interval(record)}]"


def _number(value: float) -> str:
    """Points of error, to a tenth, or a hundredth where a tenth would be none."""
    return f"{value:.1f}".replace("-", "−") if abs(value) >= 0.05 else f"{value:.2f}".replace("-", "−")
