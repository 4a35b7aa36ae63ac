#!/usr/bin/env bash
# One would guess that every mel band of a log filter bank says something about the sound.
# python_speech_features rounds the corners of its triangles down to whole bins of the spectrum. In the low bands the
# peak and the upper corner can then be one bin, next to the lower corner, with nothing between. With 80 bands at
# 16 kHz and 512 points that empties band 2 (from 0): its log energy is -36.04, the log of a float's epsilon, in every
# frame of every sound, without a warning. With 64 bands at 8 kHz and 256 points bands 2 and 6 are empty. librosa's
# triangles on the same mel scale are not rounded, and none is empty.
# Versions: python_speech_features 0.6, librosa 0.11.0.
# It matters for keyword networks that take such maps as pictures: one row is constant, far below all the others, and
# normalising each band divides by nothing.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet python_speech_features==0.6 librosa==0.11.0 numpy==2.4.6
NUMBA_CACHE_DIR="$dir" "$dir/venv/bin/python" -W error::UserWarning - <<'EOF'
from importlib.metadata import version

import librosa
import numpy as np
import python_speech_features as features

print(*(f"{name} {version(name)}" for name in ("python_speech_features", "librosa")))
for rate, points, bands, due in ((16000, 512, 26, []), (16000, 512, 80, [2]), (8000, 256, 64, [2, 6])):
    ours = features.get_filterbanks(bands, points, rate)
    theirs = librosa.filters.mel(sr=rate, n_fft=points, n_mels=bands, htk=True)
    empty = np.flatnonzero(ours.max(axis=1) == 0).tolist()
    print(f"{bands} bands, {rate} Hz, {points} points: empty {empty}, in librosa",
          np.flatnonzero(theirs.max(axis=1) == 0).tolist())
    assert (theirs.max(axis=1) > 0).all(), "changed: librosa"
    assert empty == due, "changed: other bands are empty"
noise = 3000 * np.random.default_rng(0).normal(size=16000)
logs = features.logfbank(noise, 16000, nfilt=80, nfft=512)
constant = np.flatnonzero(np.ptp(logs, axis=0) == 0).tolist()
print(f"one second of white noise, 80 bands: constant {constant}, at {logs[:, constant].mean():.2f};",
      f"the others from {np.delete(logs, constant, 1).min():.1f} to {np.delete(logs, constant, 1).max():.1f}")
assert constant == [2], "changed: the constant band"
assert np.allclose(logs[:, 2], np.log(np.finfo(float).eps)), "changed: its value"
print("as described: a band with no bin in it is -36.04 in every frame")
EOF
