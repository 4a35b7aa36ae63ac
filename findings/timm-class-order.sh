#!/usr/bin/env bash
# One would guess that a folder of classes has one order, so that timm's own reader and torchvision's ImageFolder give
# its classes the same numbers.
# torchvision sorts the names as text, where capitals come before small letters and 10 before 2. timm makes them small
# and compares the numbers in them as numbers. Folders named 1 to 102, as the flowers of Oxford are laid out, keep 11
# of 102 numbers; of seven of Caltech-101's, where the capitals are in the middle for timm, one. timm's other reader,
# asked for as "torch/image_folder", is torchvision's and has its order. timm's documentation does not speak of it.
# Names of equal length with leading zeros, as those of ImageNet and Tiny-ImageNet, are sorted alike by both.
# Versions: timm 1.0.31, torchvision 0.29.2, torch 2.14.1.
# It matters where a network trained with one is judged with the other: every image is read, and the answers are counted
# against other names.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet timm==1.0.31 torchvision==0.29.2 torch==2.14.1 pillow==12.0.0 numpy==2.4.6
HF_HUB_OFFLINE=1 "$dir/venv/bin/python" -W ignore - "$dir" <<'EOF'
import sys
from importlib.metadata import version
from pathlib import Path

import timm.data
import torchvision
from PIL import Image

print(*(f"{name} {version(name)}" for name in ("timm", "torchvision", "torch")))
image = Image.new("RGB", (8, 8))
caltech = ["BACKGROUND_Google", "Faces", "Leopards", "Motorbikes", "accordion", "airplanes", "yin_yang"]
for name, classes, due in (("flowers", [str(number) for number in range(1, 103)], 11), ("caltech", caltech, 1),
                           ("wordnet", ["n01443537", "n01629819", "n12267677"], 3)):
    root = Path(sys.argv[1]) / name
    for folder in classes:
        (root / folder).mkdir(parents=True)
        image.save(root / folder / "0.png")
    theirs = timm.data.create_dataset("", root=str(root)).reader.class_to_idx
    usual = torchvision.datasets.ImageFolder(root).class_to_idx
    kept = sum(theirs[folder] == usual[folder] for folder in classes)
    print(f"{name}: {kept} of {len(classes)} have the same number; timm begins with {list(theirs)[:4]},",
          f"torchvision with {list(usual)[:4]}")
    assert kept == due, "changed: timm"
    assert usual == {folder: number for number, folder in enumerate(sorted(classes))}, "changed: torchvision"
    assert timm.data.create_dataset("torch/image_folder", root=str(root)).class_to_idx == usual, "changed: torch/"
print("as described: by small letters and by numbers in one, as text in the other")
EOF
