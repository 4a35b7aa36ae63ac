#!/usr/bin/env bash
# One would guess that the googlenet in paddle.vision.models has the layers of the paper that its docstring names.
# There is no activation after any convolution of the stem, nor after the 1x1 reductions before the 3x3 and 5x5
# convolutions, so that each such pair is one linear map. The second side head lacks the activation that the first one
# has. The grids are 55, 27, 13 and 6 instead of 56, 28, 14 and 7, for the pools do not round up. Nothing is
# normalised. The outputs have the right sizes all the same. Nor is there anything between the three fully connected
# layers of LeNet beside it: they are one linear map of 400 numbers to 10. Version: paddlepaddle 3.3.1.
# It matters for comparisons with "GoogLeNet in Paddle", and for weights that are moved there from elsewhere.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6
HOME="$dir" "$dir/venv/bin/python" - <<'EOF'
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import paddle  # noqa: E402

print("paddlepaddle", paddle.__version__)
paddle.seed(0)
net = paddle.vision.models.googlenet()
net.eval()
negative, grids = {}, []


def watch(name):  # how much of what a layer is given first is below zero
    def hook(layer, inputs):
        negative.setdefault(name, float((inputs[0] < 0).astype("float32").mean()))
    return hook


watched = {
    "pool after the stem's first convolution": net._pool,
    "stem, third convolution": net._conv_2,
    "3a, 3x3 after its reduction": net._ince3a._conv3,
    "3a, 5x5 after its reduction": net._ince3a._conv5,
    "3b, as a whole": net._ince3b,
    "first side head, last layer": net._out1,
    "second side head, last layer": net._out2,
}
for name, layer in watched.items():
    layer.register_forward_pre_hook(watch(name))
net._pool.register_forward_post_hook(lambda layer, inputs, output: grids.append(output.shape[-1]))
with paddle.no_grad():
    outputs = net(paddle.randn([1, 3, 224, 224]))
    print("outputs", [list(y.shape) for y in outputs], "grids", grids)
    for name in watched:
        print(f"    {name}: {negative[name]:.0%} of its input is negative")
    x = paddle.randn([1, 192, 14, 14])
    pair = lambda z: net._ince3a._conv3(net._ince3a._conv3r(z))
    odd = float((pair(-x) + pair(x)).abs().max() / pair(x).abs().max())
print(f"3a, reduction and 3x3 of -x and of x add up to {odd:.1g} of their size")
with paddle.no_grad():
    lenet = paddle.vision.models.LeNet()
    x, y = paddle.randn([8, 400]), paddle.randn([8, 400])
    bent = float((lenet.fc(x + y) - lenet.fc(x) - lenet.fc(y) + lenet.fc(x * 0)).abs().max() / lenet.fc(x).abs().max())
print(f"LeNet: {[list(p.shape) for p in lenet.fc.parameters()]}; sums of inputs give sums of outputs but for {bent:.1g}")
kinds = {type(layer).__name__ for layer in net.sublayers()}
print("kinds of layers:", sorted(kinds))
assert grids == [55, 27, 13, 6], "changed: the grids"
for name in watched:
    activated = name in ("3b, as a whole", "first side head, last layer")
    assert negative[name] == 0 if activated else negative[name] > 0.05, f"changed: {name}"
assert odd < 1e-5, "changed: the pair is no longer linear"
assert bent < 1e-5, "changed: LeNet is no longer linear at its end"
assert not any("Norm" in kind for kind in kinds), "changed: something is normalised"
print("as described: no activation in the stem, after reductions, in the second side head and in LeNet's last layers")
EOF
