"""What a folder can serve, with its counts, sizes and problems."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visrun import build
from visrun.data import recognise
from visrun.data.readers import coco, yolo
from visrun.errors import DataError
from visrun.survey.look import Spread, Survey, look, spread
from visrun.survey.text import as_text
from visrun.tables import READERS, TASKS, ReaderEntry, learning

from .conftest import photo


def survey(root: Path, **asked: Any) -> Survey:
    return look(root, **asked)[0]


def ready(found: Survey) -> list[str]:
    return [service.task for service in found.services if service.ready]


def of(found: Survey, task: str):
    return next(service for service in found.services if service.task == task)


def test_a_file_that_ends_the_look_is_named_below_the_folder(
    class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hung(*_: object, **__: object) -> None:
        raise DataError(f"{class_folders}/a/pipe.png: not read in time")

    monkeypatch.setattr("visrun.data.records.check.examine", hung)
    (service,) = survey(class_folders, tasks=["classification"]).services
    assert service.reason == "a/pipe.png: not read in time"


def test_outlines_serve_all_tasks(outlines: Path) -> None:
    found = survey(outlines)
    assert [service.task for service in found.services] == list(TASKS)
    assert set(ready(found)) == {*learning(READERS["coco"].served)} - {"anomaly_detection"}
    assert of(found, "anomaly_detection").reason.startswith("no good image in val: add some")  # there is but one
    assert (found.images, found.suffixes) == (10, {"png": 10})
    assert (found.width, found.height) == (Spread(low=48, median=48, high=48), Spread(low=32, median=32, high=32))
    boxes = of(found, "object_detection")
    assert (boxes.layout, boxes.counted, boxes.objects) == ("coco", "objects", 14)
    assert boxes.sides == Spread(low=19.5959, median=19.5959, high=19.5959)
    assert boxes.per_image == Spread(low=0, median=1.5, high=2)
    assert sum(split.images for split in boxes.splits.values()) == 10
    assert sum(split.without_objects or 0 for split in boxes.splits.values()) == 1
    assert sum(split.counts["cat"] for split in boxes.splits.values()) == 8  # the crowd does not count
    assert of(found, "classification").counted == "images"
    assert of(found, "segmentation").classes == ("background", "cat", "dog")
    assert of(found, "segmentation").objects is None
    assert of(found, "regression").targets == ("cat", "dog")


def test_it_is_json(outlines: Path) -> None:
    found = survey(outlines)
    assert json.loads(json.dumps(asdict(found)))["services"][2]["splits"]["train"]["counts"].keys() == {"cat", "dog"}


def test_each_layout_is_read_once(outlines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    true = coco.read
    monkeypatch.setattr(coco, "read", lambda root: asked.append(root) or true(root))
    survey(outlines)
    assert len(asked) == 1


def test_labels_are_read_once_for_all_tasks_to_which_they_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    true = yolo.read

    def counted(root: Path, *, only_outlines: bool):
        asked.append(only_outlines)
        return true(root, only_outlines=only_outlines)

    monkeypatch.setattr(yolo, "read", counted)
    for i in range(8):
        photo(tmp_path / "images" / f"{i}.png", i)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{i}.txt").write_text(f"{i % 2} .1 .1 .9 .1 .5 .9\n")
    assert len(ready(survey(tmp_path))) == 6
    assert sorted(asked) == [False, True]


def test_boxes_alone_say_what_they_lack(outlines: Path) -> None:
    content = json.loads((outlines / "all.json").read_text())
    for entry in content["annotations"]:
        del entry["segmentation"]
    (outlines / "all.json").write_text(json.dumps(content))
    found = survey(outlines)
    assert ready(found) == ["classification", "object_detection", "regression"]
    assert of(found, "segmentation").reason == "data=coco: boxes without corners or outlines"


def test_class_folders_and_a_task_of_ones_own(class_folders: Path) -> None:
    found = survey(class_folders, tasks=["classification", "regression"])
    assert ready(found) == ["classification"]
    assert of(found, "classification").splits["train"].counts == {"a": 3, "b": 3}
    assert of(found, "regression").reason.startswith("no layout for it (looked for csv, coco, yolo")
    assert survey(class_folders, tasks=["classification"], reader="csv").services[0].reason.startswith("no table")
    assert (
        survey(class_folders, tasks=["regression"], reader="folder").services[0].reason.startswith("no layout for it")
    )


def test_datasets_inside_are_named_as_a_run_names_them(outlines: Path) -> None:
    shutil.copytree(outlines, outlines.parent / "pets test")
    outlines.rename(outlines.parent / "pets train")
    place = f"in the folders pets test, pets train: name one of them, as in 'data.root={outlines.parent}/pets train'"
    (service,) = survey(outlines.parent, tasks=["instance_segmentation"]).services
    assert service.reason == f"no layout for it here, but {place}"
    with pytest.raises(DataError, match=f"recognised here, but {place}$"):
        recognise.listing(outlines.parent, task="instance_segmentation")


def test_problems_are_listed_and_may_be_skipped(class_folders: Path) -> None:
    (class_folders / "a" / "0.png").write_bytes(b"")
    found = survey(class_folders, tasks=["classification"])
    (service,) = found.services
    assert not service.ready
    assert service.reason == "1 cannot be used: mend them, or leave them out with data.on_bad=skip"
    assert service.problems == ("a/0.png: empty file (0 bytes)",)
    assert ready(survey(class_folders, tasks=["classification"], on_bad="skip")) == ["classification"]
    for path in class_folders.rglob("*.png"):
        path.write_bytes(b"")
    (service,) = survey(class_folders, tasks=["classification"]).services
    assert service.reason == "8 of 8 records cannot be used"
    assert len(service.problems) == 8


def test_nothing_is_there(tmp_path: Path) -> None:
    found = survey(tmp_path)
    assert ready(found) == []
    assert (found.images, found.width) == (0, None)
    with pytest.raises(DataError, match="no such file or folder"):
        survey(tmp_path / "nowhere")


COCO = """{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "caf\u00e9"}], "annotations":
[{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]}"""
CREATEML = """[{"image": "a.png", "annotations": [{"label": "caf\u00e9", "coordinates": {}}]}]"""


@pytest.mark.parametrize(("encoding", "byte"), [("utf-16", "0xff at 0"), ("cp1252", "0xe9 at")])
@pytest.mark.parametrize(
    ("name", "text", "task"),
    [
        ("t.csv", "image,label\na.png,caf\u00e9\n", "classification"),
        ("t.csv", "image,class,xmin,ymin,xmax,ymax\na.png,caf\u00e9,0,0,9,9\n", "object_detection"),
        ("train.json", COCO, "object_detection"),
        ("train.json", CREATEML, "object_detection"),
    ],
)
def test_a_text_as_windows_writes_it_is_named(
    tmp_path: Path, name: str, text: str, task: str, encoding: str, byte: str
) -> None:
    photo(tmp_path / "photos" / "a.png", 0)
    (tmp_path / name).write_text(text, encoding=encoding)
    for root in (tmp_path, tmp_path / name):
        reason = of(survey(root, tasks=[task]), task).reason
        assert reason.startswith(f"{name}:") and f": not UTF-8 (byte {byte}" in reason


@pytest.mark.parametrize("suffix", [".dcm", ".npy", ".nii.gz", ".HEIC"])
def test_images_of_kinds_that_are_not_read_are_one_line(tmp_path: Path, suffix: str) -> None:
    for folder in ("train/a", "train/b", "val/a"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f"1.x{suffix}").write_bytes(b"x")
    (tmp_path / "train" / ".a.npz").touch()
    (tmp_path / "readme.txt").touch()
    advice = "convert them to PNG or TIFF, a file for each picture or slice"
    line = f"no image that can be read, but 3 {suffix.lower()}: {advice}"
    assert as_text(survey(tmp_path)) == f"{tmp_path}: no task can be served: {line}"
    with pytest.raises(DataError) as caught:
        recognise.listing(tmp_path, task="classification")
    assert str(caught.value) == f"data.root={tmp_path}: {line}"
    photo(tmp_path / "train" / "a" / "2.png", 0)
    assert of(survey(tmp_path), "regression").reason.startswith("no layout for it (looked for")


def test_a_reader_that_is_new_is_asked_too(class_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = READERS["folder"]
    mine = ReaderEntry(read=entry.read, recognise=entry.recognise, targets=("label",))
    monkeypatch.setitem(READERS, "folder", replace(entry, targets=()))
    monkeypatch.setitem(READERS, "mine", mine)
    assert recognise.fitting(class_folders, "classification") == ["mine"]
    found = survey(class_folders)
    assert of(found, "classification").layout == "mine"
    assert "classification" in ready(found)


def test_a_reader_is_asked_once_for_all_tasks(outlines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    own = build.load(READERS["coco"].recognise)

    def recognises(root: Path) -> bool:
        asked.append(root)
        return bool(own(root))

    monkeypatch.setitem(READERS, "coco", replace(READERS["coco"], recognise=recognises))
    assert {"object_detection", "segmentation"} <= set(ready(survey(outlines)))
    assert asked == [outlines]


def test_spread_by_hand() -> None:
    assert spread(np.array([3.0, 1, 10])) == Spread(low=1, median=3, high=10)
    assert spread(np.zeros(0)) is None


def test_the_text_groups_what_is_alike(outlines: Path) -> None:
    text = as_text(survey(outlines))
    assert (
        "\nobject_detection, oriented_object_detection, instance_segmentation:\n  coco: 10 images, 2 classes\n" in text
    )
    assert "  regression                 yes  data=coco\n" in text
    assert text.count(str(outlines)) == 1


def test_the_text_lists_twenty_problems(class_folders: Path) -> None:
    rows = (
        "".join(f"{i}.png,a\n" for i in range(25))
        + "".join(f"a/{i}.png,b\nb/{i + 1}.png,a\n" for i in (0, 2, 4, 6)) * 4
    )
    (class_folders / "list.csv").write_text("image,label\n" + rows)
    text = as_text(survey(class_folders, tasks=["classification"], reader="csv"))
    assert "problems (25):" in text
    assert text.endswith("  ... and 5 more")


def test_every_problem_of_a_folder_that_is_refused_is_counted(tmp_path: Path) -> None:
    for i in range(30):
        photo(tmp_path / f"{i}.png", i)
    (tmp_path / "labels.csv").write_text(
        "\n".join(["image,price", *(f'{i}.png,"{i},5"' for i in range(30)), "0.png,2"])
    )
    found = survey(tmp_path, tasks=["regression"])
    assert found.services[0].reason == "30 of 31 records cannot be used"
    assert found.services[0].problems[29].endswith("'29,5' is no number")
    lines = as_text(found).splitlines()
    assert "problems (30):" in lines
    assert lines[-1] == "  ... and 10 more"


def test_pictures_that_two_splits_share_are_told_where_pixels_are_looked_at(tmp_path: Path) -> None:
    """Not of parts in a search for defects, which look alike by nature, and not before a run, which decodes later."""
    rng = np.random.default_rng(0)
    for i in range(8):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        for split, side in (("train", 96), ("val", 80)):
            path = tmp_path / split / ("good", "bad")[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse.resize((side, side), Image.Resampling.BICUBIC).save(path)
    found = {service.task: service for service in look(tmp_path, pixels=True)[0].services if service.ready}
    told = {task: any("8 images nearly show" in line for line in found[task].warnings) for task in found}
    assert told == {"classification": True, "anomaly_detection": False}
    assert not any("nearly" in line for service in survey(tmp_path).services for line in service.warnings)


def test_a_warning_of_one_task_alone_names_it(outlines: Path) -> None:
    found = survey(outlines)
    shared, own = "shared", "own"
    services = [
        replace(one, warnings=(shared, own) if one.task == "regression" else (shared,)) for one in found.services
    ]
    text = as_text(replace(found, services=tuple(services)))
    assert text.endswith("\n  shared\n  regression: own")
    alone = survey(outlines, tasks=["regression"])
    text = as_text(replace(alone, services=tuple(replace(one, warnings=(own,)) for one in alone.services)))
    assert text.endswith("\n  own")
