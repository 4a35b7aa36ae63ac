"""*Every claim*: the verdicts of all pages, and how many there are of each kind."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from replication.pages import html
from replication.pages.claim import CONTRADICTED, NOT_RUN, OUT_OF_REACH, SUPPORTED, UNRESOLVED
from replication.pages.claims import CLAIMS, PAPERS
from replication.pages.metrics import Record, pages, read

KINDS = {"supported": SUPPORTED, "contradicted": CONTRADICTED, "unresolved": UNRESOLVED, "not_run": NOT_RUN,
         "out_of_reach": OUT_OF_REACH}
ERRONEOUS = 0.05  # how often a 95 % interval misses


def records(pages: Sequence[str]) -> dict[str, Record]:
    """What the pages handed on of every claim, by id, in the order of CLAIMS; of several, what was measured."""
    found: dict[str, Record] = {}
    for page in pages:
        for name, record in (read(page) or {}).get("claims", {}).items():
            if name not in found or "value" in record:
                found[name] = record
    return {name: found.get(name, {"verdict": claim.unmeasured, "unit": claim.unit})
            for name, claim in CLAIMS.items()}


def left() -> list[str]:
    """The claims settled without training that no other page settles: this page does."""
    others = {name for page in pages() if page != "verdicts" for name in (read(page) or {}).get("claims", {})}
    return [name for name, claim in CLAIMS.items() if claim.study is None and claim.measure and name not in others]


def table(*papers: str) -> html.Html:
    """Every claim of these papers with its verdict so far."""
    return html.claims_table((CLAIMS[name], record) for name, record in records(pages()).items()
                             if name.split("-")[0] in papers)


def tally() -> pd.DataFrame:
    """How many claims of each paper have which verdict."""
    rows = [{"paper": PAPERS[name.split("-")[0]], "verdict": record["verdict"]}
            for name, record in records(pages()).items()]
    counted = pd.crosstab(pd.DataFrame(rows).paper, pd.DataFrame(rows).verdict, margins=True, margins_name="all")
    order = [title for title in (*PAPERS.values(), "all") if title in counted.index]
    return counted.reindex(index=order, columns=[*KINDS.values(), "all"], fill_value=0).reset_index()


def counts(pages: Sequence[str]) -> dict[str, Any]:
    """How many claims there are, how many were measured, and of which verdicts; `counted`: those that arithmetic
    settled; `trained`: by training, with `by_chance`, how many of them would be decided if all true values lay on the
    edges of their regions."""
    found = records(pages)
    trained = [record for name, record in found.items() if CLAIMS[name].study is not None and "value" in record]
    return {"total": len(found), "settled": sum(record["verdict"] not in (NOT_RUN, OUT_OF_REACH)
                                                 for record in found.values()),
            **{kind: sum(record["verdict"] == word for record in found.values()) for kind, word in KINDS.items()},
            "counted": sum(CLAIMS[name].study is None and "value" in record and record["low"] == record["high"]
                           for name, record in found.items()),
            "trained": {"measured": len(trained), "by_chance": ERRONEOUS * len(trained),
                        "decided": sum(record["verdict"] in (SUPPORTED, CONTRADICTED) for record in trained)}}
