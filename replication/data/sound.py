"""Recordings into what a network hears: a second of samples each, then log-mel energies or cepstral coefficients.

The mel scale and its triangles are HTK's, the cepstra an orthonormal DCT-II. TensorFlow's features, on which the
keyword network was published, differ in detail: the transform is padded to the next power of two, the bands add up
magnitudes in place of energies, the floor is lower.
"""
from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replication.data.spec import LogMel
from replication.data.speech import Clip
from replication.errors import BadInput

T = TypeVar("T", bound=np.signedinteger)
PIECE = 1000  # recordings whose spectra are in memory at a time


# -- samples -------------------------------------------------------------------------------------------------------
def seconds(clips: Sequence[Clip], of: LogMel) -> NDArray[np.int16]:
    """(N, of.rate): one second of every recording. Shorter ones lie in the middle of silence; of longer ones the second
    is kept that `Clip.at` names, else the loudest or the middle one, as `of` says. Raises BadInput (see `samples`)."""
    out = np.zeros((len(clips), of.rate), np.int16)
    for row, clip in zip(out, clips, strict=True):
        recorded = samples(clip.path, of.rate)
        if of.centred:
            recorded = (recorded - np.rint(recorded.mean())).clip(-2 ** 15, 2 ** 15 - 1).astype(np.int16)
        if clip.at is None:
            recorded = loudest(recorded, of.rate) if of.loudest else middle(recorded, of.rate)
        else:
            recorded = _from(recorded, of.rate, clip.at)
        before = (of.rate - len(recorded)) // 2
        row[before:before + len(recorded)] = recorded
    return out


def middle(recorded: NDArray[T], rate: int) -> NDArray[T]:
    """The second in the middle, or all of what is shorter."""
    return _from(recorded, rate, 0.5)


def loudest(recorded: NDArray[T], rate: int) -> NDArray[T]:
    """The second with the most energy, the first of equals, or all of what is shorter."""
    energy = np.concatenate([[0], np.square(recorded.astype(np.int64)).cumsum()])
    start = int((energy[rate:] - energy[:-rate]).argmax()) if len(recorded) > rate else 0
    return recorded[start:start + rate]


def _from(recorded: NDArray[T], rate: int, at: float) -> NDArray[T]:
    start = round(at * max(0, len(recorded) - rate))
    return recorded[start:start + rate]


def samples(path: Path, rate: int) -> NDArray[np.int16]:
    """A wav file's samples: integers of 8 to 32 bits or floats, rounded to 16 bits. Raises BadInput, saying why, where
    it is not mono and of this rate, is compressed or louder than full scale, is empty or cut off, or is no wav file."""
    try:
        found, content, whole = _wav(path.read_bytes())
    except (OSError, ValueError, struct.error) as error:
        why = "it ends within its header" if isinstance(error, struct.error) else error
        raise BadInput(f"{path} is no wav file that can be read ({why}); convert or replace it, or remove it."
                       ) from error
    if found.channels != 1 or found.rate != rate:
        raise BadInput(f"{path} has {found.channels} channel{'s' if found.channels > 1 else ''} of {8 * found.width} "
                       f"bit at {found.rate} Hz where one at {rate} Hz is expected; convert it, or remove it.")
    n = whole // found.width
    if not n or len(content) < whole:
        raise BadInput(f"{path} {f'holds {len(content) // found.width} of its {n} samples' if n else 'holds no sound'};"
                       f" unpack the set again, or remove it.")
    values = _integers(content[:n * found.width], found)
    if not (peak := np.abs(values).max()) <= 2 ** 15:  # nor what is no number
        raise BadInput(f"{path} reaches {peak / 2 ** 15:.3g} of full scale, which cannot be kept; make it quieter, or "
                       f"remove it.")
    return values.clip(max=2 ** 15 - 1).astype(np.int16)


class Format(NamedTuple):
    """`kind`: PCM or FLOAT; `width`: bytes of one sample, which lies at their upper end if it has fewer bits."""
    kind: int
    channels: int
    rate: int
    width: int


PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")  # what follows the kind in an extensible header
COMPRESSED = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x31: "GSM", 0x55: "MP3"}
UNKNOWN = 0x7FFFF000  # a length that whoever writes into a pipe puts where it cannot know it, or more


def _wav(file: bytes) -> tuple[Format, bytes, int]:
    """What a file says of its samples, their bytes, and how many there should be of these. The standard library reads
    neither extensible headers (before Python 3.12) nor floats, nor a length that was not known when it was written.
    Raises ValueError and struct.error where it is not such a file, or holds something else."""
    if file[:4] not in (b"RIFF", b"RF64", b"BW64") or file[8:12] != b"WAVE":
        raise ValueError("it does not begin as one" if file else "it is empty")
    piped = struct.unpack_from("<I", file, 4)[0] in (0, 2 ** 32 - 1)
    found, large = None, None
    for name, at, size in _chunks(file, 12):
        if name == b"ds64":
            large = struct.unpack_from("<Q", file, at + 8)[0]
        elif name == b"fmt ":
            found = _format(file[at:at + size])
        elif name == b"data":
            if found is None:
                raise ValueError("its samples come before their format")
            if large and size == 2 ** 32 - 1:
                size = large
            elif size >= UNKNOWN or (not size and (piped or not _chunk(file, at))):
                size = (len(file) - at) // found.width * found.width
            if any(name == b"data" and more for name, _, more in _chunks(file, at + size + size % 2)):
                raise ValueError("its samples lie in several parts")
            return found, file[at:at + size], size
    raise ValueError("it ends before its samples")


def _chunks(file: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Of each chunk from there on its name, where its content begins, and how long it says that is."""
    while at + 8 <= len(file):
        name, size = struct.unpack_from("<4sI", file, at)
        yield name, at + 8, size
        at += 8 + size + size % 2


def _chunk(file: bytes, at: int) -> bool:
    """Whether the file ends there, or another chunk comes; or else a length of 0 is one that nobody put right."""
    if at + 8 > len(file):
        return True
    name, size = struct.unpack_from("<4sI", file, at)
    return bool(name.isascii() and name.decode("latin-1").isprintable() and at + 8 + size <= len(file))


def _format(chunk: bytes) -> Format:
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == EXTENSIBLE:
        kind, = struct.unpack_from("<H", chunk, 24)
        if chunk[26:40] != SUBFORMAT:
            raise ValueError("its format is none that has a number")
    width = block // max(1, channels)
    if width * channels != block or (kind, width) not in {*((PCM, w) for w in (1, 2, 3, 4)), (FLOAT, 4), (FLOAT, 8)}:
        raise ValueError(f"its samples are {COMPRESSED[kind]}" if kind in COMPRESSED else
                         f"its samples are of format {kind} with {bits} bits")
    return Format(kind, channels, rate, width)


def _integers(content: bytes, of: Format) -> NDArray[np.float64]:
    """Whole numbers, of which 2¹⁵ are full scale."""
    if of.kind == FLOAT:
        return np.rint(2.0 ** 15 * np.frombuffer(content, f"<f{of.width}").astype(np.float64))
    if of.width == 1:  # alone without a sign
        return (np.frombuffer(content, np.uint8).astype(np.float64) - 128) * 2 ** 8
    room = np.zeros((len(content) // of.width, 4), np.uint8)
    room[:, 4 - of.width:] = np.frombuffer(content, np.uint8).reshape(-1, of.width)
    return np.rint(room.view("<i4")[:, 0] / 2.0 ** 16)


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
