from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from visrun import batch


@dataclass
class Pair:
    images: Tensor
    target: Tensor


@pytest.fixture
def six() -> Pair:
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    return Pair(images, torch.arange(6))


def test_rows_are_views_of_every_field(six):
    part = batch.rows(six, 1, 3)
    assert part.target.tolist() == [1, 2] and part.images[:, 0, 0, 0].tolist() == [1.0, 2.0]
    part.images.zero_()
    assert six.images[:, 0, 0, 0].tolist() == [0, 0, 0, 3, 4, 5]
    assert len(batch.rows(six, 0, 0).target) == 0


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_parts_are_equal_and_make_up_the_whole(six, parts):
    pieces = batch.split(six, parts)
    assert [len(piece.images) for piece in pieces] == [6 // parts] * parts
    for name in ("images", "target"):
        assert torch.equal(torch.cat([getattr(piece, name) for piece in pieces]), getattr(six, name))


def test_a_clone_has_its_own_memory_and_the_same_layout(six):
    copy = batch.clone(six)
    copy.images.fill_(9)
    assert six.images.max() == 5
    assert copy.images.is_contiguous(memory_format=torch.channels_last)
