"""Quantities of hand-made logits against loops over images and networks; tables of made-up runs, whose weights are as
they start."""
from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import ttest_1samp, ttest_ind
from sklearn.linear_model import LogisticRegression

from replication import files
from replication.data.load import load
from replication.data.transforms import evaluate_view
from replication.models.build import build
from replication.runs import experiments, store
from replication.studies import afterwards, study
from replication.studies.study import Cell, Grid
from replication.training import members, probe
from replication.training.logits import Scores, place

RNG = np.random.default_rng(3)
N, CLASSES, SEVEN = 60, 4, 7
LABELS: NDArray[np.int64] = RNG.integers(0, CLASSES, N)


def network(strength: float = 1.0, **heads: float) -> Scores:
    """Of each head, logits that lean towards the label."""
    def lean(by: float) -> NDArray[np.float64]:
        return RNG.normal(0, 1, (N, CLASSES)) + by * np.eye(CLASSES)[LABELS]
    return Scores({"main": lean(strength), **{name: lean(by) for name, by in heads.items()}}, LABELS, "a")


def networks(number: int = SEVEN, **more: Any) -> list[Scores]:
    return [network(**more) for _ in range(number)]


def wrong(one: Scores, head: str = "main") -> list[float]:
    return [100.0 * (max(range(CLASSES), key=lambda c: row[c]) != label)
            for row, label in zip(one.logits[head], LABELS, strict=True)]


def averaged(several: Sequence[Scores]) -> list[float]:
    """Of the mean probability, image by image."""
    found = []
    for i, label in enumerate(LABELS):
        mean = sum(np.exp(one.logits["main"][i]) / np.exp(one.logits["main"][i]).sum() for one in several)
        found.append(100.0 * (int(np.argmax(mean)) != label))
    return found


def assert_is(row: dict[str, Any], name: str, values: Any, of: str) -> None:
    """The mean of these numbers, with the interval that scipy gives them."""
    ends = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row["id"], row["of"], row["n"]) == (name, of, len(values))
    assert [row[key] for key in ("value", "low", "high")] == pytest.approx([np.mean(values), ends.low, ends.high])


# -- arithmetic ---------------------------------------------------------------------------------------------------
def test_ensembles() -> None:
    one, ten = networks(), networks(strength=1.5)
    averages, single = averaged(one), np.mean([wrong(each) for each in one], axis=0)
    first, second = afterwards.of_ensembles(one, ten)
    assert_is(first, "V1-33a", single - averages, "images")
    assert_is(second, "V1-33b", np.subtract(averages, averaged(ten)), "images")
    assert first["value"] > 0  # or the test could not tell a sign


def test_starts() -> None:
    own, same = networks(), networks()
    for each in same[1:]:
        each.logits["main"][:] = same[0].logits["main"]  # what is everywhere the same gains nothing
    gain = np.mean([wrong(each) for each in own], axis=0) - averaged(own)
    assert_is(afterwards.of_starts(own, same), "V1-35", gain, "images")


def test_wider() -> None:
    own, wider = networks(), networks(2, strength=2)
    mixed = [averaged([*six, one]) for six in itertools.combinations(own, 6) for one in wider]
    assert len(mixed) == 14
    assert_is(afterwards.of_wider(own, wider), "V1-36", np.subtract(averaged(own), np.mean(mixed, axis=0)), "images")


def test_crops() -> None:
    one, ten = networks(3), networks(3, strength=1.4, **{"main, maximum": 1.2, "main, logit mean": 1.6})
    many = [Scores({"main": network(strength=3).logits["main"][:20]}, LABELS[:20], "b") for _ in range(3)]
    rows = {row["id"]: row for row in afterwards.of_crops(one, ten, many)}
    at1, at10, top, mean = (np.array([np.mean(wrong(each, head)) for each in of]) for of, head in (
        (one, "main"), (ten, "main"), (ten, "main, maximum"), (ten, "main, logit mean")))
    few1, few10 = (np.array([np.mean(wrong(each)[:20]) for each in of]) for of in (one, ten))
    few144 = np.array([100 * np.mean(each.logits["main"].argmax(1) != LABELS[:20]) for each in many])
    assert_is(rows["V1-32a"], "V1-32a", at1 - at10, "seeds")
    assert_is(rows["V1-32b"], "V1-32b", (few1 - few10) - (few10 - few144), "seeds")
    assert_is(rows["V1-32c"], "V1-32c", few10 - few144, "seeds")
    assert_is(rows["V1-34"], "V1-34", top - at10, "seeds")
    assert_is(rows["V1-34b"], "V1-34b", mean - at10, "seeds")
    assert {name: row["images"] for name, row in rows.items()} == {
        "V1-32a": 60, "V1-32b": 20, "V1-32c": 20, "V1-34": 60, "V1-34b": 60}


def test_heads() -> None:
    several = [network(**{"4a": 0.5, "4d": 1.5}) for _ in range(4)]
    expected: dict[str, list[float]] = {"S2-5a": [], "S2-5b": [], "S2-5c": []}
    for one in several:
        chances = {head: softmax(said, axis=1) for head, said in one.logits.items()}
        sure = [max(chances.values(), key=lambda p: p[i].max())[i].argmax() for i in range(N)]
        mean = sum(chances.values()).argmax(1)  # type: ignore[union-attr]
        main, best = np.mean(wrong(one)), min(np.mean(wrong(one, head)) for head in one.logits)
        for name, error in zip(expected, (100 * np.mean(sure != LABELS), 100 * np.mean(mean != LABELS), best),
                               strict=True):
            expected[name].append(float(main - error))
    for row in afterwards.of_heads(several):
        assert_is(row, row["id"], expected.pop(row["id"]), "seeds")
    assert not expected
    assert afterwards.of_heads(networks()) == []


def test_probes_are_compared_as_independent_samples() -> None:
    none, both = RNG.uniform(40, 50, (4, 2)), RNG.uniform(35, 45, (3, 2))
    table = pd.DataFrame([{"aux": aux, "seed": seed, "row": row, "error": of[seed, i], "images": 9, "addresses": "x"}
                          for aux, of in (("none", none), ("4a+4d", both)) for seed in range(len(of))
                          for i, row in enumerate(("4a", "4d"))]).sample(frac=1, random_state=0)
    row, = afterwards.of_probes(table)
    ends = ttest_ind(none.mean(1), both.mean(1), equal_var=False).confidence_interval(0.95)
    assert [row[key] for key in ("value", "low", "high")] == pytest.approx(
        [none.mean() - both.mean(), ends.low, ends.high])
    assert row["n"] == 3
    assert afterwards.of_probes(table[(table.aux == "none") | (table.seed == 0)]) == []


# -- probes -------------------------------------------------------------------------------------------------------
def test_a_probe_is_scikit_learns_logistic_regression() -> None:
    labels = torch.from_numpy(RNG.integers(0, 3, 150))
    x = torch.from_numpy(RNG.normal(0, 1, (150, 5))) + torch.nn.functional.one_hot(labels, 5)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x.numpy(), labels.numpy())
    weight, bias = probe.fit(x, labels, 3)
    np.testing.assert_allclose(weight, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)
    scaled = LogisticRegression(C=1.0).fit((x[:100] - x[:100].mean(0)) / x[:100].std(0), labels[:100])
    expected = 1 - scaled.score((x[100:] - x[:100].mean(0)) / x[:100].std(0), labels[100:])
    assert probe.error(x[:100], labels[:100], x[100:], labels[100:], 3) == pytest.approx(expected)


# -- runs ---------------------------------------------------------------------------------------------------------
TINY: dict[str, Any] = {"images": 40, "val_images": 30, "width": 0.125, "stem": 4, "epochs": 1, "batch": 20}


def finish(cell: Cell, status: str = "done") -> None:
    """As if it had been trained: its weights are as they start."""
    torch.manual_seed(cell.seed)
    store.weights(cell.address).parent.mkdir(parents=True, exist_ok=True)
    torch.save(build(cell.experiment.network).state_dict(), store.weights(cell.address))
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 1.0}],
                 {"status": status, "val_error": 0.5}, {"seconds": 1.0, "device": "CPU"})


def made(seeds: int) -> tuple[Grid, Grid]:
    """v1.start with so many runs of own, two of wider and one, diverged, of same; v1.aux with two runs an arm."""
    start = study.study("v1.start", seeds=seeds, **TINY)
    aux, = study.only([study.study("v1.aux", seeds=2, **TINY)], {"norm": ("bn",)})
    for cell in start.cells:
        if cell.keys["start"] == "own" or (cell.keys["start"] == "wider" and cell.seed < 2):
            finish(cell)
        elif cell.seed == 0 and cell.keys["start"] == "same":
            finish(cell, "diverged")
    for cell in aux.cells:
        finish(cell)
    return start, aux


@pytest.fixture
def small(out: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr(afterwards, "FIRST", 10)
    monkeypatch.setattr(afterwards, "NETWORKS", 3)


@pytest.mark.usefixtures("small")
def test_tables() -> None:
    start, aux = made(4)  # of which three are taken
    afterwards.measure(start, aux)
    own = [cell for cell in start.cells if cell.keys["start"] == "own"][:3]

    crops = afterwards.table(start, "crops")
    assert crops[["start", "views", "images"]].drop_duplicates().to_numpy().tolist() == [
        ["own", 1, 30], ["wider", 1, 30], ["own", 2, 30], ["own", 10, 30], ["own", 144, 10], ["own", 1, 10],
        ["own", 2, 10], ["own", 10, 10]]
    several = crops[(crops.start == "own") & (crops.views == 10) & (crops.images == 30)].set_index("networks")
    said = [members.member(cell.experiment, cell.seed, 10) for cell in own]
    errors = [100 * np.mean(place(one.logits["main"], one.labels) > 0) for one in said]
    assert several.loc[1, ["error", "lowest", "highest", "subsets"]].tolist() == pytest.approx(
        [np.mean(errors), min(errors), max(errors), 3], rel=1e-4)
    mean = sum(softmax(one.logits["main"].astype(float), axis=1) for one in said)
    assert several.error[3] == pytest.approx(100 * np.mean(mean.argmax(1) != said[0].labels), rel=1e-4)  # type: ignore[union-attr]

    rules = afterwards.table(start, "rules")
    assert rules.groupby(["views", "rule"], sort=False).size().to_dict() == {
        (views, rule): 3 for views in (10, 144) for rule in ("softmax mean", "logit mean", "maximum")}
    np.testing.assert_allclose(rules.query("views == 10 and rule == 'softmax mean'").error, errors, rtol=1e-4)
    assert list(afterwards.table(start, "heads")["head"].unique()) == ["main", "4a", "4d", "average", "most confident"]
    quantities = afterwards.table(start).set_index("id")
    assert set(quantities.index) == {"V1-32a", "V1-32b", "V1-32c", "V1-33a", "V1-33b", "V1-34", "V1-34b", "V1-36",
                                     "S2-5a", "S2-5b", "S2-5c"}, "V1-35 wants as many that start alike"
    assert quantities.addresses["V1-33a"] == " ".join(cell.address for cell in own)
    assert len(quantities.addresses["V1-36"].split()) == 5

    probes = afterwards.table(aux, "probes")
    assert probes.groupby(["aux", "row"]).size().to_dict() == {
        (arm, row): 2 for arm in ("none", "4a+4d") for row in ("4a", "4d")}
    assert set(afterwards.table(aux).id) == {"V1-24"}


@pytest.mark.usefixtures("small")
def test_what_was_seen_is_not_looked_at_again_and_what_is_gone_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    start, aux = made(2)
    afterwards.measure(start, aux)
    assert not afterwards.table(start).id.isin(["V1-33a", "V1-33b", "V1-36"]).any(), "they want as many networks"
    before = {path: path.read_text() for path in (store.paths.mine() / "tables").iterdir()}
    monkeypatch.setattr(members, "network", None)  # nothing can be looked at
    afterwards.measure(start, aux)
    assert {path: path.read_text() for path in before} == before
    for place_ in (store.paths.mine() / "logits").iterdir():
        place_.unlink()
    store.weights(start.cells[0].address).unlink()
    afterwards.measure(start, aux)
    assert {path: path.read_text() for path in before} == before
    assert afterwards.table(study.study("v1.start", seeds=2, **{**TINY, "batch": 10})).empty, "it is another setting's"


def test_nothing_is_known_of_nothing(out: Path) -> None:
    start, aux = study.study("v1.start", seeds=1, **TINY), study.study("v1.aux", seeds=1, **TINY)
    afterwards.measure(start, aux)
    assert not (out / "tables").exists()
    assert afterwards.table(start).empty
    assert afterwards.table(aux, "probes").empty


@pytest.mark.usefixtures("small")
def test_how_sure_networks_are_is_measured_where_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, = study.only([study.study("v3.smoothing", seeds=2, **TINY)], {"smoothing": ("0", "0.1")})
    afterwards.measure_confidence(grid)
    assert afterwards.table(grid, "reliability").empty
    for cell in grid.cells[:3]:
        finish(cell)
    store.weights(grid.cells[2].address).unlink()
    afterwards.measure_confidence(grid)
    for cell in grid.cells[:2]:
        found = afterwards.table(grid, "reliability").query("addresses == @cell.address")
        said = members.member(cell.experiment, cell.seed)
        sure = softmax(said.logits["main"].astype(float), axis=1)
        assert found.images.sum() == 30
        assert (found.images * found.confidence).sum() == pytest.approx(sure.max(1).sum())
        assert (found.images * found.accuracy).sum() == pytest.approx((sure.argmax(1) == said.labels).sum())
        assert set(found.smoothing) == {float(cell.keys["smoothing"])}
    before = afterwards.table(grid, "reliability")
    store.weights(grid.cells[0].address).unlink()
    afterwards.measure_confidence(grid)  # the first one's lines stay
    after = afterwards.table(grid, "reliability")
    assert sorted(after.addresses.unique()) == sorted(before.addresses.unique())
    assert len(after) == len(before)


def test_an_address_of_digits_stays_one(out: Path) -> None:
    files.write(out / "tables" / "afterwards.csv", "id,value,addresses\nx,1,0123e5678901\n")
    assert afterwards._stored("").addresses.tolist() == ["0123e5678901"]


@pytest.mark.usefixtures("out", "one_thread")
def test_features_are_the_outputs_of_the_rows() -> None:
    cell = study.study("v1.aux", seeds=1, **TINY).cells[-1]
    finish(cell)
    network = members.network(cell.experiment, cell.seed)
    images = evaluate_view(load(cell.experiment.data).val.images, ())
    found = probe.features(network, images, ("4a", "4d"), batch=7)
    seen: dict[str, torch.Tensor] = {}
    for row in ("4a", "4d"):
        getattr(network, row).register_forward_hook(
            lambda _module, _given, output, row=row: seen.__setitem__(row, output.mean((2, 3))))
    with torch.no_grad():
        network(images)
    for row in ("4a", "4d"):
        torch.testing.assert_close(found[row], seen[row])
