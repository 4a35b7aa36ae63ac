"""Each kind of thing that the product writes: what has to be there, and how it comes to be written."""
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ordeal import kills, tiny
from replication import paths, provenance
from replication.benchmarks import harness
from replication.data import registry as sets
from replication.models import weights
from replication.models.build import build
from replication.pages import metrics, publish
from replication.runs import bundle, experiments, store
from replication.studies import profiles, study
from replication.training import checkpoint, logits, loop

NAME = "SGD, LRN, two heads"


def _nothing(place: Path) -> None:
    pass


@dataclass(frozen=True)
class Write:
    """`do` writes, where `prepare` has put what is needed."""
    name: str
    do: Callable[[Path], Any]
    prepare: Callable[[Path], Any] = _nothing


def _run(place: Path) -> None:
    loop.CHECKPOINT_EVERY = 0.0
    tiny.train(NAME, 0)


def _commit(place: Path) -> None:
    experiment = tiny.EXPERIMENTS[NAME]
    store.commit(experiments.address(experiment, 3), experiments.record(experiment, 3),
                 [{"epoch": float(n), "val_error": 0.5} for n in range(200)],
                 {"status": "done", "val_error": 0.5, "why": "x" * 9000}, {"commit": "0" * 40})


def _scores(place: Path) -> None:
    logits.keep(store.logits("0123456789ab"), logits.Scores({"main": np.zeros((2000, 10), np.float32)},
                                                            np.zeros(2000, np.int64), "x"))


def _page(place: Path) -> None:
    provenance.collect = lambda **more: dict(more)  # type: ignore[assignment]
    metrics.write_page("tiny", numbers="x" * 9000)


def _table(place: Path) -> None:
    torch.manual_seed(0)
    harness.write(paths.mine() / "tables" / "bench-x.csv", [{"device": "x", "utc": "1"}] * 500, ["device", "utc"])


def _weights(place: Path) -> None:
    provenance.collect = lambda **more: {"commit": None, "dirty": False}  # type: ignore[assignment]
    torch.manual_seed(0)
    weights.save(build(tiny.EXPERIMENTS[NAME].network), place / "mine" / "x.safetensors")


PROFILE = ("about: a test\nparameters: {images: 40, val_images: 20, width: 0.125, epochs: 1, batch: 20, seeds: 1, "
           "resolution: 32}\nstudies: [v1.gradient]\n")


def published(place: Path) -> None:
    """A profile of one's own, finished, by code that was committed; what is published lies beside the store."""
    _as_committed(place)
    (place / "tiny.yaml").write_text(PROFILE)
    for grid in study.of_profile(profiles.profile(str(place / "tiny.yaml"))):
        for cell in grid.cells:
            store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [
                {"epoch": 0.0, "val_error": 0.5, "grad_main": 1.0}], {"status": "done", "val_error": 0.5},
                {"commit": "0" * 40, "dirty": False, "seconds": 1.0})


def _as_committed(place: Path) -> None:
    """As if this code were committed; nothing is published but what is put below `place`."""
    paths.PUBLISHED = place / "results"
    (place / "results").mkdir(exist_ok=True)
    provenance.collect = lambda **more: {"commit": "0" * 40, "dirty": False, **more}  # type: ignore[assignment]


def publishes(place: Path) -> None:
    _as_committed(place)
    path = str(place / "tiny.yaml")
    whole = publish.profile_of
    # runs that any profile asks for are taken over: here this one is the only one
    publish.profile_of = lambda name: whole(path)  # type: ignore[assignment]
    publish.study.stored = lambda *_: study.of_profile(whole(path))[0]  # type: ignore[assignment]
    publish.publish(whole(path))


def _notebook(place: Path) -> int:
    sys.path.insert(0, str(paths.ROOT / "book" / "_tools"))
    import execute
    _, error = execute.run(place / "tiny.ipynb", {})
    print(error, file=sys.stderr)
    return 2 if error else 0


def _written(place: Path) -> None:
    import nbformat
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('x' * 9000)", id="c0")])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, place / "tiny.ipynb")


def writes(web: Any) -> list[Write]:
    return [
        Write("a run, from lease to commit", _run), Write("a commit", _commit),
        Write("a checkpoint", lambda place: checkpoint.save(store.checkpoint("x"), {"a": torch.zeros(50_000)})),
        Write("logits", _scores), Write("a page's numbers", _page), Write("a table of speed", _table),
        Write("weights to a file", _weights),
        Write("a bundle", lambda place: bundle.pack(place / "bundle.tar"), kills.half_trained),
        Write("an import", kills.unpacked, kills.brought),
        Write("decoded images", lambda place: tiny.decode(f"folder:{place / 'pictures'}"),
              lambda place: tiny.pictures(place / "pictures")),
        Write("the note of a folder", lambda place: sets.resolve(f"folder:{place / 'pictures'}"),
              lambda place: tiny.pictures(place / "pictures")),
        Write("the index of shards", lambda place: tiny.decode("imagenet"),
              lambda place: tiny.shards(place / "data" / "imagenet")),
        Write("a download", partial(kills.fetched, web), kills.archived),
        Write("what is published", publishes, published)]


NOTEBOOK = Write("an executed notebook", _notebook, _written)
