"""Which units of trained networks correlate, beside the same networks untrained: measured where the weights are and
kept as tables, `tables/correlations-*.csv`, which are published. No torch before something is measured."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from replication import checked, paths, provenance
from replication.models import ops
from replication.runs import store
from replication.studies.study import Cell, Grid

NETWORKS = 4  # runs of a study that are looked at
PARTS = ("rings", "modules")


def measure(grid: Grid) -> None:
    """Writes what the first finished runs of a grid give to the tables of your store: of each whose weights are here
    and whose lines are not. Lines of other runs stay as they are stored."""
    cells = [cell for cell in grid.cells if store.exists(cell.address)]
    for cell in cells[:NETWORKS]:
        if store.weights(cell.address).exists() and not _fresh(cell):
            for part, rows in _look(cell).items():
                known = _stored(part)
                rest = known[known.addresses != cell.address]
                table = pd.DataFrame(rows).assign(seed=cell.seed, addresses=cell.address, **_where())
                checked.write(_path(paths.mine(), part),
                              pd.concat([*([rest] if len(rest) else []), table]).to_csv(index=False))


def table(grid: Grid, part: str) -> pd.DataFrame:
    """`tables/correlations-<part>.csv`, yours before the published one: the rows of the grid's finished runs.

    rings: `row`, `trained`, `ring`, `strong`, `own` (training.correlation.by_ring), `side` of the map of one image.
    modules: `row`, `trained`, `index` (branches_found), and of what comes into the module `n1`, `n3`, `n5` (groups)."""
    found = _stored(part)
    return found[found.addresses.isin(set(grid.summary().get("address", ())))]


def _look(cell: Cell) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables, by part."""
    import numpy as np

    from replication.data.load import load
    from replication.data.transforms import evaluate_view
    from replication.training import correlation, members

    network = members.network(cell.experiment, cell.seed)
    val = load(cell.experiment.data).val.images
    images = evaluate_view(val[:9 * correlation.CANVASES], cell.experiment.recipe.augment)
    seen = correlation.canvases(images)
    control = correlation.untrained(network, images, correlation.CONTROL + cell.seed)
    modules = {row.name: row.op for row in cell.experiment.network.rows
               if isinstance(row.op, (ops.Inception, ops.Split))}
    found: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    for one, trained in ((network, True), (control, False)):
        rng = np.random.default_rng(cell.seed)
        before = seen.numpy()
        for row, of in correlation.maps(one, seen):
            if row in modules:
                said = {"row": row, "trained": trained}
                found["rings"] += [{**said, **ring, "side": of.shape[2] // 3} for ring in correlation.by_ring(of, rng)]
                come = correlation.groups(before, rng)
                found["modules"].append({
                    **said, "index": correlation.branches_found(of, _branches(modules[row], of.shape[1])),
                    **{f"n{side}": number for side, number in come.items()}})
            before = of
    return found


def _branches(op: Any, channels: int) -> Any:
    """The number of the branch of each channel that a module gives."""
    import numpy as np

    split = op.split() if isinstance(op, ops.Inception) else op
    wide = [branch[-1].out if isinstance(branch[-1], ops.Conv) else 0 for branch in split.branches]
    wide[wide.index(0) if 0 in wide else -1] += channels - sum(wide)  # a pool gives what comes in
    return np.repeat(np.arange(len(wide)), wide)


def _fresh(cell: Cell) -> bool:
    """Whether your own tables tell of these very weights."""
    return all((path := _path(paths.mine(), part)).exists()
               and path.stat().st_mtime_ns > store.weights(cell.address).stat().st_mtime_ns
               and (_stored(part).addresses == cell.address).any() for part in PARTS)


def _where() -> dict[str, str]:
    made = provenance.collect()
    return {"processor": made["processor"],
            "commit": provenance.commit(made)}


def _path(place: Path, part: str) -> Path:
    return place / "tables" / f"correlations-{part}.csv"


def _stored(part: str) -> pd.DataFrame:
    for place in paths.stores():
        if (path := _path(place, part)).exists():
            return checked.read(path, dtype={"addresses": str, "commit": str})
    return pd.DataFrame(columns=["row", "trained", "addresses"])
