"""Formats that are not read: each told in one line that names what to export in its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from visrun.data import foreign, recognise
from visrun.errors import DataError
from visrun.survey.look import look
from visrun.tables import READERS

VIA = {"filename": "a.jpg", "size": 1, "regions": [{"shape_attributes": {"name": "rect"}, "region_attributes": {}}]}
DATUMARO = {"info": {}, "categories": {"label": {"labels": []}}, "items": [{"id": "a", "annotations": []}]}
BOXED = [{"id": 1, "annotations": [{"result": [], "id": 2}], "data": {"image": "a.jpg"}}]
DARWIN = {"version": "2.0", "item": {"name": "a.jpg"}, "annotations": []}
SUPERVISELY = {"description": "", "tags": [], "size": {"height": 1, "width": 1}, "objects": []}
KITTI = "Car 0.00 0 -1.58 16.00 36.00 32.00 46.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"

FILES = [
    ("project-1.json", json.dumps(BOXED), "Label Studio"),
    ("min.json", json.dumps([{"image": "/data/a.jpg", "label": [], "annotation_id": 1}]), "Label Studio"),
    ("project.csv", "annotation_id,image,label\n1,a.jpg,[]\n", "Label Studio"),
    ("train/via_region_data.json", json.dumps({"a.jpg1": VIA}), "VIA"),
    ("via.csv", "filename,file_size,file_attributes,region_shape_attributes\na.jpg,1,{},{}\n", "VIA"),
    ("ds/ann/a.jpg.json", json.dumps(SUPERVISELY), "Supervisely"),
    ("meta.json", json.dumps({"classes": [], "tags": [], "projectType": "images"}), "Supervisely"),
    ("annotations/default.json", json.dumps(DATUMARO), "Datumaro"),
    ("labels/bdd100k.json", json.dumps([{"name": "a.jpg", "labels": [{"box2d": {}}]}]), "BDD100K"),
    ("a.json", json.dumps({"info": {"description": "ISAT"}, "objects": []}), "ISAT"),
    ("a.json", json.dumps(DARWIN), "Darwin"),
    ("captions.json", json.dumps({"annotations": []}), "a json of annotations without a list of images"),
    ("annotations.xml", '<?xml version="1.0"?><annotations><meta/>\n<track id="0"/></annotations>', "CVAT for video"),
    ("train/metadata.jsonl", '{"file_name": "a.jpg", "objects": {}}\n', "JSON lines of Hugging Face"),
    ("annotation_train.odgt", '{"ID": "a", "gtboxes": []}\n', "CrowdHuman"),
    ("export.ndjson", '{"data_row": {}}\n', "Labelbox"),
    ("output.manifest", '{"source-ref": "s3://a.jpg"}\n', "SageMaker"),
    ("train/pets.tfrecord", "x", "a TFRecord"),
    ("train.tfrecord-00000-of-00010", "x", "a TFRecord"),
    ("train/_annotations.txt", "b.jpg\na.jpg 28,2,38,21,0 45,27,57,42,1\n", "a list of boxes, as for YOLOv4 PyTorch"),
    ("split/wider_face_train_bbx_gt.txt", "0--Parade/a.jpg\n0\n", "WIDER Face"),
    ("training/label_2/a.txt", KITTI, "KITTI"),
    ("set/annotations/a.txt", "35,18,23,12,1,1,0,0\n", "VisDrone"),
    ("a_seg.npy", "x", "Cellpose"),
    ("train_masks.csv", "img,rle_mask\na.jpg,1 2 9 3\n", "a table of run lengths"),
    ("labels.mat", "MATLAB 5.0", "MATLAB"),
    ("data/train-0.parquet", "PAR1", "Parquet"),
    ("photos.zip", "PK", "an archive"),
    ("raw/photos.tar.gz", "x", "an archive"),
]


@pytest.mark.parametrize(("file", "text", "name"), FILES, ids=lambda item: item[:20])
def test_a_format_that_is_not_read_is_named(tmp_path: Path, file: str, text: str, name: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    Image.new("L", (40, 30)).save(path.with_name("a.jpg"))
    task = {"Parquet": "classification", "a table of run lengths": "segmentation"}.get(name, "object_detection")
    line = foreign.told(tmp_path, task)
    assert line.startswith(f"{file} is {name}") and ", which is not read: " in line
    if not recognise.fitting(tmp_path, task):
        with pytest.raises(DataError) as caught:
            recognise.listing(tmp_path, task=task)
        assert str(caught.value).startswith(f"data.root={tmp_path}: no layout for task={task} recognised: {line}")
        assert look(tmp_path, tasks=[task])[0].services[0].reason == f"no layout for it: {line}"
    assert foreign.told(path, task) == line.replace(file, path.name, 1) or "annotations/" in file.lower()


def test_what_is_no_known_format_is_not_named(tmp_path: Path) -> None:
    coco = json.dumps({"images": [], "annotations": []})  # too deep to be recognised
    (tmp_path / "a").mkdir()
    for name, text in {
        "notes.json": '{"a": [1]}',
        "a/coco.json": coco,
        "a.txt": "hello",
        "b.csv": "x,y\n1,2",
        ".c.mat": "x",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "gone.mat").symlink_to(tmp_path / "nowhere")
    assert foreign.told(tmp_path, "object_detection") == ""
    (tmp_path / "default.json").write_text(json.dumps(DATUMARO))
    assert foreign.told(tmp_path, "segmentation")
    assert foreign.told(tmp_path, "anomaly_detection")


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (["tief", "Delle (groß)"], "of the folders Delle (groß), tief none is called good"),
        (["teile"], "the folder teile is not called good"),
        (["ok", "tief"], ""),
        (["train", "test"], ""),
    ],
)
def test_kinds_of_which_none_is_good_are_said(tmp_path: Path, folders: list[str], line: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
        Image.new("L", (40, 30)).save(tmp_path / name / "a.png")
    assert foreign.told(tmp_path, "anomaly_detection").partition(" (or ok")[0] == line
    assert foreign.told(tmp_path, "segmentation") == ""


@pytest.mark.parametrize("splits", [[""], ["train", "val"]])
def test_folders_named_by_numbers_are_no_values(tmp_path: Path, splits: list[str]) -> None:
    for name in ("1", "2.5", "10"):
        for split in splits:
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (40, 30)).save(tmp_path / split / name / "a.png")
    line = "the folders 1, 2.5, 10 are named by numbers: list the images in a table, image,value"
    with pytest.raises(DataError) as caught:
        recognise.listing(tmp_path, task="regression")
    assert str(caught.value).startswith(f"data.root={tmp_path}: no layout for task=regression recognised: {line}")
    assert foreign.told(tmp_path, "classification") == ""
    (tmp_path / splits[0] / "cat").mkdir()
    assert foreign.told(tmp_path, "regression") == ""


def test_every_format_names_readers_that_there_are() -> None:
    assert {name for known in foreign.FORMATS for name in known.readers} <= READERS.keys()
