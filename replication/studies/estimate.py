"""How long runs take: what is asked, what was seen, what is left. No torch before it is needed."""
from __future__ import annotations

import csv
import io
import math
import re
import statistics
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from replication import checked, paths, provenance
from replication.errors import BadInput
from replication.models import cost
from replication.runs import experiments, store

ASSUMED = ("a GPU as assumed", 25e12)  # multiply-adds a second, before anything has been measured on one


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


@dataclass(frozen=True)
class Ran:
    """What a finished run tells of the machine it ran on: when, where (as `where` names it), whether that is a GPU,
    whether it trained, the multiply-adds a second (cost.whole_run) it reached, with how many threads, and the GFLOP/s
    of matrices (device.matmul_gflops) there, None of a run on a GPU and of the first published ones."""
    utc: str
    machine: str
    on_gpu: bool
    trained: bool
    speed: float
    threads: int | None
    gflops: float | None


def speed(machine: str | None = None) -> tuple[str, float] | None:
    """The machine and the multiply-adds a second that its runs reached: the median over the runs that
    finished there. Runs that trained nothing count only where no other has finished. `machine`, as `where` names it, is
    by default that of the newest run. None before any has finished."""
    ran = _ran()
    machine = machine or max(((one.utc, one.machine) for one in ran), default=("", ""))[1]
    there = _trained(one for one in ran if one.machine == machine)
    return (machine, statistics.median(one.speed for one in there)) if there else None


def gpu() -> tuple[str, float]:
    """A GPU and the multiply-adds a second of training on it: by the runs that finished on the newest one, else by the
    best that `bench` saw of a network of ours, else as ASSUMED. A small network alone reaches less."""
    newest = max(((one.utc, one.machine) for one in _ran() if one.on_gpu), default=("", ""))[1]
    known = speed(newest) if newest else None
    return known or max(_benched(), key=lambda found: found[1], default=ASSUMED)


def _benched() -> Iterable[tuple[str, float]]:
    """What every line about training on a GPU says, in tables that `bench` wrote; nowhere else is bf16 used. They
    count additions and multiplications, of three passes, as `experiments.work` does."""
    for table in paths.tables("bench"):
        with suppress(BadInput, UnicodeDecodeError, csv.Error):  # whoever reads the table says so
            for line in csv.DictReader(io.StringIO(checked.content(table).decode(), newline="")):
                with suppress(KeyError, TypeError, ValueError):
                    if line["variant"].startswith("ours") and (line["phase"], line["precision"]) == ("train", "bf16"):
                        yield line["device"], float(line["tflops"]) * 1e12 / 2


def _scaled() -> float | None:
    """What this processor would reach, by the runs on others: the median of each one's speed, times the matrix rate
    here over the one there, with as many threads. None on a GPU, and where no run says its machine's rate."""
    from replication.training.device import matmul_gflops
    there = _trained(one for one in _ran() if one.gflops)
    if not there:
        return None
    threads = statistics.mode(one.threads for one in there)
    here = matmul_gflops(threads)
    return here and here * statistics.median(
        one.speed / one.gflops for one in there if one.gflops and one.threads == threads)


def _ran() -> list[Ran]:
    found = []
    with warnings.catch_warnings(action="ignore"):  # whoever reads a run that cannot be trusted says so
        runs = [run for place in paths.stores() for run in store.everything(place)]
    for run in runs:
        made, ended = run.provenance, run.summary
        with suppress(KeyError, TypeError, ZeroDivisionError):  # nothing was measured
            images = (made["images_per_s"] or 0.0) * made["seconds"]
            whole = cost.whole_run(ended["multiply_adds"], 1, images, 0) + cost.whole_run(
                ended["multiply_adds"], ended["epoch"], 0, ended["val_images"])
            found.append(Ran(made["utc"], where(made), made["device"] != "CPU", images > 0, whole / made["seconds"],
                             made.get("threads"), made.get("matmul_gflops")))
    return found


def _trained(ran: Iterable[Ran]) -> list[Ran]:
    """Those that trained; all, if none did."""
    ran = list(ran)
    return [one for one in ran if one.trained] or ran


def where(made: dict[str, Any]) -> str:
    """The hardware a provenance names: a GPU, or else the processor."""
    return str(made["processor"] if made["device"] == "CPU" else made["device"])


def estimates(of: list[experiments.Experiment]) -> list[float]:
    """Seconds each would take by the speed of the runs that finished on this device, or else by that of others whose
    matrix rate is known (`_scaled`); inf where there are neither."""
    from replication.training.device import device_name
    known = speed(where({"device": device_name(), "processor": provenance.processor()}))
    rate = known[1] if known else _scaled()
    return [experiments.work(experiment) / rate if rate else math.inf for experiment in of]
