"""Where pictures of predictions are written, and what is never written over."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from visrun import drawings
from visrun.build import load
from visrun.data.images import load_rgb
from visrun.errors import UserError
from visrun.tables import TASKS
from visrun.tasks.base import needed_side


def test_pictures_of_the_same_name_get_a_number():
    assert drawings.stems([Path("a/x.png"), Path("b/x.jpg"), Path("y.png")]) == ["x", "x_2", "y"]
    assert drawings.stems([Path("A.png"), Path("a.png")]) == ["A", "a_2"]  # one file where the system ignores case
    assert drawings.stems([Path("a/x"), Path("b/x"), Path("c/x_2"), Path("d/x")]) == ["x", "x_2", "x_2_2", "x_3"]


def test_many_pictures_of_one_name_are_named_at_once(monkeypatch):
    tried = []
    files = drawings.files
    monkeypatch.setattr(drawings, "files", lambda stem, maps: tried.append(stem) or files(stem, maps))
    paths = [Path(f"{i}/img.png") for i in range(200)]
    assert drawings.stems(paths) == ["img", *(f"img_{i}" for i in range(2, 201))]
    assert len(tried) < 4 * len(paths)


def test_a_map_takes_its_name_too():
    assert drawings.stems([Path("a.png"), Path("a_mask.png")], maps=["mask"]) == ["a", "a_mask_2"]
    assert drawings.stems([Path("a_mask.png"), Path("a.png")], maps=["mask"]) == ["a_mask_2", "a"]
    assert drawings.stems([Path("a_mask.png"), Path("b.png")], maps=["mask"]) == ["a_mask", "b"]
    assert drawings.stems([Path("a.png"), Path("a_mask.png")], maps=["heat"]) == ["a", "a_mask"]


def test_a_long_name_is_cut_so_that_all_files_of_its_image_can_be_written(tmp_path):
    paths = [Path(folder, name) for folder in "ab" for name in (251 * "y" + ".jpg", 83 * "あ" + ".png")]
    stems = drawings.stems(paths, maps=["mask"])
    assert stems == [246 * "y", 82 * "あ", 244 * "y" + "_2", 81 * "あ" + "_2"]
    for stem in stems:
        for name in drawings.files(stem, ["mask"]):
            (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == 8


def test_maps_of_bytes_are_pictures(tmp_path):
    Image.new("RGB", (2, 3)).save(tmp_path / "a.png")
    maps = {"heat": np.zeros((3, 2), np.float32), "mask": np.full((3, 2), 7, np.uint8)}
    task = SimpleNamespace(draw=lambda image, *_: image, maps=lambda *_: maps)
    found = drawings.pictures(task, {}, tmp_path / "a.png")
    assert list(found) == ["drawing", "mask"]
    assert (np.asarray(found["mask"]) == 7).all()
    del task.maps
    assert list(drawings.pictures(task, {}, tmp_path / "a.png")) == ["drawing"]


def drawn(folder: Path, images: list[Path], maps: tuple[str, ...] = ("mask",)) -> list[str]:
    """Draw ``images`` in one call; the names of their drawings."""
    named = drawings.named(images, folder, maps)
    for image, names in zip(images, named, strict=True):
        found = {kind: Image.new("L", (2, 2)) for kind in ("drawing", *maps)}
        assert [*drawings.saved(found, folder, names, image=image).values()] == [str(folder / name) for name in names]
    return [names[0] for names in named]


def test_a_later_call_replaces_its_own_drawings_of_the_same_image_alone(tmp_path):
    one, other = tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg"
    out = drawings.made(tmp_path / "out")
    assert drawn(out, [one]) == ["x.png"]
    assert drawn(out, [other]) == ["x_2.png"]
    for images, names in (([one], ["x.png"]), ([other, one], ["x_2.png", "x.png"])):
        assert drawn(out, images) == names
    assert len(list(out.iterdir())) == 4
    assert drawn(out, [one, one, other]) == ["x.png", "x_3.png", "x_2.png"]
    assert drawn(out, [one, one, other]) == ["x.png", "x_3.png", "x_2.png"]
    images = [tmp_path / "m" / "z_mask.jpg", tmp_path / "z.jpg"]
    for _ in range(2):
        assert drawn(out, images[1:]) == ["z.png"]
        assert drawn(out, images) == ["z_mask_2.png", "z.png"]
    long = tmp_path / (250 * "y")
    assert drawn(out, [long]) == drawn(out, [long])


@pytest.mark.parametrize("name", ["x.png", "x_mask.png", "X_mask.PNG"])
@pytest.mark.parametrize("kind", ["picture", "broken", "empty", "folder", "link"])
def test_what_predict_did_not_write_is_never_touched(name, kind, tmp_path):
    standing = drawings.made(tmp_path / "out") / name
    Image.new("L", (2, 2), 7).save(tmp_path / "label.png")
    whole = (tmp_path / "label.png").read_bytes()
    if kind == "folder":
        standing.mkdir()
    elif kind == "link":
        standing.symlink_to(tmp_path / "nowhere")
    else:
        standing.write_bytes({"picture": whole, "broken": whole[:20], "empty": b""}[kind])
    before = standing.read_bytes() if standing.is_file() else None
    for _ in range(2):
        assert drawn(standing.parent, [tmp_path / "x.jpg"]) == ["x_2.png"]
    assert sorted(file.name for file in standing.parent.iterdir()) == sorted([name, "x_2.png", "x_2_mask.png"])
    assert before is None or standing.read_bytes() == before


def test_a_file_that_another_process_has_put_there_meanwhile_is_one_line(tmp_path):
    image, mine = tmp_path / "x.jpg", {"drawing": Image.new("L", (2, 2))}
    ((name,),) = drawings.named([image], tmp_path, [])
    Image.new("L", (2, 2), 7).save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(UserError, match=r": x\.png was put there meanwhile, by another predict\? Name another folder$"):
        drawings.saved(mine, tmp_path, [name], image=image)
    assert (tmp_path / name).read_bytes() == before


def test_an_image_has_one_address_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    for path in (Path("../a b.png"), tmp_path / "there" / ".." / "a b.png"):
        assert drawings.address(path) == f"file://{tmp_path}/a%20b.png"


def test_only_headers_are_read_of_what_may_be_in_the_way(tmp_path, monkeypatch):
    images = [tmp_path / f"{i}.jpg" for i in range(3)]
    drawn(drawings.made(tmp_path / "out"), images)
    looked = []
    look = drawings.origin
    monkeypatch.setattr(drawings, "origin", lambda file: looked.append(file.name) or look(file))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    assert drawings.named(images[1:2], tmp_path / "out", []) == [["1.png"]]
    assert {*looked} == {"1.png"}


def test_a_name_that_is_no_text_is_kept_too(tmp_path):
    image = tmp_path / os.fsdecode(b"\xff \n.jpg")
    out = drawings.made(tmp_path / "out")
    assert drawn(out, [image]) == drawn(out, [image])
    assert drawings.origin(next(out.iterdir()))[0].endswith("/%FF%20%0A.jpg")


@pytest.mark.parametrize(
    ("name", "prediction"),
    [
        ("classification", {"probabilities": torch.tensor([[0.2, 0.8]])}),
        ("regression", {"value": torch.tensor([[3.0]])}),
        ("segmentation", {"mask": torch.arange(4 * 2400).view(1, 4, 2400) % 2}),
        ("anomaly_detection", {"score": torch.tensor([0.5]), "heat": torch.rand(1, 40, 60)}),
    ],
)
def test_a_file_is_decoded_no_larger_than_it_is_drawn(name, prediction, tmp_path, monkeypatch):
    states = {"regression": {"targets": ["x"], "mean": [0.0], "std": [1.0]}, "anomaly_detection": {}}
    task = load(TASKS[name].build)(**states.get(name, {"classes": ["a", "b"]}))
    pixels = np.asarray(Image.effect_noise((60, 40), 80).convert("RGB").resize((2400, 1600), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "large.jpg", quality=95, exif=exif)
    decoded = []
    monkeypatch.setattr(drawings, "load_rgb", lambda path, **how: decoded.append(load_rgb(path, **how)) or decoded[-1])
    quick = drawings.pictures(task, prediction, tmp_path / "large.jpg")["drawing"]
    whole = task.draw(Image.fromarray(load_rgb(tmp_path / "large.jpg")), prediction, 0)
    assert max(decoded[0].shape) == needed_side(task) < 2400
    assert quick.size == whole.size
    assert np.abs(np.asarray(quick, int) - np.asarray(whole, int)).mean() < 1


def test_a_task_that_draws_in_the_pixels_of_the_file_has_it_whole(tmp_path):
    Image.new("RGB", (2000, 10)).save(tmp_path / "a.png")
    sizes = []
    task = SimpleNamespace(draw=lambda image, *_: sizes.append(image.size) or image)
    drawings.pictures(task, {}, tmp_path / "a.png")
    assert sizes == [(2000, 10)]
    for name in ("object_detection", "oriented_object_detection", "instance_segmentation"):
        assert needed_side(load(TASKS[name].build)(classes=["a"])) is None


def test_an_image_that_a_link_leads_to_is_not_written_over(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").symlink_to(tmp_path / "a.png")
    drawings.protect([tmp_path / "a.png"], folder=tmp_path / "out", names=["a.png"])
    with pytest.raises(UserError, match=r"out: b\.png would replace an image that is read"):
        drawings.protect([tmp_path / "a.png"], folder=tmp_path / "out", names=["a.png", "b.png"])


def test_pictures_go_into_the_run_and_those_of_a_checkpoint_alone_into_the_current_folder(tmp_path, monkeypatch):
    for name in ("run/checkpoints", "weights/old", "here"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("run/experiment.json", "run/checkpoints/best.pt", "weights/old/best.pt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    assert drawings.folder_of(tmp_path / "run", None) == tmp_path / "run" / "predictions"
    assert drawings.folder_of(tmp_path / "run" / "checkpoints" / "best.pt", None) == tmp_path / "run" / "predictions"
    assert drawings.folder_of(tmp_path / "weights" / "old" / "best.pt", None) == Path("predictions")
    assert not (tmp_path / "weights" / "predictions").exists()
    assert drawings.folder_of(tmp_path / "run", "out") == Path("out")
    assert drawings.made(Path("out")).is_dir()
    (tmp_path / "run" / "predictions").symlink_to(tmp_path / "weights")
    with pytest.raises(UserError, match="run/predictions: a link that leads out"):
        drawings.folder_of(tmp_path / "run", None)
    assert drawings.folder_of(tmp_path / "run", "out") == Path("out")


@pytest.mark.parametrize(("out", "reason"), [("file", "File exists"), ("file/x", "Not a directory")])
def test_a_folder_that_cannot_be_made_is_one_line(out, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(UserError) as error:
        drawings.made(Path(out))
    assert str(error.value) == f"out={out}: cannot be written ({reason}); name another folder"


def test_a_folder_that_takes_no_files_is_known_before_the_predictions(tmp_path, monkeypatch):
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(drawings.tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"):
        drawings.made(tmp_path)
