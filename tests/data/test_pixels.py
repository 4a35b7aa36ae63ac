"""Files of every kind come out as a viewer shows them, or are refused in a sentence."""
from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from replication.data import decode

SIDE = 16


def seen(image: Image.Image | bytes, path: Path, **options: Any) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) of a square of that side, after it has been a file."""
    path.write_bytes(image) if isinstance(image, bytes) else image.save(path, **options)
    found = decode.one(path, SIDE)
    assert isinstance(found, np.ndarray), found
    return found


def refused(image: Image.Image | bytes, path: Path, **options: Any) -> str:
    path.write_bytes(image) if isinstance(image, bytes) else image.save(path, **options)
    found = decode.one(path, SIDE)
    assert isinstance(found, Exception), found
    return f"{found}"


def ramp(low: float, high: float, most: float = 65535) -> NDArray[np.float64]:
    return np.rint(np.tile(np.linspace(low * most, high * most, SIDE), (SIDE, 1)))


def tiff(pixels: bytes, bits: int, order: str = "<", photometric: int = 1, form: int = 1) -> bytes:
    """One strip of grey of SIDE² pixels."""
    tags = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: SIDE, 279: len(pixels),
            339: form}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) if tag in (273, 279) else
                       struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return ((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags)) + entries
            + bytes(4) + pixels)


def of_12_bits(values: NDArray[Any]) -> bytes:
    """Two in three bytes, the high bits first."""
    a, b = values.astype(int).reshape(-1, 2).T
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()


def png(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(file, "PNG")
    return file.getvalue()


# -- depth ---------------------------------------------------------------------------------------------------------
DEPTHS: dict[str, tuple[float, Any]] = {
    "PNG": (65535, png),
    "TIFF": (65535, lambda v: tiff(v.astype("<u2").tobytes(), 16)),
    "TIFF, big-endian": (65535, lambda v: tiff(v.astype(">u2").tobytes(), 16, ">")),
    "TIFF, white is 0": (65535, lambda v: tiff((65535 - v).astype("<u2").tobytes(), 16, photometric=0)),
    "TIFF, 12 bits": (4095, lambda v: tiff(of_12_bits(v), 12)),
    "TIFF, 32 bits": (2 ** 32 - 1, lambda v: tiff(v.astype("<u4").tobytes(), 32)),
    "PGM": (65535, lambda v: b"P5 16 16 65535\n" + v.astype(">u2").tobytes()),
    "PGM to 1000": (1000, lambda v: b"P5 16 16 1000\n" + v.astype(">u2").tobytes()),
}


@pytest.mark.parametrize("kind", DEPTHS)
@pytest.mark.parametrize("part", [(0, 1), (0.1, 0.4), (0.5, 0.8)])
def test_grey_is_scaled_by_the_range_of_its_depth(tmp_path: Path, kind: str, part: tuple[float, float]) -> None:
    most, write = DEPTHS[kind]
    values = ramp(*part, most)
    got = seen(write(values), tmp_path / "x.png").astype(int)
    assert (got == got[..., :1]).all()
    assert np.abs(got[..., 0] - values * 255 / most).max() <= 0.51


def test_floats_need_a_range(tmp_path: Path) -> None:
    values = ramp(0.1, 0.4, 8.0).astype(np.float32) / 8
    image = Image.fromarray(values)
    assert "floats, and nothing says which is black" in refused(image, tmp_path / "x.tif")
    got = seen(image, tmp_path / "x.tif", tiffinfo={340: 0.0, 341: 1.0})
    assert np.abs(got[..., 0] - 255 * values).max() <= 0.51
    broken = Image.fromarray(np.where(values > 0.2, np.nan, values).astype(np.float32))
    assert "no shades of grey" in refused(broken, tmp_path / "x.tif", tiffinfo={340: 0.0, 341: 1.0})


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_numbers_are_no_shades(tmp_path: Path, bits: int) -> None:
    content = tiff(np.arange(SIDE * SIDE).astype(f"<i{bits // 8}").tobytes(), bits, form=2)
    assert "signed numbers, and nothing says which is black" in refused(content, tmp_path / "x.tif")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_8_bits_are_left_as_they_are(tmp_path: Path, mode: str) -> None:
    noise = Image.fromarray(np.random.RandomState(0).randint(256, size=(20, 24, 3)).astype(np.uint8)).convert(mode)
    expected = noise.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, (2, 0, 22, 20))
    assert np.array_equal(seen(noise, tmp_path / "x.png"), expected)
    if mode == "RGB":
        assert np.array_equal(decode.one(np.asarray(noise), SIDE), expected)


# -- what is transparent -------------------------------------------------------------------------------------------
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
DRAWN = {"disc": X ** 2 + Y ** 2 < 40, "square": np.maximum(abs(X), abs(Y)) < 5.5}


def cut_out(drawn: NDArray[Any], mode: str, ink: int) -> tuple[Image.Image, dict[str, Any]]:
    """One colour everywhere, and a drawing that only transparency shows; what to save it with."""
    alpha, plain = Image.fromarray(np.where(drawn, 255, 0).astype(np.uint8)), Image.new("L", (SIDE, SIDE), ink)
    if mode == "RGBA":
        return Image.merge("RGBA", [plain, plain, plain, alpha]), {}
    if mode == "LA":
        return Image.merge("LA", [plain, alpha]), {}
    if mode == "P":
        image = Image.fromarray(drawn.astype(np.uint8)).convert("P")
        image.putpalette([ink] * 6)
        return image, {"transparency": 0}
    if mode == "L":  # a shade of grey means transparent
        return Image.fromarray(np.where(drawn, ink, 77).astype(np.uint8)), {"transparency": 77}
    if mode == "RGB":
        return Image.fromarray(np.where(drawn[..., None], ink, (7, 8, 9)).astype(np.uint8)), {"transparency": (7, 8, 9)}
    return Image.fromarray(np.where(drawn, 257 * ink, 77).astype(np.uint16)), {"transparency": 77}


@pytest.mark.parametrize("ink", [0, 255, 128, 230])
@pytest.mark.parametrize(("kind", "mode"), [
    ("png", "RGBA"), ("png", "LA"), ("png", "P"), ("png", "L"), ("png", "RGB"), ("png", "I;16"), ("gif", "P"),
    ("webp", "RGBA"), ("tif", "RGBA"), ("tif", "LA")])
def test_a_drawing_in_alpha_alone_is_seen(tmp_path: Path, kind: str, mode: str, ink: int) -> None:
    for drawn in DRAWN.values():
        image, options = cut_out(drawn, mode, ink)
        got = seen(image, tmp_path / f"x.{kind}", **options, **({"lossless": True} if kind == "webp" else {}))
        assert (got[drawn] == ink).all()
        ground = got[~drawn]
        assert (ground == ground[0, 0]).all()
        assert abs(int(ground[0, 0]) - ink) >= 32
        assert ground[0, 0] == (255 if ink < 224 else 0)  # white, where anything is to be seen on it


def test_black_and_white_are_both_seen(tmp_path: Path) -> None:
    got = []
    for drawn in DRAWN.values():
        pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
        pixels[drawn], pixels[0] = (255, 255, 255, 255), (0, 0, 0, 255)
        got.append(seen(Image.fromarray(pixels), tmp_path / "x.png"))
        assert {(0,) * 3, (255,) * 3, (128,) * 3} == set(map(tuple, got[-1].reshape(-1, 3).tolist()))
    assert not np.array_equal(*got)


def test_what_is_half_transparent_is_mixed_with_white(tmp_path: Path) -> None:
    got = seen(Image.new("RGBA", (SIDE, SIDE), (200, 20, 60, 51)), tmp_path / "x.png")
    assert np.abs(got.astype(int) - [255 - 11, 255 - 47, 255 - 39]).max() <= 1  # 51/255 is a fifth


def test_nothing_to_be_seen_is_no_image(tmp_path: Path) -> None:
    assert "all of it is transparent" in refused(Image.new("RGBA", (SIDE, SIDE), (200, 20, 60, 0)), tmp_path / "x.png")


# -- which side is up ----------------------------------------------------------------------------------------------
# Of EXIF's numbers: where its first row and its first column are to be seen.
TURNED = {1: lambda a: a, 2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: lambda a: a.T,
          6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].T, 8: np.rot90}


@pytest.mark.parametrize("number", TURNED)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_photographs_stand_upright(tmp_path: Path, kind: str, number: int) -> None:
    stored = np.zeros((SIDE, SIDE), np.uint8)
    stored[:8, :8], stored[:8, 8:], stored[8:, :8] = 240, 160, 80
    exif = Image.Exif()
    exif[274] = number
    got = seen(Image.fromarray(stored).convert("RGB"), tmp_path / f"x.{kind}", exif=exif)
    assert np.abs(got[..., 0].astype(int) - TURNED[number](stored)).max() < 12


def test_what_is_deep_stands_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    got = seen(Image.fromarray(ramp(0, 1).astype(np.uint16)), tmp_path / "x.png", exif=exif)
    assert (np.diff(got[:, 3, 0].astype(int)) > 0).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0"])
def test_a_broken_note_on_the_camera_is_no_matter(tmp_path: Path, exif: bytes) -> None:
    assert np.abs(seen(Image.new("RGB", (SIDE, SIDE), (9, 90, 200)), tmp_path / "x.jpg", exif=exif).astype(int)
                  - (9, 90, 200)).max() < 4


# -- other colours -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "adobe"), [("tif", False), ("jpg", True), ("jpg", False)])
def test_four_inks(tmp_path: Path, kind: str, adobe: bool) -> None:
    inks = (40, 180, 100, 51)
    stored = Image.new("CMYK", (SIDE, SIDE), inks if kind == "tif" or adobe else tuple(255 - ink for ink in inks))
    file = io.BytesIO()
    stored.save(file, {"tif": "TIFF", "jpg": "JPEG"}[kind], **({"quality": 100} if kind == "jpg" else {}))
    content = file.getvalue()
    if kind == "jpg" and not adobe:  # without Adobe's marker the inks are stored as they are
        at = content.index(b"\xff\xee\x00\x0eAdobe")
        content = content[:at] + content[at + 16:]
    got = seen(content, tmp_path / f"x.{kind}").astype(int)
    assert np.abs(got - [(255 - ink) * (255 - inks[3]) / 255 for ink in inks[:3]]).max() < 4


def test_lab_and_luma(tmp_path: Path) -> None:
    red = Image.new("LAB", (SIDE, SIDE), (round(54.29 * 2.55), 128 + 81, 128 + 70))  # sRGB's red under D50
    assert np.abs(seen(red, tmp_path / "x.tif").astype(int) - (255, 0, 0)).max() <= 6
    luma = Image.new("RGB", (SIDE, SIDE), (200, 40, 90)).convert("YCbCr")
    assert np.abs(seen(luma, tmp_path / "x.tif").astype(int) - (200, 40, 90)).max() <= 2


# -- several pictures ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_is_taken_and_that_is_said_once(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    decode._say.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name in ("a", "b"):
            got = seen(frames[0], tmp_path / f"{name}.{kind}", save_all=True, append_images=frames[1:],
                       **({"lossless": True} if kind == "webp" else {}))
            assert np.abs(got.astype(int) - (200, 0, 0)).max() < 4
        seen(frames[0], tmp_path / f"c.{kind}")
    assert [str(one.message).partition(" files")[2] for one in said] == [
        " hold several frames or pages; of each the first is taken."]


# -- colours -------------------------------------------------------------------------------------------------------
def chunk(name: bytes, held: bytes) -> bytes:
    return struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))


def test_a_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    """Pillow compares the pixels' upper halves with all of the key."""
    values = np.full((SIDE, SIDE, 3), (0x8000, 0x4000, 0x2000), ">u2")
    values[:4] = 0x1234, 0x5678, 0x9ABC
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    file = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0))
            + chunk(b"tRNS", struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))
    got = seen(file, tmp_path / "x.png")
    assert (got[:4] == 255).all()
    assert (got[4:] == (0x80, 0x40, 0x20)).all()


@pytest.mark.parametrize("unit", [1, 257])
def test_a_palette_of_tiff_in_16_bits_or_in_8(tmp_path: Path, unit: int) -> None:
    """The standard says 16, and libtiff takes a palette without any larger number for one of 8."""
    image = Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 2, "P")
    image.putpalette([200, 10, 90, 30, 250, 60])
    file = io.BytesIO()
    image.save(file, "TIFF")
    colours = np.array([200, 30] + [0] * 254 + [10, 250] + [0] * 254 + [90, 60] + [0] * 254, "<u2")
    written = (256 * colours).tobytes()
    assert written in file.getvalue()
    got = seen(file.getvalue().replace(written, (unit * colours).tobytes()), tmp_path / "x.tif")
    assert (got[:, 0::2] == (200, 10, 90)).all()
    assert (got[:, 1::2] == (30, 250, 60)).all()


def test_a_colour_profile_is_not_applied_and_that_is_said_once(tmp_path: Path) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = own.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be")).replace(b"sRGB", b"wide")
    image = Image.new("RGB", (SIDE, SIDE), (200, 40, 90))
    decode._say.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name, profile in (("a", own), ("b", b"broken"), ("c", other), ("d", other)):
            assert (seen(image, tmp_path / f"{name}.png", icc_profile=profile) == (200, 40, 90)).all()
    assert len(said) == 1
    assert "of the profile 'wide" in str(said[0].message)
