"""What trained networks still have to say: more views, several networks, other heads, linear probes, how sure they are.

Measured where the weights are and kept as tables, `tables/afterwards*.csv`, which are published; errors in per cent,
differences in points. No torch before something is measured.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication import checked, paths, provenance, stats
from replication.runs import store
from replication.studies.study import Cell, Grid
from replication.training import calibration, logits
from replication.training.logits import Scores

NETWORKS = 7  # V1 §7's ensemble
FIRST = 1000  # validation images of which all 144 views are looked at; the others are taken of all images
PROBED = ("4a", "4d")
FITTED = 4000  # training images at most to which a probe is fitted

Points = NDArray[np.float64]


def measure(start: Grid, aux: Grid) -> None:
    """Writes what the runs of v1.start and v1.aux give to the tables of your store: of each study only where the
    weights of all its finished runs are here, for elsewhere the stored tables say it. What is kept of runs that have
    been looked at before is read (`members`)."""
    arms = {arm: _finished(start, start=arm)[:NETWORKS] for arm in start.study.factors["start"]}
    if arms["own"] and _here([cell for cells in arms.values() for cell in cells]):
        _write(_of_start(arms))
    probed = [cell for arm in ("none", "4a+4d") for cell in _finished(aux, norm="bn", aux=arm)]
    if probed and _here(probed):
        _write(_of_aux(probed))


def measure_confidence(smoothing: Grid) -> None:
    """Writes how sure the networks of v3.smoothing are, and how often right, to the table "reliability" of your store:
    of each finished run whose weights are here. Lines of its other runs stay as they are stored."""
    here = [cell for cell in _finished(smoothing) if _here([cell])]
    if here:
        known = table(smoothing, "reliability")
        rest = known[~known.addresses.isin([cell.address for cell in here])]
        _write({"reliability": pd.concat([*([rest] if len(rest) else []), *map(_of_confidence, here)])})


def table(grid: Grid, part: str = "") -> pd.DataFrame:
    """`tables/afterwards-<part>.csv`, yours before the published one: the rows whose runs are all finished ones of the
    grid, since others tell of another setting."""
    runs, found = set(grid.summary().get("address", ())), _stored(part)
    return found[[set(addresses.split()) <= runs for addresses in found.addresses]] if len(found) else found


def _finished(grid: Grid, **keys: str) -> list[Cell]:
    """The runs of an arm that came to a number, by seed."""
    cells = [cell for cell in grid.cells if keys.items() <= cell.keys.items()]
    return [cell for cell in cells if (run := store.find(cell.address)) and run.summary.get("status") == "done"]


def _here(cells: Sequence[Cell]) -> bool:
    return all(store.weights(cell.address).exists() for cell in cells)


# -- v1.start -----------------------------------------------------------------------------------------------------
def _of_start(arms: dict[str, list[Cell]]) -> dict[str, pd.DataFrame]:
    """The tables by part."""
    from replication.training.members import by_rule, member

    one = {arm: [member(cell.experiment, cell.seed) for cell in cells] for arm, cells in arms.items()}
    everything = len(one["own"][0].labels)
    few = min(FIRST, everything)
    two = [member(cell.experiment, cell.seed, 2) for cell in arms["own"]]
    ten = [by_rule(cell.experiment, cell.seed, 10, everything) for cell in arms["own"]]
    many = [by_rule(cell.experiment, cell.seed, 144, few) for cell in arms["own"]]

    own = {"addresses": _addresses(arms["own"])}
    looked = [(arm, 1, members) for arm, members in one.items() if members]
    looked += [("own", 2, two), ("own", 10, ten), ("own", 144, many)]
    if few < everything:
        looked += [("own", views, _first(members, few)) for views, members in ((1, one["own"]), (2, two), (10, ten))]
    crops = pd.concat([_expected(members).assign(
        start=arm, views=views, images=len(members[0].labels), addresses=_addresses(arms[arm]))
        for arm, views, members in looked])
    rules = [{"views": views, "rule": rule, "seed": cell.seed, "images": len(said.labels),
              "error": missed(said.logits[_head(rule)], said.labels).mean(), "addresses": cell.address}
             for views, members in ((10, ten), (144, many)) for cell, said in zip(arms["own"], members, strict=True)
             for rule in logits.RULES]
    heads = [{"head": head, "seed": cell.seed, "images": everything, "error": 100 * error, "addresses": cell.address}
             for cell, said in zip(arms["own"], one["own"], strict=True)
             for head, error in logits.heads(said).set_index("head").error.items()]
    found = [{**row, **own} for row in (*of_crops(one["own"], ten, many), *of_heads(one["own"]))]
    if len(arms["own"]) == NETWORKS:
        found += [{**row, **own} for row in of_ensembles(one["own"], ten)]
        for arm, compare in (("same", of_starts), ("wider", of_wider)):
            if len(arms[arm]) == NETWORKS or (arm == "wider" and arms[arm]):
                found.append({**compare(one["own"], one[arm]), "addresses": _addresses([*arms["own"], *arms[arm]])})
    return {"": pd.DataFrame(found), "crops": crops, "rules": pd.DataFrame(rules), "heads": pd.DataFrame(heads)}


def _expected(members: Sequence[Scores]) -> pd.DataFrame:
    """`logits.expected` in per cent."""
    found = logits.expected(members)
    return found.assign(**{name: 100 * found[name] for name in ("error", "lowest", "highest", "error5")})


def missed(said: logits.Logits, labels: NDArray[np.int64]) -> Points:
    """100 for each image that is taken for another class, else 0."""
    return np.where(logits.place(said, labels) > 0, 100.0, 0.0)


def single(members: Sequence[Scores], head: str = "main") -> Points:
    """`missed` of each network alone, (networks, N)."""
    return np.stack([missed(one.logits[head], one.labels) for one in members])


def together(members: Sequence[Scores]) -> Points:
    """`missed` of their mean probabilities, (N,)."""
    return missed(logits.ensemble(members), members[0].labels)


def of_crops(one: Sequence[Scores], ten: Sequence[Scores], many: Sequence[Scores]) -> list[dict[str, Any]]:
    """V1-32 and V1-34: each network is a number, its mean over images; 144 views and what is compared with them are of
    the images that have so many."""
    a, b, maximum, mean = (single(members, head).mean(1) for members, head in (
        (one, "main"), (ten, "main"), (ten, _head("maximum")), (ten, _head("logit mean"))))
    few = len(many[0].labels)
    first, second, third = (single(_first(members, few)).mean(1) for members in (one, ten, many))
    of = partial(_row, images=len(one[0].labels), networks=1)
    return [of("V1-32a", a - b, views="1, 10"),
            of("V1-32b", first - 2 * second + third, views="1, 10, 144", images=few),
            of("V1-32c", second - third, views="10, 144", images=few),
            of("V1-34", maximum - b, views="10"), of("V1-34b", mean - b, views="10")]


def of_heads(one: Sequence[Scores]) -> list[dict[str, Any]]:
    """S2-5: the main head's error less that of each image's most confident head, of the heads' average, and of the head
    that these very images show to be best. Nothing where there is one head alone."""
    tables = [logits.heads(said).set_index("head").error for said in one]
    if len(tables[0]) == 1:
        return []
    best = [table[list(said.logits)].min() for table, said in zip(tables, one, strict=True)]
    of = partial(_row, images=len(one[0].labels), networks=1, views="1")
    main = np.array([table["main"] for table in tables])
    return [of("S2-5a", 100 * (main - [table["most confident"] for table in tables])),
            of("S2-5b", 100 * (main - [table["average"] for table in tables])), of("S2-5c", 100 * (main - best))]


def of_ensembles(one: Sequence[Scores], ten: Sequence[Scores]) -> list[dict[str, Any]]:
    """V1-33, over images: these networks, and others of other images."""
    return [_row("V1-33a", single(one).mean(0) - together(one), "images", networks=len(one), views="1"),
            _row("V1-33b", together(one) - together(ten), "images", networks=len(one), views="1, 10")]


def of_starts(own: Sequence[Scores], same: Sequence[Scores]) -> dict[str, Any]:
    """V1-35, over images: what averaging gains, less what it gains where all start alike."""
    gains = [single(members).mean(0) - together(members) for members in (own, same)]
    return _row("V1-35", gains[0] - gains[1], "images", networks=len(own), views="1")


def of_wider(own: Sequence[Scores], wider: Sequence[Scores]) -> dict[str, Any]:
    """V1-36, over images: the error of all, less the mean over those in which one of them makes way for a wider one."""
    mixed = [together([*own[:out], *own[out + 1:], one]) for out in range(len(own)) for one in wider]
    return _row("V1-36", together(own) - np.mean(mixed, axis=0), "images", networks=len(own), views="1")


def _first(members: Sequence[Scores], few: int) -> list[Scores]:
    """What they say of the first images alone."""
    return [Scores({head: said[:few] for head, said in one.logits.items()}, one.labels[:few], f"first {few}")
            for one in members]


def _head(rule: str) -> str:
    """Of a network's main head by one of logits.RULES (views.by_rule)."""
    return "main" if rule == next(iter(logits.RULES)) else f"main, {rule}"


# -- v1.aux -------------------------------------------------------------------------------------------------------
def _of_aux(cells: Sequence[Cell]) -> dict[str, pd.DataFrame]:
    """The tables by part. Probes that are in your table already, and not of weights before these, are not fitted
    again."""
    from replication.training.probe import probe

    path, known = _path(paths.mine(), "probes"), _stored("probes")
    parts = []
    for cell in cells:
        fresh = path.exists() and path.stat().st_mtime_ns > store.weights(cell.address).stat().st_mtime_ns
        found = known[known.addresses == cell.address] if fresh else known[:0]
        parts.append(found if len(found) else pd.DataFrame([
            {"aux": cell.keys["aux"], "seed": cell.seed, "row": row, "error": 100 * error,
             "images": cell.experiment.data.val_images, "addresses": cell.address}
            for row, error in probe(cell.experiment, cell.seed, PROBED, FITTED).items()]))
    table = pd.concat(parts)
    return {"": pd.DataFrame(of_probes(table)), "probes": table}


def of_probes(table: pd.DataFrame) -> list[dict[str, Any]]:
    """V1-24: the mean error of a run's probes, without heads less with both, with Welch's interval. Nothing before two
    runs of each."""
    runs = table.groupby(["aux", "seed"]).error.mean()
    none, both = (runs[runs.index.get_level_values("aux") == arm].to_numpy() for arm in ("none", "4a+4d"))
    if min(len(none), len(both)) < 2:
        return []
    of = stats.welch(none, both)
    return [{"id": "V1-24", **asdict(of), "images": table.images.iloc[0], "networks": 1, "views": "1",
             "addresses": " ".join(table.addresses.unique())}]


# -- v3.smoothing -------------------------------------------------------------------------------------------------
def _of_confidence(cell: Cell) -> pd.DataFrame:
    """`calibration.reliability` of a run in bins of one width."""
    from replication.training.members import member

    said = member(cell.experiment, cell.seed)
    found = calibration.reliability(said.logits["main"], said.labels, calibration.equal_width())
    return found.assign(smoothing=cell.keys["smoothing"], seed=cell.seed, addresses=cell.address)


# -- tables -------------------------------------------------------------------------------------------------------
def _row(name: str, values: Points, of: str = "seeds", **more: Any) -> dict[str, Any]:
    """The mean of numbers, one a seed or one an image, with Student's interval of 95 %."""
    found = replace(stats.mean(values), of=of)
    return {"id": name, **asdict(found), "images": found.n if of == "images" else None, **more}


def _addresses(cells: Iterable[Cell]) -> str:
    return " ".join(cell.address for cell in cells)


def _path(place: Path, part: str) -> Path:
    return place / "tables" / f"afterwards{f'-{part}' if part else ''}.csv"


def _stored(part: str) -> pd.DataFrame:
    for place in paths.stores():
        if (path := _path(place, part)).exists():
            return checked.read(path, dtype={"addresses": str, "commit": str})  # "0123e5678901" is no number
    return pd.DataFrame(columns=["id", "addresses"])


def _write(tables: dict[str, pd.DataFrame]) -> None:
    """Each table with where it was made; quantities of the other study stay as they are."""
    from replication.training.device import device_name

    made = provenance.collect()
    where = {"device": device_name(), "processor": made["processor"],
             "commit": provenance.commit(made)}
    for part, table in tables.items():
        if table.empty:
            continue
        new = table.assign(**{name: table[name].fillna(value) if name in table else value
                              for name, value in where.items()})  # what was kept says itself where it was made
        if not part and len(before := _stored(part)):
            new = pd.concat([before[~before.id.isin(new.id)], new])
        path = _path(paths.mine(), part)
        try:
            checked.write(path, new.to_csv(index=False))
        except OSError as problem:
            raise store.full(path, problem) from problem
