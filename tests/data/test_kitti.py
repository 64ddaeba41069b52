"""KITTI's label files of objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import records
from visrun.data.describe import describe
from visrun.data.readers import folder, kitti, yolo
from visrun.errors import DataError

CAR = "Car 0.00 0 -1.58 4.50 5.25 14.00 25.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"
VAN = "Van 0.80 3 1.58 0 1 6 7 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59 0.9"  # with a score
REGION = "DontCare -1 -1 -10 20 2 30 10 -1 -1 -1 -1000 -1000 -1000 -10"


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30), shade).save(path)
    return path


def made(root: Path, *lines: str, top: str = "training", folders: tuple[str, str] = ("image_2", "label_2")) -> Path:
    for shade, name in enumerate(("000000", "000001")):
        picture(root / top / folders[0] / f"{name}.png", 90 * shade)
    labels = root / top / folders[1]
    labels.mkdir(parents=True, exist_ok=True)
    (labels / "000000.txt").write_text("\n".join(lines))
    (labels / "000001.txt").write_text(VAN)
    return root


@pytest.mark.parametrize("top", ["training", ""])
def test_boxes_and_regions_that_count_for_nothing(tmp_path: Path, top: str) -> None:
    made(tmp_path, CAR, REGION, top=top)
    picture(tmp_path / "testing" / "image_2" / "000000.png", 255)
    dataset = records.read(tmp_path, task="object_detection", training=False)
    assert (dataset.layout, dataset.classes) == ("kitti", ("Car", "Van"))
    (split,) = dataset.splits
    first, second = (row.target for row in dataset.splits[split])
    assert first.labels.tolist() == [0, 0, 1] and first.ignored.tolist() == [False, True, True]
    assert first.boxes.tolist() == [[4.5, 5.25, 14, 25], [20, 2, 30, 10], [20, 2, 30, 10]]
    assert (first.num_ignored(), second.num_ignored()) == (1, 0)  # one region, though ignored for two classes
    assert any("; 1 ignored; " in line for line in describe(dataset).splitlines())
    assert second.boxes.tolist() == [[0, 1, 6, 7]] and not second.ignored.any()
    if top:
        assert "testing/image_2/: test images without labels are left out" in dataset.warnings


def test_a_region_is_of_no_class_and_no_object(tmp_path: Path) -> None:
    made(tmp_path, CAR, REGION)
    assert records.read(tmp_path, task="regression", training=False).splits["train"][0].target == (1, 0)
    assert [row.target for row in records.read(tmp_path, task="classification", training=False).splits["train"]] == [
        0,
        1,
    ]
    chosen = records.read(tmp_path, task="object_detection", classes=["Van"], training=False).splits["train"][0].target
    assert chosen.labels.tolist() == [0] and chosen.ignored.tolist() == [True]


def test_other_folders_where_the_layout_is_named(tmp_path: Path) -> None:
    made(tmp_path, CAR, folders=("images", "labels"))
    assert not kitti.recognise(tmp_path) and yolo.recognise(tmp_path)
    assert len(records.read(tmp_path, task="object_detection", reader="kitti", training=False).splits["train"]) == 2


def test_an_image_without_a_label_file_shows_nothing(tmp_path: Path) -> None:
    made(tmp_path, CAR)
    picture(tmp_path / "training" / "image_2" / "000002.png", 200)
    (tmp_path / "training" / "label_2" / "000009.txt").write_text(CAR)
    listing = kitti.read(tmp_path)
    assert [len(row.target) for row in listing.splits["train"]] == [1, 1, 0]
    assert listing.warnings == (
        "1 image without a label file is taken to show nothing, such as training/image_2/000002.png",
        "1 label file without an image is left out, such as training/label_2/000009.txt",
    )


@pytest.mark.parametrize("line", ["Car 0 0 0 1 2 3", f"{CAR} 1 2", CAR.replace("14.00", "x"), "1 0.5 0.5 0.1 0.1"])
def test_a_line_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    made(tmp_path, CAR, "", line)
    told = r"training/label_2/000000\.txt:3: no line of a type and 14 numbers, the box the 4th to 7th: "
    with pytest.raises(DataError, match=told):
        records.read(tmp_path, task="object_detection")


def test_no_label_file_at_all_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "training" / "image_2" / "a.png")
    with pytest.raises(DataError, match="no image_2/ with label_2/ beside it"):
        kitti.read(tmp_path)
    label = tmp_path / "training" / "label_2" / "b.txt"
    label.parent.mkdir()
    label.write_text(CAR)
    with pytest.raises(DataError, match=r"no image of train has a label file, such as .*label_2/a\.txt"):
        kitti.read(tmp_path)


def test_cameras_are_no_classes(tmp_path: Path) -> None:
    made(tmp_path / "set", CAR)
    picture(tmp_path / "set" / "training" / "image_3" / "000000.png", 40)
    assert not folder.recognise(tmp_path / "set") and not folder.recognise(tmp_path)
    dataset = records.read(tmp_path / "set", task="classification", training=False)
    assert (dataset.layout, dataset.others) == ("kitti", ())
