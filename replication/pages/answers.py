"""Verdicts as sentences, for a page to open with: each says no more than its record does."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replication.errors import unknown
from replication.pages import html, metrics, verdicts
from replication.pages.claim import NOT_RUN, OUT_OF_REACH, SMALL
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
    "V1-40a": ("At equal multiply-adds", "having three sizes of kernel in each module in place of one"),
    "V1-40b": ("Beside 3×3 alone", "having three sizes of kernel"),
    "V3-14": ("With batch normalisation", "a pair of auxiliary heads"),
    "V3-14b": ("On photographs", "a pair of auxiliary heads"),
    "V3-15": ("With batch normalisation", "the lower auxiliary head beside the upper one"),
    "V1-27": ("Over the steps of the first paper", "averaging the weights"),
    "V1-29": ("On shapes", "cropping to 8 to 100 % of the image"),
    "V1-30": ("On shapes", "distorting the colours"),
    "V1-31": ("On shapes", "resizing in random ways"),
    "V3-22": ("In GoogLeNet with batch normalisation", "label smoothing"),
    "V3-02": ("In Inception V3", "halving the grid by convolutions and pool side by side in place of a pool first"),
    "V3-09": ("In GoogLeNet with batch normalisation", "a ReLU between the two 3×3"),
    "V3-10": ("In GoogLeNet with batch normalisation", "a ReLU after the 1×1 reductions"),
    "V3-16": ("In Inception V3", "batch normalisation or dropout in the auxiliary head"),
    "V3-17": ("On the ladder", "normalising the head's hidden layer too"),
    "V3-27": ("Over the steps of the second paper", "averaging the weights"),
    "V3-31b": ("On the ladder", "a stem of three 3×3 in place of the 7×7"),
    "V3-32": ("In all", "what the ladder adds to Inception-v2"),
    "V3-32b": ("At a quarter of the width", "BN-Inception in place of GoogLeNet with batch normalisation"),
    "V3-32c": ("At a quarter of the width", "Inception-v2 in place of BN-Inception"),
    "V3-32d": ("At a quarter of the width", "Inception V3, as published, in place of BN-Inception"),
    "V3-25": ("In GoogLeNet with batch normalisation", "RMSProp in place of momentum"),
}

QUESTIONS = {
    "Average pooling or a fully connected layer?": ("V1-20", "V1-20b"),
    "Do auxiliary heads help?": ("V1-25a", "V3-14", "V3-14b"),
    "Modules with reductions, or naive ones?": ("V1-08b", "V1-08c"),
}


def questions() -> Html:
    """The three that the book exists for, each with its answer."""
    return Html("\n".join(f"<p><strong>{question}</strong> {answer(ids)}</p>" for question, ids in QUESTIONS.items()))


def answer(ids: Sequence[str]) -> Html:
    """`sentences` from the pages' records as they are now: a page asks after its `write_page`.

    Raises BadInput for a claim that is none.
    """
    for name in ids:
        if name not in CLAIMS:
            raise unknown("claim", name, CLAIMS)
    return Html(sentences(ids, verdicts.records(metrics.pages())))


def sentences(ids: Sequence[str], known: Mapping[str, Record]) -> str:
    """A sentence a claim that was measured, and one for all that were not."""
    waiting = [name for name in ids if known[name]["verdict"] in (NOT_RUN, OUT_OF_REACH)]
    said = [sentence(name, known[name]) for name in ids if name not in waiting]
    return " ".join([*said, f"Not measured yet: {_open(waiting)}."] if waiting else said)


def _open(ids: Sequence[str]) -> str:
    """What is left to measure, each change once with all that it waits for: "dropout (on shapes; on photographs)"."""
    where: dict[str, list[str]] = {}
    for name in ids:
        context, change = CHANGES.get(name, ("", f"“{CLAIMS[name].sentence.removesuffix('.')}”"))
        where.setdefault(change, []).append(within(context))
    return ", ".join(change + (f" ({'; '.join(found)})" if all(found) else "") for change, found in where.items())


def within(words: str) -> str:
    """As they stand within a sentence."""
    return words[:1].lower() + words[1:]


def sentence(name: str, record: Record) -> str:
    """What one record says of its claim, in plain text."""
    claim, verdict = CLAIMS[name], record["verdict"]
    if name not in CHANGES:
        found = "" if record.get("value") is None else f" ({html.measured(record)}{_between(record)})"
        return f"“{claim.sentence.removesuffix('.')}” is {verdict}{found}."
    context, change = CHANGES[name]
    if verdict in (NOT_RUN, OUT_OF_REACH):
        return f"{context}, it has not been measured yet whether {change} lowers the top-1 error."
    if any(record.get(end) is None for end in ("value", "low", "high")):
        return f"{context}, there are too few runs to tell whether {change} lowers the top-1 error."
    # Of "at least 0", the direction says all; any other region needs its verdict.
    claimed = "" if claim.region == (0, math.inf) else f"; the claim, a gain {_gain(claim.region)}, is {verdict}"
    return f"{context}, {_effect(change, record)}{claimed}."


def _effect(change: str, record: Record) -> str:
    value, low, high = record["value"], record["low"], record["high"]
    if low > 0:
        return f"{change} lowers the top-1 error by {_number(value)} points [{_number(low)}, {_number(high)}]"
    if high < 0:
        return f"{change} raises the top-1 error by {_number(-value)} points [{_number(-high)}, {_number(-low)}]"
    if max(-low, high) <= SMALL:
        return (f"{change} makes a small difference at most: the gain in top-1 error is {_number(value)} points "
                f"[{_number(low)}, {_number(high)}]")
    return (f"it could not be told whether {change} lowers or raises the top-1 error: the gain is {_number(value)} "
            f"points [{_number(low)}, {_number(high)}]")


def _gain(region: tuple[float, float]) -> str:
    words = html.region(region)
    return words if words.startswith("within") else f"of {words}"


def _between(record: Record) -> str:
    return "" if record["n"] == 0 else f", 95 % interval {html.plain(html.interval(record))}"


def _number(value: float) -> str:
    """Points of error, to a tenth, or a hundredth where a tenth would be none."""
    return html.fixed(value, 1 if abs(value) >= 0.05 else 2)
