"""Views as Pillow and torchvision cut them; heads as a loop over images reads them."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from replication.data import spec
from replication.data.load import Split
from replication.data.transforms import evaluate_view, normalise
from replication.errors import BadInput
from replication.models.build import Net, build
from replication.runs import experiments
from replication.training import crops, evaluate, views
from replication.training.crops import View
from replication.training.logits import errors, logit_mean

Tiny = Callable[..., experiments.Experiment]


def photograph(height: int, width: int, n: int = 2, seed: int = 0) -> torch.Tensor:
    """Smooth enough to be resized, and without any symmetry."""
    coarse = torch.randint(0, 256, (n, 3, 9, 7), generator=torch.Generator().manual_seed(seed)).float()
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255).to(torch.uint8)
    return fine.contiguous(memory_format=torch.channels_last)


def levels(view: torch.Tensor) -> torch.Tensor:
    """Back from what a network sees to 0 … 255."""
    return ((view * 0.25 + 0.5) * 255).round()


def pillow(image: torch.Tensor, view: View, crop: int) -> torch.Tensor:
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    scale = view.short / min(picture.size)
    picture = picture.resize([int(side * scale + 0.5) for side in picture.size], Image.Resampling.BILINEAR)
    picture = picture.crop((view.left, view.top, view.left + view.side, view.top + view.side))
    picture = picture.resize((crop, crop), Image.Resampling.BILINEAR)
    if view.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float()


@pytest.mark.parametrize(("height", "width", "crop"), [(60, 80, 28), (80, 60, 28), (64, 64, 56), (48, 48, 48)])
def test_every_view_is_pillows(height: int, width: int, crop: int) -> None:
    images = photograph(height, width)
    asked = crops.views(144, height, width, crop)
    found = list(views.cut(images, asked, crop))
    assert len(found) == 144
    for view, batch in zip(asked, found, strict=True):
        assert batch.shape == (2, 3, crop, crop)
        assert batch.dtype == torch.float32
        for image, got in zip(images, batch, strict=True):
            away = (levels(got) - pillow(image, view, crop)).abs()
            assert away.max() <= 2, view  # Pillow rounds once more a resize, after its rows
            assert away.mean() < 0.5, view


def test_the_ten_are_torchvisions() -> None:
    images = photograph(64, 64)
    found = [levels(v) for v in views.cut(images, crops.views(10, 64, 64, 56), 56)]
    reference = [v.float() for v in TF.ten_crop(images, [56, 56])]
    assert len(reference) == 10
    for one in reference:
        assert sum(torch.equal(one, other) for other in found) == 1


def test_one_view_of_64_px_is_the_one_of_training() -> None:
    images, ops = photograph(64, 64), (spec.RandomCrop(56), spec.Flip())
    assert torch.equal(*views.several(1, 56)(images), evaluate_view(images, ops))
    two = list(views.several(2, 56)(images))
    assert torch.equal(two[1], evaluate_view(images, ops).flip(3))


def test_where_nothing_is_resized_the_pixels_stay() -> None:
    images = photograph(64, 64)
    before = images.clone()
    for view, got in zip(found := crops.views(10, 64, 64, 56), views.cut(images, found, 56), strict=True):
        exact = images[:, :, view.top:view.top + 56, view.left:view.left + 56]
        assert torch.equal(got, normalise(exact.flip(3) if view.mirrored else exact))
    assert torch.equal(images, before)


def test_several_looks_at_a_square_image_48_times() -> None:
    assert len(list(views.several(144, 56)(photograph(64, 64)))) == 48
    assert len(list(views.several(144, 28)(photograph(60, 80)))) == 144


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(BadInput, match="A crop of 56 px does not fit images of 48×64 px"):
        list(views.several(10, 56)(photograph(48, 64)))


# -- heads ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def made(tiny: Tiny) -> tuple[experiments.Experiment, Net, Split]:
    experiment = tiny("bn")
    torch.manual_seed(0)
    return experiment, build(experiment.network), Split(photograph(32, 32, n=7), torch.arange(7) % 3)


def test_one_view_gives_the_logits_of_training(made: tuple[experiments.Experiment, Net, Split]) -> None:
    experiment, network, split = made
    found = views.evaluate_heads(network, split, views.centre(experiment.recipe), batch=3)
    assert list(found) == ["main", "4a", "4d"]
    assert not network.training
    main = evaluate.logits(network, split, experiment.recipe.augment, batch=3)
    np.testing.assert_array_equal(found["main"], main.numpy())
    direct = network.logits(normalise(split.images), ("4a", "4d"))
    for head, logits in direct.items():
        np.testing.assert_allclose(found[head], logits.detach().numpy(), rtol=1e-4, atol=1e-5)
        assert np.abs(found[head] - found["main"]).max() > 1e-3


def test_several_views_are_averaged_image_by_image(made: tuple[experiments.Experiment, Net, Split]) -> None:
    """All 144, though `several` looks at 48; each image alone, in double precision."""
    _, network, split = made
    several = [views.evaluate_heads(network, split, views.several(144, 32), batch=batch) for batch in (2, 7)]
    for i in (0, 1, 6):
        chances = []
        for view in views.cut(split.images[i:i + 1], crops.views(144, 32, 32, 32), 32):
            with torch.no_grad():
                chances.append(network.logits(view, ("4d",))["4d"].double().softmax(1))
        expected = torch.stack(chances).mean(0)[0]
        for found in several:
            np.testing.assert_allclose(np.exp(found["4d"][i]), expected.numpy(), rtol=1e-4)
    assert several[0]["main"].dtype == np.float32


def test_another_rule_may_combine_them(made: tuple[experiments.Experiment, Net, Split]) -> None:
    _, network, split = made
    found = views.evaluate_heads(network, split, views.several(2, 32), logit_mean)
    with torch.no_grad():
        both = [network(view) for view in views.several(2, 32)(split.images)]
    np.testing.assert_allclose(found["main"], sum(both).numpy() / 2, rtol=1e-4, atol=1e-5)


def test_every_rule_from_one_look(made: tuple[experiments.Experiment, Net, Split]) -> None:
    experiment, network, split = made
    found = views.by_rule(network, experiment, split, 10)
    assert sorted(found.logits) == sorted(f"{head}{rule}" for head in ("main", "4a", "4d")
                                          for rule in ("", ", logit mean", ", maximum"))
    with torch.no_grad():
        each = torch.stack([network.logits(view, ("4a",))["4a"] for view in views.several(10, 32)(split.images)])
    chances = each.softmax(2)
    for name, expected in (("4a", chances.mean(0)), ("4a, logit mean", each.mean(0).softmax(1)),
                           ("4a, maximum", chances.amax(0) / chances.amax(0).sum(1, keepdim=True))):
        found_chances = torch.from_numpy(found.logits[name]).softmax(1)
        torch.testing.assert_close(found_chances, expected, rtol=1e-3, atol=1e-5)
    assert found.images == views.of_network(network, experiment, split, 10).images


def test_scores_say_which_images(made: tuple[experiments.Experiment, Net, Split]) -> None:
    experiment, network, split = made
    one, ten = (views.of_network(network, experiment, split, number) for number in (1, 10))
    assert one.images == ten.images
    np.testing.assert_array_equal(one.labels, split.labels)
    assert np.abs(one.logits["main"] - ten.logits["main"]).max() > 1e-3
    measured = evaluate.errors(torch.from_numpy(one.logits["main"]), split.labels)
    assert errors(one.logits["main"], one.labels)["error"] == pytest.approx(measured["val_error"])
