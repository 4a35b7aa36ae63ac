from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional as TF

from replication.data.augment import augment, crop_at, evaluate_view, flip_where, normalise, order
from replication.errors import BadInput
from replication.spec import Flip, RandomCrop


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
