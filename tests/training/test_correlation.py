"""Correlations against numpy.corrcoef, clusters of planted groups, and what a network's rows give."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.models.ops import BatchNorm
from replication.training import correlation

RNG = np.random.default_rng(5)


def test_products_of_standardised_units_are_numpys_correlations() -> None:
    units = (RNG.normal(3, 2, (50, 6)) @ RNG.normal(0, 1, (6, 6))).astype(np.float32)
    units[:, 4] = 7  # never changes
    z = correlation.standardised(units)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(z.T @ z, np.corrcoef(units.T), atol=1e-5)
    assert np.isnan(z[:, 4]).all()


def test_rings_are_loops_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "POSITIONS", 99)
    noise = RNG.normal(0, 1, (40, 3, 7, 7))
    of = (noise[:, :, :6, :6] + noise[:, :, 1:, :6] + noise[:, :, :6, 1:]).astype(np.float32)
    of[:, 2] = 0
    found = correlation.by_ring(of, np.random.default_rng(0))
    assert [line["ring"] for line in found] == [0, 1, 2]
    for line in found:
        pairs, own = [], []
        for y in (2, 3):
            for x in (2, 3):
                for v in range(6):
                    for u in range(6):
                        if max(abs(v - y), abs(u - x)) == line["ring"]:
                            r = np.corrcoef(of[:, :2, y, x].T, of[:, :2, v, u].T)[:2, 2:]
                            own += list(np.diag(r))
                            pairs += [r[a, b] for a in range(2) for b in range(2) if line["ring"] or a != b]
        assert line["pairs"] == len(pairs)
        assert line["strong"] == pytest.approx(np.mean(np.abs(pairs) > 0.3))
        assert line["own"] == pytest.approx(np.mean(own), abs=1e-5)
    assert found[1]["own"] > 0.1


def test_the_index_is_scikit_learns() -> None:
    for classes in (2, 4):
        a, b = RNG.integers(0, classes, 60), RNG.integers(0, 4, 60)
        assert correlation.rand_index(a, b) == pytest.approx(adjusted_rand_score(a, b))
    assert correlation.rand_index(a, (a + 1) % 4) == 1


def test_branches_that_correlate_are_found() -> None:
    branch = np.repeat([0, 1, 2], [4, 5, 3])
    common = RNG.normal(0, 1, (30, 3, 4, 4))
    of = (common[:, branch] + 0.3 * RNG.normal(0, 1, (30, 12, 4, 4))).astype(np.float32)
    of[:, 3] *= -1  # by |r|
    assert correlation.branches_found(of, branch) == 1
    assert abs(correlation.branches_found(RNG.normal(0, 1, of.shape).astype(np.float32), branch)) < 0.5
    assert np.isnan(correlation.branches_found(np.zeros_like(of), branch))


def test_groups_are_counted_by_the_square_that_holds_them() -> None:
    """On canvases of 9×9 the window is rows and columns 2 to 6."""
    of = RNG.normal(0, 1, (300, 3, 9, 9)).astype(np.float32)
    assert correlation.groups(of, np.random.default_rng(0)) == {1: 0, 3: 0, 5: 0}
    of[:, 1, 4, 4] = -of[:, 0, 4, 4]                       # one position
    of[:, 0, 2, 2] = of[:, 2, 4, 3] = of[:, 0, 3, 2]       # three rows
    of[:, 2, 6, 6] = of[:, 2, 6, 2]                        # five columns
    of[:, 1, 8, 8] = of[:, 1, 2, 2]                        # outside
    assert correlation.groups(of, np.random.default_rng(0)) == {1: 1, 3: 1, 5: 1}


def test_nine_images_make_a_canvas() -> None:
    images = torch.arange(20.0)[:, None, None, None].expand(20, 3, 2, 2)
    seen = correlation.canvases(images)
    assert seen.shape == (2, 3, 6, 6)
    assert seen[1, 0, ::2, ::2].tolist() == [[9, 10, 11], [12, 13, 14], [15, 16, 17]]
    assert len(correlation.canvases(images, most=1)) == 1


@pytest.mark.usefixtures("one_thread")
def test_maps_are_what_the_rows_give_and_the_control_starts_elsewhere() -> None:
    torch.manual_seed(0)
    network = build(googlenet(classes=4, width=0.125, stem=4, norm=BatchNorm(), resolution=32)).eval()
    images = torch.randn(6, 3, 32, 32)
    control = correlation.untrained(network, images, 3)
    given = dict(correlation.maps(control, images))
    assert list(given)[-1] == "5b"
    seen: dict[str, torch.Tensor] = {}
    control.get_submodule("4c").register_forward_hook(lambda _m, _i, output: seen.update(out=output))
    with torch.no_grad():
        control(images)
    np.testing.assert_allclose(given["4c"], seen["out"].numpy(), atol=1e-5)
    assert not torch.equal(next(control.parameters()), next(network.parameters()))
    first = control.get_submodule("conv1")
    assert isinstance(first, torch.nn.Conv2d)
    with torch.no_grad():
        gives = torch.nn.functional.conv2d(images, first.weight, first.bias, first.stride, first.padding)
    torch.testing.assert_close(first.norm.running_mean, gives.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
