"""Back to the file's own pixels, and masks as runs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from faster_coco_eval import mask as coco
from hypothesis import given, settings
from hypothesis import strategies as st

from visrun.boxes import le90_to_quads
from visrun.data.outlines import Rle, drawn
from visrun.detection import restore
from visrun.detection.restore import restore_boxes, restore_masks, restore_rotated
from visrun.detection.runs import areas, encoded, runs_of


def test_boxes_are_scaled_shifted_and_cut(kit: SimpleNamespace) -> None:
    place = kit.Place(size=(60, 200), scale=2.0, shift=(0.0, 10.0))
    found = restore_boxes(torch.tensor([[10.0, 20.0, 30.0, 30.0], [-5.0, 0.0, 90.0, 99.0]]), place)
    assert found.tolist() == [[20, 20, 60, 40], [0, 0, 180, 60]]
    assert restore_boxes(torch.zeros(0, 4), place).shape == (0, 4)


def test_turned_boxes_keep_their_angle_and_their_corners_fall_where_points_fall(kit: SimpleNamespace) -> None:
    place = kit.Place(size=(300, 300), scale=1.5, shift=(3.0, -10.0))
    boxes = torch.tensor([[50.0, 60.0, 40.0, 20.0, 0.7], [10.0, 10.0, 8.0, 8.0, -1.5]])
    found = restore_rotated(boxes, place)
    assert found[:, 4].tolist() == boxes[:, 4].tolist()
    expected = place.points(le90_to_quads(boxes).view(-1, 4, 2)).view(-1, 8)
    torch.testing.assert_close(le90_to_quads(found), expected)
    assert restore_rotated(torch.zeros(0, 5), place).shape == (0, 5)


@pytest.mark.parametrize("pixels", [1, 100_000, 1 << 24])
def test_masks_are_drawn_at_the_files_size(kit: SimpleNamespace, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "PIXELS", pixels)
    place = kit.Place(size=(120, 160), scale=2.0, shift=(0.0, 4.0))
    masks = torch.zeros(3, 17, 20, dtype=torch.uint8)
    masks[0] = 255
    masks[1, 6:11, 5:10] = 255  # pixels 20 to 40 by 24 to 44 of the training image, 40 to 80 by 40 to 80 of the file
    found = restore_masks(masks, place)
    assert found.shape == (3, 120, 160) and found.dtype == torch.bool
    assert found[0].all() and not found[2].any()
    rows, columns = found[1].any(1).nonzero(), found[1].any(0).nonzero()
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == pytest.approx([40, 79, 40, 79], abs=1)
    assert restore_masks(masks[:0], place).shape == (0, 120, 160)


@given(
    st.integers(0, 10_000), st.integers(0, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.3, 1.0])
)
@settings(max_examples=80, deadline=None)
def test_runs_are_cocos(seed: int, n: int, height: int, width: int, share: float) -> None:
    masks = torch.rand(n, height, width, generator=torch.Generator().manual_seed(seed)) < share
    found = encoded(masks)
    assert found == [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in masks]
    assert areas(found).tolist() == masks.sum((1, 2)).tolist()


def test_labels_become_the_runs_that_are_drawn_of_them() -> None:
    size = (40, 50)
    polygons = (np.array([[3.0, 4.0], [20.0, 4.0], [20.0, 30.0]]), np.array([[30.0, 2.0], [45.0, 2.0], [45.0, 12.0]]))
    for outline in (polygons, Rle((100, 30, 1870), size)):
        runs = runs_of(outline, size)
        assert (coco.decode(runs).astype(bool) == drawn(outline, size)).all()
        assert runs["size"] == list(size)
