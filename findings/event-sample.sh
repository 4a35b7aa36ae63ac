#!/usr/bin/env bash
# One would guess that TensorBoard's EventAccumulator, with which a run's curve is read back out of its log, gives all
# values that were logged.
# It keeps 10,000 of a curve and draws which, the last one always among them: of 20,000 losses a random half. Of a curve
# that was logged as tensors, as torch's add_scalar does with new_style=True and TensorFlow 2 always, it keeps 10.
# No warning; Tags() and the classes' text speak of all, the text of the argument size_guidance of how much is kept, and
# its 0 keeps all. The lowest loss, its step and a count of epochs are then those of the sample, and the spike is gone.
# Versions: tensorboard 2.21.0, torch 2.14.1.
# It matters to whoever takes the best value or the steps to an accuracy out of somebody's published logs.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tensorboard==2.21.0 torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - "$dir/log" <<'EOF'
import sys
from importlib.metadata import version

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

print(*(f"{name} {version(name)}" for name in ("tensorboard", "torch")))
with SummaryWriter(sys.argv[1]) as log:
    for step in range(20_000):
        if step < 10_000:
            log.add_scalar("short", step, step)
        log.add_scalar("loss", step, step)
        log.add_scalar("of tensors", step, step, new_style=True)


def steps(tag, read, **how):
    log = EventAccumulator(sys.argv[1], **how)
    log.Reload()
    return [event.step for event in getattr(log, read)(tag)]


for tag, read, kept in (("short", "Scalars", 10_000), ("loss", "Scalars", 10_000), ("of tensors", "Tensors", 10)):
    found = steps(tag, read)
    print(f"{tag}: {len(found)} values read, the steps {found[:4]} ... {found[-1]}")
    assert len(found) == kept, "changed: how many are kept"
    assert found[-1] == (9_999 if tag == "short" else 19_999), "changed: the last"
    assert (found == list(range(kept))) == (tag == "short"), "changed: which are kept"
    every = steps(tag, read, size_guidance={read.lower(): 0})
    assert every == list(range(10_000 if tag == "short" else 20_000)), "changed: size_guidance"
print("as described: 10,000 of a curve, and 10 of one of tensors")
EOF
