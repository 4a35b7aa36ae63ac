#!/usr/bin/env bash
# One would guess that albumentations, given no seed, draws anew for each image and in each epoch, as its guide says of
# no seed, wherever the images are read.
# In a DataLoader's workers, which are started for each epoch as copies of the process, each begins with the same
# drawings, and each epoch begins with them again: with two workers, 16 images get 8 different crops, and the second
# epoch the same 8 as the first. Unlike that of random, numpy and torchvision, its state is its own, and the DataLoader
# does not set it. With a seed it is the same. With persistent_workers=True the epochs differ, and the workers are alike
# still. Without workers all is as guessed. This is the last version of the library; its successor says that it has
# mended the case without a seed. Versions: albumentations 2.0.8, torch 2.14.1.
# It matters for every training with it: there is one drawing for each place in the epoch, not one for each time.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet albumentations==2.0.8 torch==2.14.1 numpy==2.4.6
NO_ALBUMENTATIONS_UPDATE=1 "$dir/venv/bin/python" -W ignore - <<'EOF'
from importlib.metadata import version

import albumentations
import numpy as np
import torch

print(*(f"{name} {version(name)}" for name in ("albumentations", "torch")))
image = np.arange(64 * 64, dtype=np.float32).reshape(64, 64, 1)  # its first pixel tells where a crop was taken


class Crops(torch.utils.data.Dataset):
    def __init__(self, seed):
        self.crop = albumentations.Compose([albumentations.RandomCrop(8, 8)], seed=seed)

    def __len__(self):
        return 16

    def __getitem__(self, number):
        return int(self.crop(image=image)["image"][0, 0, 0])


for seed in (None, 0):
    for workers, persistent in ((0, False), (2, False), (2, True)):
        loader = torch.utils.data.DataLoader(Crops(seed), 1, num_workers=workers, persistent_workers=persistent,
                                             multiprocessing_context="fork" if workers else None)
        first, second = ([int(crop) for crop in loader] for _ in range(2))
        print(f"seed {seed}, {workers} workers{' that stay' * persistent}: {len({*first})} crops of 16 images,",
              f"{len({*first, *second})} in two epochs; the first two {first[:2]}, then {second[:2]}")
        assert (first[::2] == first[1::2]) == (workers > 0), "changed: the workers"
        assert (first == second) == (workers > 0 and not persistent), "changed: the epochs"
print("as described: the workers draw alike, and so do the epochs")
EOF
