"""profiles/*.yaml: what a build trains and with which parameters. No torch."""
from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from replication import paths
from replication.errors import BadInput, check, unknown
from replication.studies import estimate
from replication.studies.grid import STUDIES
from replication.studies.setting import Setting, setting


@dataclass(frozen=True)
class Profile:
    """profiles/<name>.yaml: the parameters every notebook and run of a build gets, and the studies it trains, first
    things first, each with the parameters that are other for it, and `only`: of a study, the arms that it trains, those
    of any of these choices, ({"norm": ("bn",)},); one may have fewer `seeds` than the study: {..., "seeds": ("3",)}.

    `budget`: seconds that `make reproduce` trains for at most. A profile that has one is trained two seeds of each
    study first, then a seed of all at a time: what time cuts off is last seeds, then last studies. A study with a
    `turn` of 4 waits until the others had their fourth seed (`turns`, by study)."""
    name: str
    about: str
    parameters: dict[str, Any]
    studies: dict[str, dict[str, Any]]
    only: dict[str, tuple[dict[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    budget: float = math.inf
    turns: dict[str, int] = field(default_factory=dict)

    def given(self, study: str) -> dict[str, Any]:
        """A study's parameters; of one the profile does not list, the profile's own."""
        return {**self.parameters, **self.studies.get(study, {})}

    def setting(self, study: str) -> Setting:
        """What the runs of a study have in common."""
        return setting(**self.given(study))


def profile(name: str, folder: Path = paths.ROOT / "profiles") -> Profile:
    """Reads a profile by its name, or from a file anywhere, "mine/tiny.yaml"; "auto" is gpu where the machine has one.
    Raises BadInput for one that is not there."""
    if name == "auto":
        name = "gpu" if (folder / "gpu.yaml").exists() and shutil.which("nvidia-smi") else "cpu"
    path = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file():
        if path == Path(name):
            raise BadInput(f"There is no file {path}: give the path of a profile, or the name of one of {folder}.")
        raise unknown("profile", name, ["auto", *sorted(p.stem for p in folder.glob("*.yaml"))])
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        studies = dict(next(iter(item.items())) if isinstance(item, dict) else (item, {}) for item in held["studies"])
        parts = isinstance(held["about"], str) and isinstance(held["studies"], list) and all(
            isinstance(each, dict) for each in (held["parameters"], *studies.values()))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, StopIteration):
        parts = False
    if not parts:
        raise BadInput(f"{path} is no profile: it must hold 'about' (a line), 'parameters' (names and values) and "
                       f"'studies' (a list of names, each perhaps with parameters of its own); copy profiles/cpu.yaml "
                       f"and change it.")
    for study in studies:
        if study not in STUDIES:
            raise unknown("study", study, STUDIES)
    only = {study: tuple({factor: tuple(map(str, keys if isinstance(keys, list) else [keys]))
                          for factor, keys in choice.items()}
                         for choice in (given["only"] if isinstance(given["only"], list) else [given["only"]]))
            for study, given in studies.items() if given.get("only")}
    own = {study: {key: value for key, value in given.items() if key not in ("only", "turn")}
           for study, given in studies.items()}
    turns = {study: given["turn"] for study, given in studies.items() if "turn" in given}
    for turn in turns.values():
        check("turn", turn, int, 1)
    budget = estimate.seconds(str(held["budget"])) if "budget" in held else math.inf
    return Profile(path.stem, held["about"], held["parameters"], own, only, budget, turns)
