"""What a page hands on: the numbers its prose quotes and the claims it settles, written and read."""
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from replication import files, paths, provenance, stats
from replication.errors import BadInput
from replication.pages import html
from replication.pages.claim import Claim, Settled
from replication.pages.claims import settle
from replication.pages.measures import Difference, Mean, Share, addresses
from replication.runs import store
from replication.stats import Interval
from replication.studies import estimate
from replication.studies.study import Grid

Record = dict[str, Any]


def write_page(page: str, ids: Sequence[str] = (), grids: Sequence[Grid] = (), measured_on: str = "none: arithmetic",
             **numbers: Any) -> html.Html:
    """Settles a page's claims, writes them with its numbers and provenance, and shows them.

    What is written is `metrics/<page>.json` of your store; prose quotes from it by `{val}`. The first grid's setting
    is the page's. `measured_on`: the device of a page without runs.
    """
    settled = settle(ids, grids)
    runs = pd.concat([grid.summary() for grid in grids]) if grids else pd.DataFrame()
    more: Record = {"parameters": _given(grids[0]) if grids else {}, "device": measured_on}
    if len(runs):
        more |= {"device": ", ".join(sorted(set(runs.device))), "devices": _devices(runs), "runs": len(runs),
                 "seconds": float(runs.seconds.sum()),
                 "run_commits": sorted({commit for commit in runs.commit if commit}),
                 "addresses": sorted(set(runs.address))}
    path = paths.mine() / "metrics" / f"{page}.json"
    studies = {grid.study.name: grid for grid in grids}
    records = {s.claim.id: record(s, studies.get(s.claim.study or "")) for s in settled}
    found = {"provenance": provenance.collect(**more), "claims": records, **_plain(numbers)}
    try:
        files.write(path, files.as_json({**found, "seal": _seal(found)}))
    except OSError as problem:
        raise store.full(path, problem) from problem
    return html.claims_table((s.claim, records[s.claim.id]) for s in settled) if ids else html.Html("")


def pages() -> list[str]:
    """Every page that has handed something on, here or published."""
    return sorted({path.stem for place in (*paths.stores(), paths.PUBLISHED)
                   for path in (place / "metrics").glob("*.json")})


def read(page: str) -> Record | None:
    """A page's numbers, yours before the published ones."""
    return next((found for place in paths.stores() if (found := read_in(place, page))), None)


def read_in(place: Path, page: str) -> Record | None:
    """A page's numbers in one store."""
    path = place / "metrics" / f"{page}.json"
    if not path.exists():
        return None
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as problem:
        raise BadInput(f"{path} is truncated or no JSON: delete it and run the page again.") from problem
    seal = found.pop("seal", None)
    if not found or (seal is not None and seal != _seal(found)):
        raise BadInput(f"{path} holds other numbers than were written there, by its seal: delete it and run the page "
                       f"again.")
    return found


def _seal(found: Record) -> str:
    return files.digest(json.loads(files.as_json(found)))


def _given(grid: Grid) -> Record:
    given = {name: value for name, value in asdict(grid.setting).items() if value not in (None, {})}
    return given if grid.judged is None else {**given, "clean_val": True}  # on other images: nothing to compare with


def _plain(value: Any) -> Any:
    """Numbers of any library as JSON's own, with digits enough to quote."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (bool, str)) or value is None:
        return value
    if not math.isfinite(value):
        return None  # JSON has no other word for it
    return int(value) if float(value).is_integer() and not isinstance(value, float) else round(float(value), 6)


def record(settled: Settled, grid: Grid | None = None) -> Record:
    """What is written of a claim: its verdict and, where there is a measurement, value and interval, and with the
    study's grid, what they rest on."""
    claim, interval = settled.claim, settled.interval
    found: Record = {"unit": claim.unit, "verdict": settled.verdict, "seeds_needed": settled.seeds_needed}
    if interval is not None:
        found |= {name: _plain(float(getattr(interval, name))) for name in ("value", "low", "high")}
        found |= {"n": interval.n} if interval.of == "seeds" else {"n": interval.n, "of": interval.of}
        found |= {} if grid is None else _trained(claim, interval, grid)
    return found


def _trained(claim: Claim, interval: Interval, grid: Grid) -> Record:
    """What a number of trained networks rests on: `seeds` on each side of the comparison and their standard deviation
    `scatter` in its unit, `images` that judge, the `devices` that ran the study, and `under` which setting: a digest,
    the same for more seeds or other ones. A measure that has no sides scatters as its interval says, a ratio by a
    factor; a share of runs has no scatter but its interval. `addresses`: the runs."""
    runs = grid.summary()
    setting = {name: value for name, value in _given(grid).items() if name not in ("seeds", "first_seed")}
    sides = claim.measure.samples(grid) if isinstance(claim.measure, (Difference, Mean)) else ()
    spread = [_plain(float(side.std(ddof=1))) for side in sides]
    if isinstance(claim.measure, Share):
        spread = []
    elif not sides and interval.n > 1:
        sd = stats.spread(claim.scaled_interval(interval))
        spread = [_plain(math.exp(sd) if claim.unit == "×" else sd)]
    return {"under": files.digest(setting), "seeds": [len(side) for side in sides], "scatter": spread,
            "images": int(runs.val_images.max()) if "val_images" in runs else None, "devices": _devices(runs),
            "addresses": addresses(claim.measure, grid)}


def _devices(runs: pd.DataFrame) -> list[str]:
    """The hardware that trained these runs, by its names: not always that which makes the page."""
    made = [run.provenance for address in sorted(set(runs.address)) if (run := store.find(address))]
    return sorted({estimate.where(one) for one in made})


def ran_on(made: Record) -> list[str]:
    """The hardware behind a page, by its provenance; of the first published ones, that which made the page."""
    return list(made.get("devices") or [estimate.where(made)])
