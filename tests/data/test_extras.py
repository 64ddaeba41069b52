import numpy as np
import pytest
import torch

from visrun.build import load
from visrun.data import extras
from visrun.tables import AUGMENTATIONS


def rng(seed=0):
    return np.random.default_rng([seed, 1, 2])


@pytest.fixture
def images():
    return torch.randn(64, 3, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_keeps_the_shape_changes_something_and_is_keyed(name, images):
    function = load(AUGMENTATIONS[name])
    once, again, other = function(images, rng()), function(images, rng()), function(images, rng(1))
    assert once.shape == images.shape and once.dtype == images.dtype
    assert torch.equal(once, again)
    assert not torch.equal(once, other) and not torch.equal(once, images)
    assert torch.isfinite(once).all()


def test_grayscale_of_some_samples_is_the_mean_of_their_channels(images):
    seen = extras.grayscale(images, rng())
    grey = (seen - images.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6
    same = (seen == images).flatten(1).all(1)
    assert bool((grey ^ same).all()) and 0.1 < grey.float().mean() < 0.5


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
