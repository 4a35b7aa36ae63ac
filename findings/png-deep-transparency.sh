#!/usr/bin/env bash
# One would guess that a colour which a PNG of 16 bits a channel declares transparent (its tRNS chunk) is transparent
# once Pillow has made RGBA of it, as it is for 8 bits.
# Pillow keeps the upper 8 bits of each pixel, and compares them with the lower 8 bits of the key. The colour that was
# declared stays opaque, unless both bytes of it are alike (white, black), and another one, which was not declared,
# disappears. pypng, which reads the standard independently, hides the right pixel. Versions: Pillow 13.0.0, pypng
# 0.20220715.0.
# It matters for sets of drawings and of scientific images, whose backgrounds become part of the picture.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet pillow==13.0.0 pypng==0.20220715.0
"$dir/venv/bin/python" - "$dir" <<'EOF'
import importlib.metadata
import sys

import PIL
import png
from PIL import Image

print("Pillow", PIL.__version__, "pypng", importlib.metadata.version("pypng"))
path = f"{sys.argv[1]}/key.png"
declared, other, third = (0x1234, 0x5678, 0x9ABC), (0x3401, 0x7802, 0xBC03), (0x1111, 0x2222, 0x3333)


def alphas(bits, colours):
    """Of each pixel, how opaque pypng and Pillow make it, where the first colour is declared transparent."""
    with open(path, "wb") as file:
        writer = png.Writer(len(colours), 1, greyscale=False, bitdepth=bits, transparent=colours[0])
        writer.write(file, [[value for colour in colours for value in colour]])
    *_, rows, _ = png.Reader(path).asRGBA()
    with Image.open(path) as image:
        shown = image.convert("RGBA")
        theirs = [shown.getpixel((x, 0))[3] for x in range(len(colours))]
    return [alpha * 255 // (2**bits - 1) for alpha in list(next(iter(rows)))[3::4]], theirs


for bits, colours, right, pillow in (
    (8, [tuple(value >> 8 for value in colour) for colour in (declared, other, third)], [0, 255, 255], [0, 255, 255]),
    (16, [declared, other, third], [0, 255, 255], [255, 0, 255]),
    (16, [(65535, 65535, 65535), other, third], [0, 255, 255], [0, 255, 255]),
):
    by_pypng, by_pillow = alphas(bits, colours)
    print(f"{bits} bits, {tuple(map(hex, colours[0]))} declared: alpha by pypng {by_pypng}, by Pillow {by_pillow}")
    assert by_pypng == right, "changed: pypng"
    assert by_pillow == pillow, "changed: Pillow"
print("as described: Pillow hides another colour than a PNG of 16 bits a channel declares")
EOF
