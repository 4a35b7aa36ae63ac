"""Recordings made up, in the layout of the Free Spoken Digit Dataset."""
from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from replication.data import speech


def write(path: Path, samples: Any, rate: int = 8000, channels: int = 1, width: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, f"<i{width}").tobytes())
    return path


def tone(hz: float, rate: int = 8000, length: float = 0.5, amplitude: float = 8000) -> Any:
    return np.round(amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * length)) / rate))


def fsdd(top: Path, speakers: Iterable[str] = speech.SPEAKERS, digits: int = 10, n: int = 3) -> Path:
    """The official layout; a speaker is a frequency, a digit is where in its second a tone lies."""
    for s, speaker in enumerate(speakers):
        for digit in range(digits):
            for number in range(n):
                late = np.zeros(4000 + 400 * digit + 10 * number)
                write(top / f"recordings/{digit}_{speaker}_{number}.wav",
                      np.concatenate([late, tone(400 + 500 * s, length=0.05)]))
    return top
