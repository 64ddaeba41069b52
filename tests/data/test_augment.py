"""Geometry, colour and mixing: hand-derived views, Pillow as the reference, and properties that hold for every draw."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visrun.data import augment, geometry, mixing, rendering
from visrun.data.augment import Augment

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN_MEAN, PLAIN_STD = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)  # leaves pixel values as they are
FITS = ["crop", "letterbox", "zoom"]
side = st.integers(1, 400)
share = st.floats(0, 1, exclude_max=True)


def photograph(size: tuple[int, int]) -> np.ndarray:
    """The bundled portrait at (height, width), antialiased."""
    return np.array(Image.fromarray(skimage.data.astronaut()).resize(size[::-1], Image.Resampling.BILINEAR))


def planned(sizes, *, image_size, canvas, fit="crop", how=None, seed=0, mean=PLAIN_MEAN, std=PLAIN_STD):
    rng = [np.random.default_rng([seed, 0, 1])]
    sizes = np.asarray(sizes, np.float64)[None, :, None]
    return augment.plan(rng, sizes, image_size=image_size, canvas=canvas, fit=fit, augment=how, mean=mean, std=std)


def rendered(pixels, plan, image_size, masks=None):
    pixels = torch.as_tensor(np.ascontiguousarray(pixels))
    table = torch.from_numpy(plan.table[0])
    images = rendering.render_images(pixels, plan, table, image_size)
    if masks is None:
        return images, None
    layer = torch.as_tensor(np.ascontiguousarray(masks))[:, None]
    return images, rendering.render_ids(layer, plan, table, image_size)


# Mosaics


@pytest.mark.parametrize("rotate", [0.0, 20.0, 180.0])
def test_each_picture_of_a_mosaic_is_turned_and_touches_the_lines_that_meet(rotate):
    sizes = np.tile([(40.0, 60.0), (30, 60), (40, 20), (25, 37)], (16, 1, 1))
    how = Augment(mosaic=1.0, hflip=True, vflip=True, rotate=rotate)
    given = {"image_size": (64, 96), "canvas": (40, 60), "fit": "zoom", "mean": PLAIN_MEAN, "std": PLAIN_STD}
    table = augment.plan([np.random.default_rng(0)], sizes[None], augment=how, **given).table[0]
    meet = table[:, 4 * augment.SLOT :][:, augment.SPLIT] * (96, 64)
    back = table[:, : 4 * augment.SLOT].reshape(16, 4, -1)[..., augment.BACK].reshape(16, 4, 2, 3)
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])[None, None] * sizes[:, :, None, ::-1]
    corners = ends @ back[..., :2].swapaxes(2, 3) + back[:, :, None, :, 2]
    for q, side in enumerate([("max", "max"), ("min", "max"), ("max", "min"), ("min", "min")]):
        touched = np.stack([getattr(corners[:, q, :, i], side[i])(1) for i in range(2)], 1)
        np.testing.assert_allclose(touched, meet, atol=1e-3)
    turned = np.degrees(np.arctan2(back[..., 1, 0], back[..., 0, 0]) % np.pi)
    turned = np.minimum(turned, 180 - turned)
    assert turned.max() <= rotate + 1e-3 and turned.std() >= min(rotate, 45) / 4
    assert rotate == 0 or len(np.unique(turned.round(3))) == 64


def test_samples_with_too_many_objects_are_no_mosaics():
    sizes, crowded = np.full((2, 8, augment.TILES, 2), 50.0), np.arange(16).reshape(2, 8) % 2 == 0
    plans = [
        augment.plan(
            [np.random.default_rng(step) for step in range(2)],
            sizes,
            image_size=(64, 64),
            canvas=(64, 64),
            fit="zoom",
            augment=Augment(mosaic=1.0),
            mean=PLAIN_MEAN,
            std=PLAIN_STD,
            crowded=told,
        )
        for told in (crowded, None)
    ]
    some, every = ([rendering.columns(plan, step)[:, augment.SPLIT] for step in plan.table] for plan in plans)
    assert (np.array(some)[crowded] == 1).all() and (np.array(every) < 1).all()
    np.testing.assert_array_equal(np.array(some)[~crowded], np.array(every)[~crowded])


# Sizes kept


@pytest.mark.parametrize(
    ("size", "fit", "expected"),
    [
        ((375, 500), "crop", (336, 448)),  # 1.5 x 224 = 336 on the short side
        ((500, 375), "crop", (448, 336)),
        ((100, 80), "crop", (100, 80)),  # never enlarged
        ((336, 336), "crop", (336, 336)),
        ((1000, 6000), "crop", (112, 672)),  # a panorama: the long side stops at 2 x 336
        ((375, 500), "letterbox", (168, 224)),
        ((100, 80), "letterbox", (100, 80)),
        ((1, 9000), "letterbox", (1, 224)),  # no side vanishes
        ((375, 500), "zoom", (252, 336)),  # 1.5 x the letterbox
    ],
)
def test_working_size(size, fit, expected):
    assert geometry.working_size(size, (224, 224), fit) == expected


# Views


def test_centred_crop_by_hand():
    view = geometry.centred(np.array([[336.0, 448.0]]), (224, 224), "crop")
    assert view.extent.tolist() == [[336.0, 336.0]]
    assert view.centre.tolist() == [[55.5 + 168, 168.0]]  # left edge at 37 training pixels of 1.5: 55.5


def test_centred_letterbox_by_hand():
    view = geometry.centred(np.array([[50.0, 100.0]]), (200, 200), "letterbox")
    assert view.extent.tolist() == [[100.0, 100.0]]
    assert view.centre.tolist() == [[50.0, 25.0]]


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
@pytest.mark.parametrize("training", [28, 224, 300, 416])
def test_a_side_that_fits_begins_at_the_first_pixel(training, fit):
    sides = np.arange(1.0, 2 * training)
    view = geometry.centred(np.stack([sides, sides], 1), (training, training), fit)
    np.testing.assert_allclose(view.centre - view.extent / 2, 0.0, atol=1e-9)


@settings(deadline=None, max_examples=200)
@given(h=side, w=side, u=st.tuples(*[share] * 4), low=st.floats(0.05, 1), turn=st.floats(-180, 180))
def test_crops_stay_inside_the_picture_and_letterboxes_hold_all_of_it(h, w, u, low, turn):
    sizes, draws, radians = np.array([[h, w]], float), np.array([u]), np.radians([turn])
    crop = geometry.random_crop(sizes, (60, 90), draws, (low, 1.0), radians)
    corners = corners_of(crop)
    assert (corners >= -1e-6).all()
    assert (corners <= np.array([w, h]) + 1e-6).all()
    box = geometry.random_letterbox(sizes, (60, 90), draws, (low, 1.0), radians)
    whole = np.array([[0, 0], [w, 0], [w, h], [0, h]], float) - box.centre[0]
    cos, sin = np.cos(-box.angle[0]), np.sin(-box.angle[0])
    seen = np.stack([cos * whole[:, 0] - sin * whole[:, 1], sin * whole[:, 0] + cos * whole[:, 1]], 1)
    assert (np.abs(seen) <= np.abs(box.extent[0]) / 2 + 1e-6).all()


@settings(deadline=None, max_examples=200)
@given(h=side, w=side, u=st.tuples(*[share] * 4), low=st.floats(0.05, 1))
def test_a_zoom_lies_in_the_picture_or_holds_it_along_each_side(h, w, u, low):
    sizes = np.array([[h, w]], float)
    view = geometry.random_zoom(sizes, (60, 90), np.array([u]), (low, 1.0), np.zeros(1))
    whole = geometry.centred(sizes, (60, 90), "letterbox").extent[0]
    assert np.sqrt(low) - 1e-9 <= view.extent[0, 0] / whole[0] <= 1 + 1e-9
    assert view.extent[0, 0] / view.extent[0, 1] == pytest.approx(1.5)
    begin, end = view.centre[0] - view.extent[0] / 2, view.centre[0] + view.extent[0] / 2
    for first, last, side in zip(begin, end, (w, h), strict=True):
        inside, holds = first >= -1e-6 and last <= side + 1e-6, first <= 1e-6 and last >= side - 1e-6
        assert inside or holds


def corners_of(view: geometry.View) -> np.ndarray:
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * view.extent[0] / 2
    cos, sin = np.cos(view.angle[0]), np.sin(view.angle[0])
    return view.centre[0] + np.stack([cos * half[:, 0] - sin * half[:, 1], sin * half[:, 0] + cos * half[:, 1]], 1)


@given(u=st.tuples(*[share] * 4))
def test_crop_area_and_aspect_are_those_drawn(u):
    view = geometry.random_crop(np.array([[400.0, 400.0]]), (64, 64), np.array([u]), (0.3, 0.5), np.zeros(1))
    wide, high = view.extent[0]
    assert 0.3 - 1e-9 <= wide * high / 400**2 <= 0.5 + 1e-9  # up to 1/2, an aspect of 4/3 always fits
    assert 3 / 4 - 1e-9 <= wide / high <= 4 / 3 + 1e-9


# Pixels


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(48, 64), (1, 1), (64, 64)])
def test_identity_copies_pixels_exactly(fit, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    images, _ = rendered(pixels, planned([shape, shape], image_size=shape, canvas=shape, fit=fit), shape)
    assert torch.equal(images, torch.from_numpy(pixels).permute(0, 3, 1, 2).float())


def test_letterbox_copies_pixels_and_pads_with_the_mean_colour():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 30, 40, 3), dtype=np.uint8)
    masks = np.full((1, 30, 40), 7, np.uint8)
    plan = planned([(29, 40)], image_size=(40, 40), canvas=(30, 40), fit="letterbox", mean=MEAN, std=STD)
    images, ids = rendered(pixels, plan, (40, 40), masks)
    top = 6  # (40 - 29) / 2, rounded up
    expected = (torch.from_numpy(pixels[0, :29]).permute(2, 0, 1) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / (
        torch.tensor(STD).view(3, 1, 1)
    )
    torch.testing.assert_close(images[0, :, top : top + 29], expected, atol=2e-4, rtol=0)
    assert not images[0, :, :top].any()
    assert not images[0, :, top + 29 :].any()
    assert (ids[0, top : top + 29] == 7).all()
    assert (ids[0, :top] == 255).all()
    assert (ids[0, top + 29 :] == 255).all()


@pytest.mark.parametrize(
    ("kept", "training"), [((336, 448), (224, 224)), ((180, 180), (128, 128)), ((100, 90), (224, 160))]
)
def test_sampling_agrees_with_pillow_on_a_photograph(kept, training):
    pixels = photograph(kept)
    images, _ = rendered(pixels[None], planned([kept], image_size=training, canvas=kept), training)
    view = geometry.centred(np.array([kept], float), training, "crop")
    (left, top), (wide, high) = view.centre[0] - view.extent[0] / 2, view.extent[0]
    source = Image.fromarray(skimage.data.astronaut())
    scale = np.array([source.width / kept[1], source.height / kept[0]] * 2)
    box = tuple(np.array([left, top, left + wide, top + high]) * scale)
    reference = np.array(source.resize(training[::-1], Image.Resampling.BILINEAR, box=box), float)
    difference = np.abs(images[0].permute(1, 2, 0).numpy() - reference)
    # Shrinking twice is not shrinking once: within 1.5 of 255 levels on average, where nearest sampling is off by 7.
    # Enlarging what was shrunk before loses what the smaller one never had.
    assert difference.mean() < (1.5 if kept[0] > training[0] else 12)


def test_full_turns_and_flips_by_hand():
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    straight = geometry.centred(np.array([[2.0, 2.0]]), (2, 2), "crop")
    flip = geometry.flipped(straight, np.array([True]), np.array([False]))
    turned = geometry.View(straight.centre, straight.extent, np.array([np.pi / 2]))
    for view, expected in ((flip, pixels[0, :, ::-1]), (turned, np.rot90(pixels[0]))):
        matrix = torch.from_numpy(geometry.matrices(view, (2, 2)))
        grid = rendering._grid(matrix, (2, 2))
        seen = rendering._sample(torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), grid, "bilinear")
        np.testing.assert_allclose(seen[0].permute(1, 2, 0).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("fit", FITS)
def test_masks_go_through_the_transform_of_their_image(fit):
    """A disc painted in the image and in the mask still covers itself after any view."""
    y, x = np.mgrid[:90, :120]
    disc = (x - 70) ** 2 + (y - 40) ** 2 < 25**2
    pixels = np.repeat((disc * 255).astype(np.uint8)[None, ..., None], 8, 0).repeat(3, 3)
    masks = np.repeat(disc[None], 8, 0).astype(np.uint8)
    how = Augment(crop_scale=(0.5, 1.0), hflip=True, vflip=True, rotate=180)
    plan = planned([(90, 120)] * 8, image_size=(80, 80), canvas=(90, 120), fit=fit, how=how)
    images, ids = rendered(pixels, plan, (80, 80), masks)
    inside = ids != 255
    agree = ((images[:, 0] > 127) == (ids == 1)) | ~inside
    assert agree.float().mean() > 0.996  # but for the rim; off by one pixel would be 0.98
    assert (ids == 1).any()
    assert bool((ids == 255).any()) == (fit != "crop")


def test_a_letterboxed_picture_never_loses_area():
    """The whole disc stays in view: its area per picture area is that of the original."""
    y, x = np.mgrid[:90, :120]
    disc = ((x - 15) ** 2 + (y - 75) ** 2 < 14**2).astype(np.uint8)
    how = Augment(crop_scale=(0.2, 1.0), hflip=True, vflip=True, rotate=180)
    plan = planned([(90, 120)] * 16, image_size=(160, 160), canvas=(90, 120), fit="letterbox", how=how)
    _, ids = rendered(np.zeros((16, 90, 120, 3), np.uint8), plan, (160, 160), np.repeat(disc[None], 16, 0))
    share = (ids == 1).sum((1, 2)) / (ids != 255).sum((1, 2))
    torch.testing.assert_close(share, torch.full((16,), disc.mean()), atol=0, rtol=0.06)


# Colour


def colours(how: Augment, draws, mean=PLAIN_MEAN, std=(1.0, 1.0, 1.0)):
    return augment.colour(np.array([draws], float), how, mean, std)[0]


def test_untouched_colour_is_normalisation():
    matrix = colours(Augment(), [0.9, 0.1, 0.3, 0.7], MEAN, STD)
    rgb = np.array([10.0, 100.0, 250.0])
    np.testing.assert_allclose(matrix @ [*rgb, 1], (rgb / 255 - MEAN) / STD, atol=1e-12)


def test_colour_parts_by_hand():
    rgb = np.array([51.0, 102.0, 204.0, 1.0])  # 0.2, 0.4, 0.8
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8
    brighter = colours(Augment(brightness=0.5), [1.0, 0, 0, 0])
    np.testing.assert_allclose(brighter @ rgb, [0.3, 0.6, 1.2])
    faded = colours(Augment(saturation=1.0), [0, 0, 0.0, 0])
    np.testing.assert_allclose(faded @ rgb, [grey] * 3)
    flat = colours(Augment(contrast=1.0), [0, 0.0, 0, 0], mean=(0.5, 0.4, 0.3))
    np.testing.assert_allclose(flat @ rgb, [0, 0, 0], atol=1e-12)  # nothing but the mean colour, which is zero


@given(u=share)
def test_hue_keeps_grey_and_luma(u):
    matrix = colours(Augment(hue=0.5), [0, 0, 0, u])
    np.testing.assert_allclose(matrix @ [128, 128, 128, 1], [128 / 255] * 3, atol=1e-5)
    rgb = np.array([200.0, 30.0, 90.0])
    assert augment.LUMA @ (matrix @ [*rgb, 1]) == pytest.approx(augment.LUMA @ rgb / 255, abs=1e-5)


def test_hue_turns_the_colour_circle():
    third = colours(Augment(hue=0.5), [0, 0, 0, 0.5 + 1 / 3])  # a third of a turn
    hue = colorsys.rgb_to_hsv(*np.clip(third @ [255, 0, 0, 1], 0, 1))[0]
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.08


def test_tint_applies_the_matrix():
    images, matrix = torch.rand(4, 3, 5, 6), torch.randn(4, 3, 4)
    expected = torch.einsum("bij,bjhw->bihw", matrix[:, :, :3], images) + matrix[:, :, 3, None, None]
    torch.testing.assert_close(rendering.tint(images, matrix, True), expected)
    scaled = matrix * torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]])
    torch.testing.assert_close(rendering.tint(images, scaled, False), rendering.tint(images, scaled, True))


@pytest.mark.parametrize("mixes", [True, False])
def test_a_tinted_batch_lies_as_the_network_takes_it(mixes):
    for images in torch.rand(2, 3, 5, 6), torch.rand(2, 3, 5, 6).contiguous(memory_format=torch.channels_last):
        tinted = rendering.tint(images, torch.randn(2, 3, 4), mixes)
        assert tinted.is_contiguous(memory_format=torch.channels_last)


# Erasing and mixing


def test_erased_boxes_hide_image_and_mask():
    pixels = np.full((64, 20, 20, 3), 255, np.uint8)
    plan = planned([(20, 20)] * 64, image_size=(20, 20), canvas=(20, 20), how=Augment(erase=0.5), mean=MEAN, std=STD)
    images, ids = rendered(pixels, plan, (20, 20), np.zeros((64, 20, 20), np.uint8))
    hidden = ids == 255
    assert torch.equal((images == 0).all(1), hidden)
    erased = hidden.flatten(1).any(1)
    assert 15 <= int(erased.sum()) <= 49  # 32 expected, 4 standard deviations
    assert float(hidden.float().mean((1, 2)).max()) <= 0.33 + 0.1  # plus the rounding to whole pixels


def test_boxes_by_hand():
    boxes = torch.tensor([[0.0, 0.5, 0.25, 1.0], [0, 0, 0, 0], [0, 1, 0, 1]])
    inside = mixing.inside(boxes, (2, 4))
    assert inside[0].tolist() == [[False, True, True, True], [False] * 4]
    assert not inside[1].any()
    assert inside[2].all()


def test_mixup_by_hand():
    images = torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)])
    numbers = torch.tensor([[0.25, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])
    mixed, target = mixing.mix("mixup", images, torch.eye(2), numbers, dense=False)
    assert mixed[:, 0, 0, 0].tolist() == [0.75, 1.0]
    assert target.tolist() == [[0.25, 0.75], [0.0, 1.0]]


def test_cutmix_by_hand():
    images = torch.stack([torch.zeros(3, 2, 4), torch.ones(3, 2, 4)])
    numbers = torch.tensor([[0.9, 0.0, 0.5, 0.0, 0.5], [1.0, 0, 0, 0, 0]])
    mixed, target = mixing.mix("cutmix", images, torch.eye(2), numbers, dense=False)
    assert mixed[0, 0].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert target.tolist() == [[0.75, 0.25], [0.0, 1.0]]  # the pixels really taken, not the weight drawn
    _, dense = mixing.mix("cutmix", images, torch.tensor([0, 1]).view(2, 1, 1).expand(2, 2, 4), numbers, dense=True)
    assert dense[0].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


def test_one_mix_a_batch_and_both_appear():
    names = {mixing.draw(np.random.default_rng(i), 4, mixup=0.2, cutmix=1.0)[0] for i in range(20)}
    assert names == {"mixup", "cutmix"}
    name, numbers = mixing.draw(np.random.default_rng(0), 4, mixup=0.0, cutmix=0.0)
    assert name == ""
    assert not numbers.any()


@given(seed=st.integers(0, 1000), alpha=st.floats(0.1, 5))
def test_cutmix_boxes_lie_inside(seed, alpha):
    _, numbers = mixing.draw(np.random.default_rng(seed), 8, mixup=0.0, cutmix=alpha)
    top, bottom, left, right = numbers[:, 1:].T
    assert ((top >= 0) & (bottom <= 1) & (top <= bottom) & (left >= 0) & (right <= 1) & (left <= right)).all()
    np.testing.assert_allclose(numbers[:, 0], 1 - (bottom - top) * (right - left))


def test_switching_one_part_leaves_the_others():
    both = planned([(40, 40)], image_size=(32, 32), canvas=(40, 40), how=Augment(crop_scale=(0.3, 1), brightness=0.5))
    one = planned([(40, 40)], image_size=(32, 32), canvas=(40, 40), how=Augment(crop_scale=(0.3, 1), hflip=False))
    assert np.array_equal(both.table[..., : augment.SLOT], one.table[..., : augment.SLOT])
    colours = [plan.table[..., augment.SLOT :][..., augment.COLOUR] for plan in (both, one)]
    assert not np.array_equal(*colours)


@pytest.mark.parametrize(
    ("kind", "dropped"),
    [("label", ()), ("value", ("cutmix", "erase")), ("mask", ("mixup",)), ("none", ("mixup", "cutmix"))],
)
def test_fitting_drops_what_a_target_cannot_take(kind, dropped):
    how, names = augment.fitting(Augment(mixup=0.2, cutmix=1.0, erase=0.5, hflip=True), kind)
    assert names == dropped
    assert all(getattr(how, name) == 0 for name in dropped)
    assert how.hflip
