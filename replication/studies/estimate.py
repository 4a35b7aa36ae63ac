"""How long runs take: what is asked, what was seen, what is left. No torch before it is needed."""
from __future__ import annotations

import math
import re
import statistics
import warnings
from contextlib import suppress
from typing import Any

from replication import paths, provenance
from replication.errors import BadInput
from replication.models import cost
from replication.runs import experiments, store


def seconds(text: str) -> float:
    """Seconds in "90", "90s", "25m" or "1.5h". Raises BadInput for anything else, and for nothing at all."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", text.strip(), re.ASCII)
    if found is None or not float(found[1]):
        raise BadInput(f"{text!r} is no time to spend: give seconds (90 or 90s), minutes (25m) or hours (1.5h).")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def clock(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`: two digits, as one says it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def speed(machine: str | None = None) -> tuple[str, float] | None:
    """The machine and the multiply-adds a second (cost.whole_run) that its runs reached: the median over the runs that
    finished there. Runs that trained nothing count only where no other has finished. `machine`, as `where` names it, is
    by default that of the newest run. None before any has finished."""
    found: list[tuple[str, str, bool, float]] = []
    with warnings.catch_warnings(action="ignore"):  # whoever reads a run that cannot be trusted says so
        runs = [run for place in paths.stores() for run in store.everything(place)]
    for run in runs:
        made, ended = run.provenance, run.summary
        with suppress(KeyError, TypeError, ZeroDivisionError):  # nothing was measured
            images = (made["images_per_s"] or 0.0) * made["seconds"]
            whole = cost.whole_run(ended["multiply_adds"], 1, images, 0) + cost.whole_run(
                ended["multiply_adds"], ended["epoch"], 0, ended["val_images"])
            found.append((made["utc"], where(made), images > 0, whole / made["seconds"]))
    machine = machine or max(found, default=("", ""))[1]
    there = [(trained, each) for _, at, trained, each in found if at == machine]
    speeds = [each for trained, each in there if trained == max(there)[0]]
    return (machine, statistics.median(speeds)) if speeds else None


def where(made: dict[str, Any]) -> str:
    """The hardware a provenance names: a GPU, or else the processor."""
    return str(made["processor"] if made["device"] == "CPU" else made["device"])


def estimates(of: list[experiments.Experiment]) -> list[float]:
    """Seconds each would take by the speed of the runs that finished on this device; inf before any has."""
    from replication.training.device import device_name
    known = speed(where({"device": device_name(), "processor": provenance.processor()}))
    return [experiments.work(experiment) / known[1] if known else math.inf for experiment in of]
