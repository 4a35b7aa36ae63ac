"""The three ends of a network, by hand."""
from __future__ import annotations

from replication.pages import average_pooling
from replication.studies import study


def test_what_each_head_brings() -> None:
    """On the 7×7 map of 1024 channels that GoogLeNet ends with at 224 px, for ten classes: a linear layer has 1024 × 10
    weights and 10 biases, the hidden layer 7 × 7 × 1024 × 1024 weights and 1024 biases besides."""
    grid = study.study("v1.head", resolution=224, width=1.0, stem=8, images=200, val_images=100)
    found = average_pooling.heads(grid).set_index("head")
    assert found.features.to_dict() == {"average": 1024, "fc": 1024, "nin": 1024}
    assert found["parameters of the head"].to_dict() == {
        "average": 10_250, "fc": 7 * 7 * 1024 * 1024 + 1024 + 10_250, "nin": 10_250}
    assert found["of the network"]["fc"] - found["of the network"]["average"] == 7 * 7 * 1024 * 1024 + 1024


def test_at_a_quarter_of_the_width_they_meet_too() -> None:
    numbers = average_pooling.numbers(study.study("v1.head", resolution=32, width=0.25, stem=4),
                                      study.study("v1.ablation"))
    assert numbers["side"] == 2
    assert set(numbers["features"].values()) == {256}
    assert numbers["parameters"]["fc"] == 2 * 2 * 256 * 256 + 256 + 2570
