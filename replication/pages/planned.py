"""*Planned*: the claims that nothing has measured yet, and what measuring them would cost."""
from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any

from replication.pages import html, power, verdicts
from replication.pages.claim import NOT_RUN, OUT_OF_REACH, Claim
from replication.pages.claims import CLAIMS
from replication.pages.measures import sides_of
from replication.runs import experiments, store
from replication.studies import estimate, profiles
from replication.studies.grid import STUDIES

PROFILES = ("cpu-full", "photographs", "gpu-shapes", "gpu", "gpu-long")  # the first that trains a study says how


@dataclass(frozen=True)
class Plan:
    """A study that claims wait for: which, on which images, how many runs they lack, and seconds of training for those
    on power.CORES cores and on a GPU."""
    study: str
    claims: tuple[str, ...]
    on: str
    runs: int
    here: float
    gpu: float


def waiting(verdict: str) -> list[Claim]:
    """The claims of a verdict, as all pages have it."""
    return [CLAIMS[name] for name, record in verdicts.records(verdicts.pages()).items() if record["verdict"] == verdict]


def plans(rate: power.Rates | None = None) -> list[Plan]:
    """A plan a study, the cheapest first; one that no profile trains has no cost (NaN)."""
    rate = rate or power.rates()
    claims: dict[str, list[Claim]] = {}
    for claim in waiting(NOT_RUN):
        if claim.study and claim.measure:
            claims.setdefault(claim.study, []).append(claim)
    return sorted((_plan(study, of, rate) for study, of in claims.items()),
                  key=lambda plan: (math.isnan(plan.gpu), plan.gpu))


def _plan(study: str, claims: list[Claim], rate: power.Rates) -> Plan:
    ids = tuple(claim.id for claim in claims)
    profile = next((of for of in map(profiles.profile, PROFILES) if study in of.studies), None)
    if profile is None:
        return Plan(study, ids, "no profile trains it", 0, math.nan, math.nan)
    whole = power.whole_of(study, profile)
    once: dict[tuple[str, ...], float] = {}  # the multiply-adds of an arm are those of all its seeds
    lacking: dict[str, float] = {}
    for cell in (cell for claim in claims for arms in sides_of(claim.measure)
                 for cell in power.needed(arms, whole.cells)):
        if not store.exists(cell.address):
            arm = tuple(cell.keys.values())
            lacking[cell.address] = once[arm] = once.get(arm) or experiments.work(cell.experiment)
    work = sum(lacking.values())
    on = f"{whole.setting.dataset}, {whole.setting.seeds} seeds a side"
    return Plan(study, ids, on, len(lacking), work / rate.here[1] / power.CORES, work / rate.gpu[1])


def studies(found: list[Plan]) -> html.Html:
    """A row a study."""
    lines = [(f"<code>{plan.study}</code> {html.text(STUDIES[plan.study].question)}",
              ", ".join(f'<a href="verdicts.html#claim-{name}">{name}</a>' for name in plan.claims),
              html.text(plan.on), f"{plan.runs:,}", power.clock(plan.here), power.clock(plan.gpu)) for plan in found]
    return html.Html(html.cards(("Study", "Claims", "On", "Runs", "Two cores", "A GPU"), lines, "claims plans",
                                rows=[{"id": html.anchor(plan.study)} for plan in found]))


def others(verdict: str) -> html.Html:
    """The claims that wait for something that is no study here, or are out of reach, and why."""
    lines = [(f'<a href="verdicts.html#claim-{claim.id}">{claim.id}</a> {html.text(claim.sentence)}',
              html.text(claim.awaits or claim.why)) for claim in waiting(verdict) if claim.awaits or claim.why]
    return html.Html(html.cards(("Claim", "Why" if verdict == OUT_OF_REACH else "Waits for"), lines, "claims plans"))


def numbers(found: list[Plan], rate: power.Rates | None = None) -> dict[str, Any]:
    """What *Planned* quotes."""
    rate = rate or power.rates()
    known = [plan for plan in found if not math.isnan(plan.gpu)]
    return {"studies": len(found), "waiting": sum(len(plan.claims) for plan in found),
            "runs": sum(plan.runs for plan in found), "here": estimate.clock(sum(plan.here for plan in known)),
            "gpu": estimate.clock(sum(plan.gpu for plan in known)), "cores": escape(rate.here[0]),
            "rate": f"{rate.gpu[1] / 1e12:.0f}", "whose": rate.gpu[0],
            "awaiting": len([claim for claim in waiting(NOT_RUN) if claim.awaits]),
            "out_of_reach": len(waiting(OUT_OF_REACH))}
