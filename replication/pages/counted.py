"""The claims that arithmetic settles."""
from __future__ import annotations

import math
from collections.abc import Callable

from replication.models import baselines, cost
from replication.models.googlenet import googlenet, googlenet_naive
from replication.models.ops import Conv
from replication.pages import stats
from replication.pages.claim import Claim
from replication.pages.googlenet_row_by_row import table1
from replication.pages.network_in_network import Branch, factorisations, per_position, saving, widened
from replication.pages.stats import Interval


def _factorised(kernel: str, parts: str) -> Callable[[], Interval]:
    """Percent that a factorisation of V3 §3 saves."""
    def measure() -> Interval:
        return stats.exact(float(factorisations().set_index(["kernel", "as"])["saved, %"][kernel, parts]))
    return measure


CLAIMS = (
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
)
