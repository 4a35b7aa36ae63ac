from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms import functional as TF

from replication.data import boxes, colour
from replication.data.boxes import Boxes
from replication.data.spec import AreaCrop, Flip, Photometric, RandomCrop
from replication.data.transforms import augment, crop_at, evaluate_view, flip_where, normalise, order
from replication.errors import BadInput

CPU = torch.device("cpu")
ALL_FOUR = ("bilinear", "area", "nearest", "cubic")


@pytest.fixture(params=["nhwc", "nchw"])
def images(request):
    made = torch.randint(0, 256, (40, 3, 12, 10), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return made.contiguous(memory_format=torch.channels_last) if request.param == "nhwc" else made


def test_crops_are_torchvisions(images):
    tops, lefts = torch.arange(40) % 6, torch.arange(40) % 4
    loop = torch.stack([TF.crop(image, int(t), int(left), 7, 7)
                        for image, t, left in zip(images, tops, lefts, strict=True)])
    assert torch.equal(crop_at(images, 7, tops, lefts), loop)


def test_flips_are_torchvisions(images):
    mirrored = torch.arange(40) % 3 == 0
    loop = torch.stack([TF.hflip(image) if m else image for image, m in zip(images, mirrored, strict=True)])
    assert torch.equal(flip_where(images, mirrored), loop)


def test_normalised_as_torchvision_does(images):
    expected = TF.normalize(images.float() / 255, [0.5] * 3, [0.25] * 3)
    out = normalise(images)
    assert torch.allclose(out, expected, atol=1e-6)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8


@pytest.mark.parametrize(("crop", "side"), [(RandomCrop(7), 7), (RandomCrop(10, pad=2), 10), (RandomCrop(14, 3), 14)])
def test_every_augmented_image_is_one_of_those_torchvision_could_make(images, crop, side):
    torch.manual_seed(0)
    out = augment(images, (crop, Flip()))
    assert out.shape == (40, 3, side, side)
    assert out.is_contiguous(memory_format=torch.channels_last)
    chosen = set()
    for image, got in zip(images, out, strict=True):
        padded = TF.pad(image, [crop.pad] * 4)
        for top in range(padded.shape[1] - side + 1):
            for left in range(padded.shape[2] - side + 1):
                one = normalise(TF.crop(padded, top, left, side, side)[None])[0]
                chosen |= {(top, left, m) for m, v in ((False, one), (True, one.flip(2))) if torch.equal(v, got)}
    tops, lefts, mirrored = map(set, zip(*chosen, strict=True))
    assert tops == set(range(12 + 2 * crop.pad - side + 1))
    assert lefts == set(range(10 + 2 * crop.pad - side + 1))
    assert mirrored == {False, True}
    assert len(chosen) > 20, "every image its own"


def test_each_image_is_matched_exactly_once_in_order():
    """Image i of the batch stays image i."""
    images = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(30, 3, 8, 8)
    out = augment(images, (RandomCrop(5), Flip()))
    assert torch.equal(out, normalise(images[:, :, :5, :5]))


def test_positions_are_uniform():
    torch.manual_seed(1)
    ramp = (torch.arange(12)[:, None] * 12 + torch.arange(12)).to(torch.uint8).expand(6400, 3, 12, 12)
    corner = ((augment(ramp, (RandomCrop(5),))[:, 0, 0, 0] * 0.25 + 0.5) * 255).round().long()
    counts = torch.stack([corner // 12, corner % 12]).flatten().bincount(minlength=8)
    assert len(counts) == 8
    assert (counts - 1600).abs().max() < 200  # five standard deviations


def test_the_default_generator_decides(images):
    def once(seed):
        torch.manual_seed(seed)
        return augment(images, (RandomCrop(6), Flip()))

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_evaluation_shows_the_centre(images):
    ops = (RandomCrop(6), Flip())
    assert torch.equal(evaluate_view(images, ops), normalise(TF.center_crop(images, [6, 6])))
    assert torch.equal(evaluate_view(images, ()), normalise(images))
    square = images[:, :, :10]
    assert torch.equal(evaluate_view(square, (RandomCrop(10, pad=4),)), normalise(square))


@pytest.mark.parametrize("see", [augment, evaluate_view])
def test_a_crop_that_does_not_fit(images, see):
    with pytest.raises(BadInput, match="A crop of 11 px does not fit images of 12×10 px"):
        see(images, (RandomCrop(11),))
    assert see(images, (RandomCrop(12, pad=1),)).shape == (40, 3, 12, 12)


def test_features_made_beforehand_stay_what_they_are():
    features = torch.randn(6, 1, 12, 10)
    assert torch.equal(normalise(features), features)
    assert torch.equal(augment(features, ()), features)
    assert torch.equal(evaluate_view(features, (RandomCrop(6),)), features[:, :, 3:9, 2:8])
    double = normalise(features.double())
    assert double.dtype == torch.float32
    assert torch.equal(double, features)


# -- V1 §6: boxes of any area and aspect ---------------------------------------------------------------------------
def drawn(n, height, width, crop, seed=0):
    torch.manual_seed(seed)
    return [part.double().numpy() for part in boxes.draw(n, height, width, crop, CPU)]


def uniform(values):
    """Whether they could be even between 0 and 1: Kolmogorov and Smirnov."""
    return stats.kstest(values, "uniform").pvalue > 0.01


SIDE = 100_000  # so large that a px is nothing


@pytest.mark.parametrize("crop", [AreaCrop(32), AreaCrop(32, (0.3, 0.6), (0.5, 3.0))])
def test_area_aspect_and_centre_are_spread_as_v1_says(crop):
    tops, lefts, heights, widths = drawn(4000, SIDE, SIDE, crop)
    area, aspect = heights * widths / SIDE ** 2, widths / heights
    low, high = crop.area
    assert uniform((area - low) / (high - low))
    first, last = (np.log(np.clip(bound, *crop.aspect)) for bound in (area, 1 / area))  # those that fit
    share = (np.log(aspect) - first) / (last - first)
    assert uniform(share)
    if crop.area[0] == 0.08:
        free = area < 0.7  # every aspect fits
        assert uniform(np.log(aspect[free] * 4 / 3) / math.log(16 / 9))
        assert not uniform((aspect[free] - 3 / 4) / (4 / 3 - 3 / 4))
    loose = (widths < 0.99 * SIDE) & (heights < 0.99 * SIDE)
    down, right = ((starts[loose] / (SIDE - lengths[loose])) for starts, lengths in ((tops, heights), (lefts, widths)))
    assert uniform(down)
    assert uniform(right)
    for starts, lengths in ((tops, heights), (lefts, widths)):
        centres = (starts + lengths / 2) / SIDE
        assert abs(centres.mean() - 0.5) < 5 * centres.std() / math.sqrt(len(centres))
    for a, b in itertools.combinations((area[loose], share[loose], down, right), 2):
        assert stats.spearmanr(a, b).pvalue > 1e-3


@pytest.mark.parametrize(("height", "width"), [(64, 64), (12, 10), (10, 40), (3, 3), (1, 1)])
def test_every_box_lies_in_its_image(height, width):
    tops, lefts, heights, widths = drawn(20_000, height, width, AreaCrop(8))
    for starts, lengths, side in ((tops, heights, height), (lefts, widths, width)):
        assert lengths.min() >= 1
        assert starts.min() == 0
        assert (starts + lengths).max() == side
        for length in np.unique(lengths):  # every place there is
            found = starts[lengths == length]
            assert len(found) < 600 or set(found) == set(range(int(side - length) + 1))
    if height == width == 64:
        assert np.abs(heights * widths / (64 * 64) - 0.54).mean() == pytest.approx(0.23, abs=0.01)


def some_boxes(images):
    """Forty, from one px to the whole image of 12×10."""
    draws = np.random.RandomState(3)
    heights, widths = draws.randint(1, 13, 40), draws.randint(1, 11, 40)
    heights[:2], widths[:2] = (12, 1), (10, 1)
    tops = [draws.randint(12 - h + 1) for h in heights]
    lefts = [draws.randint(10 - w + 1) for w in widths]
    return Boxes(*(torch.tensor(np.array(part)) for part in (tops, lefts, heights, widths)))


def cut(images, where, i):
    top, left, height, width = (int(part[i]) for part in where)
    return images[i:i + 1, :, top:top + height, left:left + width].double()


@pytest.mark.parametrize("size", [1, 7, 10, 16, 33])
@pytest.mark.parametrize(("name", "options"), [
    ("bilinear", {"mode": "bilinear", "align_corners": False}), ("area", {"mode": "area"}),
    ("nearest", {"mode": "nearest-exact"}), ("cubic", {"mode": "bicubic", "align_corners": False})])
def test_a_box_is_cut_out_and_resized_as_torch_does(images, size, name, options):
    where = some_boxes(images)
    found = boxes.resize(images, where, size, (name,), torch.zeros(40, dtype=torch.int64))
    assert found.shape == (40, 3, size, size)
    for i in range(40):
        expected = F.interpolate(cut(images, where, i), (size, size), **options)
        torch.testing.assert_close(found[i:i + 1].double(), expected, rtol=0, atol=2e-3)


def test_bilinear_by_hand(images):
    """Half-pixel centres, the edge's pixel again beyond the edge: a loop over numbers."""
    where = some_boxes(images)
    found = boxes.resize(images, where, 5, ("bilinear",), torch.zeros(40, dtype=torch.int64))
    for i in range(0, 40, 7):
        box = cut(images, where, i)[0].numpy()
        for row, column in itertools.product(range(5), range(5)):
            y = min(max((row + 0.5) * box.shape[1] / 5 - 0.5, 0), box.shape[1] - 1)
            x = min(max((column + 0.5) * box.shape[2] / 5 - 0.5, 0), box.shape[2] - 1)
            sums = np.zeros(3)
            for r, c in itertools.product((math.floor(y), math.ceil(y)), (math.floor(x), math.ceil(x))):
                share = (1 if y == int(y) else 1 - abs(y - r)) * (1 if x == int(x) else 1 - abs(x - c))
                twice = (2 if y == int(y) else 1) * (2 if x == int(x) else 1)
                sums += share * box[:, r, c] / twice
            np.testing.assert_allclose(found[i, :, row, column].numpy(), sums, atol=2e-3)


def test_each_image_is_resized_by_the_interpolation_drawn_for_it(images):
    where, which = some_boxes(images), torch.arange(40) % 4
    found = boxes.resize(images, where, 16, ALL_FOUR, which)
    apart = []
    for k, name in enumerate(ALL_FOUR):
        alone = boxes.resize(images, where, 16, (name,), torch.zeros(40, dtype=torch.int64))
        assert torch.equal(found[k::4], alone[k::4])
        apart.append(alone)
    for a, b in itertools.combinations(apart, 2):
        assert (a - b).abs().mean() > 1


def test_interpolations_are_drawn_evenly_and_each_image_s_own():
    """Of one image that four interpolations make into four, 4000 times."""
    one = torch.randint(0, 256, (1, 3, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = AreaCrop(13, (1.0, 1.0), (1.0, 1.0), ALL_FOUR)
    torch.manual_seed(0)
    found = augment(one.expand(4000, -1, -1, -1), (whole,))
    four = [augment(one, (AreaCrop(13, (1.0, 1.0), (1.0, 1.0), (name,)),)) for name in ALL_FOUR]
    counts = [(found == each).flatten(1).all(1).sum().item() for each in four]
    assert sum(counts) == 4000
    assert stats.chisquare(counts).pvalue > 0.01


def test_an_area_crop_s_pixels_are_a_box_s_rounded(images):
    torch.manual_seed(5)
    out = augment(images, (AreaCrop(8),))
    torch.manual_seed(5)
    where = boxes.draw(40, 12, 10, AreaCrop(8), CPU)
    assert len(set(zip(*(part.tolist() for part in where), strict=True))) > 30, "every image its own"
    for i in range(40):
        expected = F.interpolate(cut(images, where, i), (8, 8), mode="bilinear", align_corners=False)
        grey = (out[i:i + 1].double() * 0.25 + 0.5) * 255
        assert (grey - grey.round()).abs().max() < 1e-3
        assert (grey - expected).abs().max() < 0.5 + 2e-3
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_the_whole_image_at_its_own_size_is_the_image(images):
    square = images[:, :, :10]
    for name in ALL_FOUR:
        whole = AreaCrop(10, (1.0, 1.0), (1.0, 1.0), (name,))
        assert torch.equal(augment(square, (whole,)), normalise(square))


def test_cubic_stays_within_the_grey_levels():
    edge = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    where = Boxes(*(torch.tensor([v]) for v in (0, 0, 8, 8)))
    raw = boxes.resize(edge, where, 31, ("cubic",), torch.tensor([0]))
    assert raw.min() < -1
    assert raw.max() > 256
    out = augment(edge, (AreaCrop(31, (1.0, 1.0), (1.0, 1.0), ("cubic",)),))
    assert torch.equal(out, normalise(raw.clamp(0, 255).round().to(torch.uint8)))


def test_evaluation_shows_seven_eighths(images):
    """V1 §7: 224 px of 256, to the pixel; else resized to what the network takes."""
    large = torch.randint(0, 256, (2, 3, 64, 72), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    exact = normalise(TF.center_crop(large, [56, 56]))
    assert torch.equal(evaluate_view(large, (AreaCrop(56), Flip(), Photometric())), exact)
    smaller = F.interpolate(large[:, :, 4:60, 8:64].double(), (32, 32), mode="bilinear", align_corners=False)
    grey = (evaluate_view(large, (AreaCrop(32),)).double() * 0.25 + 0.5) * 255
    assert (grey - smaller).abs().max() < 0.5 + 2e-3


def test_an_unknown_interpolation(images):
    with pytest.raises(BadInput, match=r"Unknown interpolation 'cubik'\. Did you mean 'cubic'"):
        augment(images, (AreaCrop(8, interpolation=("bilinear", "cubik")),))


# -- V1 §6: photometric distortions --------------------------------------------------------------------------------
def change(images, order, factors, light=0.0):
    """One order and one triple of factors for all."""
    n = len(images)
    return colour.distort(images.float(), colour.Distortion(
        torch.tensor(order).expand(n, 3), torch.tensor(factors).expand(n, 3), torch.full((n, 3), light)))


THEIRS = {colour.BRIGHTNESS: TF.adjust_brightness, colour.CONTRAST: TF.adjust_contrast,
          colour.SATURATION: TF.adjust_saturation}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("factors", [(0.5, 1.5, 0.8), (1.3, 0.6, 1.5), (0.0, 0.7, 1.2), (1.0, 1.0, 1.0)])
def test_distortions_are_torchvision_s_in_the_order_drawn(images, order, factors):
    expected = images.float() / 255
    for which, factor in zip(order, factors, strict=True):
        expected = THEIRS[which](expected, factor)
    assert torch.allclose(change(images, order, factors), expected * 255, atol=0.1)  # theirs has luma's third digit cut


def test_distortions_by_arithmetic(images):
    flat = images.double()
    luma = 0.299 * flat[:, 0] + 0.587 * flat[:, 1] + 0.114 * flat[:, 2]
    assert torch.equal(change(images, (0, 1, 2), (1.0, 1.0, 1.0)), images.float())
    assert torch.equal(change(images, (0, 1, 2), (0.5, 1.0, 1.0)), images.float() / 2)
    none = change(images, (2, 0, 1), (0.0, 1.0, 1.0)).double()
    torch.testing.assert_close(none, luma[:, None].expand_as(none), rtol=0, atol=1e-3)
    mean = change(images, (1, 0, 2), (0.0, 1.0, 1.0)).double()
    torch.testing.assert_close(mean, luma.mean((1, 2))[:, None, None, None].expand_as(mean), rtol=0, atol=1e-3)
    lighter = change(images, (0, 1, 2), (1.0, 1.0, 1.0), light=20.0)
    assert torch.equal(lighter, (images.float() + 20).clamp(max=255))


def test_every_image_has_factors_and_an_order_of_its_own(images):
    torch.manual_seed(0)
    drawn = colour.draw(6000, Photometric(0.5, 1.5), CPU)
    for k in range(3):
        assert uniform(drawn.factors[:, k] - 0.5)
    orders = (drawn.order * torch.tensor([9, 3, 1])).sum(1).bincount()
    assert len(orders[orders > 0]) == 6
    assert stats.chisquare(orders[orders > 0].numpy()).pvalue > 0.01
    parts = [colour.Distortion(*(part[i:i + 1] for part in drawn)) for i in range(40)]
    alone = [colour.distort(image[None].float(), part) for image, part in zip(images, parts, strict=True)]
    batch = colour.distort(images.float(), colour.Distortion(*(part[:40] for part in drawn)))
    torch.testing.assert_close(batch, torch.cat(alone), rtol=0, atol=1e-3)


def test_lighting_goes_along_the_principal_axes_of_colour():
    """AlexNet §4.1: covariance Σ over axes of (lighting · variance)² axis axisᵀ, in units of 255."""
    torch.manual_seed(0)
    light = colour.draw(200_000, Photometric(lighting=0.1), CPU).light.double().numpy() / 255
    axes, variances = np.array(colour.AXES), np.array(colour.VARIANCES)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    expected = axes @ np.diag((0.1 * variances) ** 2) @ axes.T
    np.testing.assert_allclose(np.cov(light.T), expected, atol=0.02 * expected.max())
    along = light @ axes / (0.1 * variances)
    assert stats.kstest(along[:5000, 0], "norm").pvalue > 0.01
    np.testing.assert_allclose(along.std(0), 1, atol=0.02)
    assert np.abs(light.mean(0)).max() < 5 * 0.1 * 0.2175 / math.sqrt(len(light))


def test_photometric_ones_change_nothing(images):
    assert torch.equal(augment(images, (Photometric(1.0, 1.0, 0.0),)), normalise(images))
    torch.manual_seed(0)
    changed = augment(images, (Photometric(),))
    assert ((changed != normalise(images)).flatten(1).float().mean(1) > 0.5).all()
    grey = (changed * 0.25 + 0.5) * 255
    assert (grey - grey.round()).abs().max() < 1e-3
    assert grey.min() >= -1e-3
    assert grey.max() <= 255 + 1e-3


@pytest.mark.parametrize("op", [AreaCrop(8), Photometric()])
def test_what_needs_pixels_refuses_features(op):
    with pytest.raises(BadInput, match=rf"^{type(op).__name__} needs uint8 images of 3 channels; these are torch.flo"):
        augment(torch.randn(2, 3, 12, 10), (op,))
    with pytest.raises(BadInput, match="of 1: leave it out"):
        augment(torch.zeros(2, 1, 12, 10, dtype=torch.uint8), (op,))


# -- everything together ---------------------------------------------------------------------------------------------
V1 = (AreaCrop(8, interpolation=ALL_FOUR), Photometric(), Flip())
OLD = (RandomCrop(8, pad=2), Flip())


@pytest.mark.parametrize("ops", [V1, OLD])
def test_batches_read_no_number_back(ops):
    """Fake tensors have no values: whoever asks the device for one gets an error. So on a GPU nothing waits."""
    with FakeTensorMode():
        images = torch.zeros(6, 3, 12, 10, dtype=torch.uint8)
        assert augment(images, ops).shape == (6, 3, 8, 8)
        assert evaluate_view(images, ops).shape == (6, 3, 8, 8)


@pytest.mark.parametrize("ops", [V1, OLD])
def test_batches_are_one_graph_for_the_compiler(images, ops):
    torch.manual_seed(0)
    eager = augment(images, ops)
    torch._dynamo.reset()
    compiled = torch.compile(lambda batch: augment(batch, ops), fullgraph=True, backend="eager")
    torch.manual_seed(0)
    assert torch.equal(compiled(images), eager)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("ops", [V1, OLD])
def test_nothing_waits_on_a_gpu(images, ops):
    there = images.cuda()
    augment(there, ops)  # libraries are loaded once
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(there, ops)
        evaluate_view(there, ops)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_old_pipelines_draw_what_they_drew(images):
    """Stored runs rely on it: two corners a crop, then one coin an image, from the default generator."""
    torch.manual_seed(9)
    out = augment(images, (RandomCrop(6), Flip()))
    torch.manual_seed(9)
    tops, lefts, coins = torch.randint(7, (40,)), torch.randint(5, (40,)), torch.rand(40) < 0.5
    for i in range(40):
        one = TF.crop(images[i], int(tops[i]), int(lefts[i]), 6, 6)
        assert torch.equal(out[i], normalise((TF.hflip(one) if coins[i] else one)[None])[0])


def test_order_is_a_permutation_of_seed_and_epoch_alone():
    first = order(1000, 3, 7)
    assert first.dtype == torch.int64
    assert first.sort().values.tolist() == list(range(1000))
    torch.manual_seed(5)
    assert torch.equal(order(1000, 3, 7), first)
    others = [order(1000, 3, 8), order(1000, 4, 7), order(1000, 7, 3), order(1000, 0, 0), torch.arange(1000)]
    assert not any(torch.equal(first, other) for other in others)


def test_order_is_the_same_on_every_machine():
    """numpy promises RandomState's streams for ever, and addresses of published runs rely on it."""
    assert order(10, 0, 0).tolist() == [3, 7, 6, 4, 1, 0, 2, 8, 5, 9]
    assert order(10, 1, 2).tolist() == [6, 5, 4, 2, 1, 9, 0, 3, 8, 7]
