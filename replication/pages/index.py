"""The first page: what the book found, in numbers."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import verdicts
from replication.pages.metrics import ran_on, read


def tally(pages: Sequence[str]) -> dict[str, Any]:
    """How many claims there are, settled and how, and the runs and devices behind them."""
    made = [record["provenance"] for page in pages if (record := read(page))]
    return {**verdicts.counts(pages), "runs": sum(one.get("runs", 0) for one in made),
            "device": " and ".join(sorted({each for one in made if one.get("runs") for each in ran_on(one)}))
                      or "no machine yet"}
