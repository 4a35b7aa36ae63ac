"""Recipes: optimisers, schedules, clipping, decay and averages against NumPy loops, closed forms and torch's own."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from replication.errors import BadInput
from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.runs import experiments
from replication.training import distributed, evaluate, optim

SHAPES = ((4, 3, 3, 3), (4,), (5, 4))


def recipe(optimiser: Any = None, **other: Any) -> experiments.Recipe:
    given = {"epochs": 10, "batch": 1, "lr": 0.5, "optimiser": optimiser or experiments.SGD(), **other}
    return experiments.Recipe(**given)


def weights(seed: int = 0) -> list[nn.Parameter]:
    torch.manual_seed(seed)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def gradients(step: int, scale: float = 1.0) -> list[np.ndarray]:
    draws = np.random.RandomState(step)
    return [(scale * draws.standard_normal(shape)).astype(np.float32) for shape in SHAPES]


def give(parameters: list[nn.Parameter], found: list[np.ndarray]) -> None:
    for p, g in zip(parameters, found, strict=True):
        p.grad = torch.from_numpy(g.copy())


def small() -> nn.Module:
    """Every kind of parameter there is, with values and gradients that are not zero."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.rand_like(p)
    network(torch.randn(6, 3, 4, 4)).square().mean().backward()
    return network


# -- RMSProp ------------------------------------------------------------------------------------------------------
def rmsprop_by_hand(values: list[np.ndarray], rates: list[float], decay: float, momentum: float, epsilon: float,
                    weight_decay: float, scale: float) -> list[np.ndarray]:
    """TF1's formula, entry by entry in float64."""
    ends = []
    for which, start in enumerate(values):
        w = start.astype(np.float64).ravel()
        for entry in range(w.size):
            square, velocity = 1.0, 0.0
            for step, rate in enumerate(rates):
                g = float(DRAWN[scale][step][which].ravel()[entry]) + weight_decay * w[entry]
                square = decay * square + (1 - decay) * g * g
                velocity = momentum * velocity + rate * g / math.sqrt(square + epsilon)
                w[entry] -= velocity
        ends.append(w.reshape(start.shape))
    return ends


DRAWN = {scale: [gradients(step, scale) for step in range(100)] for scale in (0.1, 1.0, 5.0)}


@pytest.mark.parametrize(("scale", "momentum", "epsilon", "weight_decay"), [
    (1.0, 0.9, 1.0, 0.0), (0.1, 0.9, 1.0, 0.01), (5.0, 0.0, 1.0, 0.0), (1.0, 0.9, 1e-3, 4e-5)])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_rmsprop_is_tensorflow_s(scale: float, momentum: float, epsilon: float, weight_decay: float,
                                 as_tensor: bool) -> None:
    ours = weights()
    start = [p.detach().numpy().copy() for p in ours]
    rates = [0.045 * 0.94 ** (step // 20) for step in range(100)]  # changing, as the velocity holds the rate
    lr = torch.tensor(0.0) if as_tensor else 0.0
    made = optim.RMSProp(ours, lr, 0.9, momentum, epsilon, weight_decay)
    for step, rate in enumerate(rates):
        give(ours, DRAWN[scale][step])
        optim.set_rate(made, rate)
        made.step()
    assert (made.param_groups[0]["lr"] is lr) == as_tensor
    for p, expected in zip(ours, rmsprop_by_hand(start, rates, 0.9, momentum, epsilon, weight_decay, scale),
                           strict=True):
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=2e-4, atol=2e-5)


def test_rmsprop_is_not_torch_s() -> None:
    """At epsilon 1 the same settings train to other weights."""
    ours, theirs = weights(), weights()
    start = weights()
    both = (optim.RMSProp(ours, 0.045, 0.9, 0.9, 1.0), torch.optim.RMSprop(theirs, 0.045, 0.9, 1.0, momentum=0.9))
    for step in range(100):
        for parameters, made in zip((ours, theirs), both, strict=True):
            give(parameters, DRAWN[1.0][step])
            made.step()
    way = [(p - q).norm().item() for p, q in zip(ours, start, strict=True)]
    apart = [(p - q).norm().item() for p, q in zip(ours, theirs, strict=True)]
    assert all(a > 0.1 * w for a, w in zip(apart, way, strict=True))


def torch_s_by_hand(start: np.ndarray, rates: list[float], which: int) -> np.ndarray:
    """What torch's documentation prints: v ← 0.9 v + 0.1 g², b ← 0.9 b + g / (√v + 1), w ← w - rate b, v from zero."""
    w, square, velocity = start.astype(np.float64), 0.0, 0.0
    for step, rate in enumerate(rates):
        g = DRAWN[1.0][step][which] + 0.01 * w
        square = 0.9 * square + 0.1 * g * g
        velocity = 0.9 * velocity + g / (np.sqrt(square) + 1)
        w = w - rate * velocity
    return w


def test_the_value_torch_rmsprop_is_torch_s() -> None:
    """To the bit torch's own, made by its own names, and near its formula; the rate falls, and the velocity too."""
    rates = [0.045 * 0.94 ** (step // 20) for step in range(100)]
    start, ours, theirs = weights(), weights(), weights()
    value = experiments.TorchRMSProp(weight_decay=0.01, decays="all")
    both = (optim.optimiser(nn.ParameterList(ours), recipe(value)),
            torch.optim.RMSprop(theirs, lr=0.5, alpha=0.9, eps=1.0, weight_decay=0.01, momentum=0.9))
    for step, rate in enumerate(rates):
        for parameters, made in zip((ours, theirs), both, strict=True):
            give(parameters, DRAWN[1.0][step])
            optim.set_rate(made, rate)
            made.step()
    for which, (p, q, w) in enumerate(zip(ours, theirs, start, strict=True)):
        assert torch.equal(p, q)
        np.testing.assert_allclose(p.detach().numpy(), torch_s_by_hand(w.detach().numpy(), rates, which), rtol=2e-4,
                                   atol=2e-5)


def test_the_first_step_of_rmsprop_by_arithmetic() -> None:
    """square 0.9 · 1 + 0.1 · 4 = 1.3; 0.1 · 2 / √(1.3 + 1)."""
    p = nn.Parameter(torch.tensor([3.0]))
    p.grad = torch.tensor([2.0])
    optim.RMSProp([p], 0.1).step()
    assert p.item() == pytest.approx(3 - 0.2 / math.sqrt(2.3), rel=1e-6)


@pytest.mark.parametrize("value", [experiments.SGD(), experiments.RMSProp(), experiments.TorchRMSProp()])
def test_an_optimiser_goes_on_from_its_state(value: Any) -> None:
    def go(network: nn.Module, made: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            made.zero_grad()
            network(torch.randn(6, 3, 4, 4)).square().mean().backward()
            made.step()

    one = small()
    whole = optim.optimiser(one, recipe(value, lr=0.01))
    go(one, whole, range(5))
    held = copy.deepcopy((one.state_dict(), whole.state_dict()))
    go(one, whole, range(5, 10))
    other = small()
    again = optim.optimiser(other, recipe(value, lr=0.01))
    other.load_state_dict(held[0])
    again.load_state_dict(held[1])
    go(other, again, range(5, 10))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    fresh = small()
    fresh.load_state_dict(held[0])
    go(fresh, optim.optimiser(fresh, recipe(value, lr=0.01)), range(5, 10))
    assert not torch.equal(next(fresh.parameters()), next(one.parameters())), "the state counts"


def test_a_parameter_without_gradient_is_left_alone() -> None:
    parameters = weights()
    before = [p.detach().clone() for p in parameters]
    made = optim.RMSProp(parameters, 0.1)
    made.step()
    parameters[0].grad = torch.ones_like(parameters[0])
    made.step()
    assert [torch.equal(p, q) for p, q in zip(parameters, before, strict=True)] == [False, True, True]


def test_the_value_decides() -> None:
    network = small()
    assert type(optim.optimiser(network, recipe(experiments.SGD()))) is torch.optim.SGD
    made = optim.optimiser(network, recipe(experiments.RMSProp(0.8, 0.7, 0.6)))
    assert isinstance(made, optim.RMSProp)
    assert {(g["decay"], g["momentum"], g["epsilon"], g["lr"]) for g in made.param_groups} == {(0.8, 0.7, 0.6, 0.5)}
    theirs = optim.optimiser(network, recipe(experiments.TorchRMSProp(0.8, 0.7, 0.6)))
    assert type(theirs) is torch.optim.RMSprop
    assert {(g["alpha"], g["momentum"], g["eps"], g["lr"]) for g in theirs.param_groups} == {(0.8, 0.7, 0.6, 0.5)}


# -- schedules ----------------------------------------------------------------------------------------------------
def rates(schedule: Any, steps: int, **other: Any) -> list[float]:
    made = recipe(schedule=schedule, **other)
    return [optim.rate(made, step, steps) for step in range(steps)]


@pytest.mark.parametrize(("schedule", "epochs", "gamma", "every"), [
    (experiments.Step(0.96, 8), 60, 0.96, 8), (experiments.Step(0.94, 2), 100, 0.94, 2)])
def test_v1_s_and_v3_s_steps(schedule: Any, epochs: int, gamma: float, every: int) -> None:
    expected, now = [], 0.045
    for epoch in range(epochs):
        now *= gamma if epoch and epoch % every == 0 else 1
        expected += [now] * 5
    assert rates(schedule, 5 * epochs, epochs=epochs, lr=0.045) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("schedule", "closed"), [
    (experiments.Poly(0.5), lambda t: math.sqrt(1 - t)), (experiments.Poly(), lambda t: 1 - t),
    (experiments.Cosine(), lambda t: math.cos(math.pi * t / 2) ** 2)])
def test_warm_up_then_the_schedule_to_its_last_step(schedule: Any, closed: Callable[[float], float]) -> None:
    """Of 200 steps 30 warm up: the 30th is at the full rate, as is the 31st; the last is one step short of the end."""
    found = rates(schedule, 200, warmup=0.15)
    assert found[:30] == pytest.approx([0.5 * (k + 1) / 30 for k in range(30)], rel=1e-12)
    assert found[29] == found[30] == 0.5
    assert found[30:] == pytest.approx([0.5 * closed(k / 170) for k in range(170)], rel=1e-9)
    assert found[-1] == pytest.approx(0.5 * closed(169 / 170), rel=1e-9)


@pytest.mark.parametrize(("steps", "rise", "start", "end"), [(100, 0.3, 25.0, 1e4), (57, 0.45, 10.0, 100.0),
                                                             (10, 0.2, 25.0, 1e4), (7, 0.05, 4.0, 2.0)])
def test_one_cycle_is_torch_s(steps: int, rise: float, start: float, end: float) -> None:
    made = torch.optim.SGD(weights(), lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(made, 0.5, total_steps=steps, pct_start=rise, div_factor=start,
                                                 final_div_factor=end, cycle_momentum=False)
    expected = []
    for _ in range(steps):
        expected.append(made.param_groups[0]["lr"])
        made.step()
        if len(expected) < steps:
            theirs.step()
    assert rates(experiments.OneCycle(rise, start, end), steps) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_s_ends_and_top() -> None:
    """Of 100 steps the 30th is the top (torch counts a share of 0.3 as 30 steps)."""
    found = rates(experiments.OneCycle(), 100)
    assert found[0] == pytest.approx(0.5 / 25)
    assert found[29] == max(found) == pytest.approx(0.5)
    assert found[14:16] == pytest.approx([0.02 + 0.48 * math.sin(math.pi * k / 58) ** 2 for k in (14, 15)])
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)
    warm = rates(experiments.OneCycle(), 120, warmup=1 / 6)
    assert warm[20:] == pytest.approx(found)


# -- clipping -----------------------------------------------------------------------------------------------------
def clipped(limit: Any) -> list[np.ndarray]:
    parameters = weights()
    give(parameters, DRAWN[1.0][0])
    optim.clip(parameters, limit)
    return [p.grad.numpy() for p in parameters if p.grad is not None]


def test_clipping_by_norm_by_value_and_not_at_all() -> None:
    given = DRAWN[1.0][0]
    norm = math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in given))
    assert norm > 4
    for limit in (2.0, 3.5, 2):
        for g, found in zip(given, clipped(limit), strict=True):
            np.testing.assert_allclose(found, g * limit / norm, rtol=1e-5)
    for found, g in zip(clipped(1.01 * norm), given, strict=True):
        np.testing.assert_allclose(found, g, rtol=1e-6)
    for found, g in zip(clipped(experiments.ClipValue(0.5)), given, strict=True):
        np.testing.assert_array_equal(found, np.minimum(np.maximum(g, np.float32(-0.5)), np.float32(0.5)))
    assert max(np.abs(g).max() for g in given) > 0.5
    for found, g in zip(clipped(None), given, strict=True):
        np.testing.assert_array_equal(found, g)


def test_clipping_is_fabric_s_to_the_bit() -> None:
    """What train.py called before there was a choice, so that stored runs can be trained again."""
    ours, theirs = small(), small()
    fabric = distributed.fabric("cpu")
    wrapped, made = fabric.setup(theirs, optim.optimiser(theirs, recipe()))
    fabric.clip_gradients(wrapped, made, max_norm=0.01, error_if_nonfinite=False)
    groups = optim.optimiser(ours, recipe()).param_groups
    optim.clip((p for group in groups for p in group["params"]), 0.01)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


# -- weight decay and the rate of biases ----------------------------------------------------------------------------
KINDS = {"0.weight": "kernel", "0.bias": "bias", "2.weight": "norm", "2.bias": "norm", "4.weight": "kernel",
         "4.bias": "bias"}


@pytest.mark.parametrize("kind", [experiments.SGD, experiments.RMSProp])
@pytest.mark.parametrize(("fields", "decayed", "factor"), [
    ({}, {"kernel"}, 1.0),                                        # slim; and ours until now
    ({"bias_rate": 2.0}, {"kernel"}, 2.0),                        # BVLC: lr_mult 2, decay_mult 0
    ({"decays": "all"}, {"kernel", "bias", "norm"}, 1.0),         # torchvision's references
    ({"decays": "all", "bias_rate": 2.0}, {"kernel", "bias", "norm"}, 2.0)])
def test_what_decays_and_how_fast_biases_go(kind: Any, fields: dict[str, Any], decayed: set[str],
                                            factor: float) -> None:
    network = small()
    made = optim.optimiser(network, recipe(kind(weight_decay=0.125, **fields)))
    optim.set_rate(made, 0.25)
    names = {id(p): name for name, p in network.named_parameters()}
    groups = {names[id(p)]: group for group in made.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in made.param_groups) == len(groups) == len(KINDS)
    for name, group in groups.items():
        assert group["weight_decay"] == (0.125 if KINDS[name] in decayed else 0.0), name
        assert group["lr"] == 0.25 * (factor if KINDS[name] == "bias" else 1.0), name


@pytest.mark.parametrize(("fields", "decayed", "factor"), [
    ({}, {"kernel"}, 1.0), ({"bias_rate": 2.0}, {"kernel"}, 2.0), ({"decays": "all"}, {"kernel", "bias", "norm"}, 1.0)])
@pytest.mark.parametrize("kind", [experiments.SGD, experiments.RMSProp])
def test_one_step_by_arithmetic(kind: Any, fields: dict[str, Any], decayed: set[str], factor: float) -> None:
    network = small()
    made = optim.optimiser(network, recipe(kind(weight_decay=0.125, **fields)))
    optim.set_rate(made, 0.1)
    before = {name: (p.detach().double(), p.grad.double()) for name, p in network.named_parameters()}
    made.step()
    for name, p in network.named_parameters():
        w, g = before[name]
        g = g + 0.125 * w if KINDS[name] in decayed else g
        move = g if kind is experiments.SGD else g / (0.9 + 0.1 * g ** 2 + 1).sqrt()
        move = 0.1 * (factor if KINDS[name] == "bias" else 1.0) * move
        torch.testing.assert_close(p.detach().double(), w - move, rtol=1e-5, atol=1e-7)
        assert move.abs().max() > 1e-4


def test_slim_s_decay_in_the_loss_is_the_decay_in_the_gradient() -> None:
    """slim adds weight_decay ‖w‖² / 2 of every kernel to the loss: the same step as ours, without clipping."""
    ours, slim = small(), small()
    penalty = sum(p.square().sum() / 2 for name, p in slim.named_parameters() if KINDS[name] == "kernel")
    (0.125 * penalty).backward()  # type: ignore[union-attr]
    for network, decay in ((ours, 0.125), (slim, 0.0)):
        made = optim.optimiser(network, recipe(experiments.RMSProp(weight_decay=decay)))
        made.step()
    for a, b in zip(ours.parameters(), slim.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_every_bias_of_googlenet_is_one() -> None:
    """Bias lr_mult 2 in 64 of BVLC's 64 weight layers."""
    network = build(googlenet(classes=10, width=0.125, resolution=32, stem=4))
    made = optim.optimiser(network, recipe(experiments.SGD(bias_rate=2.0)))
    twice = [group for group in made.param_groups if group.get("factor") == 2.0]
    assert [len(group["params"]) for group in twice] == [64]


def test_an_unknown_choice_of_what_decays() -> None:
    with pytest.raises(BadInput, match=r"Unknown choice of what decays 'al'\. Did you mean 'all'"):
        optim.optimiser(small(), recipe(experiments.SGD(decays="al")))


# -- the running average ------------------------------------------------------------------------------------------
def walk(network: nn.Module, step: int) -> None:
    torch.manual_seed(100 + step)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += torch.randn_like(value)
        network[2].num_batches_tracked += 1  # type: ignore[index, operator]


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9999])
def test_averages_are_tensorflow_s(decay: float) -> None:
    """num_updates = 1, 2, …; parameters and batch normalisation's statistics alike, as research/inception."""
    network = small()
    average = optim.RunningAverage(network, experiments.Average(decay))
    expected = {name: value.double().numpy() for name, value in snapshot(network).items()}
    for step in range(1, 101):
        walk(network, step)
        average.update()
        d = min(decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            expected[name] = d * expected[name] + (1 - d) * value.double().numpy()
    live = snapshot(network)
    with average.applied():
        held = snapshot(network)
    for name, value in held.items():
        if value.is_floating_point():
            np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-4, atol=1e-5)
            assert not torch.allclose(value, live[name], atol=0.01), name
    assert {"2.running_mean", "2.running_var", "0.weight", "4.bias"} <= held.keys()
    assert held["2.num_batches_tracked"] == live["2.num_batches_tracked"] > 100


def test_the_weights_come_back_to_the_bit_and_stay_where_they_are() -> None:
    network = small()
    average = optim.RunningAverage(network, experiments.Average(0.9))
    walk(network, 0)
    average.update()
    before, places = snapshot(network), [p.data_ptr() for p in network.state_dict().values()]
    with pytest.raises(KeyboardInterrupt), average.applied():  # noqa: PT012
        assert not torch.equal(network.state_dict()["0.weight"], before["0.weight"])
        raise KeyboardInterrupt
    after = snapshot(network)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [p.data_ptr() for p in network.state_dict().values()] == places


def test_an_average_goes_on_from_its_state() -> None:
    network = small()
    average = optim.RunningAverage(network, experiments.Average(0.95))
    for step in range(5):
        walk(network, step)
        average.update()
    held = copy.deepcopy(average.state_dict())
    again = optim.RunningAverage(network, experiments.Average(0.95))
    places = [value.data_ptr() for value in again.mean.values()]
    again.load_state_dict(held)
    assert [value.data_ptr() for value in again.mean.values()] == places
    walk(network, 5)
    average.update()
    again.update()
    assert all(torch.equal(average.mean[name], again.mean[name]) for name in average.mean)
    with pytest.raises(KeyError, match="another network"):
        optim.RunningAverage(nn.Linear(3, 2), experiments.Average()).load_state_dict(held)


def test_without_an_average_nothing_happens() -> None:
    network = small()
    none = optim.RunningAverage(network, None)
    before = snapshot(network)
    none.update()
    with none.applied():
        assert all(torch.equal(a, b) for a, b in zip(before.values(), snapshot(network).values(), strict=True))
    none.load_state_dict(none.state_dict())
    assert none.state_dict()["mean"] == {}


# -- nothing waits for the device ---------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [experiments.RMSProp(bias_rate=2.0), experiments.SGD()])
@pytest.mark.parametrize("limit", [2.0, experiments.ClipValue(2.0), None])
def test_a_step_reads_no_number_back(value: Any, limit: Any) -> None:
    """Fake tensors have no values: whoever asks for one gets an error."""
    with FakeTensorMode():
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        network(torch.ones(2, 3, 4, 4)).sum().backward()
        made = optim.optimiser(network, recipe(value))
        for group in made.param_groups:
            group["lr"] = torch.tensor(0.1)
        average = optim.RunningAverage(network, experiments.Average())
        optim.set_rate(made, 0.05)
        optim.clip(network.parameters(), limit)
        made.step()
        average.update()
        with average.applied():
            pass


# -- label smoothing ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.4])
def test_label_smoothing_is_cross_entropy_and_a_second_loss(epsilon: float) -> None:
    """V3 §7: H(q', p) = (1 - ε) H(q, p) + ε H(u, p): up to the scale 1 - ε, cross-entropy plus ε / (1 - ε) times the
    one against the uniform distribution. So are their gradients."""
    torch.manual_seed(0)
    logits, labels = torch.randn(16, 10, requires_grad=True), torch.arange(16) % 10
    with torch.no_grad():
        logits[range(16), labels] += 3

    def main(smoothing: float) -> Tensor:
        return evaluate.loss({"main": logits}, labels, recipe(label_smoothing=smoothing))[0]

    p = logits.softmax(1)
    second = -(torch.full((10,), 0.1) * p.log()).sum(1).mean()
    both = (1 - epsilon) * (main(0.0) + epsilon / (1 - epsilon) * second)
    assert main(epsilon).item() == pytest.approx(both.item(), rel=1e-5)
    assert main(epsilon).item() != pytest.approx(main(0.0).item(), rel=1e-2)
    ours, theirs = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (main(epsilon), both))
    torch.testing.assert_close(ours, theirs)
