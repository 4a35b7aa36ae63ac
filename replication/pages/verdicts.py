"""*Every claim*: the verdicts of all pages, and how many there are of each kind."""
from __future__ import annotations

from collections.abc import Sequence

from replication.pages.claim import NOT_RUN, OUT_OF_REACH
from replication.pages.claims import CLAIMS
from replication.pages.metrics import Record, read


def records(pages: Sequence[str]) -> dict[str, Record]:
    """What the pages handed on of every claim, by id, in the order of CLAIMS; of several, what was measured."""
    found: dict[str, Record] = {}
    for page in pages:
        for name, record in (read(page) or {}).get("claims", {}).items():
            if name not in found or "value" in record:
                found[name] = record
    return {name: found.get(name, {"verdict": NOT_RUN if claim.measure else OUT_OF_REACH, "unit": claim.unit})
            for name, claim in CLAIMS.items()}
