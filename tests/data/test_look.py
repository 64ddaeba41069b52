"""How a network sees a picture."""

from __future__ import annotations

import json

import pytest

from visrun.data.look import Look

CUT = {"tile": 64, "overlap": 8, "white": 4095}


@pytest.mark.parametrize("more", [{}, CUT])
def test_a_checkpoint_gives_it_back(more: dict[str, int]) -> None:
    look = Look(image_size=(48, 64), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), **more)
    written = json.loads(json.dumps({"task": "beside it", **look.plain()}))
    assert Look.of(written) == look
    with pytest.raises(KeyError):
        Look.of({"fit": "crop"})
