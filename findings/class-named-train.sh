#!/usr/bin/env bash
# One would guess that a folder for each part and in it a folder for each class, read with datasets' imagefolder, gives
# the parts as they lie there: CIFAR-100 laid out as train/bus, train/train, test/bus, test/train has a class "train".
# The parts are found by words anywhere in a path, so test/train belongs to both: every test image of that class is in
# the training part as well, with its label, and counted in both. Without the folders of the parts it is worse: of
# bicycle, bus, car and train the class train alone is read, as the training part, without labels; likewise of a class
# bullet_train, and a class "testing" alone, as the test part. No warning. The documentation names the words and shows
# them as the folders of the parts; that a class may have such a name it does not say. Paths given for each part
# (data_files, or data_dir for one part at a time) are read as they lie there. Version: datasets 5.2.0.
# It matters for CIFAR-100, one of whose hundred classes is called train: a hundred of its test images are trained on.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet datasets==5.2.0 pillow==12.0.0 numpy==2.4.6
cd "$dir"
HF_HUB_OFFLINE=1 HF_HOME="$dir/home" "$dir/venv/bin/python" -W error::UserWarning - <<'EOF'
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()
print("datasets", datasets.__version__)


def laid(root, folders):  # four images in each, whose grey level is the number of their folder
    for number, folder in enumerate(folders):
        (Path(root) / folder).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8), number).save(Path(root) / folder / f"{i}.png")


def read(root, folders, **how):
    found = {}
    for part, rows in datasets.load_dataset("imagefolder", cache_dir=f"{root}-cache", **how).items():
        names = rows.features["label"].names if "label" in rows.features else None
        found[part] = {}
        for row in rows:
            folder = folders[row["image"].getpixel((0, 0))]
            assert names is None or names[row["label"]] == folder.split("/")[-1], "changed: a label"
            found[part][folder] = found[part].get(folder, 0) + 1
        print(f"  {part}: {found[part]}, {f'classes {names}' if names else 'no labels'}")
    return found


parts = ["train/bus", "train/car", "train/train", "test/bus", "test/car", "test/train"]
laid("parts", parts)
print("folders train and test, of the classes bus, car and train:")
found = read("parts", parts, data_dir="parts")
assert found["test"] == dict.fromkeys(parts[3:], 4), "changed: the test part"
assert found["train"] == dict.fromkeys([*parts[:3], "test/train"], 4), "changed: the training part"
print("the same, the paths given for each part:")
found = read("given", parts, data_files={part: f"parts/{part}/**" for part in ("train", "test")})
assert found == {part: dict.fromkeys([at for at in parts if at.startswith(part)], 4) for part in ("train", "test")}
for last, part in (("train", "train"), ("bullet_train", "train"), ("testing", "test"), ("tram", None)):
    folders = ["bicycle", "bus", "car", last]
    laid(last, folders)
    print(f"a folder for each class alone, the last {last}:")
    due = {part: {last: 4}} if part else {"train": dict.fromkeys(folders, 4)}
    assert read(last, folders, data_dir=last) == due, "changed: a folder for each class"
print("as described: the test images of the class train are in both parts, and alone it is the only one")
EOF
