#!/usr/bin/env bash
# One would guess that "8 to 100 % of the area", asked of a cropping routine, means areas drawn evenly from that range,
# as section 6 of the GoogLeNet paper says of its own training.
# tf.image.sample_distorted_bounding_box, which slim's and many later Inception recipes call with these very numbers,
# draws the height evenly instead, so that small areas are common: of square images 39 % of the crops lie in the lowest
# quarter of the range and 8 % in the highest, and the mean is 42 % of the image. albumentations' RandomResizedCrop,
# which draws as torchvision's does, is even over the first three quarters (29 % each) and thin in the last (12 to 13 %):
# a large area with a drawn aspect does not fit, and both are drawn again. Even would be 25 % each and a mean of 54 %.
# The numbers are the share of 20,000 crops. Versions: tensorflow-cpu 2.21.0, albumentations 2.0.8.
# So the "same" augmentation is stronger in one library than in the other, and stronger than printed in both.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0 albumentations==2.0.8 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 NO_ALBUMENTATIONS_UPDATE=1 "$dir/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import albumentations  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

print(*(f"{name} {version(name)}" for name in ("tensorflow-cpu", "albumentations")))
SIDE, CROPS = 448, 20_000
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
tf.random.set_seed(0)


@tf.autograph.experimental.do_not_convert  # it is not in a file
def drawn(_):
    _, size, _ = tf.image.sample_distorted_bounding_box(
        [SIDE, SIDE, 3], tf.zeros([0, 0, 4]), area_range=AREA, aspect_ratio_range=ASPECT, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    return tf.cast(size[0] * size[1], tf.float32)


one = albumentations.RandomResizedCrop(size=(224, 224), scale=AREA, ratio=ASPECT)
one.set_random_seed(0)
picture = np.zeros((SIDE, SIDE, 3), np.uint8)
boxes = (one.get_params_dependent_on_data({"shape": picture.shape}, {"image": picture})["crop_coords"]
         for _ in range(CROPS))
areas = {"tensorflow": tf.map_fn(drawn, tf.range(CROPS), fn_output_signature=tf.float32).numpy() / SIDE ** 2,
         "albumentations": np.array([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]) / SIDE ** 2}
quarters = np.linspace(0, 1, 5)
for name, found in areas.items():
    place = (found - AREA[0]) / (AREA[1] - AREA[0])
    areas[name] = shares = np.histogram(place.clip(0, 1), quarters)[0] / CROPS
    print(f"{name}: crops by quarters of the range {np.round(100 * shares, 1)} %, mean area {found.mean():.3f}")
expected = {"tensorflow": (0.39, 0.29, 0.23, 0.085), "albumentations": (0.29, 0.29, 0.29, 0.125)}
for name, shares in expected.items():
    assert np.abs(areas[name] - shares).max() < 0.02, f"changed: {name}"
print("as described: neither draws areas evenly, and tensorflow's are the smaller")
EOF
