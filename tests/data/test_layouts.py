"""The same objects from every layout that can hold them, for every task that they can serve."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visrun.data import files, images, records, threads
from visrun.data.cache import Keep
from visrun.data.describe import describe
from visrun.data.look import Look
from visrun.data.objects import BOX, LABEL, Objects, corners_of
from visrun.data.outlines import drawn
from visrun.errors import DataError
from visrun.loaders import split_batches
from visrun.tables import READERS, TASKS, learning

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SIZE = (64, 48)
NAMES = ("cat", "dog", "emu")
ACCENTS = ("caf\u00e9", "\u00e2ne", "emu")  # each as one character


def turned(x: float, y: float, w: float, h: float, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
    return corners @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def photo(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, shade).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def as_coco(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    entries: list[dict[str, Any]] = []
    for image, several in enumerate(quads.values()):
        for quad, label in zip(several, list(labels.values())[image], strict=True):
            low, high = quad.min(0), quad.max(0)
            shape = {"segmentation": [quad.ravel().tolist()]} if shaped else {}
            box = [*low.tolist(), *(high - low).tolist()]
            entries.append({"id": len(entries), "image_id": image, "category_id": label + 5, "bbox": box, **shape})
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(quads)],
        "categories": [{"id": i + 5, "name": name} for i, name in enumerate(NAMES)],
        "annotations": entries,
    }
    write(root / "all.json", json.dumps(content))


def as_yolo(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    for name, several in quads.items():
        lines = []
        for quad, label in zip(several, labels[name], strict=True):
            low, high = quad.min(0), quad.max(0)
            numbers = quad / SIZE if shaped else np.array([(low + high) / 2, high - low]) / SIZE
            lines.append(" ".join([str(label), *(f"{number:.8f}" for number in numbers.ravel())]))
        write(root / "labels" / f"{name}.txt", "\n".join(lines))
    write(root / "data.yaml", f"names: [{', '.join(NAMES)}]\ntrain: images\nval: images\n")


def as_voc(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    assert not shaped
    for name, several in quads.items():
        items = ""
        for quad, label in zip(several, labels[name], strict=True):
            sides = zip(("xmin", "ymin", "xmax", "ymax"), [*quad.min(0), *quad.max(0)], strict=True)
            box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
            items += f"<object><name>{NAMES[label]}</name><bndbox>{box}</bndbox></object>"
        write(root / "Annotations" / f"{name}.xml", f"<annotation>{items}</annotation>")


def as_dota(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    assert shaped
    for name, several in quads.items():
        rows = (
            " ".join([*map(str, quad.ravel()), NAMES[label], "0"])
            for quad, label in zip(several, labels[name], strict=True)
        )
        write(root / "labelTxt" / f"{name}.txt", "\n".join(rows))


def as_labelme(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    for name, several in quads.items():
        shapes = []
        for quad, label in zip(several, labels[name], strict=True):
            points = quad if shaped else np.stack([quad.min(0), quad.max(0)])
            kind = "polygon" if shaped else "rectangle"
            shapes.append({"label": NAMES[label], "points": points.tolist(), "shape_type": kind, "group_id": None})
        content = {"version": "5.4.1", "shapes": shapes, "imagePath": f"../images/{name}.png", "imageData": None}
        write(root / "labels" / f"{name}.json", json.dumps(content))


def as_boxes(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    assert not shaped
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for name, several in quads.items():
        head = f"{name}.png,{SIZE[0]},{SIZE[1]}"
        rows += [] if several else [f"{head},,,,,"]
        for quad, label in zip(several, labels[name], strict=True):
            rows.append(f"{head},{NAMES[label]},{','.join(map(str, [*quad.min(0), *quad.max(0)]))}")
    write(root / "_annotations.csv", "\n".join(rows))


def as_cvat(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    lines = [f"<label><name>{name}</name><type>any</type></label>" for name in NAMES]
    lines = [f"<annotations><meta><task><labels>{''.join(lines)}</labels></task></meta>"]
    for name, several in quads.items():
        lines.append(f'<image id="0" name="{name}.png" width="{SIZE[0]}" height="{SIZE[1]}">')
        for quad, label in zip(several, labels[name], strict=True):
            sides = zip(("xtl", "ytl", "xbr", "ybr"), [*quad.min(0), *quad.max(0)], strict=True)
            box = " ".join(f'{side}="{value}"' for side, value in sides)
            polygon = f'points="{";".join(f"{x},{y}" for x, y in quad)}"'
            lines.append(f'<{f"polygon {polygon}" if shaped else f"box {box}"} label="{NAMES[label]}"/>')
        lines.append("</image>")
    write(root / "annotations.xml", "\n".join([*lines, "</annotations>"]))


def as_createml(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], shaped: bool) -> None:
    assert not shaped
    entries = []
    for name, several in quads.items():
        objects = []
        for quad, label in zip(several, labels[name], strict=True):
            sides = [*((quad.min(0) + quad.max(0)) / 2), *np.ptp(quad, 0)]
            coordinates = dict(zip(("x", "y", "width", "height"), map(float, sides), strict=True))
            objects.append({"label": NAMES[label], "coordinates": coordinates})
        entries.append({"image": f"{name}.png", "annotations": objects})
    write(root / "_annotations.createml.json", json.dumps(entries))


WRITERS = {
    "coco": as_coco,
    "yolo": as_yolo,
    "voc": as_voc,
    "dota": as_dota,
    "labelme": as_labelme,
    "cvat": as_cvat,
    "createml": as_createml,
    "boxes": as_boxes,
}


@pytest.fixture(scope="module")
def drawn_once() -> tuple[dict[str, list[np.ndarray]], dict[str, list[int]]]:
    rng = np.random.default_rng(3)
    quads, labels = {}, {}
    for i in range(8):
        n = int(rng.integers(0, 5)) if i else 0
        quads[f"img_{i}"] = [
            turned(*(rng.random(2) * 20 + [20, 14]), *(rng.random(2) * 10 + 6), rng.random() * 180) for _ in range(n)
        ]
        labels[f"img_{i}"] = rng.integers(0, 3, n).tolist()
    labels["img_1"], quads["img_1"] = (
        [0, 1, 2],
        [turned(30, 20, 9, 14, 20), turned(20, 15, 8, 12, 5), turned(9, 9, 7, 4, 0)],
    )
    return quads, labels


@pytest.mark.parametrize("change", [str.upper, str])
@pytest.mark.parametrize("layout", WRITERS)
def test_names_and_suffixes_of_images_may_be_in_another_case(
    tmp_path: Path, drawn_once: Any, layout: str, change: Callable[[str], str]
) -> None:
    for shade, name in enumerate(drawn_once[0]):
        photo(tmp_path / "images" / f"{change(name)}.PNG", shade)
    WRITERS[layout](tmp_path, *drawn_once, layout == "dota")
    dataset = records.read(tmp_path, task="object_detection", training=False)
    assert dataset.layout == layout and not dataset.skipped
    found = {row.image.stem.lower(): len(row.target) for rows in dataset.splits.values() for row in rows}
    assert {name: n for name, n in found.items() if n} == {name: len(q) for name, q in drawn_once[0].items() if q}


def read(root: Path, layout: str, task: str, data: Any, shaped: bool) -> dict[str, Objects]:
    for shade, name in enumerate(data[0]):
        photo(root / "images" / f"{name}.png", shade)
    WRITERS[layout](root, *data, shaped)
    dataset = records.read(root, task=task, training=False)
    assert dataset.layout == layout
    order = np.array([NAMES.index(name) for name in dataset.classes])
    rows = (row for several in dataset.splits.values() for row in several)
    return {row.image.stem: row.target.relabelled(order[row.target.labels]) for row in rows}


@pytest.mark.parametrize(
    ("layout", "shaped"),
    [
        *[(layout, shaped) for layout in ("coco", "yolo", "labelme", "cvat") for shaped in (False, True)],
        ("voc", False),
        ("createml", False),
        ("boxes", False),
        ("dota", True),
    ],
)
def test_every_layout_gives_the_same_boxes(tmp_path: Path, drawn_once: Any, layout: str, shaped: bool) -> None:
    quads, labels = drawn_once
    found = read(tmp_path, layout, "object_detection", drawn_once, shaped)
    assert found.keys() == quads.keys()
    for name, several in found.items():
        assert several.labels.tolist() == labels[name]
        for box, quad in zip(several.boxes, quads[name], strict=True):
            assert np.allclose(box, [*quad.min(0), *quad.max(0)], atol=1e-5)


@pytest.mark.parametrize("layout", ["coco", "yolo", "dota", "labelme", "cvat"])
def test_every_layout_gives_the_same_turned_boxes(tmp_path: Path, drawn_once: Any, layout: str) -> None:
    quads, labels = drawn_once
    found = read(tmp_path, layout, "oriented_object_detection", drawn_once, True)
    for name, several in found.items():
        assert several.labels.tolist() == labels[name]
        for quad, truth in zip(several.quads, quads[name], strict=True):
            distance = np.abs(quad[:, None] - truth).max(-1).min(1).max()
            assert distance < 1e-5


@pytest.mark.parametrize("layout", ["coco", "yolo", "labelme", "cvat"])
def test_every_layout_gives_the_same_outlines(tmp_path: Path, drawn_once: Any, layout: str) -> None:
    quads, labels = drawn_once
    found = read(tmp_path, layout, "instance_segmentation", drawn_once, True)
    for name, several in found.items():
        assert several.labels.tolist() == labels[name]
        for outline, truth in zip(several.outlines, quads[name], strict=True):
            assert np.allclose(outline, [truth], atol=1e-5)


def as_numbers(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]]) -> None:
    """Instance maps, numbers of a thousand for each class."""
    for name, several in quads.items():
        page = np.zeros(SIZE[::-1], np.uint16)
        for number, (quad, label) in enumerate(zip(several, labels[name], strict=True), 1):
            page[drawn((quad,), SIZE[::-1])] = 1000 * label + number
        (root / "instances").mkdir(exist_ok=True)
        Image.fromarray(page).save(root / "instances" / f"{name}.png")
    write(root / "classes.txt", "\n".join(NAMES))


def as_pictures(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]]) -> None:
    """Pascal VOC's pictures of objects and classes."""
    (root / "images").rename(root / "JPEGImages")
    for name, several in quads.items():
        pages = {folder: np.zeros(SIZE[::-1], np.uint8) for folder in ("SegmentationObject", "SegmentationClass")}
        for number, (quad, label) in enumerate(zip(several, labels[name], strict=True), 1):
            for page, value in zip(pages.values(), (number, label + 1), strict=True):
                page[drawn((quad,), SIZE[::-1])] = value
        for folder, page in pages.items():
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(page).save(root / folder / f"{name}.png")
    write(root / "classes.txt", "\n".join(["background", *NAMES]))


def as_other_boxes(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]], runs: bool) -> None:
    """COCO's json, every box wider and higher than what it is around, as polygons or runs."""
    as_coco(root, quads, labels, True)
    content = json.loads((root / "all.json").read_text())
    every = [quad for several in quads.values() for quad in several]
    for entry, quad in zip(content["annotations"], every, strict=True):
        entry["bbox"] = [entry["bbox"][0] - 2, entry["bbox"][1] - 1, entry["bbox"][2] + 5, entry["bbox"][3] + 3]
        if runs:
            page = np.concatenate([[0], drawn((quad,), SIZE[::-1]).T.ravel(), [0]]).astype(int)
            ends = np.flatnonzero(np.diff(page))
            counts = np.diff(np.concatenate([[0], ends, [SIZE[0] * SIZE[1]]])).tolist()
            entry["segmentation"] = {"counts": counts, "size": list(SIZE[::-1])}
    write(root / "all.json", json.dumps(content))


def as_runs(root: Path, quads: dict[str, list[np.ndarray]], labels: dict[str, list[int]]) -> None:
    """A table of runs, with a row without any of each image that shows nothing."""
    lines = ["ImageId,ClassId,EncodedPixels"]
    for name, several in quads.items():
        lines += [] if several else [f"{name}.png,,"]
        for quad, label in zip(several, labels[name], strict=True):
            page = np.concatenate([[0], drawn((quad,), SIZE[::-1]).T.ravel(), [0]]).astype(int)
            begin, end = np.flatnonzero(np.diff(page)).reshape(-1, 2).T
            runs = " ".join(f"{a + 1} {b - a}" for a, b in zip(begin, end, strict=True))
            lines.append(f"{name}.png,{NAMES[label]},{runs}")
    write(root / "train.csv", "\n".join(lines))


OUTLINED: dict[str, Callable[[Path, Any, Any], None]] = {
    "polygons of coco": partial(as_other_boxes, runs=False),
    "runs of coco": partial(as_other_boxes, runs=True),
    "yolo": partial(as_yolo, shaped=True),
    "labelme": partial(as_labelme, shaped=True),
    "instances": as_numbers,
    "pictures of voc": as_pictures,
    "a table of runs": as_runs,
}


@pytest.mark.parametrize("how", OUTLINED)
def test_the_box_beside_a_mask_is_the_one_around_it_learnt_and_measured(tmp_path: Path, how: str) -> None:
    quads = {
        "a": [corners_of(np.array([[10.0, 8, 24, 14]]))[0], corners_of(np.array([[30.0, 20, 41, 40]]))[0]],
        "b": [corners_of(np.array([[50.0, -6, 70, 12]]))[0]],  # beyond its image of 64 x 48
        "c": [],
    }
    for shade, name in enumerate(quads):
        photo(tmp_path / "images" / f"{name}.png", 20 * shade)
    OUTLINED[how](tmp_path, quads, {"a": [0, 2], "b": [1], "c": []})
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    look = Look(image_size=(48, 96), fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3)
    split = next(iter(dataset.splits))
    batches = split_batches(dataset, split, look, Keep(cache="ram"), batch_size=3, device=torch.device("cpu"))
    (batch,) = batches.epoch(0)
    truth = {"a": [[10, 8, 24, 14], [30, 20, 41, 40]], "b": [[50, 0, 64, 12]], "c": []}
    for row, target, scene in zip(dataset.splits[split], batch.target, batches.scenes, strict=True):
        boxes = np.array(truth[row.image.stem], float).reshape(-1, 4)
        assert np.allclose(scene.truth.boxes, boxes, atol=1e-5)
        learnt = target[target[:, LABEL] >= 0][:, BOX].numpy()
        assert np.allclose(
            learnt, np.add(boxes, [16, 0, 16, 0]), atol=1e-4
        )  # the picture lies in the middle of 96 x 48


@pytest.mark.parametrize("task", ["oriented_object_detection", "instance_segmentation", "segmentation"])
@pytest.mark.parametrize("layout", ["coco", "yolo", "labelme", "cvat"])
def test_boxes_cannot_serve_what_needs_more(tmp_path: Path, drawn_once: Any, task: str, layout: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, layout, task, drawn_once, False)
    assert str(caught.value) == (
        f"data.root={tmp_path}: data={layout}: boxes without corners or outlines, too little for task={task}; "
        "they serve object_detection, classification, regression, anomaly_detection"
    )


def test_one_set_of_outlines_serves_all_tasks(tmp_path: Path, drawn_once: Any) -> None:
    read(tmp_path, "coco", "object_detection", drawn_once, True)
    datasets = {task: records.read(tmp_path, task=task, val_fraction=0.3) for task in TASKS if task in served("coco")}
    assert datasets.keys() == TASKS.keys()
    assert {task: d.kind for task, d in datasets.items()} == {task: TASKS[task].target for task in datasets}
    assert all(sum(map(len, d.splits.values())) == 8 for d in datasets.values())
    assert datasets["segmentation"].classes == ("background", *NAMES)
    assert datasets["classification"].multilabel
    assert datasets["regression"].targets == NAMES
    assert len({d.fingerprint for d in datasets.values()}) == 7


def served(layout: str) -> list[str]:
    return learning(READERS[layout].served)


def test_where_the_first_layout_has_too_little_the_next_is_taken(tmp_path: Path, drawn_once: Any) -> None:
    as_coco(tmp_path, *drawn_once, False)
    found = read(tmp_path / "x", "dota", "oriented_object_detection", drawn_once, True)
    assert len(found) == 8
    as_coco(tmp_path / "x", *drawn_once, False)
    dataset = records.read(tmp_path / "x", task="oriented_object_detection")
    assert (dataset.layout, dataset.others) == ("dota", ("coco",))
    dataset = records.read(tmp_path / "x", task="object_detection")
    assert (dataset.layout, dataset.others) == ("coco", ("dota",))
    assert "(data=dota would fit, too)" in describe(dataset)
    hint = "an image's label is what its objects are; task=object_detection finds the objects"
    assert hint not in describe(dataset)
    assert hint in describe(records.read(tmp_path / "x", task="classification"))


@pytest.mark.parametrize("layout", WRITERS)
def test_accents_of_classes_may_be_stored_in_either_way(
    tmp_path: Path, drawn_once: Any, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.NAMES", [unicodedata.normalize("NFD", name) for name in ACCENTS])
    write(tmp_path / "classes.txt", "\n".join(ACCENTS))
    for shade, name in enumerate(drawn_once[0]):
        photo(tmp_path / "images" / f"{name}.png", shade)
    WRITERS[layout](tmp_path, *drawn_once, layout == "dota")
    dataset = records.read(tmp_path, task="object_detection", training=False)
    every = np.bincount([label for several in drawn_once[1].values() for label in several]).tolist()
    for counts in dataset.counts.values():
        assert dict(zip(dataset.classes, counts, strict=True)) == dict(zip(ACCENTS, every, strict=True))


def test_chosen_classes_keep_all_images(tmp_path: Path, drawn_once: Any) -> None:
    _, labels = drawn_once
    read(tmp_path, "coco", "object_detection", drawn_once, True)
    dataset = records.read(tmp_path, task="object_detection", classes=["emu", "cat"])
    total = np.sum(list(dataset.counts.values()), 0)
    every = np.bincount([label for several in labels.values() for label in several], minlength=3)
    assert total.tolist() == [every[2], every[0]]
    assert sum(map(len, dataset.splits.values())) == 8
    assert "images without objects" in describe(dataset)
    assert records.read(tmp_path, task="regression", classes=["dog"]).targets == ("count",)
    chosen = records.read(tmp_path, task="segmentation", classes=["background", "dog"])
    assert (chosen.classes, chosen.mask_ids) == (("background", "dog"), (0, 2))
    with pytest.raises(DataError, match="no class 'cow'"):
        records.read(tmp_path, task="object_detection", classes=["cow"])
    finished = records.read(tmp_path, task="object_detection", classes=["cow", "dog"], training=False)
    assert finished.classes == ("cow", "dog")
    assert {int(label) for row in finished.splits["test"] for label in row.target.labels} == {1}


@pytest.mark.parametrize(
    ("layout", "task"),
    [
        *((layout, "object_detection") for layout in WRITERS),
        *((layout, "instance_segmentation") for layout in ("coco", "yolo", "labelme", "cvat")),
    ],
)
def test_nothing_to_learn_from_is_refused(tmp_path: Path, layout: str, task: str) -> None:
    """Also where no label file names a class, as in VOC, DOTA, LabelMe and tables."""
    names = [f"img_{i}" for i in range(4)]
    for shade, name in enumerate(names):
        photo(tmp_path / "images" / f"{name}.png", shade)
    WRITERS[layout](tmp_path, {name: [] for name in names}, {name: [] for name in names}, layout == "dota")
    with pytest.raises(DataError, match=r"no object to learn from in train \(\d images\): label some there"):
        records.read(tmp_path, task=task, reader=layout)


def test_where_no_object_can_be_read_the_reason_is_told_not_the_form(tmp_path: Path, drawn_once: Any) -> None:
    read(tmp_path, "coco", "instance_segmentation", drawn_once, True)
    content = json.loads((tmp_path / "all.json").read_text())
    for entry in content["annotations"]:
        entry["image_id"] += 100
    write(tmp_path / "all.json", json.dumps(content))
    with pytest.raises(DataError, match=r"its image_id 10\d is none of the images"):
        records.read(tmp_path, task="instance_segmentation")


def sparse(images: int, shown: int) -> Any:
    """Images of which the first few show a cat each."""
    names = [f"img_{i}" for i in range(images)]
    quads = {name: [turned(30, 20, 9, 14, 0)] if i < shown else [] for i, name in enumerate(names)}
    return quads, {name: [0] * len(several) for name, several in quads.items()}


@pytest.mark.parametrize("seed", range(5))
def test_the_images_held_out_show_their_share_of_objects(tmp_path: Path, seed: int) -> None:
    read(tmp_path, "coco", "object_detection", sparse(20, 5), False)
    dataset = records.read(tmp_path, task="object_detection", seed=seed)
    shown = {name: [len(row.target) > 0 for row in rows] for name, rows in dataset.splits.items()}
    assert {name: (sum(rows), len(rows)) for name, rows in shown.items()} == {"train": (4, 16), "val": (1, 4)}


def test_a_validation_split_without_objects_is_refused(tmp_path: Path) -> None:
    for shade, name in enumerate(sparse(10, 1)[0]):
        photo(tmp_path / "images" / f"{name}.png", shade)
    as_coco(tmp_path, *sparse(10, 1), False)
    with pytest.raises(DataError, match=r"no object to tell a better epoch by in val \(2 images\)"):
        records.read(tmp_path, task="object_detection")


@pytest.mark.parametrize("shown", [0, 1])
def test_where_nothing_is_to_be_found_nothing_is_measured(tmp_path: Path, shown: int) -> None:
    read(tmp_path, "coco", "object_detection", sparse(10, 5), False)
    as_coco(tmp_path, *sparse(10, shown), False)
    dataset = records.read(tmp_path, task="object_detection", training=False)
    assert dataset.warnings == (() if shown else ("no object in test: nothing can be measured there",))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real sets are not here")
def test_three_layouts_of_one_real_set_give_the_same_boxes() -> None:
    found = {}
    for layout in ("coco", "yolo", "voc"):
        dataset = records.read(SHARED / "bccd_detection", task="object_detection", reader=layout)
        for split, rows in dataset.splits.items():
            for row in rows:
                names = [dataset.classes[label] for label in row.target.labels]
                order = np.lexsort(row.target.boxes.round(1).T)
                key = layout, split, row.image.name
                found[key] = ([names[i] for i in order], row.target.boxes[order])
    assert len(found) == 3 * 364
    for (_, split, name), (labels, boxes) in found.items():
        truth = found["coco", split, name]
        assert labels == truth[0]
        assert np.abs(boxes - truth[1]).max() < 2e-4


def test_a_folder_of_images_beside_a_json_is_no_class(tmp_path: Path, drawn_once: Any) -> None:
    read(tmp_path, "coco", "object_detection", drawn_once, False)
    (tmp_path / "images").rename(tmp_path / "photos")
    dataset = records.read(tmp_path, task="classification", val_fraction=0.3)
    assert (dataset.layout, dataset.others) == ("coco", ("folder",))


def test_every_layout_of_objects_is_compared() -> None:
    """But maps and runs, whose outlines are pixels, and masks, which are no objects."""
    others = {"instances", "masks", "icdar", "kitti", "mot", "panoptic", "rle"}
    assert {name for name, entry in READERS.items() if entry.derived} == WRITERS.keys() | others


@pytest.mark.parametrize("layout", ["yolo", "voc", "dota", "labelme"])
def test_a_label_file_that_never_comes_is_named(
    tmp_path: Path, drawn_once: Any, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    content = files.content
    monkeypatch.setattr(files, "content", lambda file: time.sleep(2 * (file.stem == "img_3")) or content(file))
    with pytest.raises(DataError, match=r"^[^\n]*/img_3\.(txt|xml|json): not read in time: is a network drive gone\?$"):
        read(tmp_path, layout, "object_detection", drawn_once, shaped=layout == "dota")


@pytest.mark.parametrize(
    ("layout", "folders"),
    [("instances", "images instances"), ("voc", "JPEGImages SegmentationClass SegmentationObject")],
)
def test_a_map_of_objects_that_never_comes_is_named(
    tmp_path: Path, layout: str, folders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in folders.split():
        photo(tmp_path / folder / "a.png", 1)
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    monkeypatch.setattr(images, "load_ids", lambda _: time.sleep(2))
    with pytest.raises(DataError, match=r"/a\.png: not read in time"):
        records.read(tmp_path, task="instance_segmentation", reader=layout)
