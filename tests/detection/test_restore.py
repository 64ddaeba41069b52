"""Back to the file's own pixels, and masks as runs."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from faster_coco_eval import mask as coco
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun.boxes import le90_to_quads
from visrun.data.objects import MASK_STRIDE
from visrun.data.outlines import Rle, drawn
from visrun.data.placement import Place
from visrun.detection import restore
from visrun.detection.restore import restore_boxes, restore_masks, restore_rotated, shown
from visrun.detection.runs import Runs, areas, as_rows, encoded, of_rows, runs_of, windows, written


def pixels(masks: list[Runs]) -> list[np.ndarray]:
    """The pixels (h, w) of each."""
    return [coco.decode(mask).astype(bool) for mask in masks]


def test_boxes_are_scaled_shifted_and_cut(kit: SimpleNamespace) -> None:
    place = kit.place_of(size=(60, 200), scale=2.0, shift=(0.0, 10.0))
    found = restore_boxes(torch.tensor([[10.0, 20.0, 30.0, 30.0], [-5.0, 0.0, 90.0, 99.0]]), place)
    np.testing.assert_allclose(found, [[20, 20, 60, 40], [0, 0, 180, 60]], rtol=1e-6)
    assert restore_boxes(torch.zeros(0, 4), place).shape == (0, 4)


def test_turned_boxes_keep_their_angle_and_their_corners_fall_where_points_fall(kit: SimpleNamespace) -> None:
    place = kit.place_of(size=(300, 300), scale=1.5, shift=(3.0, -10.0))
    boxes = torch.tensor([[50.0, 60.0, 40.0, 20.0, 0.7], [10.0, 10.0, 8.0, 8.0, -1.5]])
    found = restore_rotated(boxes, place)
    assert found[:, 4].tolist() == boxes[:, 4].tolist()
    expected = place.points(le90_to_quads(boxes).view(-1, 4, 2)).view(-1, 8)
    torch.testing.assert_close(le90_to_quads(found), expected)
    assert restore_rotated(torch.zeros(0, 5), place).shape == (0, 5)


def test_a_file_shows_upright_boxes_of_some_size_and_turned_ones_that_reach_into_it() -> None:
    upright = torch.tensor([[0.0, 0, 9, 9], [5, 40, 30, 40], [50, 3, 50, 20], [3, 3, 3.05, 9], [49, 39, 50, 40]])
    assert shown(upright, (40, 50)).tolist() == [True, False, False, False, True]
    turned = [
        [25.0, 20, 10, 4, 0.3],
        [-4, 20, 10, 4, 0.0],  # reaches in
        [-6, 20, 10, 4, 0.0],
        [-6, -6, 20, 4, 0.785],  # reaches in with its tip
        [-6, -6, 20, 4, -0.785],  # the box around it reaches in
        [25, 20, 200, 100, 0.3],
    ]
    assert shown(torch.tensor(turned), (40, 50)).tolist() == [True, True, False, True, False, True]
    assert shown(torch.zeros(0, 4), (40, 50)).shape == shown(torch.zeros(0, 5), (40, 50)).shape == (0,)


def test_masks_are_drawn_at_the_files_size(kit: SimpleNamespace) -> None:
    place = kit.place_of(size=(120, 160), scale=2.0, shift=(0.0, 4.0))
    masks = torch.zeros(3, 17, 20, dtype=torch.uint8)
    masks[0] = 255
    masks[1, 6:11, 5:10] = 255  # pixels 20 to 40 by 24 to 44 of the training image, 40 to 80 by 40 to 80 of the file
    found = pixels(restore_masks(masks, place))
    assert [one.shape for one in found] == [(120, 160)] * 3
    assert found[0].all() and not found[2].any()
    rows, columns = np.flatnonzero(found[1].any(1)), np.flatnonzero(found[1].any(0))
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == pytest.approx([40, 79, 40, 79], abs=1)
    assert restore_masks(masks[:0], place) == []


def in_maps(place: Place) -> Place:
    """The place in maps a stride apart."""
    return replace(place, box=tuple(edge / MASK_STRIDE for edge in place.box))


def over_the_whole_file(masks: Tensor, place: Place) -> list[Runs]:
    drawn = in_maps(place).back_maps(masks.float()) >= restore.HALF
    return [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in drawn]


PLACES = [
    ((0.0, 0.0, 96.0, 64.0), (64, 96)),  # as large as the training image
    ((0.0, 0.0, 96.0, 64.0), (313, 501)),
    ((0.0, 9.5, 96.0, 54.5), (45, 101)),  # padded above and below
    ((13.0, 0.0, 83.0, 64.0), (31, 33)),
    ((-140.0, -77.0, 330.0, 260.0), (337, 470)),  # a tile of it
    ((-900.0, -20.0, 96.0, 64.0), (84, 996)),  # the last one of a row
]


@pytest.mark.parametrize("pixels_at_once", [1, 5000, 1 << 24])
@pytest.mark.parametrize(("box", "size"), PLACES)
def test_only_windows_are_drawn_and_nothing_is_lost(
    box: tuple[float, float, float, float], size: tuple[int, int], pixels_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Smooth blobs of all sizes, noise, single cells at every border, full and empty masks."""
    monkeypatch.setattr(restore, "PIXELS", pixels_at_once)
    random = torch.Generator().manual_seed(0)
    masks = torch.zeros(30, 16, 24, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    for i in range(18):
        cx, cy, r = (torch.rand(3, generator=random) * torch.tensor([24.0, 16.0, 0.6 * (i + 1)])).tolist()
        masks[i] = (255 * (3 * (r - ((x - cx) ** 2 + (y - cy) ** 2).sqrt())).sigmoid()).round().to(torch.uint8)
    masks[18:22] = torch.randint(0, 256, (4, 16, 24), generator=random).to(torch.uint8)
    for i, (row, column) in enumerate([(0, 0), (15, 23), (0, 12), (7, 0), (7, 23)]):
        masks[22 + i, row, column] = 255
    masks[27], masks[28] = 255, 127
    place = Place(box, size)
    assert restore_masks(masks, place) == over_the_whole_file(masks, place)


@given(
    st.integers(0, 10_000), st.integers(0, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.3, 1.0])
)
@settings(max_examples=80, deadline=None)
def test_runs_are_cocos(seed: int, n: int, height: int, width: int, share: float) -> None:
    masks = torch.rand(n, height, width, generator=torch.Generator().manual_seed(seed)) < share
    found = encoded(masks, np.zeros((n, 2), np.int64), (height, width))
    assert found == [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in masks]
    assert areas(found).tolist() == masks.sum((1, 2)).tolist()
    assert of_rows(as_rows(found)) == found
    assert [mask.tolist() for mask in pixels(found)] == masks.tolist()
    for mask, (part, (left, top), size) in zip(masks.numpy(), windows(found), strict=True):
        page = np.zeros(size, bool)
        page[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert (page == mask).all()
        assert not part.size or (part[[0, -1]].any(1).all() and part[:, [0, -1]].any(0).all())  # and no larger


def test_a_crop_lies_where_its_corner_is_and_may_reach_beyond_the_file() -> None:
    crops = torch.zeros(2, 4, 3, dtype=torch.bool)
    crops[0], crops[1, :2, :2] = True, True
    first, second = pixels(encoded(crops, np.array([[1, 2], [4, 5]]), (6, 7)))
    assert first[1:5, 2:5].all() and first.sum() == 12
    assert second[4:, 5:].all() and second.sum() == 4


def test_runs_are_written_as_text() -> None:
    mask = np.asfortranarray(np.eye(3, dtype=np.uint8))
    (one,) = of_rows(as_rows([coco.encode(mask)]))
    line = json.loads(json.dumps(written(one)))
    assert line["size"] == [3, 3] and (coco.decode(line) == mask).all()


def test_labels_become_the_runs_that_are_drawn_of_them() -> None:
    size = (40, 50)
    polygons = (np.array([[3.0, 4.0], [20.0, 4.0], [20.0, 30.0]]), np.array([[30.0, 2.0], [45.0, 2.0], [45.0, 12.0]]))
    for outline in (polygons, Rle((100, 30, 1870), size)):
        runs = runs_of(outline, size)
        assert (coco.decode(runs).astype(bool) == drawn(outline, size)).all()
        assert runs["size"] == list(size)
