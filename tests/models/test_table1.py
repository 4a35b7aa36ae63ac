"""V1 Table 1, typed again from the paper, against the values and the arithmetic of the package."""
import pytest
from table1 import MODULES

from replication.models import cost
from replication.models.googlenet import TABLE1_PRINTED, aux_pool, googlenet

# The column "output size", and the maps between its rows: height and width, channels.
SHAPES = {
    "conv1": (112, 64), "pool1": (56, 64), "norm1": (56, 64), "conv2_reduce": (56, 64), "conv2": (56, 192),
    "norm2": (56, 192), "pool2": (28, 192), "3a": (28, 256), "3b": (28, 480), "pool3": (14, 480), "4a": (14, 512),
    "4b": (14, 512), "4c": (14, 512), "4d": (14, 528), "4e": (14, 832), "pool4": (7, 832), "5a": (7, 832),
    "5b": (7, 1024), "avgpool": (1, 1024), "dropout": (1, 1024), "linear": (1, 1000),
}
# Ki of weights, recomputed from the filter counts by hand for every row; what the paper prints is often another number.
KI = {"conv1": 9.1875, "conv2": 112, "3a": 159.5, "3b": 379, "4a": 366.75, "4b": 438, "4c": 497.5, "4d": 590.5,
      "4e": 847, "5a": 1018, "5b": 1409, "linear": 1000}
MILLIONS = {"conv1": 118.01, "conv2": 359.66, "3a": 128.05, "3b": 304.27, "4a": 73.61, "4b": 87.91, "4c": 99.85,
            "4d": 118.52, "4e": 170.00, "5a": 51.08, "5b": 70.70, "linear": 1.02}


@pytest.fixture(scope="module")
def rows():
    return {row["name"]: row for row in cost.table(googlenet())}


@pytest.mark.parametrize("name", MODULES)
def test_module_costs_what_its_filters_say(rows, name):
    m = MODULES[name]
    assert rows[name]["weights"] == m.weights
    assert rows[name]["biases"] == sum(m.filters)
    assert rows[name]["multiply_adds"] == m.weights * m.side ** 2
    assert rows[name]["output"] == (m.n1 + m.n3 + m.n5 + m.pool, m.side, m.side)


def test_rows_outside_the_modules(rows):
    assert rows["conv1"]["weights"] == 7 * 7 * 3 * 64
    assert rows["conv1"]["multiply_adds"] == 7 * 7 * 3 * 64 * 112 * 112
    assert rows["conv2_reduce"]["weights"] + rows["conv2"]["weights"] == 64 * 64 + 9 * 64 * 192
    assert rows["linear"]["parameters"] == 1024 * 1000 + 1000
    for name in ("pool1", "norm1", "norm2", "pool2", "pool3", "pool4", "avgpool", "dropout"):
        assert rows[name]["parameters"] == rows[name]["multiply_adds"] == 0


@pytest.mark.parametrize("name", KI)
def test_recomputed_column(rows, name):
    parts = [rows[n] for n in (("conv2_reduce", "conv2") if name == "conv2" else (name,))]
    assert sum(p["weights"] for p in parts) / 1024 == KI[name]
    assert sum(p["multiply_adds"] for p in parts) / 1e6 == pytest.approx(MILLIONS[name], abs=0.006)


def test_output_sizes():
    assert cost.shapes(googlenet()) == [(name, (c, side, side)) for name, (side, c) in SHAPES.items()]


def test_printed_values():
    expected = {name: (row.params_k, row.ops_m) for name, row in MODULES.items()}
    expected |= {"conv1": (2.7, 34), "conv2": (112, 360), "linear": (1000, 1)}
    assert dict(TABLE1_PRINTED) == expected


def test_56_px_give_the_published_grids():
    published = dict(cost.shapes(googlenet()))
    for name, shape in cost.shapes(googlenet(stem=2, resolution=56)):
        if name not in ("conv1", "norm1"):
            assert shape == published[name]


@pytest.mark.parametrize(("grid", "pool"), [(14, (5, 3)), (7, (4, 1)), (8, (2, 2)), (16, (4, 4)), (28, (7, 7))])
def test_auxiliary_pool_ends_at_4_by_4(grid, pool):
    (op,) = aux_pool(grid)
    assert (op.kernel, op.stride) == pool
    assert (grid - op.kernel) // op.stride + 1 == 4


@pytest.mark.parametrize("grid", [1, 2, 3, 4])
def test_auxiliary_pool_leaves_small_maps(grid):
    assert aux_pool(grid) == ()


def test_width_scales_everything_but_the_classes():
    net = googlenet(width=0.25, classes=10)
    filters = [n for row in MODULES.values() for n in row.filters]
    scaled = [n for row in net.rows if row.name in MODULES
              for n in (row.op.n1x1, row.op.n3x3_reduce, row.op.n3x3, row.op.n5x5_reduce, row.op.n5x5,
                        row.op.pool_proj)]
    for full, narrow in zip(filters, scaled, strict=True):
        assert narrow % 8 == 0
        assert narrow >= 8
        assert abs(narrow - full / 4) <= 4
    assert [op.out for op in net.aux[0].ops if hasattr(op, "out")] == [32, 256, 10]
    assert net.rows[-1].op.out == 10
