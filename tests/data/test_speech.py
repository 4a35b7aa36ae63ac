"""Recordings, features and splits, against NumPy loops, scipy and what the sets' papers say."""
from __future__ import annotations

import os
import shutil
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spoken
import torch
from scipy import fft
from scipy.io import wavfile
from spoken import tone, write

from replication.data import sound, spec, speech
from replication.data.load import load
from replication.data.registry import resolve
from replication.data.transforms import augment, evaluate_view, shift
from replication.errors import BadInput
from replication.models import ops
from replication.models.build import build
from replication.models.kws import kws_inception
from replication.runs import experiments
from replication.training import loop, views

REAL = os.environ.get("REPLICATION_DATA")
FSDD = speech.SETS["fsdd"].features
PLAIN = replace(FSDD, mfcc=None, peak=None, loudest=None, centred=None)  # log-mel energies, as loud as recorded


def centre(hz, of=PLAIN):
    """The band whose middle on HTK's scale is nearest."""
    def mel(f):
        return 2595 * np.log10(1 + f / 700)
    edges = np.linspace(mel(of.low), mel(of.high), of.mels + 2)
    return int(np.abs(edges[1:-1] - mel(hz)).argmin())


@pytest.fixture
def fsdd(root):
    """fsdd(n=…): the official layout; a speaker is a frequency, a digit is where in its second a tone lies."""
    def build(**more):
        return spoken.fsdd(root / "fsdd", **more)
    return build


# -- wav files -----------------------------------------------------------------------------------------------------
def one(path, at=None, rate=100):
    return sound.seconds([speech.Clip(path, at)], spec.LogMel(rate=rate))[0]


@pytest.mark.parametrize("n", [1, 2, 3, 98, 99, 100])
def test_a_short_recording_lies_in_the_middle(tmp_path, n):
    got = one(write(tmp_path / "a.wav", range(1, n + 1), rate=100))
    where = np.flatnonzero(got)
    assert got[where].tolist() == list(range(1, n + 1))
    assert abs(where[0] - (99 - where[-1])) <= 1
    assert got.shape == (100,)


@pytest.mark.parametrize("before", [0, 1, 77, 150])
def test_of_a_long_one_the_loudest_second_is_kept(tmp_path, before):
    word = np.arange(1, 101)
    path = write(tmp_path / "a.wav", np.concatenate([np.ones(before), -word, np.zeros(150 - before)]), rate=100)
    of = spec.LogMel(rate=100, loudest=True)
    assert sound.seconds([speech.Clip(path)], of)[0].tolist() == (-word).tolist()
    named = sound.seconds([speech.Clip(path, 1.0)], of)[0]
    assert named.tolist() == one(path, 1.0).tolist(), "a second that is named is that second"


def test_of_equally_loud_seconds_the_first_is_kept(tmp_path):
    path = write(tmp_path / "a.wav", [0, 5, 0, 0, 0, 5, 0, 0], rate=4)
    assert sound.seconds([speech.Clip(path)], spec.LogMel(rate=4, loudest=True))[0].tolist() == [0, 5, 0, 0]


def test_the_mean_is_taken_off_before_silence_is_added(tmp_path):
    path = write(tmp_path / "a.wav", [-240, -230, -250, -236], rate=8)
    assert one(path, rate=8).tolist() == [0, 0, -240, -230, -250, -236, 0, 0]
    off = sound.seconds([speech.Clip(path)], spec.LogMel(rate=8, centred=True))[0]
    assert off.tolist() == [0, 0, -1, 9, -11, 3, 0, 0]
    loud = write(tmp_path / "b.wav", [32767, -32768, -32768, -32768], rate=4)
    assert sound.seconds([speech.Clip(loud)], spec.LogMel(rate=4, centred=True))[0].tolist() == [32767] + [-16384] * 3


@pytest.mark.skipif(not (REAL and (Path(REAL) / "fsdd").is_dir()), reason="FSDD is not in REPLICATION_DATA")
def test_a_second_of_fsdd_keeps_the_word(monkeypatch):
    """At least 95 % of the energy of all 3,000."""
    monkeypatch.setenv("REPLICATION_DATA", str(REAL))
    files = speech.read("fsdd", ("mixed",)).files
    for file in files:
        energy = np.square(sound.samples(file, 8000).astype(float)).sum()
        kept = np.square(sound.seconds([speech.Clip(file)], replace(FSDD, centred=None))[0].astype(float)).sum()
        assert kept >= 0.95 * energy, file.name


@pytest.mark.parametrize("n", [100, 101, 102, 199, 350])
def test_of_a_long_one_the_middle_is_kept(tmp_path, n):
    path = write(tmp_path / "a.wav", range(1, n + 1), rate=100)
    got = one(path)
    assert (np.diff(got) == 1).all()
    assert abs((got[0] - 1) - (n - got[-1])) <= 1
    assert one(path, at=0.0)[0] == 1
    assert one(path, at=1.0)[-1] == n


def test_samples_are_little_endian_16_bit(tmp_path):
    values = [0, 1, -1, 256, -256, 32767, -32768]
    assert sound.samples(write(tmp_path / "a.wav", values), 8000).tolist() == values


def cut(path, to):
    path.write_bytes(path.read_bytes()[:to])
    return path


def chunk(name, content, size=None):
    return name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)


def wav(samples, kind=1, width=2, more=b"", before=b"", head=b"RIFF", length=None, size=None):
    """A file of one channel at 8 kHz, by the definition. `before`: chunks that come first; `size`: what it says."""
    form = chunk(b"fmt ", struct.pack("<HHIIHH", kind, 1, 8000, 8000 * width, width, 8 * width)
                 + (struct.pack("<H", len(more)) + more if more else b""))
    body = b"WAVE" + before + form + chunk(b"data", samples, size)
    return head + struct.pack("<I", len(body) if length is None else length) + body


def extensible(kind, bits):
    return struct.pack("<HI", bits, 4) + struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")


VALUES = np.array([0, 1, -1, 300, -300, 32767, -32768, 12345])
MORE = {"LIST": chunk(b"LIST", b"INFOISFT\5\0\0\0odd!\0"), "bext": chunk(b"bext", bytes(603)),
        "fact": chunk(b"fact", struct.pack("<I", 8))}
DS64 = chunk(b"ds64", struct.pack("<QQQI", 0, 16, 8, 0))


@pytest.mark.parametrize("content", [
    wav(VALUES.astype("<i2").tobytes()),
    wav(VALUES.astype("<i2").tobytes(), kind=0xFFFE, more=extensible(1, 16)),
    *(wav(VALUES.astype("<i2").tobytes(), before=more) for more in MORE.values()),
    wav(VALUES.astype("<i2").tobytes(), before=b"".join(MORE.values()), kind=0xFFFE, more=extensible(1, 16)),
    wav(VALUES.astype("<i2").tobytes()) + MORE["LIST"],
    wav(VALUES.astype("<i2").tobytes(), length=2 ** 32 - 1, size=2 ** 32 - 1),
    wav(VALUES.astype("<i2").tobytes(), length=0, size=0),
    wav(VALUES.astype("<i2").tobytes(), size=0),
    wav(VALUES.astype("<i2").tobytes(), before=chunk(b"ds64", bytes(28)), head=b"RF64", size=2 ** 32 - 1),
    wav(VALUES.astype("<i2").tobytes(), length=0x7FFFF024, size=0x7FFFF000),
    wav(VALUES.astype("<i2").tobytes(), before=DS64, head=b"RF64", length=2 ** 32 - 1, size=2 ** 32 - 1) + b"LISTxxxx",
    wav(VALUES.astype("<i2").tobytes(), before=DS64, head=b"BW64", length=2 ** 32 - 1),
    wav((VALUES << 16).astype("<i4").tobytes(), width=4),
    wav((VALUES << 16).astype("<i4").tobytes(), width=4, kind=0xFFFE, more=extensible(1, 24)),
    wav((VALUES << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(), width=3),
    wav((VALUES << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(), 0xFFFE, 3, extensible(1, 24)),
    wav((VALUES / 2 ** 15).astype("<f4").tobytes(), kind=3, width=4, before=MORE["fact"]),
    wav((VALUES / 2 ** 15).astype("<f4").tobytes(), kind=0xFFFE, width=4, more=extensible(3, 32)),
    wav((VALUES / 2 ** 15).astype("<f8").tobytes(), kind=3, width=8),
], ids=["plain", "extensible", "LIST", "bext", "fact", "all", "behind", "piped", "piped, 0",
        "stopped", "stopped RF64", "piped, 2 GB", "RF64",
        "BW64", "32", "24 of 32", "24", "24 extensible", "float", "float extensible", "double"])
def test_every_kind_of_wav_file(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert sound.samples(tmp_path / "a.wav", 8000).tolist() == VALUES.tolist()


@pytest.mark.parametrize(("samples", "options", "full"), [
    (bytes(range(0, 256, 5)), {"width": 1}, 2 ** 7), (bytes(range(255)), {"width": 3}, 2 ** 31),
    (bytes(range(252)), {"width": 4}, 2 ** 31), (bytes(range(0, 252)), {"width": 2}, 2 ** 15),
    (np.linspace(-1, 1, 99).astype("<f4").tobytes(), {"width": 4, "kind": 3}, 1),
    (np.linspace(-1, 1, 99).astype("<f4").tobytes(), {"width": 4, "kind": 0xFFFE, "more": extensible(3, 32)}, 1)])
def test_samples_are_those_of_scipy(tmp_path, samples, options, full):
    (tmp_path / "a.wav").write_bytes(wav(samples, **options))
    rate, theirs = wavfile.read(tmp_path / "a.wav")
    assert rate == 8000
    theirs = (theirs.astype(float) - (128 if options["width"] == 1 else 0)) / full
    assert np.abs(sound.samples(tmp_path / "a.wav", 8000) - 2 ** 15 * theirs).max() <= 1


@pytest.mark.parametrize(("make", "says"), [
    (lambda p: write(p, range(20), channels=2), "has 2 channels of 16 bit at 8000 Hz where one"),
    (lambda p: write(p, range(20), rate=16000), "has 1 channel of 16 bit at 16000 Hz where one at 8000 Hz"),
    (lambda p: p.write_bytes(wav(bytes(20), kind=7, width=1)), "its samples are mu-law"),
    (lambda p: p.write_bytes(wav(bytes(20), kind=0xFFFE, more=bytes(22))), "its format is none that has a number"),
    (lambda p: p.write_bytes(wav(bytes(20), kind=80, width=2)), "its samples are of format 80 with 16 bits"),
    (lambda p: p.write_bytes(wav(bytes(20), width=0)), "its samples are of format 1 with 0 bits"),
    (lambda p: p.write_bytes(wav(np.array([0.5, -1.5], "<f4").tobytes(), kind=3, width=4)), "reaches 1.5 of full"),
    (lambda p: p.write_bytes(wav(np.array([0.5, np.nan], "<f4").tobytes(), kind=3, width=4)), "reaches nan of full"),
    (lambda p: p.write_bytes(b"RIFF\4\0\0\0WAVE"), "it ends before its samples"),
    (lambda p: p.write_bytes(b"RIFF\x0c\0\0\0WAVEdata\0\0\0\0"), "its samples come before their format"),
    (lambda p: write(p, []), "holds no sound"),
    (lambda p: p.write_bytes(wav(bytes(20)) + chunk(b"data", bytes(20))), "its samples lie in several parts"),
    (lambda p: p.write_bytes(wav(bytes(20)) + MORE["LIST"] + chunk(b"data", bytes(20))), "lie in several parts"),
    (lambda p: p.write_bytes(wav(b"") + MORE["LIST"]), "holds no sound"),
    (lambda p: cut(write(p, range(20)), 44 + 30), "holds 15 of its 20 samples"),
    (lambda p: cut(write(p, range(20)), 44 + 31), "holds 15 of its 20 samples"),
    (lambda p: cut(write(p, range(20)), 20), "no wav file that can be read (it ends within its header)"),
    (lambda p: cut(write(p, range(20)), 0), "no wav file that can be read"),
    (lambda p: p.write_bytes(b"RIFX" * 30), "no wav file that can be read"),
    (lambda p: None, "no wav file that can be read"),
])
def test_recordings_that_cannot_be_used(tmp_path, make, says):
    make(tmp_path / "7_theo_1.wav")
    with pytest.raises(BadInput) as refused:
        sound.samples(tmp_path / "7_theo_1.wav", 8000)
    assert says in str(refused.value)
    assert "7_theo_1.wav" in str(refused.value)
    assert "\n" not in str(refused.value)


# -- features ------------------------------------------------------------------------------------------------------
OF = [PLAIN, FSDD, spec.LogMel(16000, mfcc=30), spec.LogMel(8000, window=32, hop=10, mels=20, mfcc=20, high=4000.0)]


def power_loop(second, of):
    """Every window by itself, a Fourier sum by NumPy."""
    window, hop = of.rate * of.window // 1000, of.rate * of.hop // 1000
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = [s for s in range(0, len(second), hop) if s + window <= len(second)]
    return np.stack([np.abs(np.fft.rfft(second[s:s + window] * hann)) ** 2 for s in starts])


def bank_loop(of):
    """HTK's filters, bin by bin: up the left side of a triangle, down the right, straight on its mel scale."""
    def mel(f):
        return 2595 * np.log10(1 + f / 700)
    window = of.rate * of.window // 1000
    edges = np.linspace(mel(of.low), mel(of.high), of.mels + 2)
    out = np.zeros((of.mels, window // 2 + 1))
    for m in range(of.mels):
        left, middle, right = edges[m:m + 3]
        for k in range(window // 2 + 1):
            at = mel(k * of.rate / window)
            if left < at <= middle:
                out[m, k] = (at - left) / (middle - left)
            elif middle < at < right:
                out[m, k] = (right - at) / (right - middle)
    return out


def noise(of, n=3):
    return np.random.default_rng(0).integers(-9000, 9000, (n, of.rate)).astype(np.int16)


@pytest.mark.parametrize("of", OF)
def test_spectra_are_numpys(of):
    seconds = noise(of) / 2 ** 15
    got = sound.power(torch.from_numpy(seconds), of).numpy()
    expected = np.stack([power_loop(second, of) for second in seconds])
    assert got.shape == expected.shape == (3, of.frames, of.rate * of.window // 2000 + 1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("of", OF)
def test_mel_bank_is_htks(of):
    got = sound.mel_bank(of).numpy()
    np.testing.assert_allclose(got, bank_loop(of), atol=2e-4)  # HTK's 2595 log10 and 1127 ln differ in the fifth digit
    assert (got.max(1) > 0).all()


@pytest.mark.parametrize("n", [13, 40, 80])
def test_dct_is_scipys(n):
    x = np.random.default_rng(0).normal(size=(5, n))
    np.testing.assert_allclose(x @ sound.dct(n).double().numpy().T, fft.dct(x, type=2, norm="ortho"), atol=1e-5)


@pytest.mark.parametrize("of", OF)
def test_features_from_end_to_end(of):
    seconds = noise(of)
    expected = []
    for second in seconds / 2 ** 15:
        energy = power_loop(second / (np.abs(second).max() if of.peak else 1), of) @ bank_loop(of).T
        heard = np.log(np.maximum(energy, of.floor)) - np.log(of.floor)
        expected.append(heard if of.mfcc is None else fft.dct(heard, type=2, norm="ortho")[:, :of.mfcc])
    got = sound.features(seconds, of)
    assert got.dtype == np.float32
    assert got.shape == (3, of.frames, 1, of.features)
    np.testing.assert_allclose(got[:, :, 0], np.stack(expected), rtol=1e-3, atol=5e-3)


def test_a_second_has_the_published_49_frames_of_30():
    for of in (FSDD, speech.SETS["speech-commands"].features):
        assert (of.frames, of.features) == (49, 30)


@pytest.mark.parametrize("of", OF)
def test_silence_is_zero(of):
    assert (sound.features(np.zeros((2, of.rate), np.int16), of) == 0).all()


def test_more_recordings_than_a_piece(monkeypatch):
    whole = sound.features(noise(PLAIN, 5), PLAIN)
    monkeypatch.setattr(sound, "PIECE", 2)
    np.testing.assert_allclose(sound.features(noise(PLAIN, 5), PLAIN), whole, atol=1e-4)


@pytest.mark.parametrize("hz", [300, 1000, 2500])
def test_a_tone_is_loudest_in_its_band(hz):
    heard = sound.features(tone(hz, length=1).astype(np.int16)[None], PLAIN)[0, :, 0]
    assert set(heard.argmax(1)) == {centre(hz)}


def test_only_peak_forgets_loudness():
    quiet = noise(PLAIN) // 8
    with_peak = replace(PLAIN, peak=True)
    np.testing.assert_allclose(sound.features(8 * quiet, with_peak), sound.features(quiet, with_peak), atol=1e-3)
    difference = sound.features(8 * quiet, PLAIN) - sound.features(quiet, PLAIN)
    np.testing.assert_allclose(difference, 2 * np.log(8), atol=1e-3)


def test_bands_that_would_hear_nothing():
    with pytest.raises(BadInput, match=r"of mels=200 bands lie between .* fewer mels or a longer window"):
        sound.mel_bank(replace(PLAIN, mels=200))


# -- shifts --------------------------------------------------------------------------------------------------------
def heard(seconds, of=FSDD):
    return torch.from_numpy(sound.features(seconds, of)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("frames", [-5, -1, 0, 1, 5])
def test_a_shift_of_features_is_a_shift_of_sound(frames):
    """Exactly so where nothing is lost: half a second in the middle moves by whole hops."""
    hop = FSDD.samples[1]
    second = np.zeros((1, 8000), np.int16)
    second[0, 2000:6000] = noise(FSDD, 1)[0, :4000]
    moved = np.zeros_like(second)
    moved[0, 2000 + hop * frames:6000 + hop * frames] = second[0, 2000:6000]
    got = shift(heard(second), torch.tensor([frames]))
    torch.testing.assert_close(got, heard(moved), rtol=1e-4, atol=1e-4)


def test_time_shift_is_uniform_and_each_recordings_own():
    torch.manual_seed(0)
    ramp = torch.arange(1.0, 50).expand(3300, 2, 49)[..., None]
    out = augment(ramp, (spec.TimeShift(5),))
    by = 25 - out[:, 0, 24, 0].round().long()
    assert by.unique().tolist() == list(range(-5, 6))
    assert ((by + 5).bincount() - 300).abs().max() < 90  # five standard deviations
    for moved, far in zip(out[:100], by[:100], strict=True):
        expected = [t - far if 1 <= t - far <= 49 else 0 for t in range(1, 50)]
        assert moved[0, :, 0].tolist() == expected
    assert torch.equal(evaluate_view(ramp, (spec.TimeShift(5),)), ramp)


# -- FSDD ----------------------------------------------------------------------------------------------------------
def test_the_whole_set_is_known_without_being_here():
    # Its readme: 6 speakers, 3,000 recordings, 50 of each digit a speaker.
    data = resolve("fsdd")
    assert data == spec.Data("fsdd", 49, 10, 2000, 1000, None, FSDD, ("theo", "yweweler"))
    assert sum((data.train_images, data.val_images)) == 3000
    one = resolve("fsdd", held=["lucas"], classes=5)
    assert (one.classes, one.train_images, one.val_images) == (5, 1250, 250)


@pytest.mark.parametrize("held", [("theo", "yweweler"), ("george",), ("nicolas", "jackson", "lucas")])
def test_no_speaker_is_on_both_sides(fsdd, held):
    fsdd()
    found = speech.read("fsdd", held)
    sides = [{clip.path.stem.split("_")[1] for group in groups for clip in group}
             for groups in (found.train, found.val)]
    assert sides == [set(speech.SPEAKERS) - set(held), set(held)]
    data = load(resolve("fsdd", features=PLAIN, held=held))
    assert len(data.val.labels) == 30 * len(held)
    assert len(data.train.labels) == 30 * (6 - len(held))
    for part, names in ((data.train, set(speech.SPEAKERS) - set(held)), (data.val, set(held))):
        bands = {centre(400 + 500 * speech.SPEAKERS.index(name)) for name in names}
        assert set(part.images.amax(2).argmax(1).flatten().tolist()) == bands, "what is heard, not what it is called"


def test_mixed_is_the_official_split(fsdd):
    """Its readme: recordings numbered 0-4 (inclusive) are in the test and 5-49 in the training set, a tenth of all."""
    whole = resolve("fsdd", held=("mixed",))
    assert (whole.train_images, whole.val_images) == (2700, 300)
    assert whole.held == ("mixed",)
    fsdd(n=7)
    found = speech.read("fsdd", ("mixed",))
    named = [{tuple(clip.path.stem.split("_")) for group in groups for clip in group}
             for groups in (found.train, found.val)]
    every = {(str(digit), speaker) for digit in range(10) for speaker in speech.SPEAKERS}
    assert [{name[:2] for name in names} for names in named] == [every, every], "all speakers are on both sides"
    assert [{name[2] for name in names} for names in named] == [{"5", "6"}, {"0", "1", "2", "3", "4"}]
    assert all(clip.path.stem[0] == c for c, group in zip(found.classes, found.val, strict=True) for clip in group)
    data = load(resolve("fsdd", held=("mixed",)))
    assert (len(data.train.labels), len(data.val.labels)) == (120, 300)


@pytest.mark.parametrize("there", [True, False])
def test_mixed_stands_alone(fsdd, there):
    if there:
        fsdd()
    with pytest.raises(BadInput, match="'mixed' holds out recordings of every speaker; give it alone, or speakers"):
        resolve("fsdd", held=("mixed", "theo"))


def test_labels_are_the_digits(fsdd):
    fsdd()
    data = load(resolve("fsdd"))
    assert data.classes == tuple("0123456789")
    plain = load(resolve("fsdd", features=PLAIN))
    assert data.train.labels.tolist() == plain.train.labels.tolist() == list(range(10)) * 12
    when = plain.train.images.amax(1).argmax(1).flatten()
    by_digit = [when[plain.train.labels == d].float().mean().item() for d in range(10)]
    assert np.all(np.diff(by_digit) > 0.5), "a later tone for every digit, though centred"


def test_images_are_features_in_time(fsdd):
    fsdd()
    data = load(resolve("fsdd"))
    assert data.train.images.shape == (120, 30, 49, 1)
    assert data.train.images.dtype == torch.float32
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(evaluate_view(data.train.images, ()), data.train.images)
    first = sound.seconds([speech.read("fsdd", ("theo", "yweweler")).train[3][0]], FSDD)
    np.testing.assert_array_equal(data.train.images[3].permute(1, 2, 0), sound.features(first, FSDD)[0])


def test_speakers_take_turns_in_a_smaller_set(fsdd):
    fsdd()
    data = load(resolve("fsdd", features=PLAIN, classes=5, train_images=20, val_images=10))
    assert data.classes == ("0", "2", "4", "6", "8")
    assert data.train.labels.tolist() == [0, 1, 2, 3, 4] * 4
    bands = data.train.images.amax(2).argmax(1).flatten().tolist()
    assert bands == [centre(400 + 500 * s) for s in range(4) for _ in range(5)]


def test_a_part_is_another_experiment(fsdd):
    top = fsdd()
    part = resolve("fsdd")
    assert part.content is not None
    shutil.rmtree(top)
    fsdd(n=4)
    other = resolve("fsdd")
    assert other.content != part.content
    assert (other.train_images, other.val_images) == (160, 80)
    with pytest.raises(BadInput, match="not what this run names, which is a part of it"):
        load(part)
    with pytest.raises(BadInput, match="which is all of it"):
        load(replace(other, content=None))


def test_the_whole_set_has_no_digest(root, monkeypatch):
    """Told by what its recordings hold, not by what they are called."""
    for digit in range(10):
        for speaker in speech.SPEAKERS:
            for number in range(50):
                path = root / f"fsdd/recordings/{digit}_{speaker}_{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    named = resolve("fsdd")
    assert named.content is not None
    monkeypatch.setitem(speech.SETS, "fsdd", replace(speech.SETS["fsdd"], content=named.content))
    assert resolve("fsdd") == spec.Data("fsdd", 49, 10, 2000, 1000, None, FSDD, ("theo", "yweweler"))
    path.write_bytes(b"other")
    assert resolve("fsdd").content not in (None, named.content)
    path.unlink()
    assert resolve("fsdd").content is not None


@pytest.mark.parametrize(("given", "says"), [
    ({"held": ("bob",)}, "the speaker 'bob'; there are george, jackson"),
    ({"held": "theo"}, "no list of names; give e.g. held=('theo', 'yweweler')"), ({"held": ()}, "no list of names"),
    ({"held": speech.SPEAKERS}, "leaves none of them for training"), ({"resolution": 64}, "has 49 frames"),
    ({"features": 30}, "must be a LogMel"), ({"features": replace(FSDD, rate=16000)}, "features.rate=16000"),
    ({"features": replace(FSDD, high=4001.0)}, "features.high"), ({"features": replace(FSDD, hop=0)}, "features.hop"),
    ({"features": replace(FSDD, mfcc=41)}, "features.mfcc"), ({"features": replace(FSDD, floor=0.0)}, "features.floor"),
    ({"classes": 11}, "between 2 and 10"),
])
def test_refused_in_a_sentence(fsdd, given, says):
    fsdd(n=1)
    with pytest.raises(BadInput) as refused:
        resolve("fsdd", **given)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sound_is_not_for_images():
    with pytest.raises(BadInput, match="of sound, and digits is none"):
        resolve("digits", features=FSDD)


@pytest.mark.parametrize(("harm", "says"), [
    (lambda top: (top / "recordings/seven.wav").touch(), "not named <digit>_<speaker>_<number>.wav"),
    (lambda top: write(top / "recordings/3_theo_00.wav", tone(500)), "has the number of 3_theo_0"),  # else one is lost
    (lambda top: shutil.rmtree(top / "recordings"), "cannot be read"),
    (lambda top: [p.unlink() for p in top.glob("recordings/3_theo_*")] + [
        p.unlink() for p in top.glob("recordings/3_yweweler_*")], "holds nothing to validate of 3"),
])
def test_a_broken_layout_is_refused(fsdd, harm, says):
    harm(fsdd(n=1))
    with pytest.raises(BadInput) as refused:
        resolve("fsdd")
    assert says in str(refused.value)


def test_order_of_held_does_not_matter(fsdd):
    assert resolve("fsdd", held=["theo", "george", "theo"]) == resolve("fsdd", held=("george", "theo"))


def test_unpacked_from_githubs_archive(root, fsdd):
    top = fsdd(n=1)
    files = sorted(p.name for p in (top / "recordings").iterdir())
    inside = root / "free-spoken-digit-dataset-1.0.10"
    top.rename(inside)
    shutil.make_archive(str(root / "v1.0.10"), "zip", root, inside.name)
    shutil.rmtree(inside)
    speech.obtain("fsdd")
    assert sorted(p.name for p in (top / "recordings").iterdir()) == files
    assert not inside.exists()


# -- Speech Commands -----------------------------------------------------------------------------------------------
OTHERS = ("bed", "cat", "wow")
EACH = 14  # recordings of a word
LABELS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "unknown", "silence")


@pytest.fixture
def commands(root):
    """Ten words and three others, 14 recordings each: 0 and 1 in the validation list, 2 to 4 in the testing list."""
    top, lists = root / "speech-commands", {"validation": [], "testing": []}
    for word in (*speech.WORDS, *OTHERS):
        for i in range(EACH):
            name = f"{word}/{i:08x}_nohash_0.wav"
            write(top / name, [100] * 8000, rate=16000)
            if i < 5:
                lists["validation" if i < 2 else "testing"].append(name)
    for name, names in lists.items():
        (top / f"{name}_list.txt").write_text("\n".join(names) + "\n")
    for noise in ("pink_noise", "running_tap", "white_noise"):
        write(top / f"_background_noise_/{noise}.wav", range(32000), rate=16000)
    (top / "_background_noise_/README.md").touch()
    return top


def words(groups):
    return [{clip.path.parent.name for clip in group} for group in groups]


def numbers(groups):
    return {int(clip.path.stem.split("_")[0], 16) for group in groups[:11] for clip in group}


@pytest.mark.parametrize(("held", "n", "which"), [(("validation",), 2, {0, 1}), (("testing",), 3, {2, 3, 4}),
                                                  (("testing", "validation"), 5, {0, 1, 2, 3, 4})])
def test_twelve_labels_split_by_the_lists(commands, held, n, which):
    found = speech.read("speech-commands", held)
    assert found.classes == LABELS
    assert [len(g) for g in found.train] == [9] * 10 + [9, 9]  # a tenth of 90
    assert [len(g) for g in found.val] == [n] * 10 + [n, n]
    for groups in (found.train, found.val):
        assert words(groups)[:10] == [{word} for word in found.classes[:10]]
        assert words(groups)[10] <= set(OTHERS)
        assert words(groups)[11] == {"_background_noise_"}
    assert numbers(found.train) <= set(range(5, EACH)), "neither list is trained on"
    assert numbers(found.val) <= which
    data = resolve("speech-commands", held=held)
    assert (data.train_images, data.val_images, data.held) == (108, 12 * n, tuple(sorted(held)))


def test_silence_is_noise_of_its_own_on_each_side(commands):
    found = speech.read("speech-commands", ("validation",))
    assert {clip.path.name for clip in found.train[11]} == {"pink_noise.wav", "white_noise.wav"}
    assert {clip.path.name for clip in found.val[11]} == {"running_tap.wav"}
    assert len(set(found.train[11])) == 9, "never the same second twice"
    starts = sound.seconds(found.train[11], spec.LogMel(rate=16000))[:, 0].astype(int)
    assert starts.min() >= 0
    assert starts.max() <= 16000
    assert np.ptp(starts) > 10_000, "from all over the noise"


def test_unknown_are_the_same_on_every_machine(commands, monkeypatch):
    before = speech.read("speech-commands", ("validation",))
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda p: reversed(list(scandir(p))))
    speech._read.cache_clear()
    assert speech.read("speech-commands", ("validation",)) == before
    assert len(words(before.train)[10]) > 1


def test_tenths_are_rounded_up():
    assert [speech._tenth(n) for n in (0, 1, 9, 10, 11, 30_769)] == [0, 1, 1, 1, 2, 3077]


def test_the_official_numbers():
    # Warden, arXiv 1804.03209, Fig. 1: recordings of each word; 4,890 is the twelve-label test everyone reports on.
    printed = {"yes": 4044, "no": 3941, "up": 3723, "down": 3917, "left": 3801, "right": 3778, "on": 3845, "off": 3745,
               "stop": 3872, "go": 3880}
    assert {word: sum(counts) for word, counts in speech.WORDS.items()} == printed
    assert resolve("speech-commands", held=("testing",)).val_images == 4890
    assert resolve("speech-commands") == spec.Data(
        "speech-commands", 49, 12, 36_923, 4445, None, spec.LogMel(16000, 40, 20, 80, 30), ("validation",))


def test_commands_load(commands):
    data = load(resolve("speech-commands"))
    assert data.train.images.shape == (108, 30, 49, 1)
    assert data.val.labels.bincount().tolist() == [2] * 12


@pytest.mark.parametrize(("harm", "says"), [
    (lambda top: shutil.rmtree(top / "stop"), "has no folder 'stop'"),
    (lambda top: (top / "testing_list.txt").unlink(), "testing_list.txt"),
    (lambda top: (top / "_background_noise_/running_tap.wav").unlink(), "holds nothing to validate of silence"),
    (lambda top: shutil.rmtree(top / "_background_noise_"), "_background_noise_"),
])
def test_broken_commands_are_refused(commands, harm, says):
    harm(commands)
    with pytest.raises(BadInput) as refused:
        resolve("speech-commands")
    assert says in str(refused.value)


def test_part_of_commands_is_another_experiment(commands):
    part = resolve("speech-commands")
    (commands / "yes/0000000d_nohash_0.wav").rename(commands / "yes/0000000e_nohash_0.wav")
    other = resolve("speech-commands")
    assert None is not part.content != other.content is not None
    with pytest.raises(BadInput, match="not what this run names, which is a part of it"):
        load(part)


def test_a_list_that_there_is_not(commands):
    with pytest.raises(BadInput, match="the list 'test'; there are validation, testing"):
        resolve("speech-commands", held=("test",))


def test_unpacked_from_its_archive(root, commands, monkeypatch):
    """All of it lies at the top of the archive; one that is not what it should be is refused."""
    layout = speech.SETS["speech-commands"]
    archive = root / layout.url.rsplit("/", 1)[-1]
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(commands, ".")
    shutil.rmtree(commands)
    with pytest.raises(BadInput, match="its md5 is not"):
        speech.obtain("speech-commands")
    from replication.data import download
    monkeypatch.setitem(speech.SETS, "speech-commands", replace(layout, md5=download.checksum(archive)))
    speech.obtain("speech-commands")
    assert len(list((commands / "yes").iterdir())) == EACH
    assert (commands / "testing_list.txt").is_file()


# -- together ------------------------------------------------------------------------------------------------------
def test_a_run_on_sound_is_trained_by_the_one_loop(fsdd, out, monkeypatch):
    fsdd(n=4)
    data = resolve("fsdd", features=PLAIN)
    network = kws_inception(classes=data.classes, features=PLAIN.features, frames=data.resolution,
                            norm=ops.BatchNorm(scale=False))
    recipe = experiments.Recipe(epochs=8, batch=20, lr=0.05, augment=(spec.TimeShift(1),))
    experiment = experiments.Experiment(network, data, recipe)
    run = loop.train(experiment, 0)
    assert run.summary["parameters"] == 30_234 + 5 * 32 * 10 - 2 * 71
    assert run.history[-1]["train_error"] < 0.6 < run.history[0]["val_error"]


def test_one_view_of_sound_and_no_crops(fsdd):
    fsdd()
    data = resolve("fsdd", features=PLAIN)
    experiment = experiments.Experiment(kws_inception(classes=10, features=40), data, experiments.Recipe(1, 10, 0.1))
    net, val = build(experiment.network), load(data).val
    one = views.of_network(net, experiment, val)
    np.testing.assert_allclose(one.logits["main"], net(val.images).detach().numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(BadInput, match="10 views are crops of images, and KWS Inception hears sound"):
        views.of_network(net, experiment, val, 10)


def test_the_real_set(root):
    """Where REPLICATION_DATA has it: six speakers, 3,000 recordings, all of which can be heard."""
    official = Path(REAL or "/nowhere") / "fsdd"
    if not official.is_dir():
        pytest.skip("FSDD is not in REPLICATION_DATA")
    (root / "fsdd").symlink_to(official.resolve())
    data = resolve("fsdd")
    assert data.content is None
    loaded = load(data)
    assert loaded.train.labels.bincount().tolist() == [200] * 10
    assert loaded.val.labels.bincount().tolist() == [100] * 10
    assert loaded.train.images.isfinite().all()
    assert (loaded.train.images.flatten(1).std(1) > 0).all()
