"""Every network by name."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from replication.models.baselines import alexnet, alexnet_torchvision, lenet5, lenet5_dense, nin
from replication.models.bn_inception import bn_inception
from replication.models.factorised import googlenet_asymmetric, googlenet_two_3x3
from replication.models.googlenet import (
    googlenet,
    googlenet_bn,
    googlenet_naive,
    googlenet_separable,
    googlenet_slim,
    googlenet_torchvision,
)
from replication.models.inception_v3 import inception_v2, inception_v3, inception_v3_paper
from replication.models.kws import kws_inception
from replication.models.ops import He, Init, Network
from replication.models.reshaped import googlenet_reshaped

# The first sentence of each one's docstring says where in the papers it stands: the verb `zoo` prints it.
NETWORKS: dict[str, Callable[..., Network]] = {
    "googlenet": googlenet,
    "googlenet_separable": googlenet_separable,
    "googlenet_bn": googlenet_bn,
    "googlenet_naive": googlenet_naive,
    "googlenet_torchvision": googlenet_torchvision,
    "googlenet_slim": googlenet_slim,
    "googlenet_two_3x3": googlenet_two_3x3,
    "googlenet_asymmetric": googlenet_asymmetric,
    "googlenet_reshaped": googlenet_reshaped,
    "inception_v3": inception_v3,
    "inception_v3_paper": inception_v3_paper,
    "inception_v2": inception_v2,
    "bn_inception": bn_inception,
    "kws_inception": kws_inception,
    "alexnet": alexnet,
    "alexnet_torchvision": alexnet_torchvision,
    "lenet5": lenet5,
    "lenet5_dense": lenet5_dense,
    "nin": nin,
}

# Without normalisation these hardly start from what their papers draw, least of all in small forms.
START: dict[str, Init] = {name: He() for name in (
    "googlenet", "googlenet_separable", "googlenet_bn", "googlenet_naive", "googlenet_two_3x3", "googlenet_asymmetric",
    "googlenet_reshaped", "alexnet", "alexnet_torchvision", "nin")}

_FORMS_OF = {"googlenet_separable": "googlenet", "googlenet_bn": "googlenet", "googlenet_naive": "googlenet",
             "googlenet_torchvision": "googlenet", "googlenet_slim": "googlenet_torchvision",
             "googlenet_two_3x3": "googlenet_bn", "googlenet_asymmetric": "googlenet_bn",
             "googlenet_reshaped": "googlenet_bn",
             "inception_v2": "inception_v3_paper"}  # whose other arguments they take


def arguments(name: str) -> dict[str, Any]:
    """The arguments of a network's function and their defaults, but for its name."""
    own = inspect.signature(NETWORKS[name]).parameters.values()
    more = arguments(_FORMS_OF[name]) if name in _FORMS_OF else {}
    return {**more, **{one.name: one.default for one in own if one.kind is one.KEYWORD_ONLY and one.name != "name"}}
