"""How fast photographs stream: what is compared, and what a page makes of it."""
from __future__ import annotations

import io
import itertools
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from replication import checked
from replication.benchmarks import photographs, streaming
from replication.benchmarks.streaming import Rate
from replication.pages import speed

pytestmark = pytest.mark.usefixtures("out")


def test_a_photograph_is_of_imagenet_s_size() -> None:
    """Its mean training image is of 110 kB, by the archive's 147.9 GB, and mostly 500×375 px."""
    sizes = []
    for seed in range(3):
        content = photographs.photograph(seed)
        sizes.append(len(content))
        with Image.open(io.BytesIO(content)) as image:
            assert (image.size, image.format, image.mode) == ((500, 375), "JPEG", "RGB")
    assert 100_000 < sum(sizes) / 3 < 130_000
    assert len(set(sizes)) == 3


def test_ratios_are_taken_within_a_turn() -> None:
    found = streaming.row([Rate(90, 4.0), Rate(240, 8.0)], [Rate(100, 4.0), Rate(300, 6.0)])
    assert found["images_per_s"] == 165
    assert (found["times_decoder_low"], found["times_decoder_high"]) == pytest.approx((0.8, 0.9))
    assert (found["times_decoder_by_cpu_low"], found["times_decoder_by_cpu_high"]) == pytest.approx((0.75, 1.0))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts processors' time in /proc")
def test_the_table_and_the_page(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    monkeypatch.setattr(streaming, "IMAGES", 8)
    monkeypatch.setattr(streaming, "BATCH", 4)
    monkeypatch.setattr(streaming, "TURNS", 2)
    monkeypatch.setattr(streaming, "SECONDS", 0.2)
    before, more = streaming.processor, itertools.count()
    monkeypatch.setattr(streaming, "processor", lambda: before() + next(more) / 1000)  # ticks of 10 ms may be none
    assert "Not yet measured" in speed.streaming(speed.streams())
    path = streaming.run()
    assert path.parent == out / "tables"
    table = pd.read_csv(path).set_index("kind")
    assert set(table.index) == set(speed.STREAMS)
    assert (table.images_per_s > 0).all()
    assert (table.turns == 2).all()
    assert table.times_decoder["decoder, squares"] == 1
    assert (table.times_decoder > 0).all()
    changed = table.assign(times_decoder=[1.0, 0.9, 0.89, 1.7]).reset_index()
    checked.write(path, changed.to_csv(index=False))
    page = speed.streaming(speed.streams())
    rows = [row for row in page.split("<tr>") if "streamed from" in row]
    assert ["met" in row for row in rows] == [True, False]
    assert page.count(">met<") == page.count(">missed<") == 1
