"""V3 §2's principles on GoogLeNet's modules: V1's Table 1, by hand, and what must not change."""
import pytest
from table1 import MODULES

from replication.errors import BadInput
from replication.models import cost
from replication.models.googlenet import INCEPTION, googlenet_bn
from replication.models.ops import Inception
from replication.models.reshaped import googlenet_reshaped


def modules(network):
    return {row.name: row.op for row in network.rows if isinstance(row.op, Inception)}


def test_with_its_defaults_it_is_googlenet_bn():
    assert googlenet_reshaped(name="GoogLeNet-BN") == googlenet_bn()


@pytest.mark.parametrize("share", [1, 0.5, 0.25, 0.125])
def test_reductions_leave_a_share_of_what_arrives(share):
    """V1 Table 1: 192 maps arrive at 3a, then what the four branches before give. Channels come in eights."""
    arrives = 192
    for name, module in modules(googlenet_reshaped(reductions=share)).items():
        assert module.n3x3_reduce == module.n5x5_reduce == pytest.approx(arrives * share, abs=4), name
        assert (module.n1x1, module.n3x3, module.n5x5, module.pool_proj) == tuple(
            getattr(INCEPTION[name], of) for of in ("n1x1", "n3x3", "n5x5", "pool_proj"))
        arrives = module.n1x1 + module.n3x3 + module.n5x5 + module.pool_proj


def test_all_reduced_to_everything_costs_what_the_reductions_add():
    """A 1×1 that leaves all maps costs their square a position; the large kernels then see all of them."""
    whole = googlenet_reshaped(reductions=1)
    arrives, wanted = 192, 0
    for name, module in INCEPTION.items():
        side = {"3": 28, "4": 14, "5": 7}[name[0]]
        wanted += side ** 2 * arrives * (2 * arrives + module.n1x1 + 9 * module.n3x3 + 25 * module.n5x5
                                         + module.pool_proj)
        arrives = module.n1x1 + module.n3x3 + module.n5x5 + module.pool_proj
    assert sum(line["multiply_adds"] for line in cost.table(whole) if line["name"] in MODULES) == wanted


def test_depth_counts_modules_and_keeps_the_heads():
    depths = {depth: googlenet_reshaped(depth=depth) for depth in ("half", "whole", "double")}
    assert [len(modules(network)) for network in depths.values()] == [4, 9, 18]
    for network in depths.values():
        assert [aux.at for aux in network.aux] == ["4a", "4d"]
        assert {name[0] for name in modules(network)} == {"3", "4", "5"}
    # V1 §5's 22 layers: two a module.
    assert [cost.depth(network) for network in depths.values()] == [12, 22, 40]


def test_the_last_two_modules_wider():
    wide, plain = modules(googlenet_reshaped(last=2)), modules(googlenet_bn())
    for name, module in wide.items():
        factor = 2 if name in ("5a", "5b") else 1
        assert (module.n1x1, module.n3x3, module.n5x5) == (
            factor * plain[name].n1x1, factor * plain[name].n3x3, factor * plain[name].n5x5)


@pytest.mark.parametrize("wrong", [{"depth": "deep"}, {"reductions": 1.5}, {"reductions": 0}, {"last": "wide"}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(BadInput):
        googlenet_reshaped(**wrong)
