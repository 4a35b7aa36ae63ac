"""*Every claim*: the verdicts of all pages, and how many there are of each kind."""
from __future__ import annotations

import importlib
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd

from replication import paths
from replication.pages import html
from replication.pages.claim import CONTRADICTED, NOT_RUN, OUT_OF_REACH, SUPPORTED, UNRESOLVED
from replication.pages.claims import CLAIMS, PAPERS
from replication.pages.metrics import Record, pages, read

KINDS = {"supported": SUPPORTED, "contradicted": CONTRADICTED, "unresolved": UNRESOLVED, "not_run": NOT_RUN,
         "out_of_reach": OUT_OF_REACH}
ARITHMETIC, TRAINED, MEASURED, NONE = "arithmetic", "trained", "measured without training", "not run"  # evidence
TOPICS = {  # what a page is about; of claims that none settles, by their own ids
    "cost and size": ("googlenet_row_by_row", "V1-11a", "V1-11b", "V3-01a", "V3-01b", "V3-18a", "V3-18b", "V3-36a",
                      "V3-36b", "AX-1", "LN-1"),
    "factorised convolutions": ("network_in_network",),
    "why Inception": ("sparsity", "arora", "scales"),
    "modules": ("modules", "V3-21"),
    "the last layers": ("average_pooling", "fine_tuning", "NIN-1a", "NIN-1b", "NIN-2", "NIN-3", "NIN-4"),
    "auxiliary heads": ("aux_heads",),
    "how it is trained": ("how_it_is_trained", "V1-39", "V3-19a", "V3-19b", "V3-20a", "V3-20b", "V3-23", "BN-4b"),
    "design principles": ("principles",),
    "Inception V3's steps": ("inception_v3", "V3-31a"),
    "crops and ensembles": ("afterwards", "V1-33c", "V1-37a", "V1-37b", "V3-33", "V3-34", "V3-35a", "V3-35b", "BN-5"),
    "detection": ("V1-38",),
    "keywords": ("keywords",)}
ERRONEOUS = 0.05  # how often a 95 % interval misses


def settled(pages: Sequence[str]) -> dict[str, tuple[str, Record]]:
    """What the pages handed on of every claim, by id, in the order of CLAIMS, and which page did ("": none); of
    several, what was measured."""
    found: dict[str, tuple[str, Record]] = {}
    for page in pages:
        for name, record in (read(page) or {}).get("claims", {}).items():
            if name not in found or ("value" in record and "value" not in found[name][1]):
                found[name] = page, record
    return {name: found.get(name, ("", {"verdict": claim.unmeasured, "unit": claim.unit}))
            for name, claim in CLAIMS.items()}


def records(pages: Sequence[str]) -> dict[str, Record]:
    """The same without the pages."""
    return {name: record for name, (_, record) in settled(pages).items()}


def evidence(name: str, record: Record) -> str:
    """What a verdict rests on."""
    if record.get("value") is None:
        return NONE
    return ARITHMETIC if record["n"] == 0 else MEASURED if CLAIMS[name].study is None else TRAINED


def topic(name: str, page: str) -> str:
    """What a claim is about, by its own id or the page that settles it."""
    return next((topic for about in (name, page) for topic, of in TOPICS.items() if about in of), "other")


# -- where a claim is settled -------------------------------------------------------------------------------------
@cache
def _outline(page: str) -> tuple[str, dict[str, tuple[str, str, str]]]:
    """Title of a page and, of each part whose finding it quotes, heading, its anchor, and the figure before ("": none).
    """
    path = paths.ROOT / "book" / f"{page}.ipynb"
    title, heading, figure, found = "", "", "", {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else ():
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")
        figure = figure if name.startswith("tab-") else name or figure
        for line in "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else ():
            if head := re.match(r"(#+) (.*)", line):
                title, heading, figure = title or head[2], head[2], ""
            for key in re.findall(rf"\{{val\}}`{page}\.found\.(\w+)`", line):
                found[key] = heading, html.anchor(heading), figure
    return title, found


def links(name: str, page: str) -> str:
    """The way from a claim to the section that settles it, its figure, and its row on that page."""
    title, outline = _outline(page)
    if not title:
        return ""
    sections = getattr(importlib.import_module(f"replication.pages.{page}"), "SECTIONS", {})
    part = next((key for key, ids in sections.items() if name in ids and key != "answer" and key in outline), None)
    if part is None:
        return f'<a href="{page}.html#claim-{name}">{html.text(title)}</a>'
    heading, anchor, figure = outline[part]
    shown = f', <a href="{page}.html#{figure}">figure</a>' if figure else ""
    return f'<a href="{page}.html#{anchor}">{html.text(title)}: {html.text(heading)}</a>{shown}'


def place(name: str, page: str, record: Record) -> html.Place:
    """A claim's row, as *Every claim* shows it."""
    kinds = {"paper": PAPERS[name.split("-")[0]], "topic": topic(name, page), "verdict": record["verdict"],
             "evidence": evidence(name, record)}
    return html.Place(links(name, page) if page not in ("", "verdicts") else "", kinds)


def left() -> list[str]:
    """The claims settled without training that no other page settles: this page does."""
    others = {name for page in pages() if page != "verdicts" for name in (read(page) or {}).get("claims", {})}
    return [name for name, claim in CLAIMS.items() if claim.study is None and claim.measure and name not in others]


def table(*papers: str) -> html.Html:
    """Every claim of these papers with its verdict so far and the way to what settles it."""
    found = {name: each for name, each in settled(pages()).items() if name.split("-")[0] in papers}
    return html.claims_table(((CLAIMS[name], record) for name, (_, record) in found.items()),
                             {name: place(name, page, record) for name, (page, record) in found.items()})


def by(kind: str, verdict: str | None = None) -> dict[str, int]:
    """How many claims, of one verdict or of all, there are of each "verdict" or "evidence"."""
    found: dict[str, int] = {}
    for name, record in records(pages()).items():
        if verdict in (None, record["verdict"]):
            word = record["verdict"] if kind == "verdict" else evidence(name, record)
            found[word] = found.get(word, 0) + 1
    order = [*KINDS.values(), ARITHMETIC, TRAINED, MEASURED, NONE]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


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
