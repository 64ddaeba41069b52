from math import inf

import numpy as np
import pytest
import torch
from PIL import Image

from visrun.data.cache import Keep, open_images
from visrun.data.contents import describe
from visrun.data.look import Look
from visrun.data.placement import Place, places


def test_the_identity_gives_the_mask_back():
    mask = torch.arange(12, dtype=torch.uint8).view(3, 4)
    assert torch.equal(Place((0, 0, 4, 3), (3, 4)).back(mask), mask)


def test_padding_is_cut_off_and_the_picture_enlarged():
    mask = torch.zeros(4, 4, dtype=torch.uint8)
    mask[1, :2], mask[2, 2:] = 1, 2
    back = Place((0, 1, 4, 3), (4, 8)).back(mask)
    assert back.tolist() == [[1] * 4 + [0] * 4] * 2 + [[0] * 4 + [2] * 4] * 2


def test_what_a_crop_cut_away_is_255():
    back = Place((-2, 0, 6, 4), (4, 8)).back(torch.ones(4, 4, dtype=torch.uint8))
    assert back.tolist() == [[255, 255, 1, 1, 1, 1, 255, 255]] * 4


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
@pytest.mark.parametrize("size", [(64, 64), (100, 40), (30, 90), (7, 5)])
def test_places_agree_with_what_evaluation_shows(tmp_path, fit, size):
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / "a.png")
    look = Look(image_size=(32, 48), fit=fit, mean=(0.5,) * 3, std=(0.5,) * 3)
    (place,) = places(open_images(describe([tmp_path / "a.png"], look), Keep(cache="ram")), look)
    left, top, right, bottom = place.box
    assert place.size == size
    assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0], rel=0.1)
    inside = left >= -1e-6 and top >= -1e-6 and right <= 48 + 1e-6 and bottom <= 32 + 1e-6
    covers = left <= 1 and top <= 1 and right >= 47 and bottom >= 31
    assert inside if fit == "letterbox" else covers


def test_a_tile_has_its_borders_in_the_file_also_where_the_training_image_is_wider(tmp_path):
    Image.fromarray(np.zeros((200, 400, 3), np.uint8)).save(tmp_path / "a.png")
    look = Look(image_size=(200, 300), fit="zoom", mean=(0.5,) * 3, std=(0.5,) * 3, tile=200, overlap=60)
    windows = look.windows((400, 200))
    source = describe([tmp_path / "a.png"] * len(windows), look, windows=windows)
    found = places(open_images(source, Keep(cache="ram")), look)
    assert [place.box for place in found] == [(50, 0, 450, 200), (-50, 0, 350, 200), (-150, 0, 250, 200)]
    assert [place.borders for place in found] == [
        (-inf, -inf, 200, inf),
        (100, -inf, 300, inf),
        (200, -inf, inf, inf),
    ]
