"""What a convolution costs, and what a 1×1 before it, a wider network or a factorisation does to that: by arithmetic.

V1 §3 and §4, V3 §3.1 and §3.2, and Network in Network (Lin et al., arXiv 1312.4400). Everything is counted by `cost`.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from replication.errors import BadInput, check, unknown
from replication.models import baselines, cost, factorised
from replication.models.cost import Cost, Shape
from replication.models.googlenet import INCEPTION, googlenet
from replication.models.ops import AvgPool, Conv, Inception, MaxPool, Network, Op

PRINTED_ALPHA = 1.5  # V3 §3.1: by how much a 5×5 of GoogLeNet widens the map, about
EQUAL = Inception(64, 64, 64, 64, 64, 64)  # α = 1: every convolution gives as many maps as it sees
MIDDLES = {"root": "√α times as wide", "full": "as wide as the output", "reduce": "as wide as the input"}


# -- the example ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Branch:
    """A kernel×kernel convolution from `channels` to `filters` on side×side px, and the width of a 1×1 `reduction`
    before it. As it stands, module 3a's 5×5 branch (V1 Table 1). Raises BadInput for what is no whole number above 0,
    and for an even kernel."""
    side: int = 28
    channels: int = 192
    filters: int = 32
    kernel: int = 5
    reduction: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            check(field.name, getattr(self, field.name), int, 1)
        if self.kernel % 2 == 0:
            raise BadInput(f"kernel={self.kernel} is even; an odd kernel keeps the map the same size.")

    @property
    def direct(self) -> Cost:
        return self.through(Conv(self.filters, self.kernel))

    @property
    def reduced(self) -> Cost:
        return self.reduced_to(self.reduction)

    @property
    def break_even(self) -> float:
        """The width of the reduction at which it saves nothing: its price is proportional to its width."""
        return self.direct.multiply_adds / self.reduced_to(1).multiply_adds

    def reduced_to(self, width: int) -> Cost:
        return self.through(Conv(width), Conv(self.filters, self.kernel))

    def through(self, *ops: Op) -> Cost:
        return cost.chain(ops, (self.channels, self.side, self.side), None)


def branch(**parameters: Any) -> Branch:
    """A Branch from a notebook's parameters. Raises BadInput for a name that does not exist."""
    known = [field.name for field in fields(Branch)]
    for name in parameters:
        if name not in known:
            raise unknown("parameter", name, known)
    return Branch(**parameters)


def steps(of: Branch) -> pd.DataFrame:
    """The convolution alone, the two that replace it, and module 3a's 5×5 branch as GoogLeNet's table has it."""
    kernel, narrow = f"{of.kernel}×{of.kernel}", of.through(Conv(of.reduction))
    c, r, n = of.channels, of.reduction, of.filters
    after = cost.step(Conv(n, of.kernel), narrow.shape, None)
    lines = ((f"{kernel} directly", f"{c} → {n}", of.direct), ("1×1 reduction", f"{c} → {r}", narrow),
             (f"{kernel} after it", f"{r} → {n}", after), ("both together", f"{c} → {r} → {n}", of.reduced),
             ("module 3a's 5×5 branch", "Table 1", large_branch("3a")))
    return pd.DataFrame([{"convolution": name, "channels": channels, "multiply-adds": price.multiply_adds,
                          "weights": price.weights, "biases": price.biases} for name, channels, price in lines])


def large_branch(module: str) -> Cost:
    """The 5×5 branch of a module of GoogLeNet, its reduction included, on the map that arrives there."""
    return cost.chain(INCEPTION[module].split().branches[2], _arriving(googlenet())[module], None)


def _arriving(network: Network) -> dict[str, Shape]:
    """(C, H, W) before every row."""
    before = [cost.input_shape(network), *(shape for _, shape in cost.shapes(network))]
    return {row.name: shape for row, shape in zip(network.rows, before, strict=False)}


# -- Network in Network -----------------------------------------------------------------------------------------------
def nin() -> pd.DataFrame:
    """NIN's rows that calculate or pool. An mlpconv layer is a convolution and the 1×1s after it."""
    network = baselines.nin()
    lines = {line["name"]: line for line in cost.table(network)}
    rows = [(row.name, kind, lines[row.name]) for row in network.rows if (kind := _kind(row.op))]
    return pd.DataFrame([{"row": name, "layer": kind, "output": "×".join(map(str, line["output"])),
                          "parameters": line["parameters"], "multiply-adds": line["multiply_adds"]}
                         for name, kind, line in rows])


def _kind(op: Op) -> str:
    match op:
        case Conv():
            return f"{op.kernel}×{op.kernel}"
        case MaxPool():
            return f"max pool {op.kernel}×{op.kernel}"
        case AvgPool():
            return "average of each map"
    return ""


def classifiers() -> pd.DataFrame:
    """What stands after the last convolution or pool of the trunk: its parameters, and their share of the network's."""
    networks = (
        *(("NIN, 10 classes", head, baselines.nin(head=head), "cccp6") for head in ("average", "fc", "fc+dropout")),
        *(("NIN, 100 classes", head, baselines.nin(head=head, classes=100), "cccp6") for head in ("average", "fc")),
        *(("GoogLeNet", head, googlenet(head=head, aux=()), "5b") for head in ("average", "nin", "fc")),
        ("AlexNet", "fc, three layers", baselines.ALEXNET, "pool5"),
    )
    rows = []
    for name, head, network, last in networks:
        lines = cost.table(network)
        end = lines[1 + [line["name"] for line in lines].index(last):]
        parameters = sum(line["parameters"] for line in end)
        rows.append({"network": name, "head": head, "parameters of the head": parameters,
                     "of the network's, %": 100 * parameters / cost.parameters(network),
                     "multiply-adds of the head": sum(line["multiply_adds"] for line in end)})
    return pd.DataFrame(rows)


# -- wider, and without reductions -------------------------------------------------------------------------------------
def widened(factors: tuple[int, ...] = (1, 2, 4)) -> pd.DataFrame:
    """Multiply-adds, over those at factor 1, of two chained 3×3 on a map that stays as it is, and of GoogLeNet."""
    def prices(k: int) -> tuple[int, int, int]:
        first = cost.step(Conv(64 * k, 3), (64, 28, 28), None)
        second = cost.step(Conv(64 * k, 3), first.shape, None)
        return first.multiply_adds, second.multiply_adds, cost.multiply_adds(googlenet(width=k))

    times = pd.DataFrame([prices(k) for k in factors], columns=["first of two, ×", "second of two, ×", "GoogLeNet, ×"])
    times /= list(prices(1))
    times.insert(0, "filters, ×", factors)
    return times


FORMS = {"reduced": "as published", "unreduced": "no reductions", "naive": "naive"}  # keys of googlenet.MODULES


def growth() -> pd.DataFrame:
    """Channels after each module, its multiply-adds and weights: a row a module and form (the values of FORMS)."""
    networks = {form: googlenet(module=key, aux=()) for key, form in FORMS.items()}
    return pd.DataFrame([
        {"module": line["name"], "form": form, "channels": line["output"][0], "multiply-adds": line["multiply_adds"],
         "weights": line["weights"]}
        for form, network in networks.items() for line in cost.table(network) if line["name"] in INCEPTION])


def side_by_side(of: pd.DataFrame) -> pd.DataFrame:
    """`growth()` as a page shows it, with millions of multiply-adds and how many times more the naive module costs."""
    wide = of.pivot(index="module", columns="form", values=["channels", "multiply-adds"])
    price = wide["multiply-adds"]
    forms = ("as published", "naive")
    return pd.DataFrame({"module": wide.index, **{f"channels: {form}": wide["channels"][form] for form in forms},
                         **{f"multiply-adds, M: {form}": price[form] / 1e6 for form in forms},
                         "naive ÷ published": price["naive"] / price["as published"]})


# -- factorisations ----------------------------------------------------------------------------------------------------
def per_position(*ops: Op) -> float:
    """Multiplications for each position and pair of channels, where every convolution sees and gives 64 maps."""
    return cost.chain(ops, (64, 28, 28), None).weights / 64 ** 2


def factorisations() -> pd.DataFrame:
    """V3 §3.1's and §3.2's factorisations at α = 1, by weights: a 2×2 cannot keep the map's side, the others do."""
    replaced: list[tuple[int, str, tuple[Op, ...]]] = [
        (5, "3×3, 3×3", factorised.two_3x3(EQUAL).branches[2][1:]),
        *((n, f"{n}×1, 1×{n}", factorised.asymmetric(EQUAL, n).branches[1][1:]) for n in (3, 5, 7)),
        (3, "2×2, 2×2", (Conv(64, 2, pad=0), Conv(64, 2, pad=0))),
    ]
    rows = [(f"{n}×{n}", name, per_position(Conv(64, n)), per_position(*ops)) for n, name, ops in replaced]
    frame = pd.DataFrame(rows, columns=["kernel", "as", "before", "after"])
    return frame.assign(**{"saved, %": 100 * (1 - frame.after / frame.before)})


def in_googlenet() -> pd.DataFrame:
    """Two 3×3 for the 5×5 of each of GoogLeNet's modules, without its reduction: α, what the 5×5 costs, what the two
    cost with each width between them (the values of MIDDLES); the last row adds the modules up."""
    arriving = _arriving(googlenet())
    rows = []
    for name, module in INCEPTION.items():
        seen = (module.n5x5_reduce, *arriving[name][1:])
        forms = {"5×5": module.split(), **{label: factorised.two_3x3(module, key) for key, label in MIDDLES.items()}}
        rows.append({"module": name, "α": module.n5x5 / module.n5x5_reduce,
                     **{label: cost.chain(form.branches[2][1:], seen, None).multiply_adds
                        for label, form in forms.items()}})
    frame = pd.DataFrame(rows)
    return pd.concat([frame, pd.DataFrame([{"module": "all", **frame.drop(columns=["module", "α"]).sum()}])],
                     ignore_index=True)


def savings(of: pd.DataFrame) -> pd.DataFrame:
    """`in_googlenet()` in percent of the 5×5's multiply-adds; below zero, the two 3×3 cost more."""
    return pd.DataFrame({"module": of.module, "α": of["α"],
                         **{label: 100 * (1 - of[label] / of["5×5"]) for label in MIDDLES.values()}})


def saving(middle: str) -> float:
    """Percent that two 3×3 save over all of GoogLeNet's 5×5; `middle` is a key of factorised.MIDDLE."""
    return float(savings(in_googlenet()).set_index("module")[MIDDLES[middle]]["all"])


# -- the page ----------------------------------------------------------------------------------------------------------
def numbers(of: Branch) -> dict[str, Any]:
    """The numbers that *Network in Network and the price of a convolution* quotes besides its claims."""
    before, table = of.through(Conv(of.reduction)), nin()
    ones = table[table.layer == "1×1"]
    ends = classifiers().set_index(["network", "head"])["parameters of the head"]
    modules = growth()
    sums = modules.groupby("form")[["multiply-adds", "weights"]].sum()
    factorised = savings(in_googlenet())  # what all save together lies between what each does
    return {
        "direct": of.direct.multiply_adds, "reduction": before.multiply_adds, "reduced": of.reduced.multiply_adds,
        "after": of.reduced.multiply_adds - before.multiply_adds,
        "times": of.direct.multiply_adds / of.reduced.multiply_adds, "break_even": of.break_even,
        "weights": {"direct": of.direct.weights, "reduced": of.reduced.weights}, "parameters": asdict(of),
        "nin": {"ones": ones["multiply-adds"].sum() / table["multiply-adds"].sum(),
                "ones_parameters": ones.parameters.sum() / table.parameters.sum(),
                "fc": ends["NIN, 10 classes", "fc"], "fc_100": ends["NIN, 100 classes", "fc"]},
        "googlenet_heads": {head: ends["GoogLeNet", head] for head in ("average", "fc")},
        "widened": widened().set_index("filters, ×")["GoogLeNet, ×"].to_dict(),
        "channels": {"in": _arriving(googlenet())["3a"][0],
                     **modules[modules.form == "naive"].set_index("module").channels.to_dict()},
        "modules": {form: {"g": sums["multiply-adds"][label] / 1e9, "weights_m": sums.weights[label] / 1e6}
                    for form, label in FORMS.items()},
        "alpha": {"printed": PRINTED_ALPHA, "least": factorised["α"].min(), "most": factorised["α"].max()},
        "saved": {middle: {"least": factorised[label].min(), "most": factorised[label].max(), "all": saving(middle)}
                  for middle, label in MIDDLES.items()},
    }
