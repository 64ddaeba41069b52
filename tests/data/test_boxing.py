"""Boxes move with their pixels: by hand, and against boxes measured in rendered masks, under every kind of view."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import masks_to_boxes

from tests.emptied import nothing
from visrun import boxes
from visrun.data import augment, boxing, geometry, rendering
from visrun.data.augment import Augment
from visrun.data.derive import DERIVE
from visrun.data.objects import BOX, ID, IGNORED, LABEL, LAYERS, Objects, corners_of, layered
from visrun.data.outlines import Rle, pixels

SIZE = (64, 96)
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
ZOOMS = Augment(crop_scale=(0.5, 2.0), hflip=True, vflip=True)
TURNS = Augment(crop_scale=(0.5, 2.0), hflip=True, vflip=True, rotate=180)
MOSAICS = Augment(crop_scale=(0.5, 2.0), hflip=True, mosaic=0.7)


def objects(*numbers: tuple[float, float, float, float], labels=None, ignored=None, quads=False, outlines=False):
    array = np.array(numbers, float).reshape(-1, 4)
    corners = corners_of(array)
    n = len(array)
    return Objects(
        np.arange(n) if labels is None else np.asarray(labels),
        array,
        np.zeros(n, bool) if ignored is None else np.asarray(ignored),
        corners if quads else None,
        tuple((quad,) for quad in corners) if outlines else None,
    )


def bounds(masks: Tensor) -> Tensor:
    """(N, 4) xyxy around the squares of each mask's pixels."""
    return masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1])


def moved(listed, kept, how=None, kind="boxes", seed=0, windows=None, wholes=None, image_size=SIZE, fit="zoom"):
    """The target of a batch with one sample for each of ``listed``, its layers at full size, and its plan."""
    windows = np.array([(0, 0, w, h) for h, w in kept] if windows is None else windows)
    wholes = np.array(kept if wholes is None else wholes)
    packed = boxing.table(listed, windows, np.array(kept), wholes=wholes, kind=kind)
    pictures = how.pictures if how else 1
    shown = np.arange(len(listed))[:, None]
    if pictures > 1:
        shown = np.concatenate([shown, np.random.default_rng(seed).integers(len(listed), size=(len(listed), 3))], 1)
    canvas = tuple(np.array(kept).max(0).tolist())
    plan = augment.plan(
        [np.random.default_rng(seed)],
        np.array(kept, float)[shown][None],
        image_size=image_size,
        canvas=canvas,
        fit=fit,
        augment=how,
        mean=MEAN,
        std=STD,
    )
    step = torch.from_numpy(plan.table[0])
    flat = torch.from_numpy(shown.ravel())
    most = boxing.rows_of_target(packed, pictures)
    target = boxing.render(packed.padded(flat), plan, step, image_size, most=most, kind=kind)
    return target, plan, step, flat, canvas


# By hand


def test_a_table_holds_points_numbers_and_padding():
    listed = [objects((1, 2, 5, 8), (0, 0, 3, 3), ignored=[False, True]), nothing()]
    sizes, kept = np.array([[10, 20]] * 2), np.array([[5, 10]] * 2)
    packed = boxing.table(listed, np.array([[0, 0, 20, 10]] * 2), kept, wholes=sizes, kind="boxes")
    packed = packed.padded(torch.arange(2))
    assert packed.shape == (2, 2, 3 + 2 * boxing.POINTS + 1)
    assert packed[0, :, :3].tolist() == [[0, 0, 0], [1, 1, 0]]
    points = packed[0, 0, 3:-1].reshape(-1, 2)  # kept at half the size
    assert points.amin(0).tolist() == [0.5, 1.0] and points.amax(0).tolist() == [2.5, 4.0]
    assert (packed[1] == -1).all()


def test_without_objects_anywhere_a_row_stays():
    size = np.array([[8, 8]])
    packed = boxing.table([nothing()], np.array([[0, 0, 8, 8]]), size, wholes=size, kind="boxes")
    assert packed.padded(torch.tensor([0])).shape == (1, 1, 3 + 2 * boxing.POINTS + 1)
    target, *_ = moved([nothing()], [(64, 96)])
    assert (target == -1).all()


def test_evaluation_moves_boxes_with_the_letterbox():
    """A picture of 32 x 96 in 64 x 96 lies 16 pixels down."""
    target, *_ = moved([objects((10, 4, 30, 20))], [(32, 96)])
    assert target[0, 0].tolist() == [0, 0, 0, 10, 20, 30, 36]


def test_a_window_of_a_file_shows_what_reaches_into_it():
    listed = [objects((100, 100, 140, 120), (0, 0, 50, 50), (139, 100, 400, 110))]
    target, *_ = moved(listed, [(64, 96)], windows=[(100, 100, 196, 164)], wholes=[(300, 500)])
    assert target[0, :, LABEL].tolist() == [0, 2]  # the second lies elsewhere
    assert target[0, 0, BOX].tolist() == [0, 0, 40, 20]
    assert target[0, 1].tolist() == [2, 0, 0, 39, 0, 96, 10]  # cut at the edge, most of it is still there


def test_what_is_mostly_cut_away_is_ignored_and_what_is_gone_is_none():
    listed = [objects((-90, 0, 10, 10), (-90, 0, 30, 10), (-50, 0, 0.5, 10))]
    target, *_ = moved(listed, [(64, 96)])
    assert target[0, :, LABEL].tolist() == [0, 1, -1]
    assert target[0, :2, IGNORED].tolist() == [1, 0]


def test_a_box_ends_with_its_tile_where_that_lies_inside_the_training_image():
    """Two tiles of 200 x 200, shown at half their area: of 120 pixels the first has 10, too few."""
    windows, how = [(0, 0, 200, 200), (200, 0, 400, 200)], Augment(crop_scale=(2.0, 2.0))
    given = {"windows": windows, "wholes": [(200, 400)] * 2, "image_size": (200, 200)}
    target, plan, *_ = moved([objects((190, 60, 310, 140))] * 2, [(200, 200)] * 2, how, **given)
    assert target[:, 0, IGNORED].tolist() == [1, 0]
    sides = torch.tensor([[10.0, 80], [110, 80]]) / math.sqrt(2)
    torch.testing.assert_close(target[:, 0, 5:7] - target[:, 0, 3:5], sides, atol=1e-3, rtol=0)
    scale, _, shift = torch.from_numpy(plan.table[0, :, augment.BACK])[:, :3].unbind(1)
    meet = torch.stack([target[0, 0, 5], target[1, 0, 3]])  # where the first tile ends and the second begins
    torch.testing.assert_close(meet, scale * torch.tensor([200.0, 0]) + shift, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("kind", "first"),
    [("boxes", [132, 50, 160, 75]), ("rotated_boxes", [157, 62.5, 50, 25, 0])],
    ids=["boxes", "rotated_boxes"],
)
def test_a_tile_of_another_aspect_than_the_training_image_cuts_too(kind, first):
    """The tile of 256 x 256 covers 128 x 128 from x = 32 on; its file goes on to the right and below."""
    listed = objects((200, 100, 300, 150), (230, 0, 400, 50), (0, 10, 20, 30), (100, 246, 150, 301), quads=True)
    given = {"windows": [(0, 0, 256, 256)], "wholes": [(302, 600)], "image_size": (128, 192)}
    target, *_ = moved([listed], [(192, 192)], kind=kind, **given)
    assert target[0, 0, BOX].tolist() == pytest.approx(first)
    assert target[0, :, IGNORED].tolist() == [0, 1, 0, 1]  # it shows 56, 15, 100 and 18 % of them, and two centres
    again, *_ = moved([listed], [(192, 192)], kind=kind, **(given | {"wholes": [(256, 256)]}))
    assert not again[0, :2, IGNORED].any()  # where the image ends nothing is cut


@pytest.mark.parametrize(("top", "bottom", "ignored"), [(44, 84, 0), (40, 100, 1)])
def test_what_a_tile_and_a_view_leave_together_counts(top, bottom, ignored):
    """A crop from x = 48 on leaves 20 of 48 pixels, the tile's end at y = 64 leaves 20 of 40, or 24 of 60."""
    given = {"windows": [(0, 0, 192, 64)], "wholes": [(128, 192)], "fit": "crop"}
    target, *_ = moved([objects((20, top, 68, bottom))], [(64, 192)], **given)
    assert target[0, 0, IGNORED] == ignored


def test_numbers_beyond_the_masks_are_ignored():
    many = objects(*[(i % 90, i % 60, i % 90 + 3, i % 60 + 3) for i in range(300)], labels=[0] * 300, outlines=True)
    target, *_ = moved([many], [(64, 96)], kind="instances")
    assert target[0, :, ID].max() == 255
    assert target[0, 255:, IGNORED].all() and not target[0, :255, IGNORED].any()
    assert not target[0, 255:, ID].any()


def test_each_tile_numbers_its_own_objects_as_its_masks_do():
    many = objects(
        *[(6 * (i % 64), 6 * (i // 64), 6 * (i % 64) + 4, 6 * (i // 64) + 4) for i in range(640)], outlines=True
    )
    windows, whole = [(0, 0, 96, 64), (288, 0, 384, 64)], (64, 384)
    given = {"windows": windows, "wholes": [whole] * 2}
    target, *_ = moved([many, many], [(64, 96)] * 2, kind="instances", **given)
    for rows, window in zip(target, windows, strict=True):
        layers = layered(many.within(window), (64, 96), window=window)
        shown = rows[rows[:, LABEL] >= 0]
        assert shown[:, ID].tolist() == list(range(1, 161)) and not shown[:, IGNORED].any()
        left, top = shown[:, BOX].long().T[:2]
        assert layers.max(0)[top + 1, left + 1].tolist() == shown[:, ID].tolist()


def test_rotated_boxes_stay_canonical_and_whole():
    quad = boxes.le90_to_quads(torch.tensor([[48.0, 32, 20, 10, 0.3]])).numpy().reshape(1, 4, 2)
    one = Objects(np.zeros(1, int), np.array([[30.0, 20, 60, 40]]), np.zeros(1, bool), quad)
    target, *_ = moved([one], [(64, 96)], kind="rotated_boxes")
    torch.testing.assert_close(target[0, 0, BOX], torch.tensor([48.0, 32, 20, 10, 0.3]), atol=1e-4, rtol=0)
    mirrored, *_ = moved([one] * 40, [(64, 96)] * 40, Augment(hflip=True), kind="rotated_boxes")
    assert {round(float(angle), 3) for angle in mirrored[:, 0, 7]} == {0.3, -0.3}


def test_the_outermost_points_of_an_outline_and_of_runs():
    disc = np.array([(50 + 20 * math.cos(a), 30 + 20 * math.sin(a)) for a in np.linspace(0, 2 * np.pi, 64)])
    outlines = ((disc,), Rle((9,), (3, 3)), Rle((1, 2, 6, 1), (3, 4)))
    box = [30.0, 10, 70, 50]
    one = Objects(np.zeros(3, int), np.array([box, box, [0, 0, 4, 3]]), np.zeros(3, bool), None, outlines)
    points = boxing.outermost(one)
    np.testing.assert_allclose(np.hypot(*(points[0] - (50, 30)).T), 20, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*(points[1] - (50, 30)).T), 20, atol=1e-6)  # without a pixel it fills its box
    assert {(70, 30), (50, 50), (30, 30), (50, 10)} <= {tuple(point) for point in points[1].round(6).tolist()}
    ends = {(0, 1), (0, 3), (1, 3), (3, 0), (4, 0), (4, 1)}  # of two pixels below each other, and one at the top right
    assert {tuple(point) for point in points[2].tolist()} == ends


# Against boxes measured in masks


def rectangles(rng, n, size):
    """n upright rectangles in a picture of ``size`` that do not overlap three deep: one in each cell of a row."""
    high, wide = size
    cell = wide / n
    left = np.arange(n) * cell + rng.uniform(1, cell / 4, n)
    right = (np.arange(n) + 1) * cell - rng.uniform(1, cell / 4, n)
    top, bottom = rng.uniform(2, high / 3, n), rng.uniform(high / 2, high - 2, n)
    return np.stack([left, top, right, bottom], 1).round()


def masks_of(listed, kept, canvas, margin):
    layers = np.zeros((len(listed), LAYERS, *canvas), np.uint8)
    for page, one, (h, w) in zip(layers, listed, kept, strict=True):
        seen = one.within((margin, margin, margin + w, margin + h))
        for number, box in enumerate((seen.boxes.astype(int) - margin).clip(0).tolist(), 1):
            page[number % 2, box[1] : min(box[3], h), box[0] : min(box[2], w)] = number
    return torch.from_numpy(layers)


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("margin", [0, 20], ids=["wholes", "tiles"])
@pytest.mark.parametrize("how", [None, ZOOMS, MOSAICS], ids=["plain", "zooms", "mosaics"])
def test_upright_boxes_are_those_of_the_rendered_masks(how, margin, seed):
    """Of files that reach beyond their tile by ``margin`` on every side."""
    rng = np.random.default_rng(seed)
    kept = [(60, 90), (64, 96), (50, 96), (64, 40)]
    wholes = [(h + 2 * margin, w + 2 * margin) for h, w in kept]
    windows = [(margin, margin, margin + w, margin + h) for h, w in kept]
    listed = [objects(*rectangles(rng, 3, size), outlines=True) for size in wholes]
    target, plan, step, flat, canvas = moved(listed, kept, how, "instances", seed, windows, wholes)
    layers = rendering.render_layers(masks_of(listed, kept, canvas, margin)[flat], plan, step, SIZE, stride=1)
    found = 0
    for rows, page in zip(target, layers, strict=True):
        for row in rows[rows[:, LABEL] >= 0]:
            mask = (page == int(row[ID])).any(0)
            left, top, right, bottom = row[BOX].tolist()
            if min(right - left, bottom - top) < 2:
                continue
            measured = bounds(mask[None])[0]
            torch.testing.assert_close(row[BOX], measured, atol=1.6, rtol=0)
            found += 1
    assert found


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_rotated_boxes_of_turned_mosaics_are_those_of_the_rendered_masks(seed):
    """Each picture shows one object, wherever it is whole."""
    size = (160, 160)
    kept = [(100, 120)] * 16
    listed = [objects((40, 35, 80, 60), quads=True, outlines=True) for _ in kept]
    how = Augment(hflip=True, vflip=True, rotate=180, mosaic=1.0)
    target, plan, step, flat, canvas = moved(listed, kept, how, "rotated_boxes", seed, image_size=size)
    layers = rendering.render_layers(masks_of(listed, kept, canvas, 0)[flat], plan, step, size, stride=1)
    meet = (rendering.columns(plan, step)[:, augment.SPLIT] * 160)[:, None]
    found = 0
    for rows, page, point in zip(target, layers, meet, strict=True):
        hull = boxes.le90_to_xyxy(rows[:, BOX]).unflatten(1, (2, 2))
        whole = ((hull > 1) & (hull < 159)).all((1, 2)) & ((hull < point).all(1) | (hull > point).all(1)).all(1)
        measured = boxes.masks_to_le90(torch.stack([(page == 256 * q + 1).any(0) for q in range(4)]))
        for row in rows[whole & (rows[:, LABEL] >= 0)]:
            assert not row[IGNORED]
            assert boxes.rotated_iou(row[None, BOX].expand(4, 5), measured).max() > 0.75  # these include whole pixels
            found += 1
    assert found


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_rotated_boxes_are_those_of_the_rendered_masks(seed):
    size = (160, 160)
    kept = [(100, 120)] * 4
    listed = [objects((40, 35, 80, 60), quads=True, outlines=True) for _ in kept]
    how = Augment(crop_scale=(1.0, 1.5), hflip=True, vflip=True, rotate=180)
    target, plan, step, flat, canvas = moved(listed, kept, how, "rotated_boxes", seed, image_size=size)
    layers = rendering.render_layers(masks_of(listed, kept, canvas, 0)[flat], plan, step, size, stride=1)
    measured = boxes.masks_to_le90((layers == 1).any(1))
    overlap = boxes.rotated_iou(target[:, 0, BOX], measured)
    assert (overlap > 0.85).all()  # the measured ones include whole pixels


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_an_upright_box_holds_its_turned_outline_tightly(seed):
    disc = np.array([(48 + 12 * math.cos(a), 32 + 12 * math.sin(a)) for a in np.linspace(0, 2 * np.pi, 64)])
    one = Objects(np.zeros(1, int), np.array([[36.0, 20, 60, 44]]), np.zeros(1, bool), None, ((disc,),))
    how = Augment(crop_scale=(2.0, 2.5), rotate=180)
    target, plan, *_ = moved([one] * 4, [(64, 96)] * 4, how, "instances", seed, image_size=(96, 96))
    sides = target[:, 0, 5:7] - target[:, 0, 3:5]
    back = plan.table[0, :, augment.BACK].reshape(4, 2, 3)
    scale = torch.from_numpy(np.linalg.norm(back[:, :, 0], axis=1))
    share = sides / (24 * scale[:, None])
    assert ((share > 0.97) & (share < 1.01)).all()  # by its corners it would be up to 1.41


@pytest.mark.parametrize("kind", ["instances", "boxes"])
@pytest.mark.parametrize("form", ["polygon", "runs"])
def test_the_box_of_a_turned_bar_is_that_of_its_outline(form, kind):
    """Of a bar of 40 x 6 pixels that lies across its own box, which is four times as large."""
    across = boxes.le90_to_quads(torch.tensor([[48.0, 32, 40, 6, 0.7]])).numpy().reshape(4, 2).astype(float)
    numbers = pixels((across,), (64, 96))
    ends = np.flatnonzero(np.diff(np.isin(np.arange(-1, 64 * 96 + 1), numbers)))
    outline = (across,) if form == "polygon" else Rle(tuple(np.diff(ends, prepend=0).tolist()), (64, 96))
    box, how = np.array([[*across.min(0), *across.max(0)]]), Augment(crop_scale=(2.5, 2.5), rotate=180)
    one = Objects(np.zeros(1, int), box, np.zeros(1, bool), None, (outline,))
    target, plan, *_ = moved(
        [DERIVE[kind].make([one], ()).targets[0]] * 8, [(64, 96)] * 8, how, kind, image_size=(96, 96)
    )
    back = plan.table[0, :, augment.BACK].reshape(8, 2, 3)
    turned = across @ back[:, :, :2].transpose(0, 2, 1) + back[:, None, :, 2]  # (8, 4, 2)
    around = torch.from_numpy(np.concatenate([turned.min(1), turned.max(1)], 1)).float()
    torch.testing.assert_close(target[:, 0, BOX], around, atol=1.2, rtol=0)


def test_where_boxes_are_learnt_an_outline_is_stretched_to_the_box_as_written():
    bar, line = np.array([[10.0, 10], [40, 30], [36, 36], [6, 16]]), np.array([[5.0, 5], [5, 9], [5, 20]])
    written = np.array([[8.3, 12.1, 44.7, 30.9], [60, 10, 80, 40]])
    one = Objects(np.zeros(2, int), written, np.zeros(2, bool), None, ((bar,), (line,)))
    (found,) = DERIVE["boxes"].make([one], ()).targets
    assert found.outlines is None and found.pick([1]).hulls.shape == (1, boxing.POINTS, 2)
    points = boxing.outermost(found)
    np.testing.assert_allclose(np.concatenate([points.min(1), points.max(1)], 1), written, rtol=1e-12)
    corners = {(12.6, 12.1), (44.7, 26.6), (40.4, 30.9), (8.3, 16.4)}
    assert {tuple(point) for point in points[0].round(1).tolist()} == corners
    np.testing.assert_allclose((((points[1] - (70, 25)) / (10, 15)) ** 2).sum(1), 1, atol=1e-6)  # the ellipse


def test_mosaics_have_more_rows_up_to_a_limit():
    def rows(most: int, pictures: int) -> int:
        counts = torch.tensor([most, 0, 1])
        table = boxing.Table(torch.zeros(most + 2, 19), counts.cumsum(0) - counts, counts, most)
        return boxing.rows_of_target(table, pictures)

    assert [rows(20, pictures) for pictures in (1, 4)] == [20, 80]
    assert rows(100, 4) == boxing.MOST
    assert rows(400, 4) == 400


def test_a_crowded_picture_takes_no_room_in_the_others():
    listed = [objects((1, 2, 5, 8), (0, 0, 3, 3)), nothing(), objects(*[(1, 1, 4, 4)] * 50)]
    sizes = np.array([[10, 20]] * 3)
    packed = boxing.table(listed, np.array([[0, 0, 20, 10]] * 3), sizes, wholes=sizes, kind="boxes")
    assert packed.counts.tolist() == [2, 0, 50]
    assert len(packed.rows) == 2 + 0 + 50 + 1
    padded = packed.padded(torch.tensor([2, 1, 0, 0]))
    assert padded.shape[:2] == (4, 50)  # as for every batch
    assert (padded[..., LABEL] >= 0).sum(1).tolist() == [50, 0, 2, 2]
    assert padded[3, :2, LABEL].tolist() == [0, 1] and (padded[2:, 2:] == -1).all()


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes"])
def test_what_a_mosaic_would_have_shown_beside_is_no_object_of_a_sample_without(kind):
    """The objects reach over every edge of their pictures, so also over the lines where three of them end."""
    listed = [objects((-40, -40, 150, 20), (-40, 30, 20, 90), (60, -20, 140, 90), quads=True)] * 60
    target, plan, step, *_ = moved(listed, [(64, 96)] * 60, Augment(mosaic=0.5), kind)
    alone = rendering.columns(plan, step)[:, augment.SPLIT][:, 0] == 1
    assert 10 < alone.sum() < 50
    assert (target[alone][..., LABEL] >= 0).sum(1).amax() == 3


def test_full_targets_come_first_in_a_mosaic():
    listed = [objects((10, 10, 30, 30)), nothing(), objects((50, 30, 80, 60)), objects((20, 5, 60, 60))]
    target, *_ = moved(listed, [(64, 96)] * 4, Augment(mosaic=1.0))
    there = target[..., LABEL] >= 0
    assert (there.int().diff(dim=1) <= 0).all()
    assert there.any()


@pytest.mark.parametrize("fit", ["letterbox", "zoom"])
def test_the_way_back_inverts_the_view(fit):
    rng = np.random.default_rng(0)
    sizes = rng.uniform(20, 90, (8, 2)).round()
    view = geometry.RANDOM[fit](sizes, SIZE, rng.random((8, 4)), (0.5, 1.5), rng.uniform(-3, 3, 8))
    view = geometry.flipped(view, rng.random(8) < 0.5, rng.random(8) < 0.5)
    there, back = geometry.matrices(view, (90, 90)), geometry.inverses(view, SIZE)
    point = rng.uniform(0, 60, (8, 2))  # of the training image
    unit = 2 * point / (SIZE[1], SIZE[0]) - 1
    canvas = (np.einsum("bij,bj->bi", there[:, :, :2], unit) + there[:, :, 2] + 1) / 2 * 90
    np.testing.assert_allclose(np.einsum("bij,bj->bi", back[:, :, :2], canvas) + back[:, :, 2], point, atol=1e-3)
