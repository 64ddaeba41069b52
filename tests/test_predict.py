from pathlib import Path

import pytest
from PIL import Image

from visrun import predict
from visrun.data.images import load_rgb
from visrun.errors import DataError, UserError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/b/2.JPG", "c/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_stand_for_the_images_below_them_and_files_for_themselves(pictures):
    found = predict.find_images([pictures / "c", pictures / "a", pictures / "a" / "1.png"])
    assert [str(path.relative_to(pictures)) for path in found] == ["c/1.png", "a/1.png", "a/b/2.JPG", "a/1.png"]


def test_what_is_not_there_is_named(pictures):
    with pytest.raises(DataError, match="no such file or folder"):
        predict.find_images([pictures / "missing.png"])
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in this folder.*\.png"):
        predict.find_images([pictures / "empty"])


def test_pictures_of_the_same_name_get_a_number():
    assert predict._stems([Path("a/x.png"), Path("b/x.jpg"), Path("y.png")]) == ["x", "x_2", "y"]
    assert predict._stems([Path("a/x"), Path("b/x"), Path("c/x_2"), Path("d/x")]) == ["x", "x_2", "x_2_2", "x_3"]


def test_an_open_image_is_seen_as_its_file_would_be(tmp_path):
    picture = Image.effect_noise((20, 12), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    picture.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        spare = predict._as_file(opened, tmp_path / "spare.png")
    assert (load_rgb(spare) == load_rgb(tmp_path / "turned.png")).all()
    assert load_rgb(spare).shape == (20, 12, 3)


def test_images_of_modes_that_png_lacks_are_converted_or_refused(tmp_path):
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert load_rgb(predict._as_file(cmyk, tmp_path / "a.png"))[0, 0].tolist() == list(
        cmyk.convert("RGB").getpixel((0, 0))
    )
    with pytest.raises(DataError, match="float image"):
        predict._as_file(Image.new("F", (4, 4)), tmp_path / "b.png")


@pytest.mark.parametrize("words", [[], ["RUN"], ["out=here", "RUN"]])
def test_predict_says_how_it_is_used(words):
    with pytest.raises(UserError, match="usage: visrun predict"):
        predict.main_predict(words)


@pytest.mark.parametrize("words", [[], ["RUN"], ["data.root=x"], ["RUN", "other", "data.root=x"]])
def test_evaluate_says_how_it_is_used(words):
    with pytest.raises(UserError, match="usage: visrun evaluate"):
        predict.main_evaluate(words)
