#!/usr/bin/env bash
# One would guess that the "training" and the "validation" part of one folder, read by Keras with the same
# validation_split, have no image in common.
# The split is taken off the end of the list of files after it was shuffled, and shuffle=False, which one sets for the
# validation part so that its labels and the predictions have one order, leaves the list sorted by class. So the
# validation part is the last classes alone, and every image of it that the shuffled training part drew is in both:
# of five classes of 20, a validation part of 20 images of one class, all of them trained on. class_names says five.
# A seed, the same in both calls, does not help. No warning; with shuffle left as it is in both the parts are disjoint.
# Versions: keras 3.15.1, tensorflow-cpu 2.21.0.
# It matters to whoever fine-tunes Keras' InceptionV3 on a folder of classes: what is reported is training accuracy.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 pillow==12.0.0
CUDA_VISIBLE_DEVICES='' TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow KERAS_HOME="$dir" \
    "$dir/venv/bin/python" - "$dir/images" <<'EOF'
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import keras
from PIL import Image

print(*(f"{name} {version(name)}" for name in ("keras", "tensorflow-cpu")))
folder = Path(sys.argv[1])
for at in range(100):  # five classes of twenty images, no two alike
    path = folder / "abcde"[at // 20] / f"{at:03}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (at, at, at)).save(path)


def part(subset, **how):
    found = keras.utils.image_dataset_from_directory(
        folder, validation_split=0.2, subset=subset, image_size=(8, 8), batch_size=10, verbose=False, **how)
    assert found.class_names == list("abcde")
    levels = {int(image[0, 0, 0]) for images, _ in found for image in images.numpy()}  # a level of grey an image
    assert levels == {int(Path(path).stem) for path in found.file_paths}
    return levels


train = part("training", seed=1)
for how in ({"seed": 1}, {"shuffle": False}, {"shuffle": False, "seed": 1}):
    held = part("validation", **how)
    classes = dict(sorted(Counter("abcde"[at // 20] for at in held).items()))
    print(f"training seed=1, validation {how}: {len(train)} and {len(held)} images, {len(train & held)} in both,",
          f"validation by class {classes}")
    if how.get("shuffle", True):
        assert not train & held, "changed: both shuffled"
    else:
        assert classes == {"e": 20}, "changed: the classes of the validation part"
        assert len(train & held) >= 12, "changed: images in both"
print("as described: a validation part of one class, which was trained on")
EOF
