"""What the networks that people call GoogLeNet and Inception V3 differ in, as the page *Differences* shows it.

A cell is read off our table of that network. What no table says is a fact here, with its source beside it.
"""
from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.models import cost, ops
from replication.models import googlenet as v1
from replication.models import inception_v3 as v3
from replication.models.bn_inception import bn_inception
from replication.models.ops import Network, Op
from replication.pages.html import Html, cards
from replication.pages.network_in_network import MIDDLES, in_googlenet, savings


class Cell(NamedTuple):
    """What somebody prints or does, in parts divided by semicolons, and where: `source` is a part of a paper, or an
    address to click on. `differs`: whether each part is not what the paper says there."""
    text: str
    source: str = ""
    differs: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Aspect:
    """A line of a comparison: what the paper says (None: nothing), and how to read it off a network's table. `facts`
    stand in columns whose table does not say it. Not `compared`: the numbers are not of one kind."""
    name: str
    paper: Cell | None
    read: Callable[[Network], str]
    facts: Mapping[str, Cell] = field(default_factory=dict)
    compared: bool = True


Table = dict[str, dict[str, Cell]]  # cells by aspect and column
SILENT = "not printed"


def compare(networks: Mapping[str, Network], aspects: Iterable[Aspect], paper: bool = True) -> Table:
    """The cells of every aspect: with `paper` its column first, then the networks'."""
    found: Table = {}
    for aspect in aspects:
        cells = {"paper": aspect.paper or Cell(SILENT)} if paper else {}
        for name, network in networks.items():
            cell = aspect.facts.get(name) or Cell(aspect.read(network))
            said = _parts(aspect.paper.text if aspect.paper and aspect.compared else cell.text)
            differs = tuple(part not in said[n:n + 1] for n, part in enumerate(_parts(cell.text)))
            cells[name] = cell._replace(differs=differs)
        found[aspect.name] = cells
    return found


def _parts(text: str) -> list[str]:
    return text.split("; ")


# -- reading a table ----------------------------------------------------------------------------------------------
def _flat(chain: Iterable[Op]) -> Iterator[Op]:
    """Every op of a chain, those inside modules too."""
    for op in chain:
        match op:
            case ops.Inception():
                yield from _flat((op.split(),))
            case ops.Split():
                for branch in op.branches:
                    yield from _flat(branch)
            case ops.Start():
                yield op.op
            case _:
                yield op


def _square(kernel: Any) -> str:
    return f"{kernel}×{kernel}"


def large(network: Network) -> str:
    """Kernel of the branch that V1 calls 5×5."""
    return " and ".join(sorted({_square(row.op.large) for row in network.rows if isinstance(row.op, ops.Inception)}))


def normalisation(network: Network) -> str:
    """Which, and the places of LRN or the settings of batch normalisation, whose momentum is PyTorch's."""
    if network.norm is None:
        return f"LRN, {sum(isinstance(row.op, ops.LRN) for row in network.rows)} places"
    gamma = ", no γ" if network.norm.scale is False else ""
    return f"BN, ε {network.norm.eps:g}, momentum {network.norm.momentum:g}{gamma}"


def last_pool(network: Network) -> str:
    """The last max-pool between modules."""
    last = [row.op for row in network.rows if isinstance(row.op, ops.MaxPool)][-1]
    return f"{_square(last.kernel)}, stride {last.stride}"


def edges(network: Network) -> str:
    """What the modules' average pools make of their padding."""
    found = {op.inside for row in network.rows for op in _flat((row.op,)) if isinstance(op, ops.AvgPool) and op.pad}
    return " or ".join("left out" if inside else "counts as zeros" for inside in sorted(found, key=bool))


def dropout(network: Network) -> str:
    """Share dropped before the last layer."""
    p = next(row.op.p for row in network.rows if isinstance(row.op, ops.Dropout))
    return f"{p:g}" if p else "none"


def heads(network: Network) -> str:
    """Where the auxiliary heads are, and how they pool."""
    if not network.aux:
        return "none"
    places = f"on {' and '.join(aux.at for aux in network.aux)}"
    match network.aux[0].ops[0]:
        case ops.AvgPool(kernel, stride):
            return f"{places}; {_square(kernel)} average pool, stride {stride}"
        case ops.AdaptiveAvgPool(out):
            return f"{places}; adaptive pool to {_square(out)}"
    return f"{places}; no pool"


def init(network: Network) -> str:
    """The distribution of the initial weights."""
    match network.init:
        case ops.CaffeXavier():
            return "uniform, ±√(3 / inputs)"
        case ops.He():
            return "N(0, 2 / inputs)"
        case ops.TruncatedNormal(std):
            return f"N(0, {std:g}²), cut at ±2 deviations"
        case ops.VarianceScaling(factor):
            return f"N(0, {factor:g} / inputs), cut at ±2 deviations"


def bias(network: Network) -> str:
    """Whether convolutions have one, and where it starts."""
    if network.norm is not None:
        return "no"
    return f"yes, starts at {network.init.bias if isinstance(network.init, ops.CaffeXavier) else 0:g}"


def inference(network: Network) -> str:
    """Trained parameters that are left at inference."""
    return f"{cost.parameters(network, aux=False):,}"


def training(network: Network) -> str:
    """Trained parameters with the auxiliary heads."""
    return f"{cost.parameters(network):,}" if network.aux else "no head"


def multiply_adds(network: Network) -> str:
    """Of one image at inference, at the network's own resolution."""
    return f"{cost.multiply_adds(network) / 1e9:.3g} G"


def stem(network: Network) -> str:
    """The rows before the first module: kernel, stride if not 1, channels."""
    parts = []
    for row in network.rows:
        match row.op:
            case ops.Split():
                break
            case ops.Conv(out, kernel, stride):
                parts.append(f"{_square(kernel)}{_over(stride)} to {out}")
            case ops.MaxPool(kernel, stride):
                parts.append(f"max {_square(kernel)}{_over(stride)}")
    return "; ".join(parts)


def _over(stride: int) -> str:
    return f"/{stride}" if stride > 1 else ""


def _modules(network: Network) -> list[tuple[int, ops.Split]]:
    """(side of its map, module), without the reductions."""
    sides = {name: shape[1] for name, shape in cost.shapes(network)}
    return [(sides[row.name], row.op) for row in network.rows if isinstance(row.op, ops.Split)
            and all(getattr(op, "stride", 1) == 1 for op in _flat((row.op,)))]


def modules(network: Network) -> str:
    """How many on each grid."""
    sides = [side for side, _ in _modules(network)]
    return "; ".join(f"{sides.count(side)} at {_square(side)}" for side in dict.fromkeys(sides))


def widest(network: Network) -> str:
    """The largest kernel of a convolution on the first grid of modules."""
    found = _modules(network)
    kernels = [op.kernel for side, module in found if side == found[0][0] for op in _flat((module,))
               if isinstance(op, ops.Conv) and isinstance(op.kernel, int)]
    return _square(max(kernels))


# -- GoogLeNet ----------------------------------------------------------------------------------------------------
CAFFE = "ours, as Caffe"  # models/bvlc_googlenet/train_val.prototxt of BVLC/caffe is v1.googlenet by default
TORCHVISION = "github.com/pytorch/vision/blob/f12281517f1b2f6255904639b027c9436f3e5008/torchvision/models/googlenet.py"

GOOGLENET = (
    Aspect("“5×5” branch", Cell("5×5", "Table 1"), large),
    Aspect("normalisation", Cell("LRN, 2 places", "Fig. 3"), normalisation),
    Aspect("last max-pool", Cell("3×3, stride 2", "Table 1"), last_pool),
    Aspect("dropout", Cell("0.4", "Table 1"), dropout),
    Aspect("auxiliary heads", Cell("on 4a and 4d; 5×5 average pool, stride 3", "§5"), heads),
    Aspect("initial weights", None, init, {
        # trunc_normal_ with a=-2, b=2, which are bounds on the weight, 200 deviations away
        "torchvision": Cell("N(0, 0.01²), not cut", TORCHVISION)}),
    Aspect("bias of convolutions", None, bias),
    Aspect("parameters at inference", None, inference),
    Aspect("parameters with heads", None, training),
    Aspect("multiply-adds at 224 px", Cell("1.5 G", "§1"), multiply_adds),
)


def googlenets() -> dict[str, Network]:
    """The columns of `googlenet`."""
    return {CAFFE: v1.googlenet(), "slim": v1.googlenet_slim(), "torchvision": v1.googlenet_torchvision()}


def googlenet() -> Table:
    """GoogLeNet: the paper, ours and Caffe's, slim's, torchvision's."""
    return compare(googlenets(), GOOGLENET)


# -- the popular codes for small images: none is in `models` -------------------------------------------------------
KUANGLIU = "github.com/kuangliu/pytorch-cifar/blob/64fe317af0709823a23de5010c173c1912881965/models/googlenet.py"
WEIAICUNZAI = ("github.com/weiaicunzai/pytorch-cifar100/blob/"
               "49ddb268f6bb03d6595b16f0317d749227635668/models/googlenet.py")
EPSILON = "github.com/weiaicunzai/pytorch-cifar100/issues/96"  # BatchNorm2d(n5x5, n5x5): the second argument is ε
MENG = "github.com/meng1994412/GoogLeNet_from_scratch/tree/c48444fdb3c7dee718584f396a17d8c07037f0df"

_SMALL: dict[str, tuple[Cell, Cell, Cell]] = {  # kuangliu, weiaicunzai, meng1994412
    "images": (Cell("CIFAR-10, 32 px", KUANGLIU), Cell("CIFAR-100, 32 px", WEIAICUNZAI),
               Cell("Tiny-ImageNet, 64 px", MENG)),
    "stem": (Cell("3×3 to 192; no pool"), Cell("three 3×3 to 192; one pool"), Cell("5×5; two pools")),
    "“5×5” branch": (Cell("two 3×3, both of full width"), Cell("two 3×3, both of full width"), Cell("5×5")),
    "normalisation": (Cell("BN"), Cell("BN, one of each module with ε = its channels", EPSILON), Cell("BN")),
    "last max-pool": (Cell("3×3, stride 2"),) * 3,
    "dropout": (Cell("none"), Cell("0.4, as Dropout2d"), Cell("0.4")),
    "auxiliary heads": (Cell("none"),) * 3,
    "bias of convolutions": (Cell("yes"), Cell("in modules, not in the stem"), Cell("yes")),
    "parameters": (Cell("6,166,250"), Cell("6,402,564"), Cell("–")),
}


def small_codes() -> Table:
    """GoogLeNet's popular forms for small images; all of it read in their code."""
    return {aspect: dict(zip(("for CIFAR-10", "for CIFAR-100", "for Tiny-ImageNet"), cells, strict=True))
            for aspect, cells in _SMALL.items()}


def two_3x3() -> dict[str, float]:
    """The least and the most over the modules: multiply-adds of V1's 5×5 branch once its 5×5 is two 3×3 that are both
    as wide as its output, over those of the 5×5. V3 §3.1 saves 28 % where input and output are equally wide; here they
    are not."""
    saved = savings(in_googlenet())[MIDDLES["full"]][:-1]  # the last is of all modules together
    return {"least": 1 - saved.max() / 100, "most": 1 - saved.min() / 100}


def shrunk() -> dict[str, float]:
    """The least and the most over the modules: what of a map of variance one is left, as a factor, where ε is the
    number of channels."""
    left = [1 / math.sqrt(1 + m.n5x5) for m in v1.INCEPTION.values()]
    return {"least": min(left), "most": max(left)}


# -- Inception V3 -------------------------------------------------------------------------------------------------
INCEPTION_V3 = (
    Aspect("stem", Cell("3×3/2 to 32; 3×3 to 32; 3×3 to 64; max 3×3/2; 3×3 to 80; 3×3/2 to 192; 3×3 to 288", "Table 1"),
           stem),
    Aspect("modules", Cell("3 at 35×35; 5 at 17×17; 2 at 8×8", "Table 1"), modules),
    Aspect("largest kernel at 35×35", Cell("3×3", "Fig. 5"), widest),
    Aspect("layers deep", Cell("42", "§6"), lambda network: str(cost.depth(network))),
    Aspect("multiply-adds at 299 px", Cell("4.8 G", "Table 3"), multiply_adds),
    Aspect("parameters at inference", Cell("fewer than 25 M", "abstract"), inference, compared=False),
    Aspect("parameters with head", None, training),
)


def inception_v3() -> Table:
    """Inception V3: what its paper says, its Table 1 built, and the code that everyone runs."""
    return compare({"Table 1, built": v3.inception_v3_paper(), "the code": v3.inception_v3()}, INCEPTION_V3)


SLIM = "github.com/tensorflow/models/blob/5440b662d5c731d4df27504f317f24ca95ffe6a3/research/slim/nets"
SLIM_V3 = f"{SLIM}/inception_v3.py"
TIMM = "github.com/huggingface/pytorch-image-models/blob/171c0b88b67e1d4b45af2a02fca0a2bee33baa5f/timm/models"
TIMM_V3 = f"{TIMM}/inception_v3.py"

CODES_V3 = (
    Aspect("auxiliary head", None, heads, {
        "timm": Cell("only if asked for; then in evaluation too", TIMM_V3)}),
    Aspect("dropout", None, dropout),
    Aspect("normalisation", None, normalisation),
    Aspect("padding of average pools", None, edges),
    Aspect("parameters at inference", None, inference),
    Aspect("parameters with head", None, training),
    Aspect("smallest image, evaluated", None, lambda network: f"{cost.smallest(network, aux=False)} px"),
    Aspect("smallest image, trained", None, lambda network: f"{cost.smallest(network)} px", {
        # its head's 5×5 convolution shrinks with the map, its 5×5 pool does not: the map must have 5×5
        "slim": Cell("107 px", SLIM_V3)}),
)


def v3_codes() -> dict[str, Network]:
    """The columns of `inception_v3_codes`. slim's and Keras's have no γ."""
    plain = v3.inception_v3(aux=(), dropout=0.0)
    slim, keras = v3.inside(v3.inception_v3(dropout=0.2)), v3.inside(plain)
    return {"slim": replace(slim, norm=ops.BatchNorm(momentum=3e-4, scale=False)),
            "torchvision": v3.inception_v3(), "timm": plain,
            "Keras": replace(keras, norm=ops.BatchNorm(momentum=0.01, scale=False))}


def inception_v3_codes() -> Table:
    """The code that everyone runs, in four libraries; of these aspects the paper has only the head."""
    return compare(v3_codes(), CODES_V3, paper=False)


# Top-1 accuracy in % of the same weights in two libraries: torchvision's Inception_V3_Weights.IMAGENET1K_V1, and
# inception_v3.tv_in1k in timm's results-imagenet.csv.
SAME_WEIGHTS = {"torchvision": 77.294, "timm": 77.472}


# -- what they cost -----------------------------------------------------------------------------------------------
class Printed(NamedTuple):
    """Parameters in M and multiply-adds in G, as printed."""
    parameters_m: float | None = None
    ops_g: float | None = None


# V1 §1 and V3 §1; BN §4.2 and V3 Table 3; V3 Table 3; V3's abstract (an upper bound) and Table 3.
_GOOGLENET, _BN, _V2, _V3 = Printed(5, 1.5), Printed(13.6, 2.0), Printed(None, 3.8), Printed(25, 4.8)


def totals() -> pd.DataFrame:
    """A line a network: parameters (M) and multiply-adds (G) at inference, counted and as the papers print them."""
    lines = (("GoogLeNet, ours and Caffe", v1.googlenet(), _GOOGLENET),
             ("GoogLeNet, separable stem", v1.googlenet_separable(), _GOOGLENET),
             ("GoogLeNet, torchvision", v1.googlenet_torchvision(), _GOOGLENET),
             ("BN-Inception, slim", bn_inception(), _BN),
             ("V2 of V3's Table 3, built", v3.inception_v2(), _V2),
             ("V3's Table 1, built", v3.inception_v3_paper(), _V3),
             ("V3, the code", v3.inception_v3(), _V3))
    return pd.DataFrame([{"network": name, "parameters, M": cost.parameters(network, aux=False) / 1e6,
                          "multiply-adds, G": cost.multiply_adds(network) / 1e9,
                          "parameters, M: printed": printed.parameters_m, "multiply-adds, G: printed": printed.ops_g}
                         for name, network, printed in lines])


# -- RMSProp ------------------------------------------------------------------------------------------------------
FORMS = {  # ε inside the root?, and where the mean square starts
    "TensorFlow": (True, 1.0),  # tensorflow/python/training/rmsprop.py; timm's RMSpropTF
    "torch": (False, 0.0),      # torch.optim.RMSprop
    "inside, from 0": (True, 0.0), "outside, from 1": (False, 1.0),
}


def rmsprop(gradient: NDArray[np.float64], inside: bool, start: float, epsilon: float = 1.0, steps: float = 1,
            decay: float = 0.9) -> NDArray[np.float64]:
    """How far step number `steps` goes if every gradient was the same, without momentum: in learning rates. Decay and
    epsilon are V3 §8's; `steps` may be infinite."""
    old = decay ** steps
    square = old * start + (1 - old) * gradient ** 2
    return gradient / (np.sqrt(square + epsilon) if inside else np.sqrt(square) + epsilon)


def first_steps(epsilon: float = 1.0) -> pd.DataFrame:
    """The first step in learning rates: a line a gradient, a column a form."""
    gradient = np.array([0.01, 0.1, 1, 10, 100])
    return pd.DataFrame({"gradient": [f"{g:g}" for g in gradient],
                         **{name: rmsprop(gradient, *form, epsilon) for name, form in FORMS.items()}})


def over_tensorflow(gradient: NDArray[np.float64], epsilon: float = 1.0, steps: float = 1) -> NDArray[np.float64]:
    """torch's step over TensorFlow's."""
    tensorflow, torch, *_ = FORMS.values()
    return rmsprop(gradient, *torch, epsilon, steps) / rmsprop(gradient, *tensorflow, epsilon, steps)


def ratios(epsilon: float = 1.0) -> pd.DataFrame:
    """`over_tensorflow` over the gradient, at the first step and after many."""
    gradient = np.logspace(-2, 2, 81)
    return pd.concat(pd.DataFrame({"when": when, "gradient": gradient,
                                   "ratio": over_tensorflow(gradient, epsilon, number)})
                     for when, number in (("first step", 1), ("after many equal gradients", math.inf)))


# -- for the page -------------------------------------------------------------------------------------------------
def numbers() -> dict[str, Any]:
    """The numbers that *Differences* quotes."""
    all_, gradients = cost.multiply_adds(v1.googlenet()), np.logspace(-4, 4, 8001)
    first, many = over_tensorflow(gradients), over_tensorflow(gradients, steps=math.inf)
    return {
        "googlenet": {"ours": _counts(v1.googlenet()), "torchvision": _counts(v1.googlenet_torchvision())},
        "saved_m": {"large": (all_ - cost.multiply_adds(v1.googlenet(large=3))) / 1e6,
                    "separable": (all_ - cost.multiply_adds(v1.googlenet_separable())) / 1e6},
        "two_3x3": two_3x3(), "shrunk": shrunk(),
        "v3": {"code": _counts(v3.inception_v3()), "paper": _counts(v3.inception_v3_paper())},
        "same_weights": {**SAME_WEIGHTS, "apart": SAME_WEIGHTS["timm"] - SAME_WEIGHTS["torchvision"]},
        "rmsprop": {"longest": first.max(), "shortest": first.min(), "many": many.min(),
                    "no_epsilon": over_tensorflow(np.array([1e-3]), epsilon=1e-10)[0]},
    }


def _counts(network: Network) -> dict[str, float]:
    return {"parameters": cost.parameters(network, aux=False), "with_heads": cost.parameters(network),
            "multiply_adds_g": cost.multiply_adds(network) / 1e9, "depth": cost.depth(network)}


def shown(table: Table) -> Html:
    """A line an aspect, which a narrow screen shows as a card; a part of a cell has its own line. ≠: differs
    from the paper."""
    lines = [(escape(aspect), *map(_cell, cells.values())) for aspect, cells in table.items()]
    return Html(cards(("aspect", *next(iter(table.values()))), lines, kind="claims differences"))


def _cell(cell: Cell) -> str:
    differs = cell.differs or itertools.repeat(False)
    text = "<br>".join(f"<strong>≠ {escape(part)}</strong>" if other else escape(part)
                       for part, other in zip(_parts(cell.text), differs, strict=False))
    if not cell.source:
        return text
    link = f'<a href="https://{cell.source}">code</a>' if cell.source.startswith("github.com") else escape(cell.source)
    if "/issues/" in cell.source:
        link = link.replace(">code<", ">issue<")
    return f"{text} <small>{link}</small>"
