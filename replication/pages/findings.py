"""What the verdicts of a page say, in sentences for its opening and the ends of its sections.

They are computed with the page, so that they are true whichever way the verdicts fall.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from replication.pages import answers, html, metrics
from replication.pages.claim import CONTRADICTED, NOT_RUN, OUT_OF_REACH, SUPPORTED, UNRESOLVED
from replication.pages.claims import settle
from replication.studies.study import Grid

Sections = Mapping[str, Sequence[str]]  # the ids of the claims that each part of a page settles


def claims(sections: Sections) -> list[str]:
    """All claims of a page, each once."""
    return list(dict.fromkeys(name for ids in sections.values() for name in ids))


def found(sections: Sections, grids: Sequence[Grid]) -> dict[str, str]:
    """A sentence a claim, together for each section, what was measured first."""
    known = {one.claim.id: metrics.record(one) for one in settle(claims(sections), grids)}
    return {section: html.plain(answers.sentences(ids, known)) for section, ids in sections.items()}


def tally(sections: Sections, grids: Sequence[Grid]) -> str:
    """How many claims of a page have which verdict, those that are decided in words: "2 are supported: “…”; “…”. 1 is
    not yet run"."""
    by: dict[str, list[str]] = {}
    for one in settle(claims(sections), grids):
        by.setdefault(one.verdict, []).append(f"“{one.claim.sentence.removesuffix('.')}”")
    counted = {verdict: f"{len(of)} {'is' if len(of) == 1 else 'are'} {verdict}" for verdict, of in by.items()}
    decided = [f"{counted[verdict]}: {'; '.join(by[verdict])}"
               for verdict in (SUPPORTED, CONTRADICTED) if verdict in by]
    rest = ", ".join(counted[verdict] for verdict in (UNRESOLVED, NOT_RUN, OUT_OF_REACH) if verdict in by)
    return ". ".join([*decided, *([rest] if rest else [])])
