"""Tables of the papers beside what arithmetic makes of them, as frames."""
from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from replication.models import baselines, cost
from replication.models.googlenet import TABLE1_PRINTED, googlenet, googlenet_naive, googlenet_separable
from replication.models.ops import Network
from replication.pages import html


def table1() -> pd.DataFrame:
    """V1's Table 1, a row per line with parameters: printed against recomputed.

    Parameters in K = 1,024 weights (the paper's K: conv2 and linear fit no other), operations in M = 10⁶ multiply-adds.
    `*_agree`: they differ by at most one unit of the last digit printed.
    """
    net = googlenet()
    by_name = {row["name"]: row for row in cost.table(net) if row["head"] == "main"}
    parts = {"conv2": ("conv2_reduce", "conv2")}  # one line in the paper
    rows = []
    for name, printed in TABLE1_PRINTED.items():
        lines = [by_name[part] for part in parts.get(name, (name,))]
        weights = sum(line["weights"] for line in lines) / 1024
        operations = sum(line["multiply_adds"] for line in lines) / 1e6
        rows.append({
            "row": name, "output": lines[-1]["output"],
            "parameters_printed": printed.params_k, "parameters": weights,
            "parameters_agree": _close(weights, printed.params_k),
            "operations_printed": printed.ops_m, "operations": operations,
            "operations_agree": _close(operations, printed.ops_m),
            "activation_mb": sum(line["activation_bytes"] for line in lines) / 1e6,
        })
    return pd.DataFrame(rows)


def _close(value: float, printed: float) -> bool:
    return abs(value - printed) <= (0.1 if printed % 1 else 1.0)


def shown(table: pd.DataFrame) -> Styler:
    """Table 1 as a page shows it."""
    def pair(name: str) -> dict[str, Any]:
        agree = ["" if fits else "≠" for fits in table[f"{name}_agree"]]
        unit = {"parameters": "K", "operations": "M"}[name]
        return {f"{name}, {unit}: printed": table[f"{name}_printed"].map("{:,g}".format),
                f"{unit} from the filters": table[name].map("{:,.2f}".format), f"{unit} differ": agree}
    sizes = ["×".join(map(str, output)) for output in table.output]
    return html.neat(pd.DataFrame({"row": table.row, "output": sizes, **pair("parameters"), **pair("operations")}))


def relatives() -> pd.DataFrame:
    """GoogLeNet beside its neighbours: trained parameters, multiply-adds and activations of one image, and the share of
    the parameters in layers whose output is a single position (LeNet-5's C5 among them)."""
    nets = {"LeNet-5 (1998)": baselines.LENET5, "AlexNet (2012)": baselines.ALEXNET,
            "GoogLeNet, inference": googlenet(aux=()), "GoogLeNet, both heads": googlenet(),
            "GoogLeNet, naive modules": googlenet_naive()}
    rows = []
    for name, net in nets.items():
        linear = sum(line["weights"] + line["biases"] for line in cost.table(net)
                     if line["output"][1:] == (1, 1) and line["weights"])
        total = cost.parameters(net)
        rows.append({"network": name, "input, px": net.resolution, "parameters": total,
                     "multiply-adds": cost.multiply_adds(net, aux=True),
                     "activations, MB": cost.activation_bytes(net) / 1e6,
                     "share in fully connected layers": linear / total})
    return pd.DataFrame(rows)


def costs(network: Network) -> pd.DataFrame:
    """The cost of every row and auxiliary head, for an input of the network's resolution."""
    rows = cost.table(network)
    return pd.DataFrame({
        "row": [row["name"] for row in rows], "output": ["×".join(map(str, row["output"])) for row in rows],
        "parameters": [row["parameters"] for row in rows], "multiply-adds": [row["multiply_adds"] for row in rows],
        "activations, bytes": [row["activation_bytes"] for row in rows]})


def numbers() -> dict[str, Any]:
    """The numbers that *GoogLeNet, row by row* quotes besides its claims."""
    table, alexnet = table1().set_index("row"), relatives().set_index("network").loc["AlexNet (2012)"]
    separable = cost.table(googlenet_separable())[0]
    return {
        "parameters_agree": table.parameters_agree.sum(), "operations_agree": table.operations_agree.sum(),
        "stem_weights": round(1024 * table.parameters["conv1"]), "stem_operations": table.operations["conv1"],
        "stem_printed": {"weights_k": table.parameters_printed["conv1"],
                         "operations_m": table.operations_printed["conv1"]},
        "separable_weights": separable["weights"], "separable_operations": separable["multiply_adds"] / 1e6,
        "alexnet_linear": alexnet["share in fully connected layers"],
    }
