"""Every published run is still what some profile's study asks for: an address that moves loses the run behind it."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.studies import profiles, study

# Written down while the runs were published: all addresses of results/runs, and by profile and study those that it
# asks for, as {variant: {seed: address}}.
HELD: dict[str, Any] = json.loads(Path(__file__).with_name("published_addresses.json").read_text(encoding="utf-8"))


def asked(profile: str) -> dict[str, dict[str, str]]:
    """{study: {address: "variant, seed"}} of what a profile asks for now."""
    return {grid.study.name: {cell.address: f"{', '.join(f'{k} {v}' for k, v in cell.keys.items())}, seed {cell.seed}"
                              for cell in grid.cells}
            for grid in study.of_profile(profiles.profile(profile))}


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Tiny-ImageNet that is only partly here would be another set; one that is not here counts as whole."""
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path))


@pytest.mark.parametrize(("profile", "name"), [(profile, name) for profile, studies in HELD["profiles"].items()
                                               for name, variants in studies.items() if variants])
def test_every_published_address_is_still_asked_for(profile: str, name: str) -> None:
    now = asked(profile)[name]
    for variant, seeds in HELD["profiles"][profile][name].items():
        for seed, address in seeds.items():
            assert now.get(address) == f"{variant}, seed {seed}"


def test_every_published_run_is_one_of_them() -> None:
    held = {address for studies in HELD["profiles"].values() for variants in studies.values()
            for seeds in variants.values() for address in seeds.values()}
    assert held == set(HELD["runs"])
    assert held <= {path.parent.name for path in (paths.PUBLISHED / "runs").glob("*/summary.json")}
