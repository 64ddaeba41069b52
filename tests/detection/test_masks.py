"""Masks of objects, of boxes and out of prototypes."""

from __future__ import annotations

import math

import torch

from visrun.boxes import masks_to_le90
from visrun.detection.masks import as_bytes, between_cells, enlarged, filled, logits_of, of_objects, pasted, within


def test_masks_of_objects_look_through_both_layers() -> None:
    layers = torch.zeros(1, 2, 2, 3, dtype=torch.int16)
    layers[0, 0] = torch.tensor([[1, 1, 0], [2, 0, 300]])
    layers[0, 1] = torch.tensor([[0, 2, 2], [0, 0, 0]])
    found = of_objects(layers, torch.tensor([[1.0, 2.0, 300.0, 7.0, 0.0]]))
    assert found[0, 0].tolist() == [[True, True, False], [False] * 3]
    assert found[0, 1].tolist() == [[False, True, True], [True, False, False]]
    assert found[0, 2].tolist() == [[False] * 3, [False, False, True]]
    assert not found[0, 3:].any()  # no such object, and the number of none


def test_masks_are_weighted_sums_of_prototypes() -> None:
    coefficients, prototypes = torch.randn(2, 3, 4), torch.randn(2, 4, 5, 6)
    expected = torch.einsum("bnp,bphw->bnhw", coefficients, prototypes)
    torch.testing.assert_close(logits_of(coefficients, prototypes), expected)
    half = logits_of(coefficients.bfloat16(), prototypes.bfloat16())
    assert half.dtype == torch.float32


def test_pixels_within_a_box() -> None:
    """Pixels of a mask are four of the image wide; a box from 4 to 12 holds the centres 6 and 10 of the second and
    third."""
    box = torch.tensor([4.0, 0.0, 12.0, 4.0])
    assert within(box, (2, 4)).tolist() == [[False, True, True, False], [False] * 4]
    assert within(box, (2, 4), margin=0.1).tolist() == [[True] * 4, [True] * 4]  # one pixel more at least
    assert within(torch.zeros(2, 3, 4), (2, 4)).shape == (2, 3, 2, 4)
    assert not within(torch.zeros(4), (2, 4)).any()


def test_a_drawn_box_is_found_again() -> None:
    box = torch.tensor([[40.0, 30.0, 50.0, 16.0, 0.5], [20.0, 20.0, 8.0, 8.0, 0.0]])
    drawn = filled(box, (64, 80))
    assert drawn[1].sum() == 64
    found = masks_to_le90(drawn)
    torch.testing.assert_close(found[0, :4], box[0, :4], atol=1.6, rtol=0)
    assert abs(found[0, 4].item() - 0.5) < 0.03
    assert filled(torch.zeros(0, 5), (4, 4)).shape == (0, 4, 4)
    assert not filled(torch.tensor([[5.0, 5.0, 0.0, 0.0, math.pi]]), (8, 8)).any()


def test_an_object_between_the_cells_is_enlarged_to_its_box() -> None:
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[0, 1:3, 2] = True
    boxes = torch.tensor([[7.0, 3.0, 13.0, 14.0], [3.0, 4.0, 6.0, 7.0], [18.6, 0.2, 19.6, 1.4]])
    assert between_cells(masks).tolist() == [False, True, True]
    page = enlarged(masks, boxes)
    assert page.shape == (3, 16, 20) and page.dtype == torch.bool
    assert page[0].sum() == 32 and page[0, 4:12, 8:12].all()  # its cells, whatever its box
    assert page[1].sum() == 9 and page[1, 4:7, 3:6].all()
    assert page[2].sum() == 1 and page[2, 0, 18:].any()  # a box of one pixel, which training has at least
    assert enlarged(masks[:0], boxes[:0]).shape == (0, 16, 20)


def test_pasted_masks_fill_their_boxes_and_nothing_else() -> None:
    masks = torch.ones(2, 4, 4)
    masks[1, :, 2:] = 0
    page = pasted(masks, torch.tensor([[2.0, 1.0, 6.0, 5.0], [0.0, 0.0, 8.0, 8.0]]), (8, 8))
    assert (page[0, 1:5, 2:6] == 1).all()
    assert page[0].sum() == 16
    assert (page[1, :, :3] == 1).all()
    assert (page[1, :, 5:] == 0).all()
    assert pasted(torch.zeros(0, 4, 4), torch.zeros(0, 4), (3, 5)).shape == (0, 3, 5)


def test_bytes_are_rounded() -> None:
    assert as_bytes(torch.tensor([0.0, 0.5, 0.998, 1.0])).tolist() == [0, 128, 254, 255]
