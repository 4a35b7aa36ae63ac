"""The verdict rule as a truth table; every claim of the list is there; what is arithmetic recomputed from the papers'
numbers, or counted on torchvision's network."""
from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from table1 import MODULES
from torch import nn
from torchvision.models import inception_v3

from replication import paths, stats
from replication.errors import BadInput
from replication.pages import afterwards, arora, claims, counted, notes, out_of_reach, trained
from replication.pages.claim import (
    CONTRADICTED,
    NOT_RUN,
    OUT_OF_REACH,
    SUPPORTED,
    UNRESOLVED,
    Claim,
    Settled,
    verdict,
)
from replication.pages.claims import CLAIMS, PAPERS
from replication.pages.measures import Louder
from replication.stats import Interval
from replication.studies import grid

INF = math.inf


# -- the rule -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("ends", "region", "expected"), [
    ((1, 2), (0, 3), SUPPORTED), ((0, 3), (0, 3), SUPPORTED), ((3, 3), (0, 3), SUPPORTED), ((0, 0), (0, 3), SUPPORTED),
    ((1, 2), (0, INF), SUPPORTED), ((-9, 0.5), (-INF, 0.5), SUPPORTED), ((-INF, INF), (-INF, INF), SUPPORTED),
    ((4, 5), (0, 3), CONTRADICTED), ((-2, -1), (0, 3), CONTRADICTED), ((3.1, INF), (0, 3), CONTRADICTED),
    ((-INF, -1), (0, INF), CONTRADICTED), ((11, 11), (12, 12), CONTRADICTED), ((1, 2), (-INF, 0.5), CONTRADICTED),
    ((-1, 1), (0, 3), UNRESOLVED), ((2, 4), (0, 3), UNRESOLVED), ((-1, 4), (0, 3), UNRESOLVED),
    ((-1, 0), (0, 3), UNRESOLVED), ((3, 4), (0, 3), UNRESOLVED), ((-INF, INF), (0, INF), UNRESOLVED),
    ((-INF, 2), (0, 3), UNRESOLVED), ((1, INF), (0, 3), UNRESOLVED), ((math.nan, math.nan), (0, 3), UNRESOLVED),
])
def test_verdict(ends: tuple[float, float], region: tuple[float, float], expected: str) -> None:
    middle = sum(ends) / 2 if all(map(math.isfinite, ends)) else 0.0
    assert verdict(Interval(middle, *ends, 3), region) == expected


def test_what_was_not_measured_waits_or_is_out_of_reach() -> None:
    settled = claims.settle(["V1-25a", "V1-01", "V3-05", "BN-5"])
    assert [s.verdict for s in settled] == [NOT_RUN, CONTRADICTED, NOT_RUN, OUT_OF_REACH]
    assert [s.interval is None for s in settled] == [True, False, True, True]
    assert settled[0].seeds_needed is None


def test_unknown_claim() -> None:
    with pytest.raises(BadInput, match="Did you mean 'V1-"):
        claims.settle(["V1-01", "V1-25x"])


def claim(region: tuple[float, float]) -> Claim:
    return Claim("x", "x.", "x", "x", "x", "points", region, None, lambda: None)


@pytest.mark.parametrize(("interval", "region"), [
    (Interval(0.3, -0.2, 0.8, 5), (0, 1)), (Interval(-0.4, -1.0, 0.2, 4), (0, INF)),
    (Interval(0.7, 0.1, 1.3, 4), (-INF, 0.5))])
def test_seeds_that_would_resolve_it(interval: Interval, region: tuple[float, float]) -> None:
    settled = Settled(claim(region), interval)
    assert settled.verdict == UNRESOLVED
    assert settled.seeds_needed == stats.seeds_needed(interval, region)


def test_a_ratio_takes_as_many_seeds_as_its_logarithm() -> None:
    """Whether numbers lie close together or far apart: an interval of the ratio itself is lopsided then."""
    ratio = Claim("x", "x.", "x", "x", "x", "×", (1, INF), None, lambda: None)
    for sd in (0.1, 3.0):
        half = 2.0 * sd
        log = Interval(0.5 * sd, 0.5 * sd - half, 0.5 * sd + half, 4)
        found = Interval(*map(math.exp, (log.value, log.low, log.high)), n=4)  # type: ignore[misc]
        assert Settled(ratio, found).seeds_needed == stats.seeds_needed(log, (0, INF))


def test_runs_that_would_resolve_a_share() -> None:
    """Six of six is the first number whose interval ends above a half."""
    share = Claim("x", "x.", "x", "x", "x", "%", (50, 100), None, lambda: None)
    assert Settled(share, stats.share(4, 4)).seeds_needed == 6


@pytest.mark.parametrize("interval", [Interval(0.5, 0.4, 0.6, 5), Interval(0.5, -INF, INF, 1),
                                      Interval(math.nan, math.nan, math.nan, 5)])
def test_no_seeds_are_asked_for_where_it_is_resolved_or_undefined(interval: Interval) -> None:
    assert Settled(claim((0, 1)), interval).seeds_needed is None


# -- the list -----------------------------------------------------------------------------------------------------
LIST = [  # of what can be tested in the papers, the relatives and popular notes
    *(f"V1-{n:02}" for n in (*range(1, 15), *range(20, 40))), *(f"V3-{n:02}" for n in range(1, 37)),
    *(f"NIN-{n}" for n in range(1, 5)), *(f"AR-{n}" for n in range(1, 5)), *(f"BN-{n}" for n in range(1, 6)),
    "AX-1", "LN-1", "KWS-1", "KWS-2",
    *(f"S0-{n}" for n in range(1, 6)), *(f"S1-{n}" for n in range(1, 6)), *(f"S2-{n}" for n in range(1, 8)),
    *(f"S4-{n}" for n in range(1, 6))]
AFTERWARDS = {"V1-24", "V1-32", "V1-33", "V1-34", "V1-35", "V1-36"}  # of trained networks, looked at again


def test_every_claim_of_the_list_is_here() -> None:
    assert len(LIST) == 109
    here = {name.rstrip("abcdef") for name in (*CLAIMS, *(note.id for note in notes.notes()))}
    to_come = set() if importlib.util.find_spec("replication.pages.afterwards") else AFTERWARDS - {"V1-33"}
    assert set(LIST) - here == to_come


def test_ids_regions_and_studies() -> None:
    assert [claim.id for claim in CLAIMS.values()] == list(CLAIMS)
    written = [claim.id for of in (counted, trained, afterwards, arora, out_of_reach) for claim in of.CLAIMS]
    assert len(written) == len(set(written)) <= len(CLAIMS), "two claims share an id"
    for claim in CLAIMS.values():
        assert claim.id.split("-")[0] in PAPERS, claim.id
        assert claim.region[0] <= claim.region[1], claim.id
        assert any(map(math.isfinite, claim.region)), claim.id
        assert claim.study is None or (claim.study in grid.STUDIES and claim.measure), claim.id
        assert claim.unit, claim.id
        assert claim.sentence.endswith("."), claim.id
        ways = [claim.measure is not None, bool(claim.awaits), bool(claim.why)]
        assert sum(ways) == 1, f"{claim.id} is measured, or waits for something, or is out of reach for a reason"


def test_claims_stand_by_paper_as_people_count() -> None:
    order = list(CLAIMS)
    wanted = ["V1-01", "V1-03a", "V1-03b", "V1-08", "V1-08b", "V1-09", "V1-10", "V3-01a", "NIN-1a", "AR-1", "BN-1a",
              "AX-1", "LN-1", "KWS-1a", "KWS-1b"]
    assert [name for name in order if name in wanted] == wanted


def test_the_gradient_is_judged_twice_and_only_the_normalisation_differs() -> None:
    published, normalised = (CLAIMS[name].measure for name in ("V1-23a", "V1-23b"))
    assert isinstance(published, Louder)
    assert isinstance(normalised, Louder)
    assert published.arms == {**normalised.arms, "norm": "lrn"}


# -- arithmetic, again --------------------------------------------------------------------------------------------
def googlenet() -> tuple[list[tuple[int, int, float, float]], int]:
    """(weights, multiply-adds, printed K, printed M) of Table 1's twelve lines, and all parameters with biases."""
    lines = [(49 * 3 * 64, 49 * 3 * 64 * 112 ** 2, 2.7, 34),
             (64 * 64 + 9 * 64 * 192, (64 * 64 + 9 * 64 * 192) * 56 ** 2, 112, 360)]
    biases = 64 + 64 + 192 + 1000
    for m in MODULES.values():
        lines.append((m.weights, m.weights * m.side ** 2, m.params_k, m.ops_m))
        biases += sum(m.filters)
    lines.append((1024 * 1000, 1024 * 1000, 1000, 1))
    return lines, sum(weights for weights, *_ in lines) + biases


def twice_as_wide(column: int) -> float:
    """Of weights (0, with biases) or multiply-adds (1): the first line has 3 channels before it as ever, the last 1,000
    after it."""
    lines, parameters = googlenet()
    first, *between, last = (line[column] for line in lines)
    biases = parameters - sum(line[0] for line in lines) if column == 0 else 0
    return (2 * first + 4 * sum(between) + 2 * last + (2 * (biases - 1000) + 1000 if biases else 0)) / (
        first + sum(between) + last + biases)


def alexnet() -> int:
    layers = [(96, 3 * 121), (256, 48 * 25), (384, 256 * 9), (384, 192 * 9), (256, 192 * 9), (4096, 256 * 36),
              (4096, 4096), (1000, 4096)]  # Krizhevsky et al. 2012, §3.5: (kernels, inputs of one)
    return sum(out * (inputs + 1) for out, inputs in layers)


def naive() -> int:
    macs, channels = 49 * 3 * 64 * 112 ** 2 + (64 * 64 + 9 * 64 * 192) * 56 ** 2, 192
    for m in MODULES.values():
        macs += m.side ** 2 * channels * (m.n1 + 9 * m.n3 + 25 * m.n5)
        channels += m.n1 + m.n3 + m.n5
    assert channels == 4944  # V1 §4: the nine modules' channels, added up by hand
    return macs + channels * 1000


def two_3x3() -> float:
    """Percent saved over the nine 5×5, with √α times as many maps between two 3×3, rounded."""
    before = after = 0
    for m in MODULES.values():
        before += m.side ** 2 * 25 * m.r5 * m.n5
        after += m.side ** 2 * 9 * round(math.sqrt(m.r5 * m.n5)) * (m.r5 + m.n5)
    return 100 * (1 - after / before)


def agreeing(printed: int, own: int, unit: float) -> int:
    """Lines printed within one unit of their last digit."""
    return sum(abs(line[own] / unit - line[printed]) <= (0.1 if line[printed] == 2.7 else 1) for line in googlenet()[0])


def rising() -> int:
    ratios = [(m.n3 + m.n5) / m.n1 for m in MODULES.values()]
    return sum(ratios[n] < ratios[n + 1] for n in range(8))


def separable() -> int:
    """Eight filters of 7×7 on each of three channels, then 1×1 to 64; the rest as printed."""
    return sum(line[1] for line in googlenet()[0][1:]) + (49 * 3 * 8 + 24 * 64) * 112 ** 2


@cache
def v3(side: int = 299, first: int = 2, pool: bool = True) -> tuple[int, int]:
    """(parameters, multiply-adds) of torchvision's Inception V3, on no device: the first stride and pool as told."""
    macs = 0

    def count(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal macs
        macs += layer.weight.numel() * math.prod(output.shape[2:])

    with torch.device("meta"):
        network = inception_v3(weights=None, aux_logits=False, init_weights=False).eval()
        network.Conv2d_1a_3x3.conv.stride = (first, first)
        if not pool:
            network.maxpool1 = nn.Identity()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.empty(1, 3, side, side))
    return sum(p.numel() for p in network.parameters()), macs


def convolutions_first() -> int:
    """The convolutions that halve the grid, on the whole of it: two branches at 35, two at 17."""
    return v3()[1] + (35 ** 2 - 17 ** 2) * 9 * (288 * 384 + 96 * 96) + (17 ** 2 - 8 ** 2) * 9 * 192 * (320 + 192)


def keywords() -> int:
    """kws_streaming's inception with the 30 K configuration: weights, an offset a map, no scale."""
    first, maps = 5 * 30 * 32 + 32, 32
    total = first
    for wide, kernel in ((32, 3), (64, 5), (70, 5)):
        total += 3 * maps * 16 + 3 * kernel * 16 * 16 + 48 * wide + 6 * 16 + wide
        maps = wide
    return total + 70 * 12 + 12


def smoothing_apart() -> float:
    """torch's own smoothed loss beside the two that it is said to be, in double precision."""
    logits = torch.linspace(-7, 7, 1200, dtype=torch.float64).mul(90).sin().mul(9).reshape(-1, 12)
    hard = nn.functional.cross_entropy(logits, labels := torch.arange(100) % 12, reduction="none")
    even = -torch.log_softmax(logits, 1).mean(1)
    smooth = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    assert float((smooth - hard).abs().max()) > 0.1
    return round(float((smooth - 0.9 * (hard + 0.1 / 0.9 * even)).abs().max()), 12)


GOOGLENET = 1_582_671_872
ARITHMETIC: dict[str, tuple[Callable[[], float], float, str]] = {  # how, the number on paper, the verdict
    "V1-01": (lambda: alexnet() / googlenet()[1], 60_965_224 / 6_998_552, CONTRADICTED),
    "V1-02a": (lambda: sum(line[1] for line in googlenet()[0]) / 1e9, 1.582671872, CONTRADICTED),
    "V1-02b": (lambda: separable() / 1e9, (GOOGLENET - 118_013_952 + 2_712 * 12_544) / 1e9, SUPPORTED),
    "V1-03a": (lambda: agreeing(2, 0, 1024), 5, CONTRADICTED),
    "V1-03b": (lambda: agreeing(3, 1, 1e6), 10, CONTRADICTED),
    "V1-04a": (lambda: 1 + 2 + 2 * 9 + 1, 22, SUPPORTED),
    "V1-04b": (lambda: 22 + 4 + 1, 27, SUPPORTED),
    # 57 convolutions, a linear layer, 14 pools, 9 concatenations, 2 LRNs, a dropout; 2 × (pool, conv, 2 linear, drop)
    "V1-05": (lambda: 58 + (4 + 9 + 1) + 9 + 2 + 1 + 2 * 5, 94, SUPPORTED),
    "V1-06": (lambda: (2 * 64) * (2 * 64) / (64 * 64), 4, SUPPORTED),
    "V1-07": (lambda: 28 * 28 * 192 * 32 * 25 / (28 * 28 * (192 * 16 + 25 * 16 * 32)), 120_422_400 / 12_443_648,
              SUPPORTED),
    "V1-08": (lambda: naive() / GOOGLENET, (12.09e9 + 477.67e6 + 4.944e6) / GOOGLENET, SUPPORTED),
    # 2.50, 2.25, 1.33, 1.80, 2.50, 3.14, 1.75, 1.75, 1.33
    "V1-09b": (rising, 3, CONTRADICTED),
    "V1-33c": (lambda: round(10.07 - 6.67, 2), 3.4, CONTRADICTED),
    "V1-37a": (lambda: 100 * (15.3 - 6.67) / 15.3, 56.40522875816993, CONTRADICTED),
    "V1-37b": (lambda: 100 * (11.2 - 6.67) / 11.2, 40.44642857142857, SUPPORTED),
    "V3-01a": (lambda: twice_as_wide(1), (4 * GOOGLENET - 2 * (118_013_952 + 1_024_000)) / GOOGLENET, SUPPORTED),
    "V3-01b": (lambda: twice_as_wide(0), (4 * 6_990_272 - 2 * (9_408 + 1_024_000) + 2 * 8_280 - 1_000) / 6_998_552,
               SUPPORTED),
    "V3-06": (lambda: 5 * 5 / (3 * 3), 25 / 9, SUPPORTED),
    "V3-07a": (lambda: 100 * (1 - 2 * 9 / 25), 28, SUPPORTED),
    # the roots are 22.6, 55.4, 27.7, 39.2, 39.2, 45.3, 64, 64 and 78.4
    "V3-07b": (two_3x3, 100 - 36 * (784 * (23 * 48 + 55 * 128) + 196 * (28 * 64 + 2 * 39 * 88 + 45 * 96 + 64 * 160)
                                    + 49 * (64 * 160 + 78 * 176))
               / (784 * (512 + 3072) + 196 * (768 + 2 * 1536 + 2048 + 4096) + 49 * (4096 + 6144)), CONTRADICTED),
    "V3-11a": (lambda: 100 * (1 - 2 * 3 / 9), 100 / 3, SUPPORTED),
    "V3-11b": (lambda: 100 * (1 - 2 * 4 / 9), 100 / 9, SUPPORTED),
    "V3-11c": (lambda: 100 * (1 - 2 * 7 / 49), 500 / 7, SUPPORTED),
    # V3 §5: 2d²k² against 2(d/2)²k²
    "V3-18a": (lambda: 100 * (1 - (2 * 16 ** 2 * 64 ** 2) / (2 * 32 ** 2 * 64 ** 2)), 75, CONTRADICTED),
    "V3-18b": (lambda: (2 * 32 ** 2 * 64 ** 2) / (2 * 16 ** 2 * 64 ** 2), 4, CONTRADICTED),
    "V3-18c": (lambda: convolutions_first() / v3()[1], (5_713_216_096 + 1_208_328_192) / 5_713_216_096, SUPPORTED),
    "V3-19a": (lambda: 3.8 / 1.5, 38 / 15, SUPPORTED),
    "V3-19b": (lambda: v3()[1] / GOOGLENET, 5_713_216_096 / GOOGLENET, CONTRADICTED),
    # stem, three modules of 3, a reduction of 3, of 5 (four, or five as printed), a reduction of 4, two of 3, linear
    "V3-20a": (lambda: 5 + 3 * 3 + 3 + 4 * 5 + 4 + 2 * 3 + 1, 48, CONTRADICTED),
    "V3-20b": (lambda: 6 + 3 * 3 + 3 + 5 * 5 + 4 + 2 * 3 + 1, 54, CONTRADICTED),
    "V3-23": (smoothing_apart, 0, SUPPORTED),
    "V3-28a": (lambda: 100 * v3(151, 1)[1] / v3()[1], 100, SUPPORTED),
    "V3-28b": (lambda: 100 * v3(79, 1, False)[1] / v3()[1], 100 * 5_361_703_520 / 5_713_216_096, SUPPORTED),
    "V3-30a": (lambda: v3()[1] / v3(79)[1], 5_713_216_096 / 212_103_008, CONTRADICTED),
    "V3-31a": (lambda: (149 ** 2 * 27 * 32 + 147 ** 2 * 9 * 32 * (32 + 64) - 147 ** 2 * 49 * 3 * 64) / 1e9,
               (616_627_296 - 203_297_472) / 1e9, CONTRADICTED),
    "V3-35a": (lambda: v3()[0] / 1e6, 23.834568, SUPPORTED),
    "V3-35b": (lambda: v3()[1] / 1e9, 5.713216096, CONTRADICTED),
    "V3-36a": (lambda: 100 * (5.71 - 4.2) / 5.71, 26.44483362521891, CONTRADICTED),
    "V3-36b": (lambda: 100 * (21.59 - 18.77) / 21.59, 13.06160259379342, CONTRADICTED),
    "AX-1": (lambda: alexnet() / 1e6, 60.965224, SUPPORTED),
    "LN-1": (lambda: 156 + 12 + 1516 + 32 + 48_120 + 10_164, 60_000, SUPPORTED),
    "KWS-1a": (lambda: keywords() / 1e3, 30.234, SUPPORTED),
}


def test_every_claim_of_arithmetic_is_recomputed_here() -> None:
    assert {*ARITHMETIC, "V1-12", "V1-12b", "V1-39", "AR-1", "AR-2", "AR-3"} == {  # the latter drawn: test_arora
        name for name, claim in CLAIMS.items() if claim.study is None and claim.measure is not None}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name: str) -> None:
    how, printed, verdict = ARITHMETIC[name]
    settled, = claims.settle([name])
    assert how() == pytest.approx(printed, rel=1e-3 if name == "V1-08" else 1e-12)
    assert settled.interval == stats.exact(pytest.approx(how(), rel=1e-12))
    assert settled.verdict == verdict


def test_a_week_is_as_many_images_as_bench_measured(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """250 epochs of 1,281,167 images at the fastest rate of any GPU, where there is a table of one."""
    assert claims.settle(["V1-39"])[0].verdict == NOT_RUN
    monkeypatch.delenv("REPLICATION_READ")
    rates = []
    for path in (paths.PUBLISHED / "tables").glob("bench-nvidia*.csv"):
        with path.open(encoding="utf-8") as file:
            rates += [tuple(float(row[f"images_per_s{end}"]) for end in ("", "_high", "_low"))
                      for row in csv.DictReader(file) if row["status"] == "ok" and row["resolution"] == "224"
                      and (row["network"], row["variant"], row["phase"]) == ("googlenet", "ours", "train")]
    settled, = claims.settle(["V1-39"])
    expected = [250 * 1_281_167 / rate / (24 * 60 * 60) for rate in max(rates)]
    assert settled.interval is not None
    assert [settled.interval.value, settled.interval.low, settled.interval.high] == pytest.approx(expected)
    assert settled.interval.of == "repeats"
    assert settled.verdict == SUPPORTED


# -- popular notes ------------------------------------------------------------------------------------------------
def test_notes_name_claims_that_exist_and_count_what_the_paper_has() -> None:
    by_id = {note.id: note for note in notes.notes()}
    for note in by_id.values():
        assert set(note.shown) <= set(CLAIMS), note.id
        assert note.verdict in notes.COLOURS
        assert note.verdict != notes.OPEN or note.shown, f"{note.id} is open: it must name the claims it waits for"
        assert note.page is None or (paths.ROOT / "book" / f"{note.page[0]}.ipynb").exists()
    words = {"S0-1": ("60.97",), "S0-2": (f"{23_834_568 / 6_998_552:.1f} times the p", f"{5_713.2 / 1_582.7:.1f}"),
             "S2-1": ("120,422,400",), "S2-2": ("2,408,448 + 10,035,200 = 12,443,648", "9.68"),
             "S4-1": ("12.6 for 1.6 billion",), "S4-5": ("28 or 33 %", "3.4 times")}
    for name, said in words.items():
        assert all(word in by_id[name].truth for word in said), (name, by_id[name].truth)
    wrong = {name for name, note in by_id.items() if note.verdict == notes.WRONG}
    assert {"S0-2", "S2-5"} <= wrong
    assert {"S0-1", "S2-1", "S2-2"} <= {name for name, note in by_id.items() if note.verdict == notes.RIGHT}
