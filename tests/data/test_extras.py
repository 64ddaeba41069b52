import numpy as np
import pytest
import torch
from PIL import Image

from visrun.build import load, narrow
from visrun.data import extras
from visrun.tables import AUGMENTATIONS

COLOURS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def rng(seed=0):
    return np.random.default_rng([seed, 1, 2])


@pytest.fixture
def images():
    return torch.randn(64, 3, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_keeps_the_shape_changes_something_and_is_keyed(name, images):
    function = narrow(load(AUGMENTATIONS[name]), COLOURS)
    once, again, other = function(images, rng()), function(images, rng()), function(images, rng(1))
    assert once.shape == images.shape and once.dtype == images.dtype
    assert torch.equal(once, again)
    assert not torch.equal(once, other) and not torch.equal(once, images)
    assert torch.isfinite(once).all()


def test_grayscale_of_some_samples_is_pillows(images):
    """Grey stays as it is, padding too."""
    pixels = torch.randint(0, 256, (64, 3, 12, 10), generator=torch.Generator().manual_seed(0))
    pixels[:, :, :2] = pixels[:, :1, :2]
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in COLOURS.values())
    images = (pixels / 255 - mean) / std
    images[:, :, -2:] = 0
    seen = extras.grayscale(images, rng(), **COLOURS)
    assert (seen[:, :, -2:] == 0).all()
    torch.testing.assert_close(seen[:, :, :2], images[:, :, :2], atol=1e-5, rtol=0)
    same = (seen == images).flatten(1).all(1)
    assert 0.1 < 1 - same.float().mean() < 0.5
    levels = ((seen * std + mean) * 255)[~same, :, :-2]
    pages = [Image.fromarray(page.permute(1, 2, 0).byte().numpy()).convert("L") for page in pixels[~same]]
    luma = torch.stack([torch.from_numpy(np.array(page)) for page in pages])[:, None, :-2].expand_as(levels)
    torch.testing.assert_close(levels, luma.float(), atol=0.51, rtol=0)


def test_blur_keeps_flat_images_and_smooths_others(images):
    flat = torch.full((8, 3, 9, 9), 2.5)
    torch.testing.assert_close(extras.blur(flat, rng()), flat)
    blurred = extras.blur(images, rng())
    changed = (blurred - images).abs().amax((1, 2, 3)) > 1e-3
    assert 0.1 < changed.float().mean() < 0.5
    assert (blurred[changed].std((1, 2, 3)) < images[changed].std((1, 2, 3))).all()


def test_noise_has_no_bias_and_a_bounded_strength(images):
    added = extras.noise(images, rng()) - images
    assert abs(added.mean().item()) < 5e-3
    assert (added.std((1, 2, 3)) < extras.NOISE * 1.3).all()
