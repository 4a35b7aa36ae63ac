"""A store that a newer version wrote: what it can read it reads, of the rest it says so, and nothing is lost."""
from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ordeal import forked, kills, sentence, tiny, writes
from ordeal.report import Result, result
from replication import paths
from replication.__main__ import main
from replication.runs import bundle, experiments, store

NAME, SEED = "SGD, LRN, two heads", 1  # that kills.half_trained stores
BEGUN = ("RMSProp, BN, averaged", 2)


def _address(name: str, seed: int) -> str:
    return experiments.address(tiny.EXPERIMENTS[name], seed)


def _newer(place: Path) -> None:
    """The stored run, as format 2."""
    _as_newer(store.folder(_address(NAME, SEED)))


def _as_newer(folder: Path) -> None:
    """A newer version seals it in its own way."""
    for name, more in (("summary.json", {"format": 2}), ("provenance.json", {"seal": None})):
        held = {**json.loads((folder / name).read_text()), **more}
        (folder / name).write_text(json.dumps({key: value for key, value in held.items() if value is not None}))


def _state(place: Path) -> None:
    """The checkpoint, with a field that this version does not know."""
    path = store.checkpoint(_address(*BEGUN))
    held = torch.load(path, weights_only=True)
    torch.save({**held, "state": {**held["state"], "mood": 1}}, path)


def _packed(place: Path) -> None:
    _newer(place)
    with contextlib.suppress(Exception):  # a version that packs what it cannot read is another case
        original, store.FORMAT = store.FORMAT, 2
        bundle.pack(place / "bundle.tar")
        store.FORMAT = original
    import shutil
    shutil.rmtree(paths.mine())


def _verb(line: str) -> Callable[[Path], Any]:
    return lambda place: main(shlex.split(line.replace("…", str(place))))


CASES: list[tuple[str, Callable[[Path], Any], Callable[[Path], Any], tuple[int, ...]]] = [
    ("reading its run", _newer, lambda place: store.find(_address(NAME, SEED)), (2,)),
    ("training its run again", _newer, lambda place: tiny.train(NAME, SEED), (2,)),
    ("reading all runs", _newer, lambda place: store.everything(paths.mine()), (0,)),
    ("packing all runs", _newer, lambda place: bundle.pack(place / "bundle.tar"), (0,)),
    ("listing", _newer, _verb("list --network googlenet --set images=40 --set val_images=20"), (0,)),
    ("importing its bundle", _packed, lambda place: bundle.unpack([place / "bundle.tar"]), (2,)),
    ("going on from its checkpoint", _state, lambda place: tiny.train(*BEGUN), (0,)),
    ("importing its checkpoint", lambda place: (_state(place), store.checkpoint(_address(*BEGUN)).rename(
        place / f"bundle.{_address(*BEGUN)}.pt")), lambda place: bundle.unpack(
        [place / f"bundle.{_address(*BEGUN)}.pt"]), (0, 2)),
]


def run(jobs: int) -> list[Result]:
    with forked.scratch() as place:
        found = forked.lanes([(place / f"{n}", *case) for n, case in enumerate(CASES)], lambda one: _case(*one), jobs)
        return [*found, _published(place / "published")]


def _case(place: Path, name: str, spoil: Callable[[Path], Any], do: Callable[[Path], Any], codes: tuple[int, ...],
          ) -> Result:
    place.mkdir()
    env = forked.store_at(place)
    made = forked.run(lambda: (kills.half_trained(place), spoil(place)), env)
    if made.code:
        return result("newer version", name, "it cannot be prepared", made.said[-400:])
    before = tiny.bits(place)
    ended = forked.run(lambda: do(place), env)
    after = tiny.bits(place)
    begun = f"out/checkpoints/{_address(*BEGUN)}.pt"
    lost = [each for each in before if after.get(each) != before[each] and each != begun]
    wrong = _wrong(ended.said)
    wrong = wrong if ended.code in codes else f"it ends with {ended.code}"
    return result("newer version", name, wrong or (f"{lost[0]} is lost or changed" if lost else ""),
                  ended.said.strip().replace(str(place), "…")[-500:], ended.seconds)


def _published(place: Path) -> Result:
    """Publishing a store in which one run is of a newer version."""
    place.mkdir()
    env = forked.store_at(place)

    def spoil() -> None:
        writes.published(place)
        _as_newer(sorted((paths.mine() / "runs").glob("*/summary.json"))[0].parent)

    made = forked.run(spoil, env)
    ended = forked.run(lambda: writes.publishes(place), env)
    wrong = "it cannot be prepared" if made.code else "" if ended.code in (0, 2) else f"it ends with {ended.code}"
    return result("newer version", "publishing", wrong or (_wrong(ended.said)),
                  (made.said or ended.said).strip().replace(str(place), "…")[-500:], ended.seconds)


def _wrong(said: str) -> str:
    """Of warnings, each a line."""
    return next(filter(None, map(sentence.wrong, said.strip().splitlines())), "")
