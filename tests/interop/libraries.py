"""Each library in a virtual environment of its own, with pinned packages, in a temporary folder."""
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
READY = ".ready"  # written once all is installed


@dataclass(frozen=True)
class Library:
    """`side`: its program. `beside`: packages for a folder beside this Python's own, which has the rest; otherwise
    `packages` are all there is. `without`: those that are installed without what they ask for."""
    side: str
    packages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


LIBRARIES = {
    "onnx": Library("onnx_wheel"),
    "slim": Library("slim_nets", ("tensorflow-cpu==2.15.1", "tf-keras==2.15.1", "tf-slim==1.1.0",
                                  "numpy==1.26.4")),
    "Keras": Library("keras_v3", ("keras==3.15.1", "jax==0.10.2", "numpy==2.4.6")),
    "Paddle": Library("paddle_nets", ("paddlepaddle==3.3.1", "numpy==2.4.6")),
    # MXNet ended in 2022; this numpy still has the names that it asks for
    "MXNet": Library("mxnet_nets", ("numpy==1.23.5", "requests==2.32.5"),
                     ("mxnet==1.9.1", "graphviz==0.20.3", "gluoncv==0.10.5.post0")),
    # Chainer ended in 2019; its own build asks for what later setuptools no longer has
    "Chainer": Library("chainer_nets", ("numpy==1.23.5", "setuptools==65.5.0", "wheel==0.45.1", "six==1.17.0",
                                        "typing-extensions==4.15.0", "filelock==3.20.0", "protobuf==6.33.0",
                                        "Pillow==12.0.0"), ("chainer==7.8.1",)),
    "pytorch-fid": Library("fid", beside=("pytorch-fid==0.3.0",)),
    "torch-fidelity": Library("fidelity", beside=("torch-fidelity==0.4.0",)),
    "pytorchcv": Library("torch_nets", beside=("pytorchcv==0.0.74", "pretrainedmodels==0.7.4", "munch==4.0.0",
                                              "six==1.17.0")),
}


def ran(name: str, place: Path) -> tuple[list[Path], str]:
    """The files that a library handed over, or why there are none."""
    library, folder = LIBRARIES[name], place / name
    folder.mkdir(parents=True, exist_ok=True)
    python, path = Path(sys.executable), [str(HERE)]
    try:
        if library.packages:
            python = folder / "venv" / "bin" / "python"
        if library.packages and not (folder / READY).exists():
            _do(sys.executable, "-m", "venv", folder / "venv")
            _do(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *library.packages)
            if library.without:
                _do(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                    "--no-build-isolation", *library.without)
        if library.beside:
            path.append(str(folder / "beside"))
        if library.beside and not (folder / READY).exists():
            _do(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target",
                folder / "beside", *library.beside)
        (folder / READY).touch()
        _do(python, HERE / "sides" / f"{library.side}.py", folder, PYTHONPATH=os.pathsep.join(path),
            KERAS_BACKEND="jax", HOME=str(folder))
    except subprocess.CalledProcessError as problem:
        lines = (problem.stdout + problem.stderr).strip().splitlines() or [f"it ends with {problem.returncode}"]
        return [], lines[-1]
    return sorted(folder.glob("*.npz")), ""


def _do(*command: object, **env: str) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True,
                   env={**os.environ, **env})
