"""The claims of all pages, for the first one."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import answers, html, verdicts
from replication.pages.claim import CONTRADICTED, NOT_RUN, SUPPORTED, UNRESOLVED
from replication.pages.claims import CLAIMS
from replication.pages.metrics import read


def tally(pages: Sequence[str]) -> dict[str, Any]:
    """How many claims were settled and how, and the runs and devices behind them."""
    found = [record["verdict"] for record in verdicts.records(pages).values()]
    made = [record["provenance"] for page in pages if (record := read(page))]
    return {"settled": sum(verdict != NOT_RUN for verdict in found),
            **{kind: found.count(word) for kind, word in (("supported", SUPPORTED), ("contradicted", CONTRADICTED),
                                                          ("unresolved", UNRESOLVED))},
            "runs": sum(one.get("runs", 0) for one in made),
            "device": " and ".join(sorted({one["processor"] if one["device"] == "CPU" else one["device"]
                                           for one in made if one.get("runs")})) or "no machine yet"}


QUESTIONS = {
    "Average pooling or a fully connected layer?": ("V1-20", "V1-20b"),
    "Do auxiliary heads help?": ("V1-25a", "V3-14", "V3-14b"),
    "Modules with reductions, or naive ones?": ("V1-08b", "V1-08c"),
}


def the_answers() -> html.Html:
    """The book's three questions, each with what its verdicts say."""
    return html.Html("\n".join(f"<p><strong>{question}</strong> {answers.answer(ids)}</p>"
                               for question, ids in QUESTIONS.items()))


def claims_table(pages: Sequence[str]) -> html.Html:
    """Every claim with its verdict so far."""
    return html.claims_table((CLAIMS[name], record) for name, record in verdicts.records(pages).items())
