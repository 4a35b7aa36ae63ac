"""Recordings into what a network hears: a second of samples each, then log-mel energies or cepstral coefficients.

The mel scale and its triangles are HTK's, the cepstra an orthonormal DCT-II. TensorFlow's features, on which the
keyword network was published, differ in detail: the transform is padded to the next power of two, the bands add up
magnitudes in place of energies, the floor is lower.
"""
from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replication.data.spec import LogMel
from replication.data.speech import Clip
from replication.errors import BadInput

PIECE = 1000  # recordings whose spectra are in memory at a time


# -- samples -------------------------------------------------------------------------------------------------------
def seconds(clips: Sequence[Clip], rate: int) -> NDArray[np.int16]:
    """(N, rate): one second of every recording. Shorter ones lie in the middle of silence, of longer ones the middle
    second is kept, or the one that `Clip.at` names. Raises BadInput (see `samples`)."""
    out = np.zeros((len(clips), rate), np.int16)
    for row, clip in zip(out, clips, strict=True):
        recorded = samples(clip.path, rate)
        room = len(recorded) - rate
        if room > 0:
            start = round((0.5 if clip.at is None else clip.at) * room)
            row[:] = recorded[start:start + rate]
        else:
            row[-room // 2:-room // 2 + len(recorded)] = recorded
    return out


def samples(path: Path, rate: int) -> NDArray[np.int16]:
    """A wav file's samples. Raises BadInput where it is not 16 bit, mono and of this rate, or is empty or cut off."""
    try:
        with wave.open(str(path)) as file:
            channels, width, found, n = file.getparams()[:4]
            content = file.readframes(n)
    except (OSError, EOFError, wave.Error) as error:
        raise BadInput(f"{path} is no wav file that can be read ({error or 'it ends too early'}); unpack the set "
                       f"again.") from error
    if (channels, width, found) != (1, 2, rate):
        raise BadInput(f"{path} has {channels} channel{'s' if channels > 1 else ''} of {8 * width} bit at {found} Hz "
                       f"where one of 16 bit at {rate} Hz is expected; convert it, or remove it.")
    if not n or len(content) != 2 * n:
        raise BadInput(f"{path} {f'holds {len(content) // 2} of its {n} samples' if n else 'holds no sound'}; unpack "
                       f"the set again, or remove it.")
    return np.frombuffer(content, "<i2").astype(np.int16)


# -- features ------------------------------------------------------------------------------------------------------
def features(sound: NDArray[np.int16], of: LogMel) -> NDArray[np.float32]:
    """(N, samples) to (N, frames, 1, of.features): natural logarithms over the floor, so that silence is 0; or their
    cepstra, of which that is true as well."""
    bank = mel_bank(of)
    basis = None if of.mfcc is None else dct(of.mels)[:of.mfcc]
    parts = []
    for piece in torch.from_numpy(sound).split(PIECE):
        waves = piece / 2 ** 15
        if of.peak:
            waves = waves / waves.abs().amax(1, keepdim=True).clamp(min=2 ** -15)
        energy = power(waves, of) @ bank.T
        heard = (energy.clamp(min=of.floor) / of.floor).log()
        parts.append(heard if basis is None else heard @ basis.T)
    return torch.cat(parts)[:, :, None].numpy()


def power(sound: Tensor, of: LogMel) -> Tensor:
    """(N, samples) to (N, frames, bins): squared magnitudes of the windows' Fourier transforms, 0 Hz to rate / 2."""
    window, hop = of.samples
    hann = torch.hann_window(window)
    return torch.stft(sound, window, hop, window, hann, center=False, return_complex=True).abs().square().mT


@lru_cache
def mel_bank(of: LogMel) -> Tensor:
    """(mels, bins): triangles that are straight on the mel scale, 1 at their middle and 0 at their neighbours'.
    Raises BadInput where a band is so narrow that it lies between two bins and would hear nothing."""
    def mel(hz: Tensor) -> Tensor:
        return 1127 * (1 + hz / 700).log()

    window = of.samples[0]
    bins = mel(torch.arange(window // 2 + 1, dtype=torch.float64) * (of.rate / window))
    low, high = mel(torch.tensor([of.low, of.high], dtype=torch.float64))
    step = (high - low) / (of.mels + 1)
    centres = low + step * torch.arange(1, of.mels + 1, dtype=torch.float64)
    bank = (1 - (bins - centres[:, None]).abs() / step).clamp(min=0).float()
    if deaf := int((bank.sum(1) == 0).sum()):
        raise BadInput(f"{deaf} of mels={of.mels} bands lie between two frequencies of a window of {of.window} ms; use "
                       f"fewer mels or a longer window.")
    return bank


def dct(n: int) -> Tensor:
    """(n, n): the orthonormal DCT-II; row k turns n numbers into coefficient k."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    basis = (math.pi / n * (i + 0.5) * k).cos() * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    return basis.float()
