"""What *Average pooling or a fully connected layer?* shows besides its claims."""
from __future__ import annotations

from typing import Any

import pandas as pd

from replication.models import cost
from replication.models.cost import shapes
from replication.pages import finals, findings
from replication.studies.study import Grid

SECTIONS: findings.Sections = {
    "answer": ("V1-20", "V1-20b"), "head": ("V1-20", "V1-22"), "dropout": ("V1-21", "BN-4a"),
    "photographs": ("V1-20b", "V1-21b")}
HEAD = ("avgpool", "fc", "dropout", "linear")  # rows of a network behind its last module


def heads(grid: Grid) -> pd.DataFrame:
    """A line a head: `features`, the channels or units that its last layer sees; the parameters of the head alone and
    of the network in use, without auxiliary heads; and its share of them."""
    rows = []
    for key in grid.study.factors["head"]:
        network = finals.experiment(grid, norm="bn", head=key).network
        own = sum(row["parameters"] for row in cost.table(network) if row["head"] == "main" and row["name"] in HEAD)
        outputs = dict(shapes(network))
        before = {"average": "avgpool", "fc": "fc", "nin": "5b"}[key]
        whole = cost.parameters(network, aux=False)
        rows.append({"head": key, "features": outputs[before][0], "parameters of the head": own,
                     "of the network": whole, "share, %": 100 * own / whole})
    return grid.labelled(pd.DataFrame(rows))


def numbers(head: Grid, photographs: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    of = heads(head).set_index(pd.Index(head.study.factors["head"]))
    grid = dict(shapes(finals.experiment(head, norm="bn", head="fc").network))["5b"]
    return {**finals.protocol(head), "found": findings.found(SECTIONS, [head, photographs]),
            "side": grid[1], "features": of.features.to_dict(),
            "parameters": of["parameters of the head"].to_dict(), "share": of["share, %"].to_dict(),
            "times": float(of["parameters of the head"]["fc"] / of["parameters of the head"]["average"])}
