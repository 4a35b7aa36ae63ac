"""What *Inception V3, step by step* shows besides its claims."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.models import cost
from replication.models.inception_v3 import inception_v3, inception_v3_paper
from replication.pages import finals, findings
from replication.studies.study import Grid

STUDIES = ("v3.ladder", "v3.steps", "v3.networks", "v3.reduction", "v3.heads", "v3.recipe")
SECTIONS: findings.Sections = {
    "answer": ("V3-32", "V3-32d"), "networks": ("V3-32b", "V3-32c", "V3-32d"), "ladder": ("V3-32", "V3-31b", "V3-17"),
    "reduction": ("V3-02", "V3-18d", "V3-18c"), "heads": ("V3-16",), "average": ("V3-27",)}


def numbers(grids: Sequence[Grid]) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims: what each study trains on, and the millions of
    parameters and billions of multiply-adds of V3 as its code and as its paper have it."""
    networks = {"code": inception_v3(aux=()), "paper": inception_v3_paper(aux=())}
    return {**finals.protocol(*grids), "found": findings.found(SECTIONS, grids),
            "on": finals.on(grids),
            "parameters": {name: cost.parameters(network) / 1e6 for name, network in networks.items()},
            "g": {name: cost.multiply_adds(network) / 1e9 for name, network in networks.items()}}
