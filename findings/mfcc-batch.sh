#!/usr/bin/env bash
# One would guess that the features of a recording are those of the recording, whatever stands beside it in the batch.
# torchaudio's MFCC and AmplitudeToDB cut off what is more than 80 dB below the loudest value, and of a batch shaped
# (recordings, time) they take the recordings for channels of one sound: the loudest of them sets the floor for all.
# Features of a recording that is 20 dB softer than its neighbour are off by half of their deviation.
# Shaped (recordings, 1, time), each has its own floor. The documentation has this for clips that are split, not batches.
# Versions: torchaudio 2.11.1, torch 2.14.1.
# It matters for keyword networks on spoken digits, whose speakers differ in level: what a
# network hears of a recording, and so its accuracy, depends on how the recordings were batched.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torchaudio==2.11.1 torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
import torch
import torchaudio

print("torchaudio", torchaudio.__version__, "torch", torch.__version__)
torch.manual_seed(0)
rate = 8000
time = torch.arange(rate) / rate
voice = sum(torch.sin(2 * torch.pi * pitch * time) / n for n, pitch in enumerate((300, 700, 1500, 2500), 1))
word = voice * torch.hann_window(rate) + 1e-3 * torch.randn(rate)
features = torchaudio.transforms.MFCC(rate, n_mfcc=13, melkwargs={"n_fft": 256, "hop_length": 80, "n_mels": 23})
off = {}
for softer in (0, 20, 40, 60):
    soft = 10 ** (-softer / 20) * word
    alone = features(soft[None])[0]
    beside = features(torch.stack([soft, word.flip(0)]))[0]
    channel = features(torch.stack([soft, word.flip(0)])[:, None])[0, 0]
    off[softer] = float((beside - alone).norm() / (alone - alone.mean(1, keepdim=True)).norm())
    print(f"{softer} dB softer than its neighbour: features off by {100 * off[softer]:.0f} % of their deviation;",
          f"with an axis for the channel by {(channel - alone).abs().max():.2g}")
    assert torch.allclose(channel, alone, atol=1e-3), "changed: with an axis for the channel"
assert off[0] < 1e-4, "changed: as loud as its neighbour"
assert off[0] < off[20] < off[40] < off[60], "changed: the order"
assert off[60] > 0.3, "changed: how far"
print("as described: the loudest recording of a batch sets the floor for all")
EOF
