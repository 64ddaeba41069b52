import io
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.test_predictor import small
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


def test_hidden_files_are_no_images_and_numbers_count_by_value(tmp_path):
    shown = ["img2.png", "img10.png", "x/1.png"]
    for name in [*shown, "._img2.png", ".ipynb_checkpoints/img2.png", "__MACOSX/img2.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in predict.find_images([tmp_path])] == shown


def test_what_is_not_there_is_named(pictures):
    with pytest.raises(DataError, match="no such file or folder"):
        predict.find_images([pictures / "missing.png"])
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in this folder.*\.png"):
        predict.find_images([pictures / "empty"])


def test_a_list_stands_for_the_paths_in_it(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    (pictures / "lists").mkdir()
    Image.new("RGB", (4, 4)).save(pictures / "lists" / "ö 2.png")
    lines = ["a/1.png", "", "ö 2.png", f"{pictures / 'c'}", "a/1.png"]  # from here, or else from beside the list
    (pictures / "lists" / "some.txt").write_text("\r\n".join(lines), encoding="utf-8-sig")
    found = ["a/1.png", "lists/ö 2.png", f"{pictures / 'c' / '1.png'}", "a/1.png"]
    assert [*map(str, predict.find_images(["lists/some.txt"]))] == found
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"c/1.png\na\n")))
    assert [*map(str, predict.find_images(["-", "c"]))] == ["c/1.png", "a/1.png", "a/b/2.JPG", "c/1.png"]


def test_labels_beside_the_images_that_are_named_are_no_lists(pictures):
    labels = pictures / "a" / "1.txt"
    labels.write_text("0 0.5 0.5 1 1")
    image = pictures / "a" / "1.png"
    assert predict.find_images([image, labels]) == [image]
    with pytest.raises(DataError, match=r"1\.txt, line 1: 0 0\.5 .*: no such file"):
        predict.find_images([labels])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\nd.png\ne.png\n", r"^list\.txt, line 2: d\.png: no such file or folder$"),
        (b"c/1.png\nempty\n", r"^list\.txt, line 2: empty: no images in this folder"),
        (b"c/1.png\n" + 300 * b"x", r"^list\.txt, line 2: .*File name too long"),
        (b"\n \n", r"^list\.txt: no paths in this list$"),
        (b"\x89PNG\0", r"^list\.txt: no text, and is read as a list of paths, one a line$"),
    ],
)
def test_a_list_of_something_else_is_one_line(content, told, pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    Path("empty").mkdir()
    Path("list.txt").write_bytes(content)
    with pytest.raises(DataError, match=told):
        predict.find_images(["list.txt"])


def test_an_image_in_a_pipe_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: a pipe or device, and images are read from files: save it; - reads a "):
        predict.find_images([tmp_path / "pipe"])


@pytest.mark.parametrize("words", [[], ["RUN"], ["out=here", "RUN"]])
def test_predict_says_how_it_is_used(words):
    with pytest.raises(UserError, match="usage: visrun predict"):
        predict.main(words)


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that sees a mask in every image, in place of whichever run is named."""
    mask = np.full((4, 4), 255, np.uint8)
    task = SimpleNamespace(record=lambda *_: {}, draw=lambda image, *_: image, maps=lambda *_: {"mask": mask})
    look = SimpleNamespace(white=None)
    model = SimpleNamespace(task=task, look=look, attempts=lambda paths: ({} for _ in paths))
    monkeypatch.setattr(predict, "load", lambda *_, **__: model)


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize(("names", "lost"), [(["p0.png"], "p0.png"), (["a.jpg", "a_mask.png"], "a_mask.png")])
def test_an_image_that_is_read_is_never_replaced(names, lost, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("imgs").mkdir()
    for name in names:
        Image.new("RGB", (4, 4), "red").save(Path("imgs", name))
    before = {file: file.read_bytes() for file in Path("imgs").iterdir()}
    with pytest.raises(UserError) as error:
        predict.main(["RUN", "imgs", "out=imgs"])
    assert str(error.value) == f"out=imgs: {lost} would replace an image that is read; name another folder"
    assert {file: file.read_bytes() for file in Path("imgs").iterdir()} == before


@pytest.mark.usefixtures("seeing")
def test_labels_and_drawings_of_other_images_stay(pictures, capsys):
    label = pictures / "out" / "1_mask.png"
    label.parent.mkdir()
    Image.new("L", (4, 4), 7).save(label)
    for folder, name in (("a", "1_2.png"), ("c", "1_3.png"), ("a", "1_2.png")):
        assert predict.main(["RUN", str(pictures / folder / "1.png"), f"out={label.parent}"]) == 0
        assert Path(json.loads(capsys.readouterr().out)["drawing"]).name == name
    assert np.asarray(Image.open(label)).max() == 7


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize("given", ["imgs", ".", "list.txt"])
def test_drawings_are_not_predicted_in_their_turn(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("imgs/b").mkdir(parents=True)
    for name in ("a.png", "b/a.png"):
        Image.new("RGB", (4, 4)).save(Path("imgs", name))
    Path("list.txt").write_text("imgs")
    for number in range(3):
        if number == 2:
            Image.new("RGB", (4, 4)).save("imgs/new.png")
        assert predict.main(["RUN", given, "out=imgs/b/out"]) == 0
        out, err = capsys.readouterr()
        seen = ["imgs/a.png", "imgs/b/a.png", "imgs/new.png"][: max(2, number + 1)]
        assert sorted(json.loads(line)["image"] for line in out.splitlines()) == seen
        assert ("visrun: left out: 4 images in imgs/b/out, the folder for drawings\n" in err) == (number > 0)
    assert predict.find_images(["imgs/b/out/a.png"], without=Path("imgs/b/out")) == [Path("imgs/b/out/a.png")]
    assert len(predict.find_images(["imgs/b/out"], without=Path("imgs/b/out"))) == 6
    Path("imgs/b/a.png").unlink()
    with pytest.raises(DataError, match=r"^imgs/b: no images in this folder"):
        predict.find_images(["imgs/b"], without=Path("imgs/b/out"))


@pytest.mark.usefixtures("seeing")
def test_every_drawing_and_mask_has_a_file_of_its_own(pictures, capsys):
    Image.new("RGB", (4, 4)).save(pictures / "c" / "1_mask.png")
    assert predict.main(["RUN", str(pictures / "c"), f"out={pictures / 'out'}"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["1.png", "1_mask.png"]
    black, white = [0], [255]
    values = {file.name: sorted(set(load_rgb(file).flat)) for file in sorted(pictures.glob("out/*"))}
    assert values == {"1.png": black, "1_mask.png": white, "1_mask_2.png": black, "1_mask_2_mask.png": white}
    assert [line[key] for line in lines for key in ("drawing", "mask")] == [
        str(pictures / "out" / name) for name in values
    ]


@pytest.mark.parametrize(("given", "gone"), [("", []), ("list.txt", ["gone.png"])])
def test_files_that_cannot_be_read_are_lines_and_the_others_go_on(given, gone, tmp_path, monkeypatch, capsys):
    names = [f"{i:02}.png" for i in range(70)]
    for name in names:
        Image.effect_noise((8, 8), 60).convert("RGB").save(tmp_path / name)
    for bad, length in (("40.png", 90), ("69.png", 90), ("03.png", 10)):
        (tmp_path / bad).write_bytes((tmp_path / bad).read_bytes()[:length])
    (tmp_path / "list.txt").write_text("\n".join(["00.png", "gone.png", *names[1:]]))
    predictor = small()
    predictor.task.record = lambda found, i: {"value": found["value"][i].mean().item()}
    predictor.task.draw = lambda image, *_: image
    predictor.task.restore = lambda found, i, _: {"value": found["value"][i : i + 1]}
    monkeypatch.setattr(predict, "load", lambda *_, **__: predictor)
    monkeypatch.chdir(tmp_path)
    assert predict.main(["RUN", str(tmp_path / given), f"out={tmp_path / 'out'}"]) == 2
    out, err = capsys.readouterr()
    bad = [*gone, "03.png", "40.png", "69.png"]
    seen = {Path(line["image"]).name: line["value"] for line in map(json.loads, out.splitlines())}
    assert list(seen) == [name for name in names if name not in bad]
    assert [line.split(": ")[:2] for line in err.splitlines()[:-1]] == [["visrun", "error"]] * len(bad)
    assert [Path(line.split(": ")[2]).name for line in err.splitlines()[:-1]] == bad
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == list(seen)
    alone = predictor.predict([tmp_path / "41.png"])
    assert alone[0]["value"] == pytest.approx(seen["41.png"], abs=1e-6)
    with pytest.raises(DataError, match=r"40\.png: broken image"):
        predictor.predict([tmp_path / name for name in names if name != "03.png"])


def test_a_file_whose_name_holds_line_ends_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "a  b\nc\r.png").write_bytes(b"x")
    predictor = small()
    monkeypatch.setattr(predict, "load", lambda *_, **__: predictor)
    assert predict.main(["RUN", str(tmp_path), f"out={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err == f"visrun: error: {tmp_path}/a  b c .png: not an image that Pillow reads\n"


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize(("count", "drawn"), [("0", []), ("1", ["1.png"]), ("9", ["1.png", "2.png"])])
def test_as_many_are_drawn_as_are_asked_for(tmp_path, capsys, count, drawn):
    for name in ("1.png", "2.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / name)
    assert predict.main(["RUN", str(tmp_path / "in"), f"out={tmp_path / 'out'}", f"pictures={count}"]) == 0
    out, err = capsys.readouterr()
    assert [Path(line["drawing"]).name for line in map(json.loads, out.splitlines()) if "drawing" in line] == drawn
    assert len(out.splitlines()) == 2
    assert ("pictures:" in err) == bool(drawn)
    assert sorted(file.name for file in tmp_path.glob("out/*") if "mask" not in file.name) == drawn
    assert (tmp_path / "out").exists() == bool(drawn)  # of a run that may only be read, say


@pytest.mark.parametrize("word", ["threshold=high", "threshold=nan", "pictures=some", "pictures=-1"])
def test_numbers_of_the_options_are_checked(word, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    with pytest.raises(UserError, match=rf"^{word}: must be an? (number|integer)"):
        predict.main(["RUN", str(tmp_path / "1.png"), word])


@pytest.mark.usefixtures("seeing")
def test_a_picture_that_cannot_be_written_is_one_line(pictures, monkeypatch):
    def refuse(_: object, file: Path, *_format: str, **_options: int) -> None:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(UserError, match=r"^out=.*/out: cannot be written \(No space left on device\); name another"):
        predict.main(["RUN", str(pictures / "c"), f"out={pictures / 'out'}"])


@pytest.mark.usefixtures("seeing")
def test_drawings_are_made_side_by_side_and_their_lines_come_in_order(tmp_path, monkeypatch, capsys):
    for i in range(9):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(predict, "cores", lambda: 3)
    pictures, meeting = predict.drawings.pictures, threading.Barrier(3, timeout=20)
    monkeypatch.setattr(predict.drawings, "pictures", lambda *a, **b: (meeting.wait() and None) or pictures(*a, **b))
    assert predict.main(["RUN", str(tmp_path), f"out={tmp_path / 'out'}"]) == 0
    assert [Path(json.loads(line)["drawing"]).name for line in capsys.readouterr().out.splitlines()] == [
        f"{i}.png" for i in range(9)
    ]


@pytest.mark.usefixtures("seeing")
def test_a_file_may_be_named_like_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a=b.png", "out=b.png"):
        Image.new("RGB", (4, 4)).save(name, "PNG")
    assert predict.main(["RUN", "a=b.png", "./out=b.png"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image"] for line in lines] == ["a=b.png", "out=b.png"]
