"""The printed numbers of the example and of V1's and V3's sentences, and each table against arithmetic of its own."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from table1 import MODULES

from replication import paths
from replication.errors import BadInput
from replication.pages import figures, network_in_network
from replication.pages.network_in_network import Branch


# -- the example ----------------------------------------------------------------------------------------------------
def test_the_example_on_paper() -> None:
    """120 M against 12.4 M, of which 2.4 M are the reduction: the numbers of many a lecture on V1 §4."""
    steps = network_in_network.steps(Branch()).set_index("convolution")["multiply-adds"]
    assert steps.to_list() == [120_422_400, 2_408_448, 10_035_200, 12_443_648, 12_443_648]
    assert steps["5×5 directly"] / steps["both together"] == pytest.approx(9.68, abs=0.005)
    assert network_in_network.steps(Branch())["weights"].to_list() == [153_600, 3_072, 12_800, 15_872, 15_872]
    assert network_in_network.steps(Branch())["biases"].to_list() == [32, 16, 32, 48, 48]


@pytest.mark.parametrize("module", MODULES)
def test_branches_of_the_table(module: str) -> None:
    m = MODULES[module]
    branch = network_in_network.large_branch(module)
    assert branch.multiply_adds == m.side ** 2 * (m.channels * m.r5 + 25 * m.r5 * m.n5)
    assert branch == Branch(m.side, m.channels, m.n5, 5, m.r5).reduced


@pytest.mark.parametrize("given", [
    {"side": 14}, {"channels": 480}, {"filters": 48}, {"kernel": 3}, {"kernel": 1}, {"reduction": 24},
    {"side": 7, "channels": 832, "filters": 128, "kernel": 7, "reduction": 500}])
def test_other_parameters(given: dict[str, int]) -> None:
    s, c, n, k, r = ({"side": 28, "channels": 192, "filters": 32, "kernel": 5, "reduction": 16} | given).values()
    of = network_in_network.branch(**given)
    steps = network_in_network.steps(of)
    assert steps["multiply-adds"].to_list()[:4] == [
        s * s * k * k * c * n, s * s * c * r, s * s * k * k * r * n, s * s * (c * r + k * k * r * n)]
    assert steps.convolution.to_list()[0] == f"{k}×{k} directly"
    assert of.break_even == pytest.approx(k * k * c * n / (c + k * k * n))
    assert network_in_network.numbers(of)["reduced"] == s * s * (c * r + k * k * r * n)
    assert network_in_network.steps(of).iloc[4].equals(network_in_network.steps(Branch()).iloc[4])  # module 3a stays


@pytest.mark.parametrize("of", [Branch(), Branch(kernel=3, filters=128), Branch(14, 480, 48, 5, 1)])
def test_a_reduction_wider_than_the_break_even_costs_more(of: Branch) -> None:
    narrow, wide = int(of.break_even), int(of.break_even) + 1
    assert of.reduced_to(narrow).multiply_adds <= of.direct.multiply_adds < of.reduced_to(wide).multiply_adds


def test_the_break_even_of_the_example() -> None:
    assert Branch().break_even == pytest.approx(153_600 / 992)
    assert Branch(reduction=1).break_even == Branch(reduction=300).break_even


@pytest.mark.parametrize(("given", "words"), [
    ({"kernel": 4}, "even"), ({"reduction": 0}, "at least 1"), ({"side": "28"}, "must be an int"),
    ({"filters": 1.5}, "must be an int"), ({"filter": 32}, "Did you mean 'filters'")])
def test_bad_input(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        network_in_network.branch(**given)


# -- Network in Network -----------------------------------------------------------------------------------------------
def test_network_in_network() -> None:
    """mavenlin's cifar-10_def: side, channels in, out, kernel."""
    layers = [(32, 3, 192, 5), (32, 192, 160, 1), (32, 160, 96, 1), (16, 96, 192, 5), (16, 192, 192, 1),
              (16, 192, 192, 1), (8, 192, 192, 3), (8, 192, 192, 1), (8, 192, 10, 1)]
    table = network_in_network.nin()
    of = table[table.parameters > 0]
    assert of.row.to_list() == ["conv1", "cccp1", "cccp2", "conv2", "cccp3", "cccp4", "conv3", "cccp5", "cccp6"]
    assert of.layer.to_list() == [f"{k}×{k}" for *_, k in layers]
    assert of.parameters.to_list() == [k * k * c * n + n for _, c, n, k in layers]
    assert of["multiply-adds"].to_list() == [s * s * k * k * c * n for s, c, n, k in layers]
    assert of.output.to_list() == [f"{n}×{s}×{s}" for s, _, n, _ in layers]
    assert table[table.parameters == 0].layer.to_list() == ["max pool 3×3", "max pool 3×3", "average of each map"]
    share = network_in_network.numbers(Branch())["nin"]
    ones = [s * s * c * n for s, c, n, k in layers if k == 1]
    assert share["ones"] == pytest.approx(sum(ones) / sum(s * s * k * k * c * n for s, c, n, k in layers))


def test_heads() -> None:
    fc = 1024 * 49 * 1024 + 1024 + 1024 * 1000 + 1000
    alexnet = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    found = network_in_network.classifiers().set_index(["network", "head"])["parameters of the head"].to_dict()
    assert found == {
        ("NIN, 10 classes", "average"): 0, ("NIN, 10 classes", "fc"): 640 * 10 + 10,
        ("NIN, 10 classes", "fc+dropout"): 640 * 10 + 10,
        ("NIN, 100 classes", "average"): 0, ("NIN, 100 classes", "fc"): 6400 * 100 + 100,
        ("GoogLeNet", "average"): 1_025_000, ("GoogLeNet", "nin"): 1_025_000, ("GoogLeNet", "fc"): fc,
        ("AlexNet", "fc, three layers"): alexnet}
    work = network_in_network.classifiers().set_index(["network", "head"])["multiply-adds of the head"]
    assert work["GoogLeNet", "nin"] == 49 * work["GoogLeNet", "average"] == 49 * 1_024_000
    share = network_in_network.classifiers().set_index("network")["of the network's, %"]["AlexNet"]
    assert share == pytest.approx(100 * alexnet / 60_965_224)


# -- wider, and without reductions -------------------------------------------------------------------------------------
def test_widening_costs_the_square() -> None:
    table = network_in_network.widened().set_index("filters, ×")
    assert table["first of two, ×"].to_list() == [1, 2, 4]
    assert table["second of two, ×"].to_list() == [1, 4, 16]
    for k in (2, 4):  # all of GoogLeNet but its first and last layer, with its 1.582671872 G multiply-adds
        first, last = 49 * 3 * 64 * 112 ** 2, 1_024_000
        wide = k * (first + last) + k * k * (1_582_671_872 - first - last)
        assert table["GoogLeNet, ×"][k] == pytest.approx(wide / 1_582_671_872)


def own_growth(form: str) -> list[tuple[int, int]]:
    """(channels after, multiply-adds) of the nine modules."""
    found, channels = [], 192
    for side, _, n1, r3, n3, r5, n5, pool, *_ in MODULES.values():
        c = channels
        kernels = n1 + 9 * n3 + 25 * n5
        price = {"naive": c * kernels, "no reductions": c * (kernels + pool),
                 "as published": c * (n1 + r3 + r5 + pool) + 9 * r3 * n3 + 25 * r5 * n5}[form]
        channels = n1 + n3 + n5 + (c if form == "naive" else pool)
        found.append((channels, side * side * price))
    return found


@pytest.mark.parametrize("form", network_in_network.FORMS.values())
def test_growth(form: str) -> None:
    table = network_in_network.growth()
    of = table[table.form == form]
    assert of.module.to_list() == list(MODULES)
    assert list(zip(of.channels, of["multiply-adds"], strict=True)) == own_growth(form)


def test_the_naive_stack_on_paper() -> None:
    table = network_in_network.side_by_side(network_in_network.growth()).set_index("module")
    assert table["channels: naive"].to_list() == [416, 832, 1280, 1728, 2176, 2640, 3344, 4048, 4944]
    assert table["naive ÷ published"][["3a", "3b", "4a", "5a"]].to_list() == pytest.approx([2.4, 4.6, 7.2, 20.3],
                                                                                           abs=0.05)
    assert table["multiply-adds, M: as published"].round().to_list()[:2] == [128, 304]  # Table 1 prints those
    sums = network_in_network.numbers(Branch())["modules"]
    assert [sums[form]["g"] for form in ("naive", "unreduced", "reduced")] == pytest.approx([12.09, 3.95, 1.104],
                                                                                            abs=0.005)
    assert [sums[form]["weights_m"] for form in ("naive", "reduced")] == pytest.approx([92.5, 5.84], abs=0.05)


# -- factorisations ----------------------------------------------------------------------------------------------------
def test_factorisations_as_printed() -> None:
    """V3 §3.1 and §3.2: 28, 33 and 11 %; 1×7 and 7×1 keep 14 products of 49."""
    table = network_in_network.factorisations()
    assert table[["before", "after"]].to_numpy().tolist() == [[25, 18], [9, 6], [25, 10], [49, 14], [9, 8]]
    saved = table.set_index(["kernel", "as"])["saved, %"]
    for key, printed in ((("5×5", "3×3, 3×3"), 28), (("3×3", "3×1, 1×3"), 33), (("3×3", "2×2, 2×2"), 11)):
        assert saved[key] == pytest.approx(printed, abs=0.5)


def test_what_googlenets_own_modules_save() -> None:
    paper = {"root": lambda a: 1 - 9 * (1 + a) / (25 * a ** 0.5), "full": lambda a: 1 - 9 * (1 + a) / 25,
             "reduce": lambda a: 1 - 9 * (1 + a) / (25 * a)}
    table = network_in_network.savings(network_in_network.in_googlenet())
    alphas = [m.n5 / m.r5 for m in MODULES.values()]
    assert table["α"].to_list()[:-1] == alphas
    for middle, label in network_in_network.MIDDLES.items():  # the middle is a whole number of maps
        assert table[label].to_list()[:-1] == pytest.approx([100 * paper[middle](a) for a in alphas],
                                                            abs=2 if middle == "root" else 1e-9)
    for middle, low, high in (("root", 10, 24), ("full", -80, -8), ("reduce", 46, 55)):
        found = network_in_network.numbers(Branch())["saved"][middle]
        assert (found["least"], found["most"]) == pytest.approx((low, high), abs=0.5)


@pytest.mark.parametrize("middle", network_in_network.MIDDLES)
def test_the_saving_in_all(middle: str) -> None:
    between = {"root": lambda r, n: round((r * n) ** 0.5), "full": lambda r, n: n, "reduce": lambda r, n: r}[middle]
    before = sum(m.side ** 2 * 25 * m.r5 * m.n5 for m in MODULES.values())
    after = sum(m.side ** 2 * 9 * between(m.r5, m.n5) * (m.r5 + m.n5) for m in MODULES.values())
    assert network_in_network.saving(middle) == pytest.approx(100 * (1 - after / before))


# -- figures and page --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("of", [Branch(), Branch(reduction=400), Branch(7, 832, 128, 3, 8)])
def test_the_figure_marks_where_it_stops_paying(of: Branch) -> None:
    axis = figures.reduction(of).axes[0]
    one, after, both, direct, *dots = axis.get_lines()
    assert direct.get_ydata()[0] == pytest.approx(of.direct.multiply_adds / 1e6)
    slopes = [line.get_ydata()[1] / line.get_xdata()[1] for line in (one, after, both)]
    assert slopes == pytest.approx([price * of.side ** 2 / 1e6 for price in (
        of.channels, of.kernel ** 2 * of.filters, of.channels + of.kernel ** 2 * of.filters)])
    points = [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots]
    assert points[0] == pytest.approx((of.break_even, direct.get_ydata()[0]))
    assert points[1] == pytest.approx((of.reduction, of.reduction * slopes[2]))
    assert axis.get_xlim()[1] > max(of.break_even, of.reduction)


def test_figures_show_every_module() -> None:
    growth = figures.growth(network_in_network.growth())
    channels = next(line for line in growth.axes[0].get_lines() if max(line.get_ydata(), default=0) > 4000)
    assert list(channels.get_ydata()) == [n for n, _ in own_growth("naive")]
    assert [text.get_text() for text in growth.legends[0].get_texts()] == list(network_in_network.FORMS.values())
    saved = figures.saved(network_in_network.savings(network_in_network.in_googlenet()))
    dots = {line.get_label(): line for line in saved.axes[0].get_lines()}
    assert list(dots["as wide as the output"].get_ydata()) == [*MODULES, "all"]
    assert min(dots["as wide as the output"].get_xdata()) == pytest.approx(-80)


def test_the_page_follows_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path))
    cells = [cell for cell in nbformat.read(paths.ROOT / "book" / "network_in_network.ipynb", 4).cells
             if cell.cell_type == "code"]
    assert cells[0].metadata.tags == ["parameters"]
    for change, expected in (("", 12_443_648), ("reduction = 155", 155 * 992 * 784)):
        names: dict[str, Any] = {"__name__": "page"}
        for source in (cells[0].source, change, *(cell.source for cell in cells[1:])):
            exec(source, names)
        written = json.loads((tmp_path / "metrics" / "network_in_network.json").read_text())
        assert written["reduced"] == expected
        assert (written["times"] < 1) == (expected > 120_422_400)
        assert written["claims"]["V3-07b"]["verdict"] == "contradicted"
