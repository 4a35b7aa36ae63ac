"""What was counted in Tiny-ImageNet and in FSDD (`data.examined`), and what errors are without the validation images
that no network can be blamed for. Measured where the images are and kept as tables, `tables/images-*.csv`, which are
published. No torch before something is measured."""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from replication import files, paths, provenance
from replication.data import speech, subset, tiny_imagenet
from replication.errors import BadInput
from replication.runs import store
from replication.studies.study import Cell, Grid

TINY, FSDD = tiny_imagenet.NAME, "fsdd"
OUTSIDE, TWIN, NEAR, GREY = "object outside", "twin in train", "near twin in train", "grey"
EXACT = 2.0  # in place of the correlation of two images, which is at most 1, while they are sorted
KEPT = 0.95  # of a recording's energy, below which something of the word is lost
LEFT_OUT = (OUTSIDE, TWIN, NEAR)  # what is grey can be told all the same
FACTS = {TINY: f"facts-{TINY}", FSDD: f"facts-{FSDD}"}  # a table a set: who has one set counts that alone
COLUMNS = {**{part: ["what", "value", "content", "form", "commit"] for part in FACTS.values()},
           "pairs": ["between", "file_a", "wnid_a", "file_b", "wnid_b", "relation", "r"],
           "val": ["file", "wnid", "why"], "speakers": ["speaker"], "long": ["file"],
           "errors": ["address", "images", "left", "error", "clean"]}


# -- counting ------------------------------------------------------------------------------------------------------
def measure() -> None:
    """Counts what is here of the two sets into the tables of your store: each set that is whole and was not counted
    yet. Raises BadInput as the sets' readers do, and where the disk is full."""
    for name, content, count in ((TINY, _whole_tiny(), _tiny), (FSDD, _whole_fsdd(), _fsdd)):
        if content and not _counted(name, content):
            _write(name, content, *count())


def here(name: str) -> bool:
    """Whether the numbers of a set were counted on this machine, from the very set that is there."""
    content = _whole_tiny() if name == TINY else _whole_fsdd()
    return content is not None and _counted(name, content)


def table(part: str) -> pd.DataFrame:
    """`tables/images-<part>.csv`, yours before the published one; without rows where there is none.

    facts-<set>: `what`, `value`. pairs: two images and their `relation`. val: validation images with `why` they are
    listed. speakers, long: of FSDD, a row a speaker, and a row a recording longer than a second. errors: of runs."""
    for place in paths.stores():
        if (path := _path(place, part)).exists():
            return pd.read_csv(path, dtype={"address": str, "content": str, "commit": str})
    return pd.DataFrame(columns=COLUMNS[part])


def _path(place: Path, part: str) -> Path:
    return place / "tables" / f"images-{part}.csv"


def _whole_tiny() -> str | None:
    """A digest of its files where all of the official set is here."""
    if not tiny_imagenet.root().is_dir():
        return None
    listing = tiny_imagenet.read()
    return listing.content if tiny_imagenet.content(listing) is None else None


def _whole_fsdd() -> str | None:
    if not speech.root(FSDD).is_dir() or speech.read(FSDD, (speech.MIXED,)).content is not None:
        return None
    return speech.FSDD


def _counted(name: str, content: str) -> bool:
    from replication.data import examined  # Pillow

    path = _path(paths.mine(), FACTS[name])
    if not path.exists():
        return False
    of = pd.read_csv(path, dtype={"content": str})
    return bool(((of.content == content) & (of.form == examined.FORM)).any())


def _write(name: str, content: str, facts: dict[str, float], tables: dict[str, pd.DataFrame]) -> None:
    """The facts come last, since they say that all the others are there."""
    from replication.data import examined

    commit = provenance.commit(provenance.collect())
    known = pd.DataFrame([{"what": what, "value": value, "content": content, "form": examined.FORM, "commit": commit}
                          for what, value in facts.items()])
    for part, rows in {**tables, FACTS[name]: known}.items():
        path = _path(paths.mine(), part)
        try:
            files.write(path, rows.to_csv(index=False, float_format="%.6g"))
        except OSError as problem:
            raise store.full(path, problem) from problem


def _tiny() -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    from replication.data import examined

    return counted(examined.photographs())


def counted(of: Any) -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    """The facts and tables of some `examined.Photographs`."""
    from replication.data import examined

    train, val = of.of("train"), of.of("val")
    facts: dict[str, float] = {}
    for split, images in (("train", train), ("val", val)):
        facts |= {f"{split} images": len(images), f"{split} grey files": (images.stored == examined.FILE_GREY).sum(),
                  f"{split} grey pixels": (images.stored == examined.PIXEL_GREY).sum(),
                  f"{split} outside": images.outside.sum(),
                  f"{split} whole": 100 * (images.whole >= tiny_imagenet.IOU).mean(),
                  f"{split} box": 100 * images.whole.mean()}
    same, alike = examined.twins(of), examined.alike(of)
    pairs = _pairs(of.images, same, alike)
    exact, across = pairs.relation == examined.SAME, pairs.between == "train/val"
    facts |= {"twins across": (exact & across).sum(),
              "twins in train": (exact & (pairs.between == "train/train")).sum(),
              "twins in val": (exact & (pairs.between == "val/val")).sum(),
              "twins of two labels": (exact & (pairs.wnid_a != pairs.wnid_b)).sum(),
              "looked at": (~exact & pairs.r.notna()).sum(), "near twins": (pairs.relation == examined.NEAR).sum(),
              "missed": (~exact & pairs.r.isna()).sum(),
              "near twins across": ((pairs.relation == examined.NEAR) & across).sum()}
    listed = _listed(val, pairs)
    misled = pairs[exact & across & (pairs.wnid_a != pairs.wnid_b)].file_b.nunique()
    facts |= {"misled": misled, "misled points": 100 * misled / len(val)}
    few = min(examined.JUDGED, len(val))
    first = val.file.str.extract(r"(\d+)")[0].astype(int).to_numpy().argsort(kind="stable")[:few]
    found = examined.nearest(of.pixels[0], of.pixels[1][first])
    right = train.wnid.to_numpy()[found] == val.wnid.to_numpy()[first]
    facts |= {"nearest judged": few, "nearest right": right.sum(), "nearest": 100 * right.mean(),
              "left out": listed[listed.why.isin(LEFT_OUT)].file.nunique()}
    return {what: float(value) for what, value in facts.items()}, {"pairs": pairs, "val": listed}


def _pairs(images: pd.DataFrame, same: pd.DataFrame, alike: pd.DataFrame) -> pd.DataFrame:
    """Exact twins first; then what looks alike, the surest first, with what eyes saw in it; last what eyes know and
    the rule misses, without `r`."""
    from replication.data import examined

    found: dict[tuple[int, int], float] = dict(zip(zip(alike.a, alike.b, strict=True), alike.r, strict=True))
    found |= dict.fromkeys(zip(same.a, same.b, strict=True), EXACT)
    at = {file: position for position, file in enumerate(images.file)}
    seen = {(min(at[a], at[b]), max(at[a], at[b])) for a, b in examined.SEEN if {a, b} <= at.keys()}
    found = dict.fromkeys(sorted(seen), math.nan) | found
    rows = []
    for (a, b), r in found.items():
        one, two = images.loc[a], images.loc[b]
        relation = examined.SAME if r == EXACT else examined.NEAR if (a, b) in seen else examined.OTHER
        rows.append({"between": f"{one.split}/{two.split}", "file_a": one.file, "wnid_a": one.wnid,
                     "file_b": two.file, "wnid_b": two.wnid, "relation": relation, "r": r})
    table = pd.DataFrame(rows, columns=COLUMNS["pairs"])
    table = table.sort_values(["r", "between", "file_a", "file_b"], ascending=[False, True, True, True])
    return table.assign(r=table.r.clip(upper=1)).reset_index(drop=True)


def _listed(val: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Validation images and why they are listed, a row a reason."""
    from replication.data import examined

    across = pairs[pairs.between == "train/val"]
    reasons = ((OUTSIDE, val.file[val.outside]), (TWIN, across.file_b[across.relation == examined.SAME]),
               (NEAR, across.file_b[across.relation == examined.NEAR]), (GREY, val.file[val.stored != examined.COLOUR]))
    wnids = val.set_index("file").wnid
    return pd.DataFrame([{"file": file, "wnid": wnids[file], "why": why} for why, of in reasons
                         for file in sorted(set(of), key=lambda name: (len(name), name))], columns=COLUMNS["val"])


def _fsdd() -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    from replication.data import examined

    return spoken(examined.recordings())


def spoken(of: pd.DataFrame) -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    """The facts and tables of `examined.recordings`."""
    from replication.data import examined

    long = of[of.seconds > 1]
    speakers = of.groupby("speaker").agg(
        recordings=("file", "size"), seconds=("seconds", "mean"), shortest=("seconds", "min"),
        longest=("seconds", "max"), long=("seconds", lambda seconds: int((seconds > 1).sum())), mean=("mean", "mean"),
        step=("step", "min"), loud=("loud", "median"), floor=("floor", "median")).reset_index()
    facts = {"recordings": len(of), "speakers": of.speaker.nunique(), "shortest": of.seconds.min(),
             "longest": of.seconds.max(), "long": len(long), "cut by the middle second": (of.middle < KEPT).sum(),
             "least in the middle second": 100 * of.middle.min(),
             "cut by the loudest second": (of.loudest < KEPT).sum(),
             "least in the loudest second": 100 * of.loudest.min(), "told apart": 100 * examined.told_apart(of)}
    shown = long[["file", "seconds", "middle", "loudest"]].sort_values("middle")
    return {what: float(value) for what, value in facts.items()}, {"speakers": speakers, "long": shown}


# -- errors without them -------------------------------------------------------------------------------------------
def without(names: Iterable[str]) -> Any:
    """Which of these validation images count as well when the others do not: a mask."""
    import numpy as np

    listed = table("val")
    return ~np.isin(list(names), listed.file[listed.why.isin(LEFT_OUT)].to_numpy(str))


def measure_errors(grid: Grid) -> None:
    """Writes the errors of a grid's finished runs, with all validation images and without those that are left out, to
    the tables of your store: of runs on the Tiny-ImageNet that is here whose logits or weights are here. What is stored
    of other runs stays."""
    from replication.training import logits, members

    rows = []
    for cell in (cell for cell in grid.cells if _judges(cell)):
        said = members.member(cell.experiment, cell.seed) if store.weights(cell.address).exists() else (
            logits.read(store.logits(cell.address)))
        rows.append({"address": cell.address, **errors(said, val_files(cell))})
    if rows:
        known = table("errors")
        rest = known[~known.address.isin([row["address"] for row in rows])]
        new = pd.DataFrame(rows)
        files.write(_path(paths.mine(), "errors"), (pd.concat([rest, new]) if len(rest) else new).to_csv(index=False))


def errors(said: Any, names: list[str]) -> dict[str, float]:
    """Of `logits.Scores` of images of these names: how many, how many are left out, and the top-1 error of all and
    without these. Raises BadInput where there are not as many."""
    from replication.training import logits

    if len(names) != len(said.labels):
        raise BadInput(f"There are logits of {len(said.labels)} images and {len(names)} names; delete the logits, and "
                       f"look at the run again.")
    kept, main = without(names), said.logits["main"]
    return {"images": len(names), "left": int((~kept).sum()), "error": logits.errors(main, said.labels)["error"],
            "clean": logits.errors(main[kept], said.labels[kept])["error"]}


def val_files(cell: Cell) -> list[str]:
    """The names of the validation images of a run on Tiny-ImageNet, in the order in which the loader gives them."""
    data, listing = cell.experiment.data, tiny_imagenet.read()
    chosen = subset.evenly(len(listing.classes), data.classes or len(listing.classes))
    return [file.name for file in subset.interleave([listing.val[c] for c in chosen], data.val_images)[0]]


def _judges(cell: Cell) -> bool:
    data = cell.experiment.data
    run = store.find(cell.address) if data.name == TINY and data.part is None else None
    return (run is not None and run.summary.get("status") == "done" and tiny_imagenet.root().is_dir()
            and data.content == tiny_imagenet.content(tiny_imagenet.read())
            and (store.logits(cell.address).exists() or store.weights(cell.address).exists()))


def judged(grid: Grid, clean_val: bool) -> Grid:
    """The grid; with `clean_val` with errors without the images that are left out, of the runs of which they are
    known."""
    if not clean_val:
        return grid
    found = table("errors")
    return replace(grid, judged=dict(zip(found.address, found.clean, strict=True)))
