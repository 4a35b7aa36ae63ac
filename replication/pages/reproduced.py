"""*Reproduced here*: published numbers beside yours, how sharp each comparison is, and both together.

Two stores are two samples. The interval of the difference of their numbers comes from the intervals of both alone, by
the root of the squares of their half-widths (Zou and Donner, Statistics in Medicine 27, 2008, which needs no degrees of
freedom and keeps intervals that are not symmetrical); where both are of a few seeds it is slightly too wide. Their
numbers agree when it holds 0.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from replication import paths
from replication.pages import html, metrics
from replication.pages.claim import MARGIN, Claim, Settled
from replication.pages.claims import CLAIMS
from replication.pages.metrics import Record, read_in
from replication.stats import Interval

# Why an agreement does not count.
ARITHMETIC, SAME, BLURRED = "arithmetic", "the same runs again", "too uncertain for a difference to show"


@dataclass(frozen=True)
class Pair:
    """One claim's records (`metrics`) in two stores, under one setting. Neither record's value is None."""
    claim: Claim
    published: Record
    mine: Record

    @cached_property
    def difference(self) -> Interval:
        """Mine less published, as of independent samples."""
        a, b = _interval(self.mine), _interval(self.published)
        return Interval(a.value - b.value, a.value - b.value - math.hypot(a.value - a.low, b.high - b.value),
                        a.value - b.value + math.hypot(a.high - a.value, b.value - b.low), a.n + b.n)

    @property
    def half_width(self) -> float:
        """Of the difference, on its wider side."""
        of = self.difference
        return max(of.high - of.value, of.value - of.low)

    @property
    def agrees(self) -> bool:
        return self.difference.low <= 0 <= self.difference.high

    @property
    def effect(self) -> float:
        """How far the published number lies from the nearest edge of its claim's region that can be crossed; of points
        of error at least MARGIN."""
        ends = (0.0, 100.0) if self.claim.unit == "%" else ()  # a percentage has nothing beyond them
        edges = [abs(self.published["value"] - edge) for edge in self.claim.region
                 if math.isfinite(edge) and edge not in ends]
        return max(min(edges, default=0.0), MARGIN if self.claim.unit == "points" else 0.0)

    @property
    def excuse(self) -> str | None:
        """Why its agreement could not have failed, or None: then it counts. A disagreement always does."""
        if not self.agrees:
            return None
        if self.published["n"] == self.mine["n"] == 0:
            return ARITHMETIC
        if all(self.published[name] == self.mine[name] for name in ("value", "low", "high", "n")):
            return SAME  # the same processor gives the same digits, whatever name it went by: no second sample
        return None if self.half_width < self.effect else BLURRED

    @property
    def pooled(self) -> Record | None:
        """Both together as one record, each weighted by its seeds: one setting has one spread, and weights by spreads
        that a few seeds estimate would make the interval too narrow. None where they are no two samples, or one has no
        interval."""
        a, b = _interval(self.published), _interval(self.mine)
        if self.excuse in (ARITHMETIC, SAME) or not math.isfinite(a.high - a.low + b.high - b.low):
            return None
        u = a.n / (a.n + b.n)
        value = u * a.value + (1 - u) * b.value
        low = value - math.hypot(u * (a.value - a.low), (1 - u) * (b.value - b.low))
        high = value + math.hypot(u * (a.high - a.value), (1 - u) * (b.high - b.value))
        return metrics.record(Settled(self.claim, Interval(value, low, high, a.n + b.n)))


def _interval(of: Record) -> Interval:
    """What is not finite is null in a file."""
    return Interval(of["value"], -math.inf if of["low"] is None else of["low"],
                    math.inf if of["high"] is None else of["high"], of["n"])


# -- two stores ---------------------------------------------------------------------------------------------------
def compared(pages: Sequence[str]) -> list[Pair]:
    """The claims that both stores settled under the same setting, whatever pages they stand on."""
    theirs, ours = _settled(paths.PUBLISHED, pages), _settled(paths.mine(), pages)
    return [Pair(CLAIMS[key[0]], theirs[key], ours[key]) for key in theirs if key in ours]


def not_compared(pages: Sequence[str]) -> list[str]:
    """Claims that both stores settled, but under no setting that is the same."""
    theirs, ours = ({name for name, _ in _settled(place, pages)} for place in (paths.PUBLISHED, paths.mine()))
    same = {pair.claim.id for pair in compared(pages)}
    return [name for name in CLAIMS if name in theirs & ours and name not in same]


def _settled(place: Path, pages: Sequence[str]) -> dict[tuple[str, str | None], Record]:
    """A store's records that hold a number, by claim and the digest of its setting, None of arithmetic."""
    found: dict[tuple[str, str | None], Record] = {}
    for page in pages:
        for name, held in (read_in(place, page) or {}).get("claims", {}).items():
            if name in CLAIMS and held.get("value") is not None:  # an id may have been given up since
                found.setdefault((name, held.get("under") or (None if held["n"] == 0 else f"unknown, {place}")), held)
    return found


# -- shown --------------------------------------------------------------------------------------------------------
def compared_table(pages: Sequence[str]) -> html.Html:
    """*Reproduced here* as HTML."""
    return html.Html(f"{table(compared(pages), 'Published', 'Here')}<p>{agreement(pages)}</p>")


def table(pairs: Iterable[Pair], one: str, other: str) -> str:
    """A row a pair: both numbers under the names of their sources, whether they agree, and both together."""
    return html.cards(("Claim", one, other, "Numbers", "Together"), [
        (f"<strong>{pair.claim.id}</strong> {html.text(pair.claim.sentence)}", _cell(pair.published), _cell(pair.mine),
         _numbers(pair), "–" if (both := pair.pooled) is None else _cell(both)) for pair in pairs])


def _cell(of: Record) -> str:
    return f"{html.measured(of)}<br><small>{html.interval(of)}</small><br>{html.word(of['verdict'])}"


def _numbers(pair: Pair) -> str:
    said = "differ" if not pair.agrees else "agree" if pair.excuse is None else f"agree, not counted: {pair.excuse}"
    if pair.excuse in (ARITHMETIC, SAME) or not math.isfinite(pair.half_width):
        return said
    apart = html.measured({"value": pair.difference.value, "unit": pair.claim.unit})
    return f"{said}<br><small>difference {apart}, ± {html.digits(pair.half_width)}</small>"


def agreement(pages: Sequence[str]) -> str:
    """In one sentence, or two or three."""
    pairs, others = compared(pages), not_compared(pages)
    apart = f" Published under other settings, so not compared: {', '.join(others)}." if others else ""
    if not pairs:
        return "There is no number yet that was both published and measured here." + apart
    counted = [pair for pair in pairs if pair.excuse is None]
    verdicts = sum(pair.published["verdict"] == pair.mine["verdict"] for pair in counted)
    excuses = [pair.excuse for pair in pairs]
    rest = [f"{excuses.count(why)} {word}" for why, word in (
        (ARITHMETIC, "of arithmetic"), (BLURRED, BLURRED), (SAME, "of the same runs again")) if why in excuses]
    return (f"{sum(pair.agrees for pair in counted)} of {len(counted)} numbers that could have differed agree, and "
            f"{verdicts} of {len(counted)} of their verdicts are the same."
            + (f" Not counted, though they agree: {', '.join(rest)}." if rest else "") + apart)


def machines(pages: Sequence[str]) -> pd.DataFrame:
    """Hardware and versions behind each page that measured something, published and here."""
    rows: list[dict[str, Any]] = []
    for page in pages:
        for whose, place in (("published", paths.PUBLISHED), ("here", paths.mine())):
            if (found := read_in(place, page)) and found["claims"]:
                made = found["provenance"]
                names = ", ".join(made.get("devices") or [made["processor"]])
                rows.append({"page": page, "whose": whose, "processor": names, "device": made["device"],
                             "runs": made.get("runs", 0), "Python": made["python"],
                             "torch": made["versions"].get("torch"), "commit": (made["commit"] or "unknown")[:9]})
    return pd.DataFrame(rows)
