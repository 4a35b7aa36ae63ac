"""What *A network for keywords* quotes: of runs that are known, of some, and of none."""
from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from stored import put

from replication import stats
from replication.data import speech
from replication.pages import claims, keywords
from replication.pages.claim import CONTRADICTED, SUPPORTED
from replication.pages.figures import Nothing
from replication.studies import profiles, study

pytestmark = pytest.mark.usefixtures("out")
ENDS = dict(zip(("mixed", *speech.SPEAKERS), (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "data"))


def spoken(seeds: int = 3) -> study.Grid:
    """Errors of 1 % mixed and 10 to 60 % by speaker, half a point apart between seeds."""
    grid = study.study("kws.speakers", epochs_bn=1, seeds=seeds)
    put(grid, lambda cell: ENDS[cell.keys["held"]] + 0.005 * (cell.seed - 1))
    return grid


def test_it_is_spoken_digits_whatever_a_profile_says() -> None:
    """FSDD's readme: six speakers, 50 of each of ten digits, recordings 0 to 4 of everything to test by."""
    for grid in (study.study("kws.speakers", images=100, val_images=100, classes=3, resolution=32, crop=28),
                 study.stored("kws.speakers", "cpu-full")):
        sizes = {cell.keys["held"]: (cell.experiment.data.train_images, cell.experiment.data.val_images)
                 for cell in grid.cells}
        assert sizes == {"mixed": (2700, 300), **dict.fromkeys(speech.SPEAKERS, (2500, 500))}
        assert {(cell.experiment.data.name, cell.experiment.data.classes) for cell in grid.cells} == {("fsdd", 10)}
        assert {cell.keys["held"]: cell.experiment.data.held for cell in grid.cells} == {key: (key,) for key in ENDS}


def test_all_of_it_is_published_and_nothing_of_it_where_nothing_may_be_downloaded() -> None:
    assert len(study.stored("kws.speakers", "cpu-full").cells) == 7 * 3
    assert "kws.speakers" not in profiles.profile("cpu").studies


def test_numbers_of_runs_that_are_known() -> None:
    found = keywords.numbers(spoken(), {})
    assert found["error"] == {"mixed": "1.0", "speakers": "35.0", "best": "george", "lowest": "10.0",
                              "worst": "yweweler", "highest": "60.0", "flatters": "34.0",
                              "pair": "55.0", "easier": "14"}  # those held out by default are the worst two here
    assert "gets 1.0 % wrong" in found["answer"]
    assert "35.0 %, from 10.0 % (george) to 60.0 % (yweweler)" in found["answer"]
    assert "34.0 points, is by how much" in found["answer"]
    assert found["images"] == {"mixed": {"train": 2700, "val": 300}, "alone": {"train": 2500, "val": 500}}
    assert found["seeds"] == "3 seeds"


def test_the_pair_that_is_held_out_by_default_is_the_easiest(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the published runs."""
    monkeypatch.delenv("REPLICATION_READ")
    found = keywords.numbers(study.stored("kws.speakers", "cpu-full"), {})
    assert found["held"] == "theo and yweweler"
    assert float(found["error"]["pair"]) < 0.5 * float(found["error"]["speakers"])
    assert found["error"]["easier"] == "0"


def test_the_table_ends_with_the_mean_of_the_speakers() -> None:
    shown = keywords.table(spoken()).data  # type: ignore[union-attr]
    assert list(shown["judged on"])[1:-1] == list(speech.SPEAKERS)
    assert list(shown["top-1 error, %"]) == pytest.approx([1, 10, 20, 30, 40, 50, 60, 35])
    assert list(shown["lowest, %"]) == pytest.approx([0.5, 9.5, 19.5, 29.5, 39.5, 49.5, 59.5, 10])
    assert list(shown["highest, %"]) == pytest.approx([1.5, 10.5, 20.5, 30.5, 40.5, 50.5, 60.5, 60])
    assert set(shown["seeds"]) == {3}


def test_without_all_speakers_there_is_no_mean() -> None:
    spoken()
    some = study.only([study.study("kws.speakers", epochs_bn=1, seeds=3)], {"held": ("mixed", "theo")})[0]
    assert len(keywords.table(some).data) == 2  # type: ignore[union-attr]
    found = keywords.numbers(some, {})
    assert set(found["error"].values()) == {keywords.NONE}
    assert "not been trained yet" in found["answer"]


def test_without_a_run_there_is_a_word_for_everything() -> None:
    for grid in (study.asked("kws.speakers", "cpu"), study.asked("kws.speakers", "gpu"),
                 study.stored("kws.speakers", "cpu-full")):
        found = keywords.numbers(grid, {})
        assert found["seeds"] == "no seed yet"
        assert "Not measured yet" in found["found"]["mixed"]
        assert "No run" in keywords.table(grid)  # type: ignore[operator]
        assert isinstance(keywords.inputs(grid, lambda *_: pytest.fail("nothing is downloaded")), Nothing)


def test_claims() -> None:
    """97 % is printed: what rounds to it, or more. A seed's six speakers are one number."""
    right, stranger = claims.settle(["KWS-3a", "KWS-3b"], [spoken()])
    assert (right.verdict, stranger.verdict) == (SUPPORTED, CONTRADICTED)
    mixed, alone = [0.5, 1.0, 1.5], [34.5, 35.0, 35.5]
    assert right.interval is not None
    assert right.interval.value == pytest.approx(1.0)
    assert stranger.interval is not None
    expected = stats.welch(alone, mixed)
    assert (stranger.interval.low, stranger.interval.high) == pytest.approx((expected.low, expected.high))


def test_a_clip_s_time(tmp_path: Path) -> None:
    assert "Not yet measured" in keywords.latency({})
    assert "not been measured" in keywords.numbers(spoken(), {})["latency"]
    line = {"device": "Some <CPU>", "turns": 9, "versions": "torch 1", "commit": "abc", "ms_low": 1.0, "ms_high": 4.0}
    table = pd.DataFrame([{**line, "kind": kind, "ms": ms}
                          for kind, ms in (("features", 1.5), ("network", 2.5), ("exported", 0.25))])
    assert "1.5 ms to become features and 2.5 ms in the network, or 0.25 ms" in keywords.numbers(
        spoken(), {"Some <CPU>": table})["latency"]
    shown = keywords.latency({"Some <CPU>": table})
    assert "Some &lt;CPU&gt;" in shown
    assert shown.count("[1, 4]") == 3
    assert "2.5 ms in the network." in keywords.numbers(spoken(), {"x": table[:2]})["latency"]
