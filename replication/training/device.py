"""Where a run is trained."""
from __future__ import annotations

import os

import torch

from replication.errors import BadInput, unknown


def device(asked: str | None = None) -> str:
    """"cuda" or "cpu"; `asked`, or REPLICATION_DEVICE, may be auto. Raises BadInput where there is no such GPU."""
    asked = asked or os.environ.get("REPLICATION_DEVICE") or "auto"
    if asked not in ("auto", "cpu", "cuda"):
        raise unknown("device", asked, ("auto", "cpu", "cuda"))
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadInput("A GPU was asked for (REPLICATION_DEVICE=cuda) and torch sees none here: use auto or cpu, or "
                       "check the driver with nvidia-smi.")
    return asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """What provenance calls the device of this process: the GPU's own name, or "CPU"."""
    return torch.cuda.get_device_name() if device() == "cuda" else "CPU"
