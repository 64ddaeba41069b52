"""How a network sees a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from visrun.data.look import Look
from visrun.errors import DataError

LOOK = Look(image_size=(96, 96), fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3)
CUT = {"tile": 64, "overlap": 8, "white": 4095}


@pytest.mark.parametrize("more", [{}, CUT])
def test_a_checkpoint_gives_it_back(more: dict[str, int]) -> None:
    look = Look(image_size=(48, 64), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), **more)
    written = json.loads(json.dumps({"task": "beside it", **look.plain()}))
    assert Look.of(written) == look
    with pytest.raises(KeyError):
        Look.of({"fit": "crop"})


@pytest.mark.parametrize(
    ("size", "more", "seen"),
    [
        ((2000, 3), {}, False),
        ((3, 2000), {}, False),
        ((2000, 21), {}, True),  # 96 / 2000 * 21 = 1.008 pixels
        ((2000, 20), {}, False),
        ((2000, 3), {"fit": "crop"}, True),
        ((2000, 3), {"tile": 288}, True),  # 288x3 at a third
        ((2000, 3), {"tile": 289}, False),
        ((2000, 10), {"image_size": (96, 200)}, True),
        ((1, 1), {}, True),
    ],
)
def test_a_picture_of_which_nothing_would_be_seen_is_refused(
    size: tuple[int, int], more: dict[str, Any], seen: bool
) -> None:
    look = replace(LOOK, **more)
    if seen:
        assert look.visible(size, Path("a.png")) == size
        return
    with pytest.raises(
        DataError,
        match=rf"^a\.png: {size[0]}x{size[1]} pixels: at 96x96 thinner than one, so that nothing is seen; cut",
    ):
        look.visible(size, Path("a.png"))
