"""profiles/*.yaml: what a build trains and with which parameters. No torch."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replication import paths
from replication.errors import BadInput, check, unknown
from replication.studies import estimate
from replication.studies.grid import STUDIES
from replication.studies.setting import Setting, setting
from replication.studies.values import loaded

PARTS = ("about", "budget", "parameters", "studies")


@dataclass(frozen=True)
class Profile:
    """profiles/<name>.yaml: the parameters every notebook and run of a build gets, and the studies it trains, first
    things first, each with the parameters that are other for it, and `only`: of a study, the arms that it trains, those
    of any of these choices, ({"norm": ("bn",)},); one may have fewer `seeds` than the study: {..., "seeds": ("3",)}.

    `budget`: seconds that `make reproduce` trains for at most. A profile that has one is trained two seeds of each
    study first, then a seed of all at a time: what time cuts off is last seeds, then last studies."""
    name: str
    about: str
    parameters: dict[str, Any]
    studies: dict[str, dict[str, Any]]
    only: dict[str, tuple[dict[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    budget: float = math.inf

    def given(self, study: str) -> dict[str, Any]:
        """A study's parameters; of one the profile does not list, the profile's own."""
        return {**self.parameters, **self.studies.get(study, {})}

    def setting(self, study: str) -> Setting:
        """What the runs of a study have in common."""
        return setting(**self.given(study))


def profile(name: str, folder: Path = paths.ROOT / "profiles") -> Profile:
    """Reads a profile by its name, or from a file anywhere, "mine/tiny.yaml"; "auto" is gpu where training would choose
    one. Raises BadInput for one that is not there, or that does not say what it seems to."""
    check("profile", name, str)
    if name == "auto":
        name = "gpu" if (folder / "gpu.yaml").exists() and _trains_on_gpu() else "cpu"
    path = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file():
        if path == Path(name):
            raise BadInput(f"There is no file {path}: give the path of a profile, or the name of one of {folder}.")
        raise unknown("profile", name, ["auto", *sorted(p.stem for p in folder.glob("*.yaml"))])
    held = loaded(path)
    if not (isinstance(held, dict) and isinstance(held.get("about"), str) and isinstance(held.get("studies"), list)
            and isinstance(held.get("parameters"), dict)):
        raise BadInput(f"{path} is no profile: it must hold 'about' (a line), 'parameters' (names and values) and "
                       f"'studies' (a list of names, each perhaps with parameters of its own); copy profiles/cpu.yaml "
                       f"and change it.")
    for part in held:
        if part not in PARTS:
            raise unknown(f"part of {path}:", part, PARTS)
    studies = _studies(path, held["studies"])
    for name in {key for given in (held["parameters"], *studies.values()) for key in given}:
        if not isinstance(name, str):
            raise BadInput(f"{path}: {name!r} is no parameter's name.")
    only = {study: _choices(path, study, given["only"]) for study, given in studies.items()
            if given.get("only") is not None}
    own = {study: {key: value for key, value in given.items() if key != "only"}
           for study, given in studies.items()}
    budget = estimate.seconds(str(held["budget"])) if "budget" in held else math.inf
    return Profile(path.stem, held["about"], held["parameters"], own, only, budget)


def _trains_on_gpu() -> bool:
    """As training decides: a driver's program may be there and no GPU that works. Waits for torch; where there is none
    to train with, there is no GPU either."""
    try:
        from replication.training.device import device
    except ModuleNotFoundError:
        return False
    return device() == "cuda"


def _studies(path: Path, listed: list[Any]) -> dict[str, dict[str, Any]]:
    """The studies a profile lists, each with its own parameters. Raises BadInput for what is none, or none of ours."""
    found: dict[str, dict[str, Any]] = {}
    for item in listed:
        pairs = {item: {}} if isinstance(item, str) else item
        if not isinstance(pairs, dict) or [isinstance(given, dict | None) for given in pairs.values()] != [True]:
            raise BadInput(f"{path}: {item!r} in 'studies' is no study; write each as '- NAME', or as '- NAME: "
                           f"{{PARAMETER: VALUE}}'.")
        (name, given), = pairs.items()
        if name not in STUDIES:
            raise unknown("study", name, STUDIES)
        if name in found:
            raise BadInput(f"{path} lists the study {name} twice: leave one, with what both say.")
        found[name] = given or {}
    return found


def _choices(path: Path, study: str, only: Any) -> tuple[dict[str, tuple[str, ...]], ...]:
    """The arms a profile trains of a study. Raises BadInput for what chooses none."""
    found = []
    for choice in only if isinstance(only, list) and only else [only]:
        if not (isinstance(choice, dict) and choice) or [] in choice.values():
            raise BadInput(f"{path}: {choice!r} in 'only' of {study} chooses no arms; write {{FACTOR: [ARM, ARM]}}.")
        if "seeds" in choice:
            check(f"{path}: seeds in 'only' of {study}", choice["seeds"], int, 1)
        found.append({factor: tuple(map(str, keys if isinstance(keys, list) else [keys]))
                      for factor, keys in choice.items()})
    return tuple(found)
