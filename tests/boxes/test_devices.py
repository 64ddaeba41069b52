"""All of it stays on its device; what a training step uses has static shapes and reads nothing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from visrun import boxes

# torch's "meta" device holds shapes alone: reading a value back raises there, and so does a tensor from elsewhere.
STATIC: list[tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...], tuple[int, ...]]] = [
    (boxes.box_area, ((3, 4),), (3,)),
    (boxes.canonical, ((2, 3, 5),), (2, 3, 5)),
    (boxes.ciou, ((3, 1, 4), (2, 4)), (3, 2)),
    (boxes.diou, ((3, 1, 4), (2, 4)), (3, 2)),
    (boxes.giou, ((3, 1, 4), (2, 4)), (3, 2)),
    (boxes.iou, ((3, 1, 4), (2, 4)), (3, 2)),
    (boxes.kl_divergence, ((3, 1, 5), (2, 5)), (3, 2)),
    (boxes.le90_to_quads, ((3, 5),), (3, 8)),
    (boxes.le90_to_xyxy, ((3, 5),), (3, 4)),
    (boxes.overlap_share, ((3, 1, 4), (2, 4)), (3, 2)),
    (boxes.points_to_le90, ((3, 6, 2),), (3, 5)),
    (boxes.polygon_iou, ((3, 1, 8), (2, 10)), (3, 2)),
    (boxes.polygons_to_xyxy, ((3, 12),), (3, 4)),
    (boxes.probiou, ((3, 1, 5), (2, 5)), (3, 2)),
    (boxes.quads_to_le90, ((2, 3, 8),), (2, 3, 5)),
    (boxes.rotated_intersection, ((3, 1, 5), (2, 5)), (3, 2)),
    (boxes.rotated_iou, ((3, 1, 5), (2, 5)), (3, 2)),
    (boxes.xyxy_to_le90, ((2, 3, 4),), (2, 3, 5)),
]


@pytest.mark.parametrize(("function", "shapes", "result"), STATIC, ids=[entry[0].__name__ for entry in STATIC])
def test_static_shapes_and_nothing_read_back(
    function: Callable[..., Tensor], shapes: tuple[tuple[int, ...], ...], result: tuple[int, ...]
) -> None:
    found = function(*(torch.empty(shape, device="meta") for shape in shapes))
    assert found.shape == result and found.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same() -> None:
    r = torch.rand(300, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([200, 200, 60, 30, 7.0])
    scores, labels = torch.arange(300).flip(0).float(), torch.arange(300) % 3
    both = []
    for device in ("cpu", "cuda"):
        b, s, c = r.to(device), scores.to(device), labels.to(device)
        quads = boxes.le90_to_quads(b.double())
        both.append(
            (
                boxes.rotated_iou(b[:, None], b),
                boxes.polygon_iou(quads[:, None], quads),
                boxes.quads_to_le90(quads)[:, :4],
                boxes.probiou(b, b.roll(1, 0)),
                boxes.rotated_nms(b, s, c, threshold=0.3),
                boxes.nms(boxes.le90_to_xyxy(b), s, c, threshold=0.3),
            )
        )
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-4, atol=1e-4)
