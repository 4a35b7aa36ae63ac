"""Tables of the papers beside what arithmetic makes of them, as frames."""
from __future__ import annotations

import pandas as pd

from replication import cost, zoo

SEPARABLE_STEM = (49 * 3 * 8 + 24 * 64, 112 * 112 * (49 * 3 * 8 + 24 * 64))  # 7×7 depthwise, multiplier 8, then 1×1


def table1() -> pd.DataFrame:
    """V1's Table 1, a row per line with parameters: printed against recomputed.

    Parameters in K = 1,024 weights (the paper's K: conv2 and linear fit no other), operations in M = 10⁶ multiply-adds.
    `*_agree`: they differ by at most one unit of the last digit printed.
    """
    net = zoo.googlenet()
    by_name = {row["name"]: row for row in cost.table(net) if row["head"] == "main"}
    parts = {"conv2": ("conv2_reduce", "conv2")}  # one line in the paper
    rows = []
    for name, printed in zoo.TABLE1_PRINTED.items():
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


def relatives() -> pd.DataFrame:
    """GoogLeNet beside its neighbours: trained parameters, multiply-adds and activations of one image, and the share of
    the parameters in layers whose output is a single position (LeNet-5's C5 among them)."""
    nets = {"LeNet-5 (1998)": zoo.LENET5, "AlexNet (2012)": zoo.ALEXNET, "GoogLeNet, inference": zoo.googlenet(aux=()),
            "GoogLeNet, both heads": zoo.googlenet(), "GoogLeNet, naive modules": zoo.googlenet_naive()}
    rows = []
    for name, net in nets.items():
        linear = sum(line["weights"] + line["biases"] for line in cost.table(net)
                     if line["output"][1:] == (1, 1) and line["weights"])
        total = cost.parameters(net)
        rows.append({"network": name, "input": f"{net.resolution} px", "parameters": total,
                     "multiply-adds": cost.multiply_adds(net, aux=True),
                     "activations, MB": cost.activation_bytes(net) / 1e6, "share in fully connected layers": linear / total})
    return pd.DataFrame(rows)
