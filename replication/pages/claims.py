"""All claims, in the order of their papers, and what settles them."""
from __future__ import annotations

import re
from collections.abc import Sequence

from replication.errors import unknown
from replication.pages import afterwards, arora, counted, out_of_reach, trained
from replication.pages.claim import Claim, Settled
from replication.studies.study import Grid

PAPERS = {  # by the letters that begin an id
    "V1": "Going Deeper with Convolutions", "V3": "Rethinking the Inception Architecture",
    "NIN": "Network in Network", "AR": "Provable Bounds for Learning Some Deep Representations",
    "BN": "Batch Normalization", "AX": "AlexNet", "LN": "LeNet-5", "KWS": "Inception for keywords",
    "X": "Your own",
}


def _place(claim: Claim) -> tuple[int, list[tuple[int, str]]]:
    """By paper, then as people count: V1-2, V1-10a, V1-10b."""
    paper, rest = claim.id.split("-")
    return list(PAPERS).index(paper), [(int(number), letters) for number, letters in re.findall(r"(\d+)(\D*)", rest)]


CLAIMS = {claim.id: claim for claim in sorted(
    (*counted.CLAIMS, *trained.CLAIMS, *afterwards.CLAIMS, *arora.CLAIMS, *out_of_reach.CLAIMS), key=_place)}


def settle(ids: Sequence[str], grids: Sequence[Grid] = ()) -> list[Settled]:
    """Measures claims; those of a study need its grid among `grids`. Raises BadInput for a claim that is none."""
    by_study = {grid.study.name: grid for grid in grids}
    for name in ids:
        if name not in CLAIMS:
            raise unknown("claim", name, CLAIMS)
    found = []
    for claim in map(CLAIMS.__getitem__, ids):
        if claim.measure is None or (claim.study is not None and claim.study not in by_study):
            found.append(Settled(claim, None))
        else:
            found.append(Settled(claim, claim.measure(*() if claim.study is None else (by_study[claim.study],))))
    return found
