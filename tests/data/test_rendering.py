"""Pages of four pictures: which part shows which, and that none bleeds into its neighbour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from visrun.data import augment, rendering
from visrun.data.augment import Augment
from visrun.data.look import Look

SIZE = (40, 60)
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}  # leaves pixel values as they are


def planned(kept, how, *, seed=0, canvas=(40, 60)):
    rngs = [np.random.default_rng(seed)]
    return augment.plan(
        rngs, np.array(kept, float)[None], image_size=SIZE, canvas=canvas, fit="zoom", augment=how, **PLAIN
    )


def pictures(kept, canvas=(40, 60)):
    """Picture q is of level 40 (q + 1) throughout, and of 255 beyond its end in the canvas."""
    pages = torch.full((len(kept) * 4, *canvas, 3), 255, dtype=torch.uint8)
    for number, (h, w) in enumerate(np.array(kept).reshape(-1, 2).tolist()):
        pages[number, :h, :w] = 40 * (number % 4 + 1)
    return pages


@pytest.mark.parametrize("seed", range(5))
def test_each_part_of_a_mosaic_shows_its_picture_alone(seed):
    kept = [[(40, 60), (30, 60), (40, 20), (25, 37)]] * 8
    plan = planned(kept, Augment(mosaic=1.0, hflip=True, vflip=True), seed=seed)
    table = torch.from_numpy(plan.table[0])
    images = rendering.render_images(pictures(kept), plan, table, SIZE)
    assert images.shape == (8, 3, *SIZE)
    meet = rendering.columns(plan, table)[:, augment.SPLIT]
    y, x = (torch.arange(n).add(0.5) / n for n in SIZE)
    for image, (across, down) in zip(images, meet.tolist(), strict=True):
        for q, (right, low) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            part = image[0][(y >= down) == bool(low)][:, (x >= across) == bool(right)]
            assert set(part.unique().round().tolist()) <= {0, 40 * (q + 1)}
            corner = part[-1 if not low else 0, -1 if not right else 0]  # every picture reaches the point
            assert corner.round() == 40 * (q + 1)


def test_numbers_of_objects_tell_their_picture():
    kept = [[(40, 60)] * 4] * 3
    plan = planned(kept, Augment(mosaic=1.0))
    layers = rendering.render_layers(
        torch.ones(12, 2, 40, 60, dtype=torch.uint8), plan, torch.from_numpy(plan.table[0]), SIZE, stride=4
    )
    assert layers.shape == (3, 2, 10, 15) and layers.dtype == torch.int16
    assert set(layers.unique().tolist()) <= {0, 1, 257, 513, 769}
    assert {1, 257, 513, 769} <= set(layers.unique().tolist())


def test_samples_that_are_no_mosaic_are_as_without():
    kept = np.array([[(40, 60), (30, 60), (40, 20), (25, 37)]] * 6)
    how = Augment(crop_scale=(0.5, 1.5), hflip=True, rotate=20)
    alone = planned(kept[:, :1], how)
    never = planned(kept, Augment(crop_scale=(0.5, 1.5), hflip=True, rotate=20, mosaic=1e-12))
    pages = pictures(kept.tolist())
    one = rendering.render_images(pages[::4], alone, torch.from_numpy(alone.table[0]), SIZE)
    other = rendering.render_images(pages, never, torch.from_numpy(never.table[0]), SIZE)
    torch.testing.assert_close(one, other, atol=1e-2, rtol=0)


def test_layers_are_taken_from_the_middle_of_each_cell_on_either_side_by_turns():
    plan = planned([[(40, 60)]], None)
    assert plan.corner == (0, 0)
    masks = torch.arange(40 * 60).reshape(1, 1, 40, 60).remainder(251).to(torch.uint8)
    for same in (plan, replace(plan, corner=None)):  # a slice, and the same view through the grid
        layers = rendering.render_layers(masks, same, torch.from_numpy(same.table[0]), SIZE, stride=4)[0, 0]
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            at = 2 if row != column else 1
            taken = masks[0, 0, 4 * row + at :: 8, 4 * column + at :: 8]
            assert torch.equal(layers[row::2, column::2], taken.to(torch.int16))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("how", [None, Augment(hflip=True, vflip=True)], ids=["plain", "mirrored"])
@pytest.mark.parametrize("kept", [(40, 60), (60, 90)], ids=["training scale", "larger"])
def test_masks_at_a_quarter_are_moved_to_neither_side(kept, how, side):
    """Over all places of an edge within a cell, as much is covered as at full size."""
    plan, edges = planned([[kept]] * 6, how, canvas=kept), range(24, 24 + 4 * kept[0] // SIZE[0])
    masks = torch.zeros(len(edges), 6, 1, *kept, dtype=torch.uint8)
    for page, edge in zip(masks, edges, strict=True):
        page.narrow(2 + side, edge, kept[side] - edge).fill_(1)
    table = torch.from_numpy(plan.table[0])
    layers = torch.stack([rendering.render_layers(page, plan, table, SIZE, stride=4) for page in masks])
    excess = kept[side] * (layers.float().mean((0, 2, 3, 4)) - masks.float().mean((0, 2, 3, 4)))
    assert excess.abs().max() < 0.05  # of a kept pixel


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "instances"])
def test_objects_take_mosaics_and_nothing_that_hides_them(kind):
    how, dropped = augment.fitting(Augment(mixup=0.2, cutmix=1.0, erase=0.5, mosaic=0.5), kind)
    assert dropped == ("mixup", "cutmix", "erase") and how.mosaic == 0.5
    assert augment.fitting(Augment(mosaic=0.5), "label")[1] == ("mosaic",)


IMAGENET = (0.485, 0.456, 0.406)


@pytest.mark.parametrize("mean", [(0.0,) * 3, (1.0,) * 3, (0.2, 0.4, 0.6), IMAGENET, (0.5,) * 3])
def test_a_pixel_of_the_mean_colour_is_no_padding(mean):
    """A square of exactly that colour in a picture that pads the training image left and right."""
    look = Look(image_size=(40, 60), fit="letterbox", mean=mean, std=(0.25,) * 3)
    np.testing.assert_allclose(look.mean, mean, atol=2e-4)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), dtype=np.uint8)
    pixels[:, 10:30, 10:30] = np.multiply(mean, 255).round()
    plan = augment.plan(
        [np.random.default_rng(0)],
        np.full((1, 1, 1, 2), 40.0),
        image_size=look.image_size,
        canvas=(40, 40),
        fit=look.fit,
        augment=None,
        mean=look.mean,
        std=look.std,
    )
    images = rendering.render_images(torch.from_numpy(pixels), plan, torch.from_numpy(plan.table[0]), look.image_size)
    shown = torch.zeros(1, 40, 60, dtype=torch.bool)
    shown[..., 10:50] = True
    assert torch.equal(rendering.seen(images), shown)


def test_a_mean_that_no_pixel_has_stays_as_it_is():
    for mean in (IMAGENET, (0.5, 0.5, 0.5), (0.0, 0.0, 0.5)):
        assert Look(image_size=(40, 60), fit="crop", mean=mean, std=(0.25,) * 3).mean == mean
