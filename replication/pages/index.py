"""The claims of all pages, for the first one."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import html
from replication.pages.claim import CONTRADICTED, NOT_RUN, SUPPORTED, UNRESOLVED
from replication.pages.claims import CLAIMS
from replication.pages.metrics import Record, read


def verdicts(pages: Sequence[str]) -> dict[str, Record]:
    """Every claim some page settled, by id, in the order of CLAIMS; what no page has is "not yet run"."""
    found: dict[str, Record] = {}
    for page in pages:
        found |= (read(page) or {}).get("claims", {})
    return {name: found.get(name, {"verdict": NOT_RUN, "unit": claim.unit}) for name, claim in CLAIMS.items()}


def tally(pages: Sequence[str]) -> dict[str, Any]:
    """How many claims were settled and how, and the runs and devices behind them."""
    found = [record["verdict"] for record in verdicts(pages).values()]
    made = [record["provenance"] for page in pages if (record := read(page))]
    return {"settled": sum(verdict != NOT_RUN for verdict in found),
            **{kind: found.count(word) for kind, word in (("supported", SUPPORTED), ("contradicted", CONTRADICTED),
                                                          ("unresolved", UNRESOLVED))},
            "runs": sum(one.get("runs", 0) for one in made),
            "device": " and ".join(sorted({one["processor"] if one["device"] == "CPU" else one["device"]
                                           for one in made if one.get("runs")})) or "no machine yet"}


def claims_table(pages: Sequence[str]) -> html.Html:
    """Every claim with its verdict so far."""
    return html.claims_table((CLAIMS[name], record) for name, record in verdicts(pages).items())
