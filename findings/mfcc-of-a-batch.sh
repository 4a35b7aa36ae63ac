#!/usr/bin/env bash
# One would guess that the features of a sound do not depend on the sounds beside it in the batch.
# torchaudio's MFCC and librosa's, of sounds in rows, set what is more than 80 dB below the loudest value to that, and
# the loudest is that of the whole batch. A quiet word beside a loud one is cut where it was not alone: coefficients
# off by a third of the largest one where the word is 40 dB lower, and at 90 dB all its frames come out alike. No
# warning. torchaudio does it for (sounds, samples); of (sounds, 1, samples) each sound has its own loudest value.
# librosa takes any number of leading axes, and the loudest over all of them.
# Versions: torchaudio 2.11.1, torch 2.14.1, librosa 0.11.0.
# It matters for keyword networks: an accuracy then depends on the batch size and on the order of the files.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torchaudio==2.11.1 torch==2.14.1 librosa==0.11.0 numpy==2.4.6
NUMBA_CACHE_DIR="$dir" "$dir/venv/bin/python" -W ignore::UserWarning - <<'EOF'
from importlib.metadata import version

import librosa
import numpy as np
import torch
import torchaudio

print(*(f"{name} {version(name)}" for name in ("torchaudio", "torch", "librosa")))
rate = 16000
time = torch.arange(rate) / rate
word = torch.sin(2 * torch.pi * (300 + 400 * time) * time) * torch.hann_window(rate)  # a tone that rises and fades
noise = torch.randn(rate, generator=torch.Generator().manual_seed(0))
mfcc = torchaudio.transforms.MFCC(rate)


def by_librosa(waves):
    return torch.from_numpy(librosa.feature.mfcc(y=waves.numpy(), sr=rate))


def moves(features):  # how much the frames differ
    return float(features.std(-1).max())


for below in (0, 40, 90):
    quiet = 10 ** (-below / 20) * (0.5 * word + 0.0005 * noise)
    both = torch.stack([0.5 * noise.clamp(-2, 2), quiet])
    for name, of, channel in (("torchaudio", mfcc, False), ("torchaudio with a channel", mfcc, True),
                              ("librosa", by_librosa, False)):
        alone = of(quiet)
        beside = of(both[:, None])[1, 0] if channel else of(both)[1]
        off = float((beside - alone).abs().max() / alone.abs().max())
        print(f"a word {below} dB lower, beside noise, {name}: off by {off:.3f} of its largest coefficient,",
              f"its frames vary by {moves(beside):.3f}, alone by {moves(alone):.3f}")
        assert (off < 1e-3) == (below == 0 or channel), f"changed: {name}"
        if below == 40 and not channel:
            assert moves(beside) < 0.6 * moves(alone), f"changed: {name}, how much is cut"
        if below == 90 and not channel:
            assert moves(beside) < 0.5, f"changed: {name}, frames that differ"
print("as described: what is 80 dB below the loudest of the batch is cut")
EOF
