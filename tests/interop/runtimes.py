"""Our networks as ONNX, of any size, in onnxruntime and OpenVINO: at which sizes their logits are torch's, in the file
as torch writes it and in ours."""
from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from replication.models import cost, onnx
from replication.models.baselines import nin
from replication.models.bn_inception import bn_inception
from replication.models.build import Net, build
from replication.models.googlenet import googlenet, googlenet_torchvision
from replication.models.inception_v3 import inception_v3, inception_v3_fid
from replication.models.ops import Network

NARROW: dict[str, Any] = {"classes": 10, "width": 0.25}
NETWORKS = {"GoogLeNet": googlenet(**NARROW), "torchvision's GoogLeNet": googlenet_torchvision(**NARROW, aux=()),
            "BN-Inception": bn_inception(**NARROW), "Inception V3": inception_v3(**NARROW),
            "Inception V3 of FID": inception_v3_fid(width=0.25), "Network in Network": nin(**NARROW)}
WRITTEN = ("as torch writes it", "as this book writes it")
CLOSE = 1e-3  # of the logits' deviation: rounding is a hundredth of it, another pool a hundred times as much

Run = Callable[[Any], Any]


def by_onnxruntime(path: Path) -> Run:
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"images": images})[0]


def by_openvino(path: Path) -> Run:
    import openvino
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: model([images])[0]


RUNTIMES = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}


def sizes(table: Network) -> list[tuple[int, int]]:
    """Heights and widths: the least, some beside it, the table's own, and sides that round every way."""
    least, own = cost.smallest(table, aux=False), cost.input_shape(table)[1]
    sides = sorted({*range(least, least + 9), own - 1, own, own + 1, *(side for side in (64, 79, 90, 107, 128, 151)
                                                                       if side > least)})
    return [*((side, side) for side in sides), (least, own), (own, least + 3)]


def compared(net: Net, path: Path, runtime: Callable[[Path], Run]) -> tuple[float, list[str]]:
    """The largest of the sizes' differences (root mean square, over the logits' deviation) where it is CLOSE, and the
    sizes at which it is not."""
    worst, other = 0.0, []
    try:
        run = runtime(path)
    except Exception as problem:  # whatever a runtime raises
        return worst, [f"every size ({_line(problem)})"]
    for height, width in sizes(net.network):
        images = torch.from_numpy(np.random.default_rng(height).normal(size=(2, 3, height, width)).astype(np.float32))
        with torch.no_grad():
            wanted = net(images)
        try:
            off = ((torch.from_numpy(run(images.numpy())) - wanted).square().mean().sqrt() / wanted.std()).item()
        except Exception:
            other.append(f"{height}×{width} (refused)")
            run = runtime(path)  # OpenVINO errs after a refusal (findings/openvino-after-refusal.sh)
            continue
        if off > CLOSE:
            other.append(f"{height}×{width} ({off:.0%})")
        else:
            worst = max(worst, off)
    return worst, other


def _line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[-1][:120]


def rows() -> Iterator[dict[str, Any]]:
    """A row a network, runtime and way of writing."""
    for name, table in NETWORKS.items():
        torch.manual_seed(0)
        net = build(table).eval()
        for written in WRITTEN:
            with tempfile.TemporaryDirectory() as folder:
                if written == WRITTEN[0]:
                    with patch.object(onnx, "rounded_down", lambda graph: None):
                        path = onnx.save(net, Path(folder) / "x.onnx", free=True)
                else:
                    path = onnx.save(net, Path(folder) / "x.onnx", free=True)
                for runtime, of in RUNTIMES.items():
                    worst, other = compared(net, path, of)
                    yield {"network": name, "runtime": runtime, "version": version(runtime), "written": written,
                           "sizes": len(sizes(table)), "apart": f"{worst:.2g}", "otherwise": "; ".join(other)}
