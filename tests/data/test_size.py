import pytest

from visrun.data.size import hides_most, training_size

USUAL = {"usual": 224, "multiple": 32, "smallest": 1, "fixed": False, "square": False, "whole": False}


@pytest.mark.parametrize(
    ("wanted", "changes", "sizes", "expected"),
    [
        (None, {}, [(500, 375)], (224, 224)),
        (None, {}, [(96, 96)], (96, 96)),
        (None, {}, [(100, 90)], (96, 96)),
        (None, {}, [(8, 8)], (32, 32)),
        (None, {"multiple": 8, "usual": 32}, [(8, 8)], (8, 8)),
        (None, {"whole": True}, [(160, 120)] * 3 + [(1, 1)], (160, 160)),
        (None, {"whole": True}, [(160, 120)] * 9 + [(1, 1)], (128, 160)),
        (None, {"whole": True}, [(120, 160)] * 3, (160, 128)),
        (None, {"whole": True}, [(160, 120), (120, 160)], (160, 160)),
        (None, {"whole": True}, [(160, 120), (160, 126)], (128, 160)),
        (None, {"whole": True}, [(640, 480)], (192, 224)),
        (None, {"whole": True}, [(5000, 10)], (32, 224)),
        (None, {"whole": False}, [(640, 480)], (224, 224)),
        (None, {}, [(1920, 1080)], (224, 224)),
        (None, {}, [(2000, 1000)], (224, 224)),
        (None, {}, [(300, 100)], (96, 288)),
        (None, {}, [(300, 900)] * 9 + [(1, 1)], (288, 96)),
        (None, {}, [(300, 900)] * 8 + [(1, 1)], (224, 224)),
        (None, {}, [(192, 64)], (64, 192)),
        (None, {}, [(96, 32)], (32, 96)),
        (None, {}, [(5000, 10)], (32, 448)),
        (None, {"smallest": 63}, [(1000, 100)], (64, 448)),
        (None, {"smallest": 63}, [(300, 100)], (96, 288)),
        (None, {"smallest": 63}, [(32, 32)], (32, 32)),
        (None, {"multiple": 8, "usual": 32}, [(96, 32)], (16, 48)),
        (None, {"fixed": True}, [(300, 100)], (224, 224)),
        (None, {"square": True}, [(300, 100)], (128, 128)),
        (None, {"square": True, "whole": True}, [(300, 100)], (96, 224)),
        (64, {}, [(300, 100)], (64, 64)),
        (None, {"fixed": True}, [(32, 32)], (224, 224)),
        (64, {}, [(500, 375)], (64, 64)),
        ([96, 128], {}, [(500, 375)], (96, 128)),
        (384, {"fixed": True}, [(500, 375)], (384, 384)),
    ],
)
def test_the_size_is_the_users_else_the_models_but_never_larger_than_the_images(wanted, changes, sizes, expected):
    assert training_size(wanted, **{**USUAL, **changes}, sizes=sizes) == expected


@pytest.mark.parametrize(
    ("size", "sizes", "hidden"),
    [
        ((224, 224), [(640, 480), (1920, 1080), (1080, 1920)], False),
        ((224, 224), [(200, 100)], False),
        ((224, 224), [(300, 100)], True),
        ((224, 224), [(100, 300), (300, 100), (100, 100)], True),
        ((224, 224), [(100, 300), (100, 100), (100, 100)], False),
        ((96, 288), [(300, 100)], False),
        ((288, 96), [(300, 100)], True),
    ],
)
def test_a_crop_that_shows_less_than_half_of_most_images_is_known(size, sizes, hidden):
    assert hides_most(size, sizes) is hidden
