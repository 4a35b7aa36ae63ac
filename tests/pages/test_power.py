"""Seeds needed against Cohen's tables, the noncentral t and simulated trials; scatter and cost of runs made by hand."""
from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, nct, t

from replication import stats
from replication.__main__ import main
from replication.errors import BadInput
from replication.models import cost
from replication.pages import power
from replication.pages.claim import Claim
from replication.pages.claims import CLAIMS
from replication.pages.measures import Difference, Louder, Ratio, Share
from replication.pages.power import Rates, Seen, decides, seeds
from replication.runs import experiments, store
from replication.studies import grid, profiles, study
from replication.studies.grid import STUDIES
from replication.studies.profiles import Profile

INF = math.inf
RNG = np.random.default_rng(3)


# -- how many -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("effect", "n"), [(0.2, 394), (0.5, 64), (0.8, 26), (1.0, 17), (1.2, 12)])
def test_two_sides_of_equal_scatter_need_what_cohens_table_says(effect: float, n: int) -> None:
    """Cohen 1988, table 2.4.1: two-sided, α = 0.05, power 0.8 (394 where he rounds to 393)."""
    for region in ((0, INF), (-INF, 0)):
        assert seeds(Seen(3 * effect, (2, 2), (3.0, 3.0)), region) == n
    assert seeds(Seen(1 - effect, (2, 2), (1.0, 1.0)), (1, INF)) == n


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_one_side_needs_what_the_one_sample_test_does(effect: float, n: int) -> None:
    assert seeds(Seen(effect, (2,), (1.0,)), (0, INF)) == n


@pytest.mark.parametrize(("effect", "sds", "n"), [(0.7, (1.0, 0.2), 10), (2.0, (1.5, 0.5), 4), (0.3, (0.5, 1.0), 40)])
def test_one_edge_is_the_noncentral_t_with_welchs_degrees_of_freedom(effect: float, sds: tuple[float, float],
                                                                      n: int) -> None:
    a, b = (sd ** 2 / n for sd in sds)
    free = (a + b) ** 2 / (a ** 2 / (n - 1) + b ** 2 / (n - 1))
    shift, edge = effect / math.sqrt(a + b), t.ppf(0.975, free)
    chance = 1 - nct.cdf(edge, free, shift) + nct.cdf(-edge, free, shift)
    assert decides(effect, sds, (0, INF), n) == pytest.approx(chance, abs=2e-3)


@pytest.mark.parametrize(("effect", "sds", "region"), [
    (0.2, (1.0, 1.0), (-1, 1)), (0.0, (0.3, 0.9), (-1, 1)), (1.8, (1.0, 0.4), (-1, 1)), (0.6, (0.5, 0.5), (0, 1)),
    (-0.7, (1.0, 1.0), (0, INF))])
def test_as_many_simulated_trials_are_decided(effect: float, sds: tuple[float, float],
                                              region: tuple[float, float]) -> None:
    """Welch's interval by its formula, 20,000 times: 80 % of them lie clear of the edges with the seeds it names, and
    fewer than 80 % with one less."""
    needed = seeds(Seen(effect, (2, 2), sds), region)
    assert needed is not None
    for n in (needed, needed - 1):
        a, b = (RNG.normal(mean, sd, (20_000, n)) for mean, sd in zip((effect, 0.0), sds, strict=True))
        va, vb = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / n
        half = t.ppf(0.975, (va + vb) ** 2 * (n - 1) / (va ** 2 + vb ** 2)) * np.sqrt(va + vb)
        low, high = a.mean(axis=1) - b.mean(axis=1) - half, a.mean(axis=1) - b.mean(axis=1) + half
        clear = ((region[0] <= low) & (high <= region[1])) | (high < region[0]) | (low > region[1])
        assert clear.mean() == pytest.approx(decides(effect, sds, region, n), abs=0.02)
    assert decides(effect, sds, region, needed) >= 0.8 > decides(effect, sds, region, needed - 1)


def test_two_edges_take_more_than_the_nearer_alone() -> None:
    seen = Seen(0.0, (2, 2), (1.0, 1.0))
    one, both = seeds(seen, (-1, INF)), seeds(seen, (-1, 1))
    assert one is not None
    assert both is not None
    assert one == 17
    assert one < both < 3 * one


def test_without_scatter_two_seeds_do_and_on_an_edge_none() -> None:
    assert seeds(Seen(0.1, (2, 2), (0.0, 0.0)), (0, INF)) == 2
    assert seeds(Seen(0.0, (2, 2), (0.0, 0.0)), (0, INF)) is None
    assert seeds(Seen(1.0, (2, 2), (0.5, 0.5)), (0, 1)) is None
    assert seeds(Seen(0.001, (2, 2), (1.0, 1.0)), (0, INF)) is None, "more than ten thousand"
    assert seeds(Seen(1.0, (1, 1), (math.nan, 0.5)), (0, INF)) is None
    assert seeds(Seen(math.nan, (0, 2), (0.5, 0.5)), (0, INF)) is None


def test_shares() -> None:
    """Six of six: 0.025^(1/6) = 54 %; five of five: 48 %."""
    assert 0.025 ** (1 / 5) < 0.5 < 0.025 ** (1 / 6)
    for percent, region in ((100.0, (50, INF)), (0.0, (-INF, 50)), (100.0, (-INF, 50))):
        assert seeds(Seen(percent, (2,)), region) == 6
    assert seeds(Seen(50.0, (2,)), (50, INF)) is None


@pytest.mark.parametrize(("percent", "n"), [(10.0, 9), (25.0, 12), (80.0, 20)])
def test_a_share_is_decided_as_often_as_all_outcomes_say(percent: float, n: int) -> None:
    p, chance = percent / 100, 0.0
    for hits in range(n + 1):
        found = binomtest(hits, n).proportion_ci(0.95)
        if found.high < 0.5 or found.low > 0.5:
            chance += math.comb(n, hits) * p ** hits * (1 - p) ** (n - hits)
    assert stats.decides_share(percent, (50, INF), n) == pytest.approx(chance)


# -- what runs say ------------------------------------------------------------------------------------------------
SMALL: dict[str, Any] = {"dataset": "shapes", "images": 400, "val_images": 200, "resolution": 32, "width": 0.25,
                         "epochs": 3, "batch": 20}


def made(name: str, errors: dict[tuple[str, ...], list[float]], part: str | None = "pilot",
         first_seed: int = 1000) -> study.Grid:
    """The grid of a study whose arms have these errors, a run a seed, all stored; the others have none."""
    of = study.study(name, **SMALL, part=part, first_seed=first_seed, seeds=max(map(len, errors.values()), default=1))
    for cell in of.cells:
        known = errors.get(tuple(cell.keys.values()), [])[cell.seed - first_seed:]
        if known:
            history = [{"epoch": float(epoch), "val_error": known[0], "grad_total": 2.0 + cell.seed % 2,
                        "grad_main": 1.0} for epoch in range(cell.experiment.recipe.epochs + 1)]
            summary = {"status": "done", "epoch": 3, "val_error": known[0], "train_error": 0.0, "logit_gap": 5.0,
                       "ece": 0.1, "val_images": 200, "multiply_adds": 10 ** 6}
            where = {"utc": "2026-01-01", "device": "CPU", "processor": "here", "seconds": 1.0, "images_per_s": 100.0}
            store.commit(cell.address, experiments.record(cell.experiment, cell.seed), history, summary, where)
    return of


def claim(measure: Any, study: str = "v1.aux", region: tuple[float, float] = (0, INF), unit: str = "points",
          printed: str = "") -> Claim:
    return Claim("V1-99", "x.", "x", printed, "x", unit, region, study, measure)


BOTH = Difference({"norm": "bn", "aux": "none"}, {"norm": "bn", "aux": "4a+4d"})
def saw(claim: Claim, *grids: study.Grid) -> Seen | None:
    return power.look(claim, {of.study.name: of for of in grids}, grids[0])


EASY = [0.30, 0.32, 0.37]  # of mean 0.33 and variance 0.0013
HARD = [0.20, 0.24, 0.22]  # of mean 0.22 and variance 0.0004


def test_three_seeds_a_side_tell_their_own_scatter_and_what_pairing_buys(out: Any) -> None:
    seen = saw(claim(BOTH), made("v1.aux", {("bn", "none"): EASY, ("bn", "4a+4d"): HARD}))
    assert seen is not None
    assert seen.effect == pytest.approx(11)
    assert seen.runs == (3, 3)
    assert seen.sds == pytest.approx((math.sqrt(13), 2))
    assert seen.whose == "own"
    assert seen.error == pytest.approx(math.sqrt(13 / 3 + 4 / 3))
    assert seen.paired == pytest.approx(np.std([10, 8, 15], ddof=1))
    assert seen.unpaired == pytest.approx(math.sqrt(17))


def test_two_seeds_take_the_scatter_of_all_arms_of_their_form(out: Any) -> None:
    """Over v1.aux (0.02² / 2, 0.04² / 2) of the same form; the published form, far wider, is another."""
    errors = {("bn", "none"): [0.30, 0.32], ("bn", "4a+4d"): [0.20, 0.24], ("lrn", "none"): [0.1, 0.9],
              ("lrn", "4a"): [0.1, 0.9]}
    seen = saw(claim(BOTH), made("v1.aux", errors))
    assert seen is not None
    assert seen.whose == "study"
    assert seen.sds == pytest.approx((math.sqrt((2 + 8) / 2),) * 2)
    assert math.isnan(seen.paired)
    assert math.isnan(seen.unpaired)


def test_one_seed_takes_the_scatter_of_its_form_in_other_studies(out: Any) -> None:
    seen = saw(claim(BOTH), made("v1.aux", {("bn", "none"): [0.30], ("bn", "4a+4d"): [0.20]}),
               made("v3.smoothing", {("0",): HARD}), made("v3.clip", {("2", "1"): [0.1, 0.5, 0.9]}))  # as published
    assert seen is not None
    assert seen.effect == pytest.approx(10)
    assert seen.whose == "form"
    assert seen.sds == pytest.approx((2, 2))


def test_a_mean_over_two_arms_scatters_less_and_a_missing_side_has_its_scatter(out: Any) -> None:
    measure = Difference({"norm": "bn", "aux": ("4a", "4d")}, {"norm": "bn", "aux": "4a+4d"})
    seen = saw(claim(measure), made("v1.aux", {("bn", "none"): HARD}))
    assert seen is not None
    assert math.isnan(seen.effect)
    assert seen.runs == (0, 0)
    assert seen.sds == pytest.approx((2 / math.sqrt(2), 2))
    assert saw(claim(measure), made("v1.aux", {}, first_seed=2000)) is None


def test_ratios_are_logarithms(out: Any) -> None:
    seen = saw(claim(Ratio(BOTH.a, BOTH.b)), made("v1.aux", {
        ("bn", "none"): EASY, ("bn", "4a+4d"): HARD}))
    assert seen is not None
    assert seen.effect == pytest.approx(np.log(EASY).mean() - np.log(HARD).mean())
    assert seen.sds == pytest.approx((np.log(EASY).std(ddof=1), np.log(HARD).std(ddof=1)))


def test_a_measure_of_its_own_interval(out: Any) -> None:
    """The gradient of all losses is 2, 3, 2 times that of the main one, by seed."""
    measure = Louder({"norm": "bn", "init": "he"})
    seen = saw(claim(measure, "v1.gradient", unit="×"), made("v1.gradient", {("bn", "he"): HARD}))
    assert seen is not None
    assert seen.effect == pytest.approx(np.log([2, 3, 2]).mean())
    assert seen.sds == pytest.approx((np.log([2, 3, 2]).std(ddof=1),))


def test_lost_runs_are_a_share(out: Any) -> None:
    measure = Share({"norm": "bn", "rate": "0.6"})
    seen = saw(claim(measure, "bn.rate", (50, 100), "%"), made("bn.rate", {("bn", "0.6"): [0.9, 0.1, 0.2, 0.9]}))
    assert seen is not None
    assert (seen.effect, seen.runs, seen.sds) == (50, (4,), ())


@pytest.mark.parametrize(("unit", "region", "expected"), [
    ("points", (-1, 1), (-1, 1)), ("points", (0, INF), (0, INF)), ("%", (50, 100), (50, INF)),
    ("%", (0, 50), (-INF, 50)), ("×", (1, INF), (0, INF)), ("×", (0, 2), (-INF, math.log(2)))])
def test_regions_are_on_the_scale_of_the_mean(unit: str, region: Any, expected: Any) -> None:
    assert claim(BOTH, region=region, unit=unit).scaled_region == expected


@pytest.mark.parametrize(("printed", "unit", "expected"), [
    ("0.6 points", "points", 0.6), ("31.0 M / 13.3 M = 2.3×", "×", math.log(2.3)), ("0.3", "points", None),
    ("31.0 M / 2.1 M = 15×", "points", None), ("no number", "points", None)])
def test_what_the_paper_prints(printed: str, unit: str, expected: float | None) -> None:
    assert power.printed(claim(BOTH, unit=unit, printed=printed)) == pytest.approx(expected)


# -- all claims ---------------------------------------------------------------------------------------------------
RATES = Rates(("here", 1e9), ("a GPU", 1e12))
JUDGE = Profile("judge", "", {**SMALL, "seeds": 4}, {"v1.aux": {}}, {"v1.aux": ({"norm": ("bn",)},)})
PILOT = Profile("pilot", "", {**SMALL, "part": "pilot", "first_seed": 1000, "seeds": 3}, {"v1.aux": {}}, {})


@pytest.fixture
def hand_made(out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles; the pilot saw 11 points, the judge -1, 0 and 4 and some in other arms."""
    monkeypatch.setattr(profiles, "profile", {"judge": JUDGE, "pilot": PILOT}.__getitem__)
    made("v1.aux", {("bn", "none"): EASY, ("bn", "4a+4d"): HARD})
    judged = {("bn", "none"): [0.21, 0.22, 0.26], ("bn", "4a+4d"): [0.22, 0.22, 0.22]}
    made("v1.aux", judged, part=None, first_seed=0)


def test_what_a_claim_costs(hand_made: None) -> None:
    """Two runs a seed: 3 epochs of 400 images, forward and twice backward, and four looks at 200."""
    row = power.table("judge", RATES).set_index("claim").loc["V3-14"]
    work = sum(cost.multiply_adds(cell.experiment.network) * (3 * 3 * 400 + 4 * 200)
               for cell in study.study("v1.aux", **SMALL, seeds=1).cells
               if cell.keys in ({"norm": "bn", "aux": "none"}, {"norm": "bn", "aux": "4a+4d"}))
    wanted = seeds(Seen(11, (3, 3), (math.sqrt(13), 2)), (0, INF))
    assert wanted is not None
    assert row.seeds == wanted
    assert row.here == pytest.approx(wanted * work / 1e9 / 2)
    assert row.gpu == pytest.approx(wanted * work / 1e12)
    assert (row.judges, row.runs, row.whose) == (4, 3, "own")
    assert row.distance == pytest.approx(11)
    assert row.verdict == "not resolved"
    still = seeds(Seen(1, (3, 3), (np.std([-1, 0, 4], ddof=1), 0)), (0, INF))
    assert still is not None
    assert row.still == still
    assert row.still_here == pytest.approx(still * work / 1e9 / 2)


def test_the_cheapest_come_first_and_what_nobody_knows_last(hand_made: None) -> None:
    table = power.table("judge", RATES)
    assert set(table.claim) == {claim.id for claim in CLAIMS.values() if claim.study and claim.measure
                                and not STUDIES[claim.study].network.startswith("inception_v3")
                                and claim.study != "v3.networks"}  # a V3: too small
    known = table.here.notna().to_numpy()
    assert 0 < known.sum() < len(table)
    assert not known[known.sum():].any()
    assert all(a <= b for a, b in itertools.pairwise(table.here[known]))
    assert table.set_index("claim").loc["V1-25a", "judges"] == 0, "an arm that the profile leaves out"
    assert math.isnan(table.set_index("claim").loc["V1-25a", "here"]), "no published run, so no scatter"


def test_as_printed_where_the_pilot_has_scatter_alone(out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "profile", {"judge": JUDGE, "pilot": PILOT}.__getitem__)
    made("v1.aux", {("lrn", "4a"): HARD})
    row = power.table("judge", RATES).set_index("claim").loc["V1-25a"]
    assert math.isnan(row.seeds)
    assert row.as_printed == seeds(Seen(0.5, (0, 0), (2.0, 2.0)), (0, 1))
    assert row.here > 0


def test_a_study_that_the_pilot_does_not_list_tells_no_effect(hand_made: None) -> None:
    """Its runs may be there because another study asked for them, on other images perhaps."""
    made("v1.ablation", {("whole",): HARD, ("heads",): EASY})
    row = power.table("judge", RATES).set_index("claim").loc["V3-14b"]
    assert row.runs == 0
    assert math.isnan(row.effect)
    assert row.whose == "form"


def test_every_claim_that_is_not_resolved_is_explained(hand_made: None) -> None:
    table = power.table("judge", RATES)
    lines = power.unresolved(table)
    assert [line.split()[0] for line in lines] == list(table.claim[table.verdict == "not resolved"])
    line = next(line for line in lines if line.startswith("V3-14 "))
    assert "+1.0 points, from " in line
    assert "over 3 seeds" in line
    half = t.ppf(0.975, 2) * np.std([-1, 0, 4], ddof=1) / math.sqrt(3)  # one side has no scatter
    assert f"half-width {half:.3g}" in line
    assert f"{table.set_index('claim').still['V3-14']:,.0f} seeds a side would decide it" in line


def test_what_takes_longer_than_half_an_hour_is_named_with_its_number(hand_made: None) -> None:
    quick, slow = (power.table("judge", Rates(("here", speed), ("a GPU", 1e12))) for speed in (1e15, 1e3))
    assert power.beyond(quick) == []
    row = slow.set_index("claim").loc["V3-14"]
    line, = (line for line in power.beyond(slow) if line.startswith("V3-14:"))
    assert f"{row.seeds:.0f} seeds a side take {row.here / 3600:.1f} h here" in line
    within, all_ = int(quick.here.notna().sum()), len(quick)
    assert power.answer(quick).startswith(
        f"Of {all_} claims that need training, 2 cores can decide {within} within half an hour each; 0 take longer, "
        f"and of {all_ - within} ")
    assert f" 2 cores can decide 0 within half an hour each; {within} take longer" in power.answer(slow)


@pytest.mark.parametrize(("paired", "words"), [(1.0, "helps"), (2.9, "buys little")])
def test_pairing(paired: float, words: str) -> None:
    """√((1 + 17 + 9) / 3) = 3; ratios do not count, nor do claims without three seeds of both sides."""
    frame = pd.DataFrame({"unit": ["points", "points", "points", "×", "points"],
                          "paired": [paired, paired, paired, 0.1, math.nan],
                          "unpaired": [1.0, math.sqrt(17), 3.0, 0.2, math.nan]})
    said = power.pairing(frame)
    assert "(3 of the claims)" in said
    assert said.endswith(f"of one seed scatters by {paired:.2f} points, of two seeds by 3.00: pairing {words}.")
    assert power.pairing(frame[:2]).endswith("by 3.00: too few to tell.")
    assert "cannot tell" in power.pairing(frame[3:])


def test_the_report(hand_made: None) -> None:
    said = power.report("judge")
    row = next(line for line in said.splitlines() if line.startswith("V3-14 "))
    assert "+11.0 (3)" in row
    assert row.endswith("not resolved")
    assert all(claim in said for claim in power.table("judge", RATES).claim)


def test_without_a_pilot_one_sentence(out: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="No pilot run is stored"):
        power.report("cpu")
    assert main(["power", "--profile", "cpu"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    table = power.table("cpu")
    assert table.here.isna().all()
    assert "nothing is known yet" in power.answer(table)
    assert power.beyond(table) == power.unresolved(table) == []


def test_rates_are_those_of_the_newest_machines(out: Any) -> None:
    """25 T multiply-adds a second where nothing is known of a GPU; then the most that bench saw there of ours; then
    what runs did."""
    made("v1.aux", {("bn", "none"): [0.1]})
    assert power.rates().gpu[1] == 25e12
    (out / "tables").mkdir()
    gpu = ("ours,train,bf16,20", "ours-graph,train,bf16,60", "ours,infer,bf16,80", "torchvision-tuned,train,bf16,90",
           "ours,train,bf16,")
    for name, device, rows in (("x", "NVIDIA X", gpu), ("x-quick", "NVIDIA X", ("ours,train,bf16,900",)),
                               ("cpu", "CPU", ("ours,train,fp32,70",))):
        (out / "tables" / f"bench-{name}.csv").write_text("\n".join(
            ["device,variant,phase,precision,tflops", *(f"{device},{row}" for row in rows)]))
    assert power.rates().gpu == ("NVIDIA X", 30e12)  # an operation of each multiply-add is an addition
    assert power.rates().here == ("here", pytest.approx(3 * 1e6 * 100 + 1e6 * 4 * 200))
    cell = study.study("v3.clip", **SMALL, seeds=1).cells[0]
    store.commit(cell.address, experiments.record(cell.experiment, 0), [{"epoch": 1.0}], {
        "epoch": 1, "val_images": 0, "multiply_adds": 10 ** 6}, {
        "utc": "2026-02-01", "device": "NVIDIA X", "processor": "its", "seconds": 2.0, "images_per_s": 500.0})
    assert power.rates().gpu == ("NVIDIA X", pytest.approx(3 * 1e6 * 500))
    assert power.rates().here[0] == "here"


def test_the_pilot_lists_studies_that_exist() -> None:
    assert {each.study.name for each in power.piloted()} <= set(grid.STUDIES)
