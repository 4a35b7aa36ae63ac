"""Starting from a trained network and training some rows alone, against plain torch and against the stored weights."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trained import weights

from replication.data.load import load
from replication.data.transforms import evaluate_view, order
from replication.errors import BadInput
from replication.models.build import build
from replication.runs import experiments, store
from replication.studies import profiles, study, workers
from replication.studies.queue import starts
from replication.training import loop, members

pytestmark = pytest.mark.usefixtures("out", "one_thread", "one_core")
Tiny = Callable[..., experiments.Experiment]
LAST = ("linear.weight", "linear.bias")


@pytest.fixture
def first(tiny: Tiny) -> experiments.Experiment:
    """With heads, which what starts from it has not, and of one step a seed."""
    made = tiny("bn", batch=100, epochs=1)
    return replace(made, data=replace(made.data, train_images=100, val_images=20))


@pytest.fixture
def fine(first: experiments.Experiment) -> Callable[..., experiments.Experiment]:
    """Two steps from that, without dropout unless it is asked for."""
    def make(**recipe: object) -> experiments.Experiment:
        how = {"start": first, "epochs": 1, "batch": 50, "warmup": 0.0, "augment": (), **recipe}
        return replace(first, network=replace(first.network, aux=()), recipe=replace(first.recipe, **how))
    return make


def test_the_last_layer_alone_is_a_linear_model_on_frozen_features(
        first: experiments.Experiment, fine: Callable[..., experiments.Experiment]) -> None:
    """Two steps of momentum written out: v ← 0.9 v + g + decay w, w ← w - rate v; rates of 0.1 and 0.05."""
    loop.train(first, 3)
    made = fine(trained=("linear",), lr=0.1, clip=None)
    run = loop.train(made, 3)
    was, now = weights(first, 3), weights(made, 3)
    assert run.summary["steps"] == 2
    assert set(now) - set(was) == set()
    for name, value in now.items():
        if name not in LAST:
            torch.testing.assert_close(value, was[name], rtol=0, atol=0, msg=name)  # statistics, too

    network = members.network(first, 3)
    network.linear = nn.Identity()
    network.flat = True
    images, labels = load(made.data).train.images, load(made.data).train.labels
    with torch.no_grad():
        features = network(evaluate_view(images, ()))
    torch.manual_seed(loop.stream(3, "init"))
    start = dict(build(made.network).state_dict())
    w, b = (start[name].clone() for name in LAST)
    moved = [torch.zeros_like(w), torch.zeros_like(b)]
    for step, rate in enumerate((0.1, 0.05)):
        chosen = order(len(labels), 3, 0)[50 * step:50 * (step + 1)]
        x, y = features[chosen], labels[chosen]
        wrong = (x @ w.T + b).softmax(1) - F.one_hot(y, w.shape[0])
        moved = [0.9 * moved[0] + wrong.T @ x / 50 + 2e-4 * w, 0.9 * moved[1] + wrong.mean(0)]
        w, b = w - rate * moved[0], b - rate * moved[1]
    torch.testing.assert_close(now[LAST[0]], w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(now[LAST[1]], b, rtol=1e-4, atol=1e-5)
    assert run.history[0]["grad_main"] > 0, "also of a first convolution that learns nothing"


def test_all_of_it_starts_at_what_is_stored(first: experiments.Experiment,
                                            fine: Callable[..., experiments.Experiment]) -> None:
    loop.train(first, 0)
    untrained = fine(epochs=0)
    loop.train(untrained, 0)
    was, now = weights(first), weights(untrained)
    same = {name for name, value in now.items() if torch.equal(value, was[name])}
    assert set(now) - same == set(LAST)
    assert not now["linear.bias"].any(), "the last layer starts as ever"
    moved = fine()
    loop.train(moved, 0)
    assert all(not torch.equal(value, was[name]) for name, value in weights(moved).items()
               if name.endswith("weight"))
    other = fine(init_seed=0, epochs=0)
    loop.train(other, 5)
    assert all(torch.equal(value, now[name]) for name, value in weights(other, 5).items())


def test_dropout_among_the_rows_that_learn_drops(first: experiments.Experiment,
                                                 fine: Callable[..., experiments.Experiment]) -> None:
    net = build(fine().network)
    net.freeze(("dropout", "linear"))
    net.train()
    assert net.training
    assert net.dropout.training
    assert not any(module.training for module in net.conv1.modules())
    assert [name for name, value in net.named_parameters() if value.requires_grad] == list(LAST)
    net.freeze(("linear",))
    assert not net.train().dropout.training


def test_weights_that_are_not_here_or_do_not_fit_are_refused(
        first: experiments.Experiment, fine: Callable[..., experiments.Experiment]) -> None:
    with pytest.raises(BadInput, match=r"There are no weights at .*; look on the machine that trained the run"):
        loop.train(fine(), 0)
    other = replace(first.network, aux=(), rows=first.network.rows[1:])
    with pytest.raises(BadInput, match=r"conv1.weight is \(8, 3, 7, 7\) here, and there they are not"):
        members.begin(build(first.network), build(other))


def test_what_a_run_starts_from_is_trained_before_it(first: experiments.Experiment,
                                                     fine: Callable[..., experiments.Experiment]) -> None:
    made = fine(epochs=0)
    jobs = [("fine", made, 1), ("again", fine(trained=("linear",)), 1)]
    assert starts(jobs) == [("what fine starts from", first, 1)]
    workers.train(jobs)
    assert store.exists(experiments.address(first, 1))
    assert starts(jobs) == []
    assert all(store.exists(experiments.address(*job[1:])) for job in jobs)


def test_the_study_starts_from_runs_of_the_profile_that_lists_it() -> None:
    of = profiles.profile("cpu-full")
    fine, head = (study.asked(name, "cpu-full") for name in ("fine", "v1.head"))
    trained = {cell.seed: cell.address for cell in head.cells
               if cell.keys == {"norm": "bn", "head": "average", "dropout": "0.4"}}
    for cell in fine.cells:
        start = experiments.start(cell.experiment, cell.seed)
        assert (start is None) == (cell.keys["trained"] == "scratch")
        assert start is None or experiments.address(*start) == trained[cell.seed]
    assert list(of.studies).index("v1.head") < list(of.studies).index("fine")


def test_a_setting_changes_the_network_of_both_and_the_training_of_one() -> None:
    small = {"images": 100, "val_images": 100, "epochs": 1}
    plain, narrow, other = (study.study("fine", **small, set=sets).cells[1].experiment for sets in (
        {}, {"network.dropout": 0.0}, {"recipe.lr": 0.01, "data.name": "shapes"}))
    assert plain.recipe.start is not None
    assert narrow.recipe.start is not None
    assert narrow.recipe.start.network.row("dropout") == narrow.network.row("dropout")
    assert other.recipe.start == plain.recipe.start
    assert (other.data.name, other.recipe.lr) == ("shapes", 0.01)


@pytest.mark.parametrize(("rows", "message"), [
    ("dropout,liner", "Did you mean 'linear'"), ("dropout", "the last of which is linear")])
def test_rows_that_cannot_learn_are_refused(rows: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        study.single("googlenet_bn", set={"recipe.trained": rows})
