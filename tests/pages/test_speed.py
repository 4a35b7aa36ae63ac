"""What the pages on speed make of the tables they find: whose, which targets, a sentence where there is none."""
from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from replication import paths
from replication.benchmarks import roofline as measuring
from replication.benchmarks import throughput
from replication.errors import BadInput
from replication.pages import figures, roofline, speed

H200 = "NVIDIA H200"


@pytest.fixture(autouse=True)
def published(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of published results beside yours."""
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "results")
    monkeypatch.delenv("REPLICATION_READ")
    return tmp_path / "results" / "tables"


def line(network: str = "googlenet_torchvision", variant: str = "ours", **more: Any) -> dict[str, Any]:
    """A line as bench writes it: 224 px on a GPU, 1000 images a second."""
    return {**dict.fromkeys(throughput.COLUMNS, math.nan), "device": H200, "network": network, "variant": variant,
            "phase": "train", "resolution": 224, "batch": 128, "width": 1, "runs": 1, "precision": "bf16",
            "status": "ok", "turns": 7,
            "images_per_s": 1000, "images_per_s_low": 900, "images_per_s_high": 1100, "ms_per_step": 100,
            "ms_data": 2, "tflops": 70, "times_reference": 4, "times_tuned": 1.1, "threads": 2, "versions": "torch 2",
            "commit": "abc", **more}


def frame(*lines: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(lines)


def write(place: Path, name: str, *lines: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    frame(*lines).to_csv(place / name, index=False)


def text(html: str) -> list[list[str]]:
    """The cells of every row of a table, checked to be well-formed."""
    return [["".join(cell.itertext()) for cell in row] for row in ElementTree.fromstring(f"<x>{html}</x>").iter("tr")]


def test_small_runs_at_once_are_a_size_of_their_own() -> None:
    few, many = (line("googlenet_bn", "ours-graph", resolution=56, batch=64, width=0.25, runs=runs, images_per_s=rate)
                 for runs, rate in ((4, 200_000), (16, 120_000)))
    table = text(speed.images({"G": frame(few, many)}, "train"))
    assert [row[0] for row in table if len(row) == 1 or "batch" in row[0]] == [
        "GoogLeNet, 56 px, a quarter as wide, 4 at once, batch 64",
        "GoogLeNet, 56 px, a quarter as wide, 16 at once, batch 64"]
    found = [(value, where) for target, where, value, _ in speed.against_targets({"G": frame(few, many)}, {})
             if "100,000" in target.sentence]
    assert [value for value, _ in found] == [120_000]  # of all that there is room for
    assert "16 at once" in found[0][1]


# -- which tables -------------------------------------------------------------------------------------------------
def test_yours_comes_before_the_published(out: Path, published: Path) -> None:
    write(published, "bench-a.csv", line(device="A", tflops=1))
    write(published, "bench-b.csv", line(device="B", tflops=2))
    write(out / "tables", "bench-b.csv", line(device="B", tflops=3))
    write(out / "tables", "bench-c-quick.csv", line(device="C", tflops=4))
    write(out / "tables", "roofline-b.csv", line(device="B", tflops=5))
    found = speed.stored("bench")
    assert {device: table.tflops.tolist() for device, table in found.items()} == {"A": [1], "B": [3]}
    assert speed.source(found) == "A, B"


@pytest.mark.parametrize("content", ["", "device,phase\n", "x,y\n1,2\n", "device,phase\nA,train,too,many\nB\n", "\x00"])
def test_what_bench_did_not_write_is_refused(out: Path, content: str) -> None:
    (out / "tables").mkdir(parents=True)
    (out / "tables" / "bench-a.csv").write_text(content)
    with pytest.raises(BadInput, match=r"bench-a\.csv is no table( that bench wrote)?: delete it and measure again"):
        speed.stored("bench")


def test_one_sentence_says_where_it_was_measured() -> None:
    gpu, cpu = frame(line()), frame(line(device="P & Q", precision="fp32"))
    mixed = frame(line(variant="torchvision-reference", precision="fp32"), line())
    assert speed.state({}, "make bench") == '<p class="state">Not yet measured: <code>make bench</code> does it.</p>'
    assert speed.state({"P & Q": cpu}, "") == '<p class="state">Measured on P &amp; Q. Not yet run on a GPU.</p>'
    assert speed.state({"P & Q": cpu, H200: gpu}, "") == f'<p class="state">Measured on P &amp; Q and {H200}.</p>'
    assert speed.gpu(mixed)
    assert not speed.gpu(cpu)


# -- ceilings -----------------------------------------------------------------------------------------------------
def both(bench: dict[str, Any], roof: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Two lines a kind, of a device P whose first reached 0.5 TFLOP/s and 50 GB/s; some of their cells, read back."""
    place = paths.mine() / "tables"
    cpu: dict[str, Any] = {"device": "P", "precision": "fp32", "matmul_tflops": 0.5, "copy_gb_per_s": 50}
    write(place, "bench-p.csv", line(**cpu, tflops=0.2, copy_share=0.1), line(**{**cpu, "tflops": 0.2, **bench}))
    write(place, "roofline-p.csv", timed("conv1", bytes=10e6, operations=200e6),  # 0.2 ms, and 0.4 ms
          timed("pool1", bytes=10e6, operations=0, **roof))
    shares = ["matmul_tflops", "matmul_share", "copy_gb_per_s", "copy_share"]
    bounds = ["matmul_tflops", "copy_gb_per_s", "predicted_ms", "bound", "ratio"]
    return (speed.stored("bench")["P"][shares].iloc[0].tolist(),
            speed.stored("roofline")["P"][bounds].iloc[0].tolist())


def test_bench_and_roofline_name_the_same_ceilings(out: Path) -> None:
    """conv1 took 3 ms; its bytes take 0.2 ms at 50 GB/s, its operations 0.4 ms at 0.5 TFLOP/s."""
    assert both({}, {}) == ([0.5, 0.4, 50, 0.1], [0.5, 50, 0.4, "arithmetic", 7.5])
    assert both({"matmul_tflops": 0.8}, {}) == ([0.8, 0.25, 50, 0.1], [0.8, 50, 0.25, "arithmetic", 12])
    high = [2, 0.1, 80, 0.0625], [2, 80, 0.125, "bytes", 24]
    assert both({}, {"matmul_tflops": 2, "copy_gb_per_s": 80}) == high
    assert both({"matmul_tflops": 2}, {"copy_gb_per_s": 80}) == high


@pytest.mark.parametrize("other", [{"threads": 1}, {"versions": "torch 1"}])
def test_other_threads_or_versions_have_ceilings_of_their_own(out: Path, other: dict[str, Any]) -> None:
    place = paths.mine() / "tables"
    write(place, "bench-p.csv", line(device="P", tflops=0.2, matmul_tflops=0.8, copy_gb_per_s=80, **other))
    write(place, "roofline-p.csv", timed("conv1", bytes=10e6, operations=200e6))
    assert speed.stored("roofline")["P"].predicted_ms.tolist() == [0.4]
    assert speed.stored("bench")["P"].matmul_share.tolist() == [0.25]


# -- targets ------------------------------------------------------------------------------------------------------
def verdicts(*lines: dict[str, Any], device: str = H200, **roofline: pd.DataFrame) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for target, _, value, _ in speed.against_targets({device: frame(*lines)} if lines else {}, roofline):
        found.setdefault(target.sentence.split()[0], []).append(f"{value:g} {target.verdict(value)}")
    return found


def test_the_targets_by_hand() -> None:
    assert verdicts(line()) == {"Three": ["4 met"], "As": ["1.1 met"], "Of": ["2 met"], "60": ["70 met"]}
    edge = line(times_reference=3, times_tuned=1, ms_data=3, tflops=60)
    assert verdicts(edge) == {"Three": ["3 met"], "As": ["1 met"], "Of": ["3 met"], "60": ["60 met"]}
    short = line(times_reference=2.9, times_tuned=0.99, ms_data=3.1, tflops=59)
    assert verdicts(short) == {"Three": ["2.9 missed"], "As": ["0.99 missed"], "Of": ["3.1 missed"],
                               "60": ["59 missed"]}


def test_an_epoch_is_all_images_over_images_a_second() -> None:
    """100,000 at 5,000 a second take 20 s; asked of an H100 or H200, at 56 px, of every network of ours."""
    of_56 = [line(network, resolution=56, images_per_s=rate)
             for network, rate in (("googlenet", 5000), ("googlenet_bn", 4000))]
    assert verdicts(*of_56) == {"An": ["20 met", "25 missed"]}
    assert verdicts(*of_56, device="NVIDIA H100 PCIe") == verdicts(*of_56)
    assert verdicts(*of_56, device="NVIDIA A100") == {}


@pytest.mark.parametrize("other", [
    {"variant": "ours-eager"}, {"variant": "torchvision-tuned"}, {"phase": "infer"}, {"precision": "fp32"}])
def test_only_our_training_on_a_gpu_is_asked(other: dict[str, Any]) -> None:
    assert verdicts(line(**other)) == {}


def test_other_networks_are_not_asked_to_be_as_fast() -> None:
    assert verdicts(line("googlenet")) == {"60": ["70 met"]}
    assert set(verdicts(line("inception_v3", resolution=299))) == {"Three", "As", "Of"}
    assert verdicts(line(times_reference=math.nan, times_tuned=math.nan)) == {"Of": ["2 met"], "60": ["70 met"]}


def test_the_targets_of_a_processor_by_hand() -> None:
    def cpu(network: str = "googlenet_torchvision", variant: str = "ours", **more: Any) -> dict[str, Any]:
        return line(network, variant, precision="fp32", device="P", phase="infer", **more)

    assert verdicts(cpu(times_tuned=1.35)) == {"Inference": ["1.35 met"]}
    assert verdicts(cpu(times_tuned=1.34)) == {"Inference": ["1.34 missed"]}
    assert verdicts(cpu(variant="ours-none", times_tuned=2)) == {}
    assert verdicts(cpu(variant="onnxruntime", times_tuned=1.5), cpu(variant="openvino", times_tuned=0.9)) == {
        "The": ["1.5 met", "0.9 missed"]}
    trained = {"phase": "train", "times_tuned": math.nan}
    assert verdicts(cpu("googlenet") | trained | {"times_normalised": 1.15}) == {"GoogLeNet": ["1.15 met"]}
    assert verdicts(cpu("googlenet", "ours-none") | trained | {"times_normalised": 1.15}) == {}
    rows = frame(*({"device": "P", "row": row, "phase": phase, "precision": "fp32", "ms": 10, "ms_low": 9,
                    "ms_high": 12, "predicted_ms": 2, "resolution": 224}
                   for row in ("norm1", "norm2") for phase in ("infer", "train")))
    assert verdicts(P=rows) == {"LRN": ["5 met"]}
    assert verdicts(P=rows.assign(ms=10.2)) == {"LRN": ["5.1 missed"]}
    assert verdicts(P=rows.assign(precision="bf16")) == {}


def test_a_target_has_the_range_of_its_turns() -> None:
    cpu = line(variant="onnxruntime", phase="infer", precision="fp32", device="P", times_tuned=1.5,
               times_tuned_low=1.25, times_tuned_high=1.75)
    rows = frame({"device": "P", "row": "norm2", "phase": "infer", "precision": "fp32", "ms": 10, "ms_low": 9,
                  "ms_high": 12, "predicted_ms": 2, "resolution": 224})
    assert speed.in_words({"P": frame(cpu)}, {"P": rows}).splitlines() == [
        "The exported network 1.5 times torchvision's, tuned: 1.5× [1.25, 1.75], met "
        "(GoogLeNet, 224 px, exported, onnxruntime, P)",
        "LRN of the large maps (norm2) within five times what its bytes take: 5× [4.5, 6], met (norm2, 224 px, P)"]
    assert speed.in_words({H200: frame(line(tflops=70, images_per_s_low=1000, images_per_s_high=1000))}, {}).count(
        "60 TFLOP/s at 224 px: 70 TFLOP/s, met") == 1  # no range was taken


def test_a_verdict_is_of_the_number_that_is_shown() -> None:
    made = {"variant": "onnxruntime", "phase": "infer", "precision": "fp32"}
    assert verdicts(line(**made, times_tuned=1.4996)) == {"The": ["1.5 met"]}
    assert verdicts(line(**made, times_tuned=1.4949)) == {"The": ["1.49 missed"]}


def test_a_table_of_before_has_no_ratio_to_another_network(out: Path) -> None:
    old = line("googlenet", precision="fp32", device="P")
    del old["times_normalised"]
    write(out / "tables", "bench-p.csv", old)
    assert not [value for target, _, value, _ in speed.against_targets(speed.stored("bench"), {})
                if target.sentence.startswith("GoogLeNet")]


def test_targets_as_a_page_shows_them() -> None:
    of_cpu = frame(line(precision="fp32", times_tuned=math.nan))
    nothing = text(speed.targets({"P": of_cpu}, {}))
    assert nothing.count(["not yet measured on a GPU"]) == 5
    assert nothing.count(["not yet measured on a processor"]) == 4
    assert nothing.count(["not yet measured on H100 or H200"]) == 1
    assert len(nothing) == 1 + 2 * len(speed.TARGETS)
    shown = text(speed.targets({H200: frame(line(tflops=59))}, {}))
    assert ["GoogLeNet, 224 px, same network, NVIDIA H200", "4×", "met"] in shown
    assert ["GoogLeNet, 224 px, same network, NVIDIA H200", "59 TFLOP/s", "missed"] in shown
    assert speed.tally({H200: frame(line(tflops=59)), "P": of_cpu}, {}) == {
        "devices": 2, "gpus": 1, "met": 3, "missed": 1}


# -- tables and figures -------------------------------------------------------------------------------------------
def test_images_a_second_as_a_page_shows_them() -> None:
    table = frame(line("googlenet", times_tuned=math.nan, times_normalised=1.2),
                  line(times_reference_low=3.75, times_reference_high=4.126),
                  line("googlenet", "ours-eager"),
                  line(variant="torchvision-reference", status="failed: <x>", images_per_s=math.nan),
                  line("inception_v3", "torchvision-tuned", resolution=299, images_per_s=1234.5,
                       images_per_s_low=1199.6, images_per_s_high=1300, times_reference=math.nan,
                       times_tuned=math.nan), line(phase="infer", images_per_s=5, images_per_s_low=math.nan))
    html = speed.images({H200: table}, "train")
    assert text(html) == [
        ["", "images/s", "× script", "× tuned", "× with BN"],
        ["GoogLeNet, 224 px, batch 128"],
        ["ours, as published", "1,000 [900, 1,100]", "4", "–", "1.2"],
        ["ours, same network", "1,000 [900, 1,100]", "4 [3.75, 4.13]", "1.1", "–"],
        ["ours, as published (eager)", "1,000 [900, 1,100]", "4", "1.1", "–"], ["torchvision's script", "failed: <x>"],
        ["Inception V3, 299 px, batch 128"], ["torchvision, tuned", "1,234 [1,200, 1,300]", "–", "–", "–"]]
    assert f"<strong>{H200}</strong>, medians of 7 turns [lowest, highest]" in html
    assert "2 threads" in speed.images({"P": frame(line(precision="fp32"))}, "train")
    assert text(speed.images({H200: table}, "infer"))[2][1] == "5"
    assert [row[0] for row in text(speed.parts({H200: table}))[2:5]] == [
        "ours, as published", "ours, same network", "ours, as published (eager)"]


def timed(row: str, phase: str = "infer", **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(measuring.COLUMNS, math.nan), "device": "P", "row": row, "phase": phase, "batch": 16,
            "precision": "fp32", "status": "ok", "turns": 7, "operations": 10, "intensity": 5, "bound": "bytes",
            "predicted_ms": 2, "ms": 3, "ratio": 1.5, "tflops": 0.2, "matmul_tflops": 0.5, "copy_gb_per_s": 50,
            "threads": 2, "versions": "torch 2", "commit": "abc", **more}


ROOF = frame(timed("conv1", ms_low=2.5, ms_high=17.94), timed("conv1", "train"),
             timed("pool1", operations=0, intensity=0, tflops=0), timed("3a", status="failed: <x>", ms=math.nan))


def test_rows_as_a_page_shows_them() -> None:
    assert text(roofline.rows({"P": ROOF}, "infer"))[1:] == [
        ["forward, batch 16"], ["conv1", "bytes", "2", "3 [2.5, 17.9]", "1.5"], ["pool1", "bytes", "2", "3", "1.5"],
        ["3a", "failed: <x>"], ["together", "", "4", "6", "1.5"]]
    assert text(roofline.ceilings({"P": ROOF}))[1:] == [["P", "0.5", "50", "10"]]  # 0.5 TFLOP/s over 50 GB/s


def test_the_roof_meets_at_the_ridge() -> None:
    figure = figures.roofline({"P": ROOF})
    assert isinstance(figure, Figure)
    roof, forward, both = figure.axes[0].get_lines()
    x, y = roof.get_data()
    assert (x[1], y[1]) == (10, 0.5)  # operations a byte, TFLOP/s
    assert y[0] / x[0] == pytest.approx(0.05)  # TB/s
    assert y[2] == 0.5
    assert forward.get_xydata().tolist() == both.get_xydata().tolist() == [[5, 0.2]]  # not what failed


def test_figures_show_every_variant_and_row() -> None:
    table = frame(line(), line(phase="infer", images_per_s=950), line("googlenet", "ours-eager"))
    figure = figures.images_per_second({H200: table})
    assert isinstance(figure, Figure)
    assert isinstance(figures.images_per_second({H200: table[:1]}), Figure)  # a bench that was stopped
    assert [bars.get_label() for bars in figure.axes[0].containers] == list(figures.BENCH)
    points = [[list(bars.lines[0].get_xdata()) for bars in axis.containers] for axis in figure.axes]
    assert points == [[[], [], [1000], [], []], [[], [], [950], [], []]]
    over = figures.over_bound({"P": ROOF})
    assert isinstance(over, Figure)
    assert [label.get_text() for label in over.axes[0].get_yticklabels()] == ["conv1", "pool1", "3a"]
    assert [label.get_text() for label in over.legends[0].get_texts()] == ["forward", "forward and backward"]


@pytest.mark.parametrize("draw", [figures.images_per_second, figures.roofline, figures.over_bound])
def test_nothing_measured_is_nothing_drawn(draw: Any) -> None:
    assert repr(draw({})) == "Nothing to draw: not yet measured."


# -- pages --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", ["speed", "roofline"])
def test_a_page_without_a_table_says_so_and_nothing_else(page: str, out: Path) -> None:
    notebook = nbformat.read(paths.ROOT / "book" / f"{page}.ipynb", 4)
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            *body, last = ast.parse(cell.source).body
            assert isinstance(last, ast.Expr)
            exec(compile(ast.Module(body, []), page, "exec"), names)
            shown.append(eval(compile(ast.Expression(last.value), page, "eval"), names))
    assert "Not yet measured" in shown[0]
    assert not any("Measured on" in str(one) for one in shown)
    numbers = json.loads((out / "metrics" / f"{page}.json").read_text())
    assert numbers["devices"] == 0
    assert numbers["provenance"]["device"] == "none: not yet measured"
