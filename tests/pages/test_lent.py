"""*Ten minutes of a GPU*: studies in the order of claims a second, how far the time reaches, and what was seen."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from replication.pages import lent, power
from replication.pages.claim import CONTRADICTED, NOT_RUN, SUPPORTED, UNRESOLVED
from replication.runs import experiments, store
from replication.studies import estimate, profiles, study

pytestmark = pytest.mark.usefixtures("out")
ROW = {"verdict": NOT_RUN, "n": math.nan, "still": math.nan, "seeds": math.nan, "as_printed": math.nan}
PROFILE = """about: a test
parameters: {images: 40, val_images: 20, resolution: 32, width: 0.125, stem: 4, epochs: 1, batch: 20, seeds: 5}
studies: [v1.weight, v1.aux, v3.smoothing, precision, v1.long]
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    return str(tmp_path / "tiny.yaml")


@pytest.mark.parametrize(("row", "expected"), [
    ({"verdict": SUPPORTED, "n": 6, "seeds": 100}, 6), ({"verdict": CONTRADICTED, "n": 3}, 3),
    ({"verdict": UNRESOLVED, "n": 6, "still": 40, "seeds": 5}, 40),
    ({"verdict": UNRESOLVED, "n": 6, "seeds": 5}, math.inf),  # judged, the pilot says nothing more
    ({"seeds": 7, "as_printed": 9}, 7), ({"as_printed": 9}, 9), ({}, math.nan)])
def test_the_seeds_a_claim_takes(row: dict[str, Any], expected: float) -> None:
    assert power._wanted({**ROW, **row}) == pytest.approx(expected, nan_ok=True)


def test_who_decides_most_a_second_comes_first(tiny: str) -> None:
    """V1-24 and V3-13 are of v1.aux, V1-26 of v1.weight, V3-24 of v3.smoothing, whose costs are as 8 to 12 to 4."""
    known = pd.DataFrame([{**ROW, "claim": claim, "seeds": seeds} for claim, seeds in (
        ("V1-24", 5), ("V3-13", 6), ("V1-26", 5), ("V3-24", 2), ("V3-24b", 3), ("V3-22", 5))])
    turns = power.order(tiny, known)
    assert [turn.study for turn in turns] == ["v3.smoothing", "v1.aux", "v1.weight", "precision", "v1.long"]
    first, second, third, *rest = turns
    assert (set(first.decides), first.unknown) == ({"V3-22", "V3-24", "V3-24b"}, ())
    assert (second.decides, set(second.unknown)) == (("V1-24",), {"V1-25a", "V1-25b", "V3-14", "V3-15"})
    assert third.decides == ("V1-26",)
    assert [turn.runs for turn in turns] == [20, 40 - 5, 60 - 10, 20 - 5, 10 - 10]  # each once
    assert not any(turn.decides for turn in rest)
    cells = [cell for cell in study.of_profile(profiles.profile(tiny))[1].cells
             if cell.keys != {"norm": "bn", "aux": "4a+4d"}]  # those are v3.smoothing's without any
    assert second.seconds == pytest.approx(sum(experiments.work(cell.experiment) for cell in cells) / 25e12)


def test_how_far_ten_minutes_reach() -> None:
    turns = {"gpu": [power.Turn("a", ("V1-1",), ("V1-2",), 10, 400), power.Turn("b", ("V1-2",), ("V1-3",), 5, 19),
                     power.Turn("c", ("V1-4",), (), 5, 2)]}
    known = pd.DataFrame([{**ROW, "claim": "V1-1", "verdict": SUPPORTED}, {**ROW, "claim": "V1-2"}])
    reach = lent.within(turns, known)  # 180 s are for what comes before
    assert reach == {"runs": 15, "repeats": 1, "decides": 1, "looks": 1}
    rows = lent.plan(turns)
    assert [part in rows for part in ("400 s", "7 min", "10 min")] == [False, True, True]


def test_every_profile_of_a_gpu_has_an_order() -> None:
    """Of all that they ask, each study once; what nothing is known of keeps the profile's order."""
    none = pd.DataFrame([ROW | {"claim": "V1-24"}])
    for name in lent.PROFILES:
        assert [turn.study for turn in power.order(name, none)] == list(profiles.profile(name).studies)
    assert profiles.profile(lent.PROFILES[0]).parameters["dataset"] == "shapes"  # nothing to bring


def trained(tiny: str, errors: dict[tuple[str, str], list[float]]) -> study.Grid:
    grid = study.of_profile(profiles.profile(tiny))[3]
    for cell in grid.cells:
        found = errors.get((cell.keys["precision"], cell.keys["head"]), [])
        if cell.seed < len(found):
            end = {"epoch": 1.0, "val_error": found[cell.seed], "logit_gap": 1.0, "ece": 0.1}
            store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [end], {
                "status": "done", **end, "val_images": 20, "multiply_adds": 1}, {
                    "utc": "2026-01-01", "device": "NVIDIA X", "commit": "abc", "seconds": 1.0, "images_per_s": 1.0,
                    "processor": "p"})
    return grid


LOW, HIGH = [0.1, 0.11, 0.12], [0.3, 0.31, 0.32]


@pytest.mark.parametrize(("fp32", "said"), [
    ((LOW, HIGH), "bf16 and fp32 give the same verdict"), ((HIGH, LOW), "bf16 and fp32 give different verdicts"),
    ((LOW, []), "not yet measured")])
def test_whether_two_precisions_agree(tiny: str, fp32: tuple[list[float], list[float]], said: str) -> None:
    grid = trained(tiny, {("bf16", "average"): LOW, ("bf16", "fc"): HIGH,
                          ("fp32", "average"): fp32[0], ("fp32", "fc"): fp32[1]})
    assert said in lent.alike(grid)


def test_the_page_of_what_was_seen(tiny: str, out: Path) -> None:
    """Errors, verdicts, and how many are left; a bar in a reason does not end its cell."""
    trained(tiny, {(precision, head): errors for precision in ("bf16", "fp32")
                   for head, errors in (("average", LOW), ("fc", HIGH))})
    (out / "tables").mkdir()
    pd.DataFrame([{"case": "net", "precision": "bf16", "asked": "graph", "status": "failed: a | b", "how": None,
                   "against": None, "device": "NVIDIA X", "versions": "torch 2", "commit": "abc"}]).to_csv(
        out / "tables/smoke-x.csv", index=False)
    page = lent.seen([("smoke", 3.2, "see smoke-x.csv"), ("runs of tiny", 60.0, "12 runs finished")], [tiny])
    lines = page.splitlines()
    assert "| smoke | 3 | see smoke-x.csv |" in lines
    assert "| net | bf16 | graph | failed: a / b |  |  |" in lines
    assert "| precision | bf16, average | 11.00 | 10.00 to 12.00 | 3 |" in lines
    assert "138 runs are left." not in lines  # v1.weight's heads at 0.3 and v1.long's are shared
    assert any(line.endswith(" runs are left.") for line in lines)
    assert "same verdict" in page
    assert "## Runs of tiny" in lines
    assert all(line.count("|") in (0, 4, 6, 7) for line in lines)


def test_of_a_gpu_that_was_not_there(tiny: str) -> None:
    assert lent.so_far() == "No GPU was at hand yet: its rows are open, here and on the other pages."
    assert estimate.gpu() == estimate.ASSUMED
    assert "None has finished" in lent.seen([], [tiny])
    trained(tiny, {("bf16", "fc"): HIGH})
    assert lent.so_far() == "No speed was measured yet. 3 runs were trained on a GPU."
