"""The claims that arithmetic settles, on the networks' tables or on numbers that a paper prints itself, and those that
`bench` does."""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication import stats
from replication.models import baselines, cost
from replication.models.googlenet import INCEPTION, googlenet, googlenet_naive, googlenet_separable
from replication.models.inception_v3 import inception_v2, inception_v3, inception_v3_paper
from replication.models.kws import kws_inception
from replication.models.ops import Conv, Network
from replication.pages import sparsity, speed
from replication.pages.claim import Claim
from replication.pages.googlenet_row_by_row import table1
from replication.pages.network_in_network import Branch, factorisations, per_position, saving, widened
from replication.stats import Interval

Numbers = NDArray[np.float64]


def _factorised(kernel: str, parts: str) -> Callable[[], Interval]:
    """Percent that a factorisation of V3 §3 saves."""
    def measure() -> Interval:
        return stats.exact(float(factorisations().set_index(["kernel", "as"])["saved, %"][kernel, parts]))
    return measure


def _reduced(error: float, before: float) -> Callable[[], Interval]:
    """Percent by which one printed error is below another."""
    return lambda: stats.exact(100 * (1 - error / before))


def _multiply_adds(op: Conv, side: int) -> int:
    return cost.chain((op,), (64, side, side), None).multiply_adds


def _rises() -> int:
    """From how many modules to the next the ratio of 3×3 and 5×5 to 1×1 rises in V1's Table 1."""
    ratios = [(m.n3x3 + m.n5x5) / m.n1x1 for m in INCEPTION.values()]
    return sum(later > before for before, later in pairwise(ratios))


def entropies(logits: Numbers, epsilon: float) -> tuple[Numbers, Numbers, Numbers]:
    """Cross entropies (N,) of logits (N, classes) whose first class is right, in nats: with smoothed labels, with hard
    ones, and with even ones."""
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    labels = np.full(logits.shape[1], epsilon / logits.shape[1])
    labels[0] += 1 - epsilon
    return -logs @ labels, -logs[:, 0], -logs.mean(1)


def _smoothed() -> float:
    """The largest difference between the two sides of V3 §7's identity on logits drawn at random, to 12 decimals:
    cross entropy with smoothed labels, and (1 − ε) of that with hard ones plus ε of that with even ones."""
    logits, apart = np.random.default_rng(0).normal(0, 4, (1000, 10)), 0.0
    for epsilon in (0.05, 0.1, 0.2):
        smooth, hard, even = entropies(logits, epsilon)
        both = (1 - epsilon) * (hard + epsilon / (1 - epsilon) * even)
        apart = max(apart, float(np.abs(smooth - both).max()))
    return round(apart, 12)


def _days() -> Interval | None:
    """Of training on one GPU, at the rates that bench measured there; None where none was measured."""
    runs = [row for table in speed.stored("bench").values() if speed.gpu(table) for row in
            table.query("network == 'googlenet' and variant == 'ours' and phase == 'train' and status == 'ok' "
                        "and resolution == 224 and stem == 8").to_dict("records")]
    if not runs:
        return None
    best = max(runs, key=lambda row: float(row["images_per_s"]))
    value, low, high = (250 * 1_281_167 / float(best[rate]) / 86_400 for rate in
                        ("images_per_s", "images_per_s_high", "images_per_s_low"))
    return Interval(value, low, high, int(best["turns"]), "repeats")


def _over(a: Callable[[], Network], b: Callable[[], Network], scale: float = 1.0) -> Callable[[], Interval]:
    """The multiply-adds of one network over those of another, times `scale`."""
    return lambda: stats.exact(scale * cost.multiply_adds(a()) / cost.multiply_adds(b()))


def _v3(**others: Any) -> Callable[[], Network]:
    """Inception V3 without its head."""
    return partial(inception_v3, aux=(), **others)


CLAIMS = (
    # -- the first paper
    Claim("V1-01", "GoogLeNet has 12 times fewer parameters than AlexNet.", "V1 §1", "12×",
          "parameters of AlexNet over GoogLeNet without heads", "×", (11.5, 12.5), None,
          lambda: stats.exact(cost.parameters(baselines.ALEXNET) / cost.parameters(googlenet(), aux=False))),
    Claim("V1-02a", "Inference stays within a budget of 1.5 billion multiply-adds.", "V1 §1", "1.5 G", "multiply-adds "
          "of one 224 px image, first convolution a plain 7×7", "G", (1.45, 1.55), None,
          lambda: stats.exact(cost.multiply_adds(googlenet()) / 1e9)),
    Claim("V1-02b", "The same, read by Table 1's numbers.", "V1 §1", "1.5 G", "the same, first convolution separable, "
          "as only our reading has it", "G", (1.45, 1.55), None,
          lambda: stats.exact(cost.multiply_adds(googlenet_separable()) / 1e9)),
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
    Claim("V1-09b", "Table 1 follows the rule that the share of 3×3 and 5×5 grows with depth.", "V1 §4, Table 1",
          "no number", "of 8 steps from module to module, those where their ratio to 1×1 grows", "steps", (8, 8), None,
          lambda: stats.exact(float(_rises()))),
    Claim("V1-12", "Sparse arithmetic does not pay even where it does a hundredth of the operations.", "V1 §3", "100×",
          "time of four products of GoogLeNet's sizes with 1 % of the weights, in the sparse format that is fastest "
          "for each, over that of the dense ones; one thread, geometric mean", "×", sparsity.SLOWER, None,
          lambda: sparsity.hundredth(sparsity.tables())),
    Claim("V1-12b", "Sparse matrices clustered into dense blocks are multiplied fastest.", "V1 §3", "no number",
          "time of those products with 2 to 32 hidden blocks, in the sparse format that is fastest for each, over that "
          "of their dense blocks, permuted there and back; one thread, geometric mean", "×", sparsity.SLOWER, None,
          lambda: sparsity.clustered(sparsity.tables())),
    Claim("V1-33c", "Seven networks and 144 crops lower the top-5 error by 3.45 points.", "V1 Table 3", "3.45 points",
          "the error printed for one network and one crop, 10.07 %, less the one printed for them, 6.67 %", "points",
          (3.445, 3.455), None, lambda: stats.exact(round(10.07 - 6.67, 2))),
    Claim("V1-37a", "The top-5 error is 56.5 % below that of 2012.", "V1 §7", "56.5 %", "by the errors of Table 2, "
          "6.67 and 15.3 %", "%", (56.45, 56.55), None, _reduced(6.67, 15.3)),
    Claim("V1-37b", "It is about 40 % below that of 2013.", "V1 §7", "40 %", "by the errors of Table 2, 6.67 and 11.2 "
          "%", "%", (39.5, 40.5), None, _reduced(6.67, 11.2)),
    Claim("V1-39", "A few high-end GPUs would train it within a week.", "V1 §6", "a week", "days for 250 epochs of "
          "ImageNet, as the public release took, at the rate of one GPU ten years younger", "days", (0, 7), None,
          _days),
    # -- the second paper
    Claim("V3-01a", "Twice the filters everywhere is four times the arithmetic.", "V3 §1", "4×", "multiply-adds of "
          "GoogLeNet twice as wide over those of GoogLeNet", "×", (3.5, 4.5), None,
          _over(partial(googlenet, width=2), googlenet)),
    Claim("V3-01b", "It is four times the parameters.", "V3 §1", "4×", "the same of parameters, without heads", "×",
          (3.5, 4.5), None,
          lambda: stats.exact(cost.parameters(googlenet(width=2, aux=())) / cost.parameters(googlenet(aux=())))),
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
    Claim("V3-11c", "The larger the kernel, the more an n×1 and a 1×n save.", "V3 §3.2", "33 % at 3×3",
          "multiply-adds that a 7×1 and a 1×7 save of a 7×7", "%", (33.5, 100), None, _factorised("7×7", "7×1, 1×7")),
    Claim("V3-18a", "Pooling before the convolution reduces the cost by a quarter.", "V3 §5", "a quarter",
          "multiply-adds saved when the pool comes first (it reduces them to a quarter)", "%", (24.5, 25.5), None,
          lambda: stats.exact(100 * (1 - _multiply_adds(Conv(128), side=16) / _multiply_adds(Conv(128), side=32)))),
    Claim("V3-18b", "The convolution before the pool is 3 times as expensive.", "V3 Fig. 9", "3×", "multiply-adds of a "
          "convolution on the map before it is pooled over those on it after", "×", (2.5, 3.5), None,
          lambda: stats.exact(_multiply_adds(Conv(128), side=32) / _multiply_adds(Conv(128), side=16))),
    Claim("V3-18c", "The reduction without a bottleneck is cheaper, too.", "V3 §5, Fig. 10", "no number",
          "multiply-adds of Inception V3 with convolutions before the pools over those of Inception V3", "×",
          (1, math.inf), None, _over(_v3(reduction="convolution first"), _v3())),
    Claim("V3-19a", "Inception-v2 costs about 2.5 times as much as GoogLeNet.", "V3 §6", "2.5×", "the operations that "
          "Table 3 prints for both, 3.8 and 1.5 G", "×", (2.45, 2.55), None, lambda: stats.exact(3.8 / 1.5)),
    Claim("V3-19b", "So does Inception V3.", "V3 §6", "2.5×", "multiply-adds of Inception V3 over those of GoogLeNet, "
          "by our count", "×", (2.45, 2.55), None,
          _over(_v3(), googlenet)),
    Claim("V3-20a", "The network is 42 layers deep.", "V3 §6", "42", "layers with weights on the longest path of the "
          "network as everybody has it", "layers", (42, 42), None, lambda: stats.exact(float(cost.depth(_v3()())))),
    Claim("V3-20b", "The same of the network that the paper prints.", "V3 §6", "42", "the same of Table 1, as we read "
          "it", "layers", (42, 42), None, lambda: stats.exact(float(cost.depth(inception_v3_paper())))),
    Claim("V3-23", "Label smoothing is the usual loss plus ε/(1 − ε) times one that asks for even odds.", "V3 §7",
          "an identity", "largest difference of the two on 1,000 random predictions, to 12 decimals", "nats", (0, 0),
          None, lambda: stats.exact(_smoothed())),
    Claim("V3-28a", "At 151 px and with a stride less, the network costs almost as much as at 299.", "V3 §9",
          "almost identical", "multiply-adds at 151 px over those at 299; almost is a tenth", "%", (90, 110), None,
          _over(_v3(resolution=151, strides=(1, 2, 2)), _v3(), 100)),
    Claim("V3-28b", "At 79 px and with two strides less, too.", "V3 §9", "almost identical", "the same at 79 px, where "
          "the maps are a position wider", "%", (90, 110), None,
          _over(_v3(resolution=79, strides=(1, 1, 2)), _v3(), 100)),
    Claim("V3-30a", "A network that is merely given the smaller images is 16 times cheaper.", "V3 §9", "16×",
          "multiply-adds of Inception V3 at 299 px over those of the same at 79 px", "×", (15.5, 16.5), None,
          _over(_v3(), _v3(resolution=79))),
    Claim("V3-31a", "Three 3×3 in place of the first 7×7 cost 1.0 billion multiply-adds more.", "V3 Table 3",
          "4.8 − 3.8 G", "multiply-adds of the printed network less those of the same with a 7×7", "G", (0.95, 1.05),
          None,
          lambda: stats.exact((cost.multiply_adds(inception_v3_paper()) - cost.multiply_adds(inception_v2())) / 1e9)),
    Claim("V3-35a", "Inception V3 has fewer than 25 million parameters.", "V3, abstract", "25 M", "parameters of the "
          "network as everybody has it, without its head", "M", (0, 25), None,
          lambda: stats.exact(cost.parameters(_v3()()) / 1e6)),
    Claim("V3-35b", "It costs 5 billion multiply-adds.", "V3, abstract", "5 G", "multiply-adds of one 299 px image",
          "G", (4.5, 5.5), None, lambda: stats.exact(cost.multiply_adds(_v3()()) / 1e9)),
    Claim("V3-36a", "The top-5 error is 25 % below that of PReLU networks.", "V3 §11", "25 %", "by the multi-crop "
          "errors of Table 4, 4.2 and 5.71 % (the latter quoted from another paper)", "%", (24.5, 25.5), None,
          _reduced(4.2, 5.71)),
    Claim("V3-36b", "The top-1 error is 14 % below.", "V3 §11", "14 %", "by the multi-crop errors of Table 4, 18.77 "
          "and 21.59 % (the latter quoted from another paper)", "%", (13.5, 14.5), None, _reduced(18.77, 21.59)),
    # -- relatives
    Claim("AX-1", "AlexNet has 60 million parameters.", "Krizhevsky et al. 2012, abstract", "60 M", "parameters", "M",
          (55, 65), None, lambda: stats.exact(cost.parameters(baselines.ALEXNET) / 1e6)),
    Claim("LN-1", "LeNet-5 has 60,000 parameters.", "LeCun et al. 1998, §II.B", "60,000 (quoted from memory)",
          "trained parameters", "parameters", (60_000, 60_000), None,
          lambda: stats.exact(float(cost.parameters(baselines.LENET5)))),
    Claim("KWS-1a", "Inception for keywords has 30,000 parameters.", "Google's kws_streaming", "30 K", "trained "
          "parameters of the documented configuration", "K", (29.5, 30.5), None,
          lambda: stats.exact(cost.parameters(kws_inception()) / 1e3)),
)
