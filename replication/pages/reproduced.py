"""*Reproduced here*: published numbers beside yours."""
from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from replication import paths
from replication.pages import html
from replication.pages.claims import CLAIMS
from replication.pages.metrics import Record, read_in


def compared(pages: Sequence[str]) -> list[Record]:
    """A row per claim that both stores settled under the same parameters: published beside yours, and whether number
    and verdict agree.

    Two measured numbers agree when their intervals overlap, two exact ones when they are equal.
    """
    rows = []
    for page in pages:
        theirs, ours = read_in(paths.PUBLISHED, page) or {}, read_in(paths.mine(), page) or {}
        if _parameters(theirs) != _parameters(ours):
            continue
        for name, record in theirs.get("claims", {}).items():
            mine = ours.get("claims", {}).get(name, {})
            if name in CLAIMS and "value" in mine and "value" in record:  # an id may have been given up since
                rows.append({"id": name, "page": page, "published": record, "mine": mine,
                             "number_agrees": _overlap(record, mine),
                             "verdict_agrees": record["verdict"] == mine["verdict"]})
    return rows


def _parameters(found: Record) -> Record:
    return found.get("provenance", {}).get("parameters", {})


def not_compared(pages: Sequence[str]) -> list[str]:
    """Pages that both stores have, under other parameters."""
    both = ((page, read_in(paths.PUBLISHED, page), read_in(paths.mine(), page)) for page in pages)
    return [page for page, theirs, ours in both if theirs and ours and _parameters(theirs) != _parameters(ours)]


def _overlap(a: Record, b: Record) -> bool:
    def ends(record: Record) -> tuple[float, float]:
        return (-math.inf if record["low"] is None else record["low"], math.inf if record["high"] is None
                else record["high"])
    return ends(a)[0] <= ends(b)[1] and ends(b)[0] <= ends(a)[1]


def compared_table(pages: Sequence[str]) -> html.Html:
    """*Reproduced here* as HTML."""
    columns = ("Claim", "Published", "Here", "Numbers", "Verdict", "Verdict here")
    table = html.cards(columns, [
        (f"<strong>{row['id']}</strong> {html.text(CLAIMS[row['id']].sentence)}",
         f"{html.measured(row['published'])}<br><small>{html.interval(row['published'])}</small>",
         f"{html.measured(row['mine'])}<br><small>{html.interval(row['mine'])}</small>",
         "agree" if row["number_agrees"] else "differ",
         html.word(row["published"]["verdict"]), html.word(row["mine"]["verdict"]))
        for row in compared(pages)])
    return html.Html(f"{table}<p>{agreement(pages)}</p>")


def agreement(pages: Sequence[str]) -> str:
    """In one sentence, or two."""
    rows, others = compared(pages), not_compared(pages)
    apart = f" Published under other parameters, so not compared: {', '.join(others)}." if others else ""
    if not rows:
        return "There is no number yet that was both published and measured here." + apart
    numbers, verdicts = sum(r["number_agrees"] for r in rows), sum(r["verdict_agrees"] for r in rows)
    return (f"{numbers} of {len(rows)} published numbers agree with those measured here, and {verdicts} of {len(rows)} "
            f"verdicts are the same.{apart}")


def machines(pages: Sequence[str]) -> pd.DataFrame:
    """Hardware and versions behind each page that measured something, published and here."""
    rows = []
    for page in pages:
        for whose, place in (("published", paths.PUBLISHED), ("here", paths.mine())):
            if (found := read_in(place, page)) and found["claims"]:
                made = found["provenance"]
                rows.append({"page": page, "whose": whose, "processor": made["processor"], "device": made["device"],
                             "runs": made.get("runs", 0), "Python": made["python"],
                             "torch": made["versions"].get("torch"), "commit": (made["commit"] or "unknown")[:9]})
    return pd.DataFrame(rows)
