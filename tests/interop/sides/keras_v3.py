"""Keras' Inception V3."""
from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from exchange import Side, sides

net = keras.applications.InceptionV3(weights=None, classifier_activation=None)
side = Side("Inception V3", "Keras", keras.__version__, 299)


def number(layer: Any) -> int:
    """The order in which they were made: net.layers has that of their depth."""
    return int(layer.name.rpartition("_")[2]) if layer.name[-1].isdigit() and "_" in layer.name[-4:] else 0


def of(kind: Any) -> list[Any]:
    return sorted((layer for layer in net.layers if isinstance(layer, kind)), key=number)


for conv, norm in zip(of(keras.layers.Conv2D), of(keras.layers.BatchNormalization), strict=True):
    height, width, into, out = conv.kernel.shape
    conv.set_weights([side.layer("conv", weight=(out, into, height, width))["weight"].transpose(2, 3, 1, 0)])
    assert not norm.scale
    found = side.layer("norm", bias=(out,), mean=(out,), var=(out,))
    norm.set_weights([found["bias"], found["mean"], found["var"]])
dense, = of(keras.layers.Dense)
found = side.layer("linear", weight=dense.kernel.shape[::-1], bias=dense.bias.shape)
dense.set_weights([found["weight"].T, found["bias"]])

side.fact("maps", sides([(n, c, h, w) for n, h, w, c in (layer.output.shape for layer in net.layers
                                                         if len(layer.output.shape) == 4)]))
pools = of(keras.layers.MaxPooling2D)
side.fact("max-pools of stride 2", {"valid": "round down", "same": "pad"}[{p.padding for p in pools}.pop()])
side.fact("normalisation", f"BN, ε {of(keras.layers.BatchNormalization)[0].epsilon:g}, no γ")
average = of(keras.layers.AveragePooling2D)[0]
corner = float(np.asarray(average(np.ones((1, 5, 5, 1), np.float32)))[0, 0, 0, 0])
side.fact("padding of averages", {1.0: "left out", 0.444: "counts as zeros"}[round(corner, 3)])
side.fact("last average", "whole map")
low, high = keras.applications.inception_v3.preprocess_input(np.array([0.0, 255.0]).reshape(1, 1, 2, 1)).ravel()
side.fact("pixels", f"{low:g} to {high:g}")
side.fact("parameters", f"{sum(int(np.prod(w.shape)) for w in net.trainable_weights):,}")
side.write(sys.argv[1], net.predict(side.images.transpose(0, 2, 3, 1), verbose=0))
