"""The claims: testable sentences of the papers, and the rule, written before the run, that gives each its verdict.

Every claim says that one number lies in a region. The verdict is arithmetic on the 95 % interval of what we measured:
inside the region *supported*, outside it *contradicted*, across its edge *not resolved at this scale*.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from replication.errors import unknown
from replication.models import baselines, cost
from replication.models.googlenet import googlenet, googlenet_naive
from replication.models.ops import Conv
from replication.pages import stats
from replication.pages.googlenet_row_by_row import table1
from replication.pages.network_in_network import Branch, factorisations, per_position, saving, widened
from replication.pages.stats import Interval
from replication.studies.study import Grid

SUPPORTED, CONTRADICTED, UNRESOLVED, NOT_RUN = "supported", "contradicted", "not resolved", "not yet run"


@dataclass(frozen=True)
class Claim:
    """`sentence` in our words, `where` it stands, what is `printed`, the `quantity` we measure, and the `region` in
    which the sentence puts it. `unit` is "×", "G", "%", "points" (of error, in percent), or what is counted."""
    id: str
    sentence: str
    where: str
    printed: str
    quantity: str
    unit: str
    region: tuple[float, float]
    study: str | None
    measure: Callable[..., Interval | None]


@dataclass(frozen=True)
class Settled:
    claim: Claim
    interval: Interval | None

    @property
    def verdict(self) -> str:
        return verdict(self.interval, self.claim.region)

    @property
    def seeds_needed(self) -> int | None:
        """Seeds that would resolve it if mean and spread stay as seen: the interval must end before the nearer edge."""
        if self.interval is None or self.verdict != UNRESOLVED:
            return None
        edges = [abs(self.interval.value - edge) for edge in self.claim.region if math.isfinite(edge)]
        return stats.seeds_needed(self.interval, min(edges))


def verdict(interval: Interval | None, region: tuple[float, float]) -> str:
    """Where the whole interval lies with respect to the region; edges count as inside."""
    if interval is None:
        return NOT_RUN
    low, high = region
    if low <= interval.low and interval.high <= high:
        return SUPPORTED
    if interval.high < low or interval.low > high:
        return CONTRADICTED
    return UNRESOLVED


# -- what is measured ---------------------------------------------------------------------------------------------
def _gain(summary: pd.DataFrame, norm: str, a: tuple[str, ...], b: tuple[str, ...],
          column: str = "val_error") -> Interval | None:
    """Error with the heads `a` less that with the heads `b` (each averaged), in points, paired over seeds."""
    if summary.empty:
        return None
    errors = summary[summary.norm == norm].pivot_table(index="seed", columns="aux", values=column)
    if not {*a, *b} <= set(errors.columns):
        return None
    both = pd.DataFrame({"a": errors[list(a)].mean(axis=1, skipna=False),
                         "b": errors[list(b)].mean(axis=1, skipna=False)}).dropna()
    return stats.paired(100 * both.a, 100 * both.b) if len(both) else None


def _final(norm: str, a: tuple[str, ...], b: tuple[str, ...]) -> Callable[[Grid], Interval | None]:
    return lambda grid: _gain(grid.summary(), norm, a, b)


def _early(norm: str, a: tuple[str, ...], b: tuple[str, ...]) -> Callable[[Grid], Interval | None]:
    """The same over the first third of the epochs, every epoch's error averaged."""
    def measure(grid: Grid) -> Interval | None:
        history = grid.history()
        if history.empty:
            return None
        first = history[(history.epoch >= 1) & (history.epoch <= max(1, grid.setting.epochs / 3))]
        means = first.groupby([*grid.study.factors, "seed"])[["val_error"]].mean().reset_index()
        return _gain(means, norm, a, b)
    return measure


def _ablated(arm: str) -> Callable[[Grid], Interval | None]:
    """Error of an arm of v1.ablation less that of the whole network, in points; seeds are independent repetitions."""
    def measure(grid: Grid) -> Interval | None:
        runs = grid.summary()
        if runs.empty:
            return None
        without, whole = (100 * runs[runs.form == key].val_error.dropna() for key in (arm, "whole"))
        return stats.welch(without, whole) if min(len(without), len(whole)) > 1 else None
    return measure


def _louder(norm: str, init: str) -> Callable[[Grid], Interval | None]:
    """Gradient norm at the first convolution before training, all losses over the main loss alone."""
    def measure(grid: Grid) -> Interval | None:
        start = grid.history()
        if start.empty:
            return None
        start = start[(start.norm == norm) & (start.init == init)]
        return stats.geometric(start.grad_total / start.grad_main) if len(start) else None
    return measure


def _factorised(kernel: str, parts: str) -> Callable[[], Interval]:
    """Percent that a factorisation of V3 §3 saves."""
    def measure() -> Interval:
        return stats.exact(float(factorisations().set_index(["kernel", "as"])["saved, %"][kernel, parts]))
    return measure


# -- the claims ---------------------------------------------------------------------------------------------------
MARGIN = 0.5  # points of top-1 error: what the CVPR text calls a minor effect is the largest we call none

CLAIMS = {claim.id: claim for claim in (
    Claim("V1-01", "GoogLeNet has 12 times fewer parameters than AlexNet.", "V1 §1", "12×",
          "parameters of AlexNet over GoogLeNet without heads", "×", (11.5, 12.5), None,
          lambda: stats.exact(cost.parameters(baselines.ALEXNET) / cost.parameters(googlenet(), aux=False))),
    Claim("V1-02", "Inference stays within a budget of 1.5 billion multiply-adds.", "V1 §1", "1.5 G",
          "multiply-adds of one 224 px image", "G", (1.45, 1.55), None,
          lambda: stats.exact(cost.multiply_adds(googlenet()) / 1e9)),
    Claim("V1-03a", "The parameters of Table 1 follow from its filter counts.", "V1 Table 1", "12 of 12 rows",
          "rows whose printed parameters are those of their filters, give or take one unit of the last digit",
          "rows", (12, 12), None,
          lambda: stats.exact(float(table1().parameters_agree.sum()))),
    Claim("V1-03b", "The operations of Table 1 follow from its filter counts.", "V1 Table 1", "12 of 12 rows",
          "rows whose printed operations are those of their filters, give or take one unit of the last digit",
          "rows", (12, 12), None,
          lambda: stats.exact(float(table1().operations_agree.sum()))),
    Claim("V1-04a", "GoogLeNet is 22 layers deep.", "V1 §5", "22",
          "layers with weights on the longest path", "layers", (22, 22), None,
          lambda: stats.exact(float(cost.depth(googlenet())))),
    Claim("V1-04b", "It is 27 layers deep with pooling.", "V1 §5", "27",
          "the same, counting pools", "layers", (27, 27), None,
          lambda: stats.exact(float(cost.depth(googlenet(), pooling=True)))),
    Claim("V1-05", "It is made of about 100 independent building blocks.", "V1 §5", "about 100",
          "convolutions, pools, LRNs, concatenations, dropouts and linear layers, heads included", "blocks", (90, 110),
          None, lambda: stats.exact(float(cost.blocks(googlenet())))),
    Claim("V1-06", "Of two chained convolutions, wider by the same factor, the cost grows quadratically.", "V1 §3",
          "quadratic", "multiply-adds of the second of two 3×3 when both have twice the filters, over those before",
          "×", (4, 4), None, lambda: stats.exact(float(widened((1, 2))["second of two, ×"].iloc[1]))),
    Claim("V1-07", "1×1 reductions make the 5×5 convolutions affordable.", "V1 §4", "about 10× (lecture notes)",
          "multiply-adds of module 3a's 5×5 on its input over those with its reduction", "×", (9.5, 10.5), None,
          lambda: stats.exact(Branch().direct.multiply_adds / Branch().reduced.multiply_adds)),
    Claim("V1-08", "Modules without reductions blow up within a few stages.", "V1 §4", "no number",
          "multiply-adds of nine naive modules' network over GoogLeNet's", "×", (2, math.inf), None,
          lambda: stats.exact(cost.multiply_adds(googlenet_naive()) / cost.multiply_adds(googlenet()))),
    Claim("V1-20", "Average pooling in place of a fully connected layer lowers the top-1 error, by about 0.6 points.",
          "V1 §5", "0.6 points", "error with a hidden layer of 1024 in its place less error with the average; BN, "
          "dropout in both, photographs", "points", (0, math.inf), "v1.ablation", _ablated("average")),
    Claim("V1-21", "Dropout remains essential without the fully connected layers.", "V1 §5", "no number",
          "error without dropout before the last layer less error with it; BN, average pooling, photographs", "points",
          (MARGIN, math.inf), "v1.ablation", _ablated("dropout")),
    Claim("V1-23a", "Auxiliary heads raise the gradient that reaches the early layers (published network).",
          "V1 §5", "no number", "gradient norm at conv1 before training, all heads over the main one; LRN, Caffe's "
          "initialisation", "×", (1, math.inf), "v1.gradient", _louder("lrn", "xavier")),
    Claim("V1-23b", "The same with batch normalisation.", "V1 §5", "no number",
          "as above; BN, He's initialisation", "×", (1, math.inf), "v1.gradient", _louder("bn", "he")),
    Claim("V1-25a", "Auxiliary heads lower the top-1 error by about 0.5 points.", "V1 (CVPR) §5", "0.5 points",
          "error without heads less error with both; published network", "points", (0, 2 * MARGIN), "v1.aux",
          _final("lrn", ("none",), ("4a+4d",))),
    Claim("V1-25b", "One auxiliary head does as well as two.", "V1 (CVPR) §5", "no difference",
          "error with one head (mean of 4a and 4d) less error with both; published network", "points",
          (-math.inf, MARGIN), "v1.aux", _final("lrn", ("4a", "4d"), ("4a+4d",))),
    Claim("V3-06", "A 5×5 convolution costs 2.78 times as much as a 3×3 with as many filters.", "V3 §3.1",
          "25/9 = 2.78×", "multiply-adds of a 5×5 over those of a 3×3", "×", (2.775, 2.785), None,
          lambda: stats.exact(per_position(Conv(64, 5)) / per_position(Conv(64, 3)))),
    Claim("V3-07a", "Two 3×3 in place of a 5×5 that gives as many maps as it sees save 28 %.", "V3 §3.1", "28 %",
          "multiply-adds saved at α = 1", "%", (27.5, 28.5), None, _factorised("5×5", "3×3, 3×3")),
    Claim("V3-07b", "The estimate holds for GoogLeNet's own 5×5 convolutions, said to have α of about 1.5.", "V3 §3.1",
          "28 %", "multiply-adds saved over all nine modules, √α between the two 3×3", "%", (26, 28.5), None,
          lambda: stats.exact(saving("root"))),  # 26.5 at α = 1.5
    Claim("V3-11a", "A 3×1 and a 1×3 in place of a 3×3 save 33 %.", "V3 §3.2", "33 %",
          "multiply-adds saved at α = 1", "%", (32.5, 33.5), None, _factorised("3×3", "3×1, 1×3")),
    Claim("V3-11b", "Two 2×2 in place of a 3×3 save only 11 %.", "V3 §3.2", "11 %",
          "weights saved at α = 1", "%", (10.5, 11.5), None, _factorised("3×3", "2×2, 2×2")),
    Claim("V3-13", "Auxiliary heads do not make early training converge faster.", "V3 §4", "no difference",
          "mean error over the first third of training, without heads less with both; BN", "points",
          (-math.inf, MARGIN), "v1.aux", _early("bn", ("none",), ("4a+4d",))),
    Claim("V3-14", "Near the end, the network with heads is slightly better.", "V3 §4", "slightly",
          "error without heads less error with both; BN", "points", (0, math.inf), "v1.aux",
          _final("bn", ("none",), ("4a+4d",))),
    Claim("V3-14b", "The same on photographs.", "V3 §4", "slightly", "error without heads less error with both; BN, "
          "photographs", "points", (0, math.inf), "v1.ablation", _ablated("heads")),
    Claim("V3-15", "Removing the lower head does no harm.", "V3 §4", "no difference",
          "error with 4d alone less error with both; BN", "points", (-math.inf, MARGIN), "v1.aux",
          _final("bn", ("4d",), ("4a+4d",))),
)}


def settle(ids: Sequence[str], grids: Sequence[Grid] = ()) -> list[Settled]:
    """Measures claims; those of a study need its grid among `grids`. Raises BadInput for a claim that is none."""
    by_study = {grid.study.name: grid for grid in grids}
    for name in ids:
        if name not in CLAIMS:
            raise unknown("claim", name, CLAIMS)
    return [Settled(claim, claim.measure() if claim.study is None
                    else claim.measure(by_study[claim.study]) if claim.study in by_study else None)
            for claim in map(CLAIMS.__getitem__, ids)]
