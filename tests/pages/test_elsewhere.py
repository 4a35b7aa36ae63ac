"""What tests/interop left in tables, as *Differences* shows it."""
from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from replication import paths
from replication.pages import elsewhere

NAMES = ("GoogLeNet", "BN-Inception", "Inception V3", "AlexNet")
NETWORKS = """network,library,version,aspect,text
GoogLeNet,A,1.2,maps,112; 55
GoogLeNet,A,1.2,pixels,-1 to 1
GoogLeNet,A,1.2,"as it is, apart",0.18
GoogLeNet,A,1.2,set alike,its pools <round> up
GoogLeNet,A,1.2,then apart,1.6e-06
GoogLeNet,B,3,maps,112; 56
GoogLeNet,B,3,"as it is, apart",2e-06
GoogLeNet,B,3,then apart,2e-06
AlexNet,B,3,"as it is, apart",2.5
AlexNet,B,3,then apart,{}
"""
RUNTIMES = """network,runtime,version,written,sizes,apart,otherwise
GoogLeNet,one,1,as torch writes it,20,1e-06,31×31 (refused); 32×32 (refused); 64×64 (40%)
GoogLeNet,one,1,as this book writes it,20,1e-06,
GoogLeNet,two,2,as torch writes it,20,1e-06,
GoogLeNet,two,2,as this book writes it,20,1e-06,
"""


@pytest.fixture
def tables(out: Path) -> Path:
    (out / "tables").mkdir(parents=True)
    (out / "tables" / "interop-networks.csv").write_text(NETWORKS.format("1e-05"), encoding="utf-8")
    (out / "tables" / "interop-runtimes.csv").write_text(RUNTIMES, encoding="utf-8")
    return out / "tables"


@pytest.mark.usefixtures("tables")
def test_a_column_a_library_with_its_version_and_a_line_an_aspect_in_order() -> None:
    shown = elsewhere.shown(elsewhere.networks(), "GoogLeNet")
    assert "A 1.2" in shown
    assert shown.index("112, 55") < shown.index("−1 to 1") < shown.index("18 %") < shown.index("&lt;round&gt;")
    assert shown.count("equal, to rounding") == 3
    assert shown.count(">–<") == 2  # B says nothing of pixels, and nothing was to be set
    assert "250 %" in elsewhere.shown(elsewhere.networks(), "AlexNet")


def test_a_network_whose_weights_do_not_fit_has_words_for_it(tables: Path) -> None:
    more = f"BN-Inception,C,4,\"as it is, apart\",{elsewhere.NO_FIT}\nBN-Inception,C,4,then apart,1e-06\n"
    (tables / "interop-networks.csv").write_text(NETWORKS.format("1e-05") + more, encoding="utf-8")
    found = elsewhere.networks()
    shown = elsewhere.shown(found, "BN-Inception")
    assert elsewhere.NO_FIT in shown
    assert shown.count("equal, to rounding") == 1
    said = elsewhere.answer(found)
    assert said.startswith("4 networks of 3 libraries were compared")
    assert "1 gave the same logits as they are, and the weights of 1 did not fit; the others were off by 18 %" in said
    assert said.endswith("all agree to rounding.")


def test_the_answer_says_what_is_left(tables: Path) -> None:
    said = elsewhere.answer(elsewhere.networks())
    assert said.startswith("3 networks of 2 libraries were compared with ours, with equal weights. 1 gave the same")
    assert "off by 18 % to 250 %" in said
    assert said.endswith("all agree to rounding.")
    (tables / "interop-networks.csv").write_text(NETWORKS.format("0.02"), encoding="utf-8")
    assert elsewhere.answer(elsewhere.networks()).endswith("2 agree to rounding.")


@pytest.mark.usefixtures("tables")
def test_runtimes_are_counted_by_size_and_by_how_the_file_was_written() -> None:
    found = elsewhere.runtimes()
    assert elsewhere.runtimes_answer(found) == (
        "Of the files as this book writes them, 40 of 40 comparisons gave torch's logits; of the same networks as "
        "torch writes them, 37 of 40.")
    shown = elsewhere.runtimes_shown(found)
    assert "not 2 (refused: 31×31 … 32×32); 1 (other logits: 64×64), of 20 sizes" in shown
    assert shown.count("all 20 sizes") == 3


def test_without_tables_the_page_says_how_to_get_them(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_READ", "mine")
    assert not (out / "tables").exists()
    assert elsewhere.numbers() == {"answer": elsewhere.NOT_RUN, "runtimes": elsewhere.NOT_RUN}
    for shown in (elsewhere.shown(elsewhere.networks(), "GoogLeNet"), elsewhere.runtimes_shown(elsewhere.runtimes())):
        assert "python -m tests.interop" in shown


def test_the_page_shows_every_network_that_is_published() -> None:
    """And every aspect, none of which may be forgotten."""
    found = pd.read_csv(paths.PUBLISHED / "tables" / "interop-networks.csv")
    assert set(found.network) == set(NAMES)
    assert set(found.aspect) <= set(elsewhere.ASPECTS)
    book = json.loads((paths.ROOT / "book" / "differences.ipynb").read_text(encoding="utf-8"))
    source = "".join("".join(cell["source"]) for cell in book["cells"])
    for network in NAMES:
        assert f'elsewhere.shown(carried, "{network}")' in source
