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


def test_the_first_of_an_output_are_views_where_samples_are_told_apart():
    whole = torch.arange(6.0).view(3, 2)
    assert torch.equal(batch.first(whole, 2, of=3), whole[:2])
    cut = batch.first({"out": whole, "score": whole[:, 0]}, 1, of=3)
    assert cut["out"].tolist() == [[0.0, 1.0]] and cut["score"].tolist() == [0.0]
    cut["out"].zero_()
    assert whole[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("output", [(torch.zeros(3),), {"out": torch.zeros(2, 3)}, {"out": torch.zeros(())}, {"n": 3}])
def test_an_output_whose_samples_are_not_told_apart_is_not_cut(output):
    assert batch.first(output, 2, of=3) is None


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
