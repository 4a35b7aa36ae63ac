"""Units by closed forms: a planted filter finds its own patch, a planted class is told, and heads differ as made."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from replication.data import shapes
from replication.data.load import Split
from replication.data.spec import Data
from replication.data.transforms import normalise
from replication.models.build import Net, build
from replication.models.googlenet import googlenet
from replication.models.ops import AvgPool, Conv, Linear, Network, Row
from replication.runs.experiments import Experiment
from replication.training import inspect, loop, neurons
from replication.training.logits import Scores

CROSS = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=torch.uint8)


@pytest.fixture
def planted() -> Net:
    """Unit 0 is a filter that fits CROSS in red, unit 1 sees green."""
    network = build(Network("n", (Row("conv", Conv(2, 3)), Row("pool", AvgPool()), Row("fc", Linear(2))), 16)).eval()
    with torch.no_grad():
        network.conv.weight.zero_()
        network.conv.weight[0, 0] = 2.0 * CROSS - 1
        network.conv.weight[1, 1, 1, 1] = 1
        network.conv.bias.zero_()
    return network


def crosses() -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Six images of 16 px; in each but the first a cross, the brighter the later, at a place of its own."""
    images = torch.full((6, 3, 16, 16), 127, dtype=torch.uint8)
    places = [(0, 0), (2, 3), (12, 5), (7, 7), (1, 13), (14, 14)]  # of their middles
    for n, (y, x) in enumerate(places[1:], start=1):
        images[n, 0, y - 1:y + 2, x - 1:x + 2] = torch.where(CROSS > 0, 155 + 20 * n, 100 - 20 * n).to(torch.uint8)
    return images, places


def test_a_planted_filter_finds_its_own_patch(planted: Net) -> None:
    images, places = crosses()
    seen = normalise(images)
    top = neurons.maxima(planted, seen, ["conv"], batch=4)["conv"]
    at = np.floor(top.places[1:, 0] * 16).astype(int)
    assert [tuple(one) for one in at] == places[1:]
    found = neurons.strongest(top, seen, np.array([0, 1, 0, 1, 0, 1]), 3, ("even", "odd"), units=[0])
    assert found.units == [0]
    assert found.names == ["odd", "even", "odd", "even"]  # images 5, 4, 3, 2
    for n, patch in zip((5, 4, 3, 2), found.pictures, strict=True):
        y, x = places[n]
        wanted = images[n, :, y - 1:y + 2, x - 1:x + 2].permute(1, 2, 0).numpy() / 255
        np.testing.assert_allclose(patch, wanted, atol=1e-6)


def test_a_patch_at_an_edge_is_filled_up_and_a_large_one_is_the_picture() -> None:
    picture = np.arange(4 * 4 * 3, dtype=float).reshape(4, 4, 3)
    found = neurons.patch(picture, 0.125, 0.875, 3)  # the corner above to the right
    np.testing.assert_array_equal(found[1:, :2], picture[:2, 2:])
    assert (found[0] == 0.5).all()
    assert (found[:, 2] == 0.5).all()
    assert neurons.patch(picture, 0.5, 0.5, 4) is picture


def test_what_the_class_tells_of_a_unit() -> None:
    """By hand: all of it, none, and 3/4 of a unit whose classes lie at ±sqrt(3) with noise ±1 around them."""
    labels = np.array([0, 0, 1, 1])
    root = 3 ** 0.5
    values = np.array([[5, 1, root + 1, 2], [5, -1, root - 1, 2], [9, 1, -root + 1, 2], [9, -1, -root - 1, 2]])
    np.testing.assert_allclose(neurons.told_by(values.astype(np.float32), labels), [1, 0, 0.75, 0], atol=1e-6)


def test_the_units_that_are_shown_are_chosen_by_rule() -> None:
    labels = np.array([0, 0, 1, 1])
    values = np.array([[0, 3, 9], [1, 3, 9], [0, 4, 0], [1, 4, 1]], dtype=np.float32)  # told: 0, 1, between
    top = neurons.Maxima(values, np.full((4, 3, 2), 0.5, np.float32))
    found = neurons.strongest(top, torch.zeros(4, 3, 8, 8), labels, 8, ("a", "b"))
    assert found.units == [1, 2]
    assert found.names == ["b", "b", "a", "a", "a", "a", "b", "b"]


def test_modules_are_looked_at(planted: Net) -> None:
    assert neurons.modules(planted) == ["conv"]
    found = neurons.modules(build(googlenet(classes=4, width=0.125, stem=4, resolution=32)))
    assert found == ["conv1", "3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]


# -- where --------------------------------------------------------------------------------------------------------
def test_the_share_is_chosen_on_training_images(colours: Net) -> None:
    """A bright square in a dim frame: the object is all of it in training, where a small share is right, and in
    validation the bright part alone, which that share misses."""
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    image[0, 2:14, 2:14] = 100  # 0.39 of the maximum
    image[0, 6:10, 6:10] = 255
    wide, small = torch.tensor([[2, 2, 13, 13]]), torch.tensor([[6, 6, 9, 9]])
    label = torch.tensor([0])
    train, val = (Split(image[None], label, {"box": box}) for box in (wide, small))
    rows = neurons.answers(colours, train, val)
    assert rows.way.tolist()[:3] == ["the class map", "the class map", "covering parts"]
    assert rows.error_box.tolist()[:2] == [100, 100]
    assert rows.share.tolist()[:2] == [0.2, 0.1]
    rows = neurons.answers(colours, val, val)
    assert rows.share.tolist()[:2] == [0.2, 0.4]
    assert rows.error_box.tolist()[:2] == [100, 0]
    assert rows.peak.tolist() == [100] * 5
    assert rows.iloc[-1].way == "the whole image"
    assert rows.iloc[-1].error_box == 100


def test_boxes_of_shapes_are_known_and_those_of_digits_are_not() -> None:
    images, labels, _ = shapes.generate(20, shapes.SEEDS[None][1], 16)
    split = Split(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels))
    data = Data("shapes", 16, 10, 20, 20)
    found = neurons.boxes_of(data, split)
    assert found is not None
    np.testing.assert_array_equal(found.extra["box"], shapes.boxes(20, 2000, 16))
    assert not np.array_equal(neurons.boxes_of(data, split, training=True).extra["box"], found.extra["box"])
    assert neurons.boxes_of(Data("digits", 16, 10, 20, 20), split) is None
    unknown = Split(split.images, split.labels, {"box": torch.full((20, 4), -1)})
    assert neurons.boxes_of(Data("digits", 16, 10, 20, 20), unknown) is None


# -- heads --------------------------------------------------------------------------------------------------------
def test_images_on_which_heads_differ() -> None:
    """Image 1 is agreed on; of 0 and 2 the second has the surer least sure head."""
    main = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1]]))
    side = np.log(np.array([[0.4, 0.6], [0.7, 0.3], [0.1, 0.9]]))
    found = neurons.disagreements(Scores({"main": main, "4a": side}, np.array([0, 0, 1]), ""))
    assert found.to_dict("list") == {
        "image": [2, 2, 0, 0], "label": [1, 1, 0, 0], "head": ["main", "4a"] * 2, "taken": [0, 1, 0, 1],
        "chance": pytest.approx([0.9, 0.9, 0.9, 0.6])}
    alike = neurons.disagreements(Scores({"main": main, "4a": main}, np.array([0, 0, 1]), ""))
    assert isinstance(alike, pd.DataFrame)
    assert list(alike) == list(found)


def test_a_run_looked_at(out: Path, tiny: Callable[..., Experiment]) -> None:
    """From its weights to what the page shows."""
    experiment = tiny("bn")
    loop.train(experiment, 0)
    found = neurons.look(experiment, 0)
    assert set(found.told.network) == {"trained", "untrained"}
    assert found.told.told.between(0, 1).all()
    assert len(found.patches["5b"].pictures) == neurons.UNITS * neurons.STRONGEST
    assert found.located is not None
    assert len(found.boxes) == 5
    assert len(found.pictures) == found.apart.image.nunique()
    assert found.pictures.shape[1] <= inspect.SIDE
