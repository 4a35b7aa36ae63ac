"""What *What the images are* quotes and shows: with what was counted, with what is stored, and with nothing."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import spoken
from matplotlib.figure import Figure
from stored import put

from replication.data import examined as counts
from replication.data import load
from replication.data.registry import resolve
from replication.pages import claims, metrics, tiny_imagenet, what_images
from replication.pages.figures import Nothing
from replication.studies import examined, study

pytestmark = pytest.mark.usefixtures("out")
TINY = {"train images": 100_000, "val images": 10_000, "val outside": 40, "twins across": 7, "near twins across": 3,
        "left out": 50, "nearest": 2.25, "nearest judged": 2000}
FOUND = pd.DataFrame({"set": ["shapes", "digits"], "judged": [2000, 500], "right": [21.04, 98.4], "chance": [10.0, 10],
                      "twins": [0, 1]})


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def keep(out: Path, **tables: pd.DataFrame) -> None:
    (out / "tables").mkdir(parents=True, exist_ok=True)
    for part, rows in tables.items():
        rows.to_csv(out / f"tables/images-{part}.csv", index=False)


def facts(**more: float) -> dict[str, pd.DataFrame]:
    names = {what for what, _ in what_images.TINY_FACTS.values()}
    names |= {f"{split} {what}" for split in ("train", "val") for what in ("images", "box", "whole")}
    known = {**dict.fromkeys(sorted(names), 0), **TINY, **more}
    return {examined.FACTS[examined.TINY]: pd.DataFrame([
        {"what": what, "value": value, "content": "abc", "form": counts.FORM, "commit": "0123456789abc"}
        for what, value in known.items()])}


def test_without_any_set_there_is_a_word_for_everything() -> None:
    found = what_images.numbers(FOUND)
    assert "were not counted here" in found["answer"]
    assert found["counted"].count("was not counted: it was not at hand.") == 2
    assert set(found["tiny"].values()) == set(found["fsdd"].values()) == {what_images.NONE}
    assert found["digits"] == {"right": "98.4", "twins": "1"}
    for shown in (what_images.greys, what_images.twins, what_images.speakers, what_images.long):
        assert "Not counted here" in shown()  # type: ignore[operator]
    for sheet in (what_images.photographs(), what_images.listed(examined.TWIN), what_images.sheet("fsdd")):
        assert isinstance(sheet, Nothing)
    metrics.write_page("what_images", **found)


def test_stored_numbers_are_shown_and_it_says_so(out: Path, data: Path) -> None:
    keep(out, **facts())
    found = what_images.numbers(FOUND)
    assert "Of Tiny-ImageNet's 10,000 validation images, 40 do not show the object" in found["answer"]
    assert "50 in all, so that no error is exact below 0.5 points" in found["answer"]
    assert found["counted"].startswith("Of tiny-imagenet-200 the stored numbers are shown (commit 012345678): it was "
                                       "not at hand.")
    assert (found["tiny"]["nearest"], found["tiny"]["across"]) == ("2.25", "7")
    (data / "tiny-imagenet-200/train").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examined, "_whole_tiny", lambda: None)
        assert "only a part of it, or another set, was at hand" in what_images.numbers(FOUND)["counted"]
        patch.setattr(examined, "_whole_tiny", lambda: "abc")
        assert "tiny-imagenet-200 was counted for this page." in what_images.numbers(FOUND)["counted"]


def test_the_baseline_of_the_sets_that_are_made() -> None:
    found = what_images.neighbours().set_index("set")
    assert found.judged.to_dict() == {"shapes": 2000, "digits": 500}
    assert found.right["digits"] > 95
    assert 10 < found.right["shapes"] < 50
    for name in what_images.MADE:
        kept = load.arrays(resolve(name))
        train, val = (part[0].reshape(len(part[0]), -1).astype(float) for part in (kept.train, kept.val))
        far = (train ** 2).sum(1) - 2 * val @ train.T  # whole numbers, exact in floats of 64 bits
        assert found.right[name] == 100 * (kept.train[1][far.argmin(1)] == kept.val[1]).mean(), name
        assert found.twins[name] == (far.min(1) + (val ** 2).sum(1) == 0).sum(), name
    shown = what_images.sets(found.reset_index()).data  # type: ignore[attr-defined]
    assert shown.set_index("set")["to train on"].to_dict() == {"shapes": 3000, "digits": 1297,
                                                               "tiny-imagenet-200": 100_000}
    assert shown["nearest is right, %"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("name", ["shapes", "digits", "fsdd"])
def test_a_sheet_of_each_set(data: Path, name: str) -> None:
    spoken.fsdd(data / "fsdd", n=1)
    sheet = what_images.sheet(name, 4)
    assert isinstance(sheet, Figure)
    assert len({axis.get_xlabel() for axis in sheet.axes}) == 4, "a class each"


def test_speech_commands_as_its_paper_counts_it() -> None:
    """Warden, Table 1: 3,872 recordings of *down*, 4,052 of *zero*, which is none of the ten."""
    shown = what_images.commands().data.set_index("label")  # type: ignore[attr-defined]
    assert shown.loc["down"].tolist() == [3134, 377, 406]
    assert shown.loc["down"].sum() == 3917
    assert shown.loc["silence"].tolist() == shown.loc["unknown"].tolist()


def test_both_verdicts_stand_side_by_side(out: Path) -> None:
    """Three runs an arm; without the listed images the one that was better is worse."""
    grid = study.stored("v1.ablation", "gpu")
    ids = ["V1-20b"]
    assert "Not known yet" in tiny_imagenet.with_and_without(grid, ids)
    arms = list(grid.study.factors["form"])
    put(grid, lambda cell: 0.4 + 0.1 * arms.index(cell.keys["form"]) + 0.001 * cell.seed)
    keep(out, errors=pd.DataFrame([{"address": cell.address, "images": 10_000, "left": 50, "error": 0.0, "clean":
                                    0.9 - 0.1 * arms.index(cell.keys["form"]) - 0.001 * cell.seed}
                                   for cell in grid.cells]))
    shown = tiny_imagenet.with_and_without(grid, ids)
    one, = claims.settle(ids, [grid])
    other, = claims.settle(ids, [examined.judged(grid, clean_val=True)])
    assert one.interval is not None
    assert other.interval is not None
    assert np.sign(one.interval.value) == -np.sign(other.interval.value)
    assert one.verdict != other.verdict
    assert {one.verdict, other.verdict} <= set(shown.replace("<", ">").split(">"))
    assert metrics._given(grid) != metrics._given(examined.judged(grid, clean_val=True)), "so that nobody compares them"
    assert "without" in tiny_imagenet.numbers(clean_val=True)["judged"]
