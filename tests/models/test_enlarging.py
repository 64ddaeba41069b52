"""Enlarged maps stay where they lie in the image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from visrun.models.enlarging import enlarged


@pytest.mark.parametrize("times", [1, 2, 8])
def test_whole_strides_are_as_torch_resizes(times: int) -> None:
    x = torch.randn(2, 3, 5, 7)
    size = (5 * times, 7 * times)
    assert torch.equal(enlarged(x, times, size), F.interpolate(x, size=size, mode="bilinear"))


@pytest.mark.parametrize(("cells", "side"), [(13, 100), (13, 97), (12, 100), (13, 104)])  # 12: a body that cuts
def test_each_cell_stays_where_it_is(cells: int, side: int) -> None:
    places = (torch.arange(cells) + 0.5) * 8
    row = enlarged(places.expand(1, 1, cells, -1), 8, (side, side))[0, 0, 0]
    true = torch.arange(side) + 0.5
    inside = (true > 4) & (true < cells * 8 - 4)
    torch.testing.assert_close(row[inside], true[inside])
    assert row.shape == (side,) and (row[~inside] - true[~inside]).abs().max() < 8
