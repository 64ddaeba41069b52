"""What a plane of codes says, by hand."""

from __future__ import annotations

import torch

from visrun.anomaly.truth import defective, made, pixels, placed
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, MADE, SOMEWHERE

PLANES = torch.tensor(
    [[[GOOD, 255]], [[DEFECT, BESIDE]], [[SOMEWHERE, 255]], [[BESIDE, BESIDE]], [[MADE, GOOD]], [[255, 255]]]
)


def test_of_images():
    assert defective(PLANES).tolist() == [False, True, True, True, True, False]
    assert made(PLANES).tolist() == [False, False, False, False, True, False]
    assert placed(PLANES).tolist() == [True, True, False, True, True, True]


def test_of_pixels():
    assert pixels(PLANES)[:, 0].tolist() == [[0, 255], [1, 0], [255, 255], [0, 0], [1, 0], [255, 255]]
