"""Labels are for people: whatever they are, every address, frame and verdict stays as it is."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from replication import paths
from replication.pages import aux_heads, claims
from replication.pages.claim import NOT_RUN
from replication.studies import grid, study

MEASURED = [name for name, claim in claims.CLAIMS.items() if claim.study is not None]
HERE = {"V1-23a", "V1-23b", "V1-25a", "V1-25b", "V3-13", "V3-14", "V3-15"}  # on the runs of the two studies


@pytest.fixture(autouse=True)
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of results/, and no data set that is only partly here."""
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path))
    monkeypatch.delenv("REPLICATION_READ", raising=False)


def found(profile: str) -> dict[str, Any]:
    """All that the store says of a profile's two small studies, and what the claims make of it."""
    grids = [study.stored(name, profile) for name in ("v1.aux", "v1.gradient")]
    return {"addresses": [[(cell.address, cell.keys) for cell in each.cells] for each in grids],
            "frames": [frame for each in grids for frame in (each.history(), each.summary(), each.by_radius())],
            "claims": [(each.claim.id, each.interval, each.verdict) for each in claims.settle(MEASURED, grids)],
            "numbers": aux_heads.numbers(*grids),
            "variants": [[name for name, _ in each.variants()] for each in grids],
            "labels": [each.errors() for each in grids]}


@pytest.mark.parametrize("profile", ["worth", "photographs"])
def test_no_label_is_read_by_what_counts(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = found(profile)
    assert (paths.PUBLISHED / "runs").is_dir()
    assert {name for name, _, verdict in before["claims"] if verdict != NOT_RUN} >= HERE
    monkeypatch.setattr(grid, "STUDIES", {name: replace(each, factors={
        factor: {key: replace(arm, label=f"x{n}") for n, (key, arm) in enumerate(arms.items(), 1)}
        for factor, arms in each.factors.items()}) for name, each in grid.STUDIES.items()})
    after = found(profile)
    for one, two in zip(before["frames"], after["frames"], strict=True):
        pd.testing.assert_frame_equal(one, two)
    for name in ("addresses", "claims", "numbers", "variants"):
        assert str(after[name]) == str(before[name]), name  # nan is itself here
    assert not before["frames"][0].empty
    for one, two in zip(before["labels"], after["labels"], strict=True):  # they were renamed
        assert set(two[two.columns[1]]) == {f"x{n}" for n in range(1, one[one.columns[1]].nunique() + 1)}
