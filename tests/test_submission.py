"""The files that evaluation servers take: values by hand, COCO's own tool, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import predict, submission
from visrun.detection.runs import as_rows
from visrun.errors import DataError, UserError

CLASSES = ["cat", "dog"]
UPRIGHT = torch.tensor([[[1.0, 2.0, 5.5, 4.0], [0.0, 0.0, 2.0, 3.0], [3.0, 3.0, 4.0, 4.0]]])
TURNED = torch.tensor([[[10.0, 8.0, 6.0, 2.0, math.pi / 2], [5.0, 5.0, 4.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]]])
SCORES, LABELS = torch.tensor([[0.9, 0.5, 0.01]]), torch.tensor([[1, 0, 1]])
INFO = {
    "images": [{"id": 42, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}, {"id": 90, "name": "toothbrush"}],
}


@pytest.fixture
def seeing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Two images, in the second of which a model that stands for any run sees nothing, or which cannot be read."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "ab":
        Image.new("RGB", (12, 10)).save(Path("in", f"{name}.png"))
    Path("info.json").write_text(json.dumps(INFO))

    def set_up(task: str, boxes: torch.Tensor, broken: bool = False, **more: torch.Tensor) -> None:
        seen = {"boxes": boxes, "scores": SCORES, "labels": LABELS, **more}
        nothing = {name: values[:, :0] for name, values in seen.items()}
        known = {"state": lambda: {"classes": CLASSES}, "recorded_from": 0.05, "same": 0.6, "propose": lambda *_: None}
        known["record"] = lambda *_: {}
        attempts = (seen, DataError("in/b.png: cut short") if broken else nothing)
        made = SimpleNamespace(task=SimpleNamespace(**known), task_name=task, attempts=lambda _: iter(attempts))
        monkeypatch.setattr(predict, "load", lambda *_, **__: made)

    return set_up


def files(folder: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def hand_in(*words: str) -> int:
    return predict.main(["RUN", "in", "out=out", "pictures=0", *words])


def test_dotas_turned_boxes_are_corners_in_a_text_for_each_class(seeing: Any, capsys: Any) -> None:
    seeing("oriented_object_detection", TURNED)
    assert hand_in("format=dota") == 0
    found = files("out")
    assert [*found] == ["Task1_cat.txt", "Task1_dog.txt"]
    assert found["Task1_cat.txt"] == "a 0.500000 3.00 4.00 7.00 4.00 7.00 6.00 3.00 6.00\n"
    (line,) = found["Task1_dog.txt"].splitlines()
    name, score, *corners = line.split()
    assert (name, score) == ("a", "0.900000")
    assert {*map(tuple, np.array(corners, float).reshape(4, 2).tolist())} == {(9, 5), (11, 5), (11, 11), (9, 11)}
    assert capsys.readouterr().err == "results: out/Task1_cat.txt, out/Task1_dog.txt\n"


def test_dotas_upright_boxes_are_edges(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)
    assert hand_in("format=dota") == 0
    assert files("out") == {
        "Task2_cat.txt": "a 0.500000 0.00 0.00 2.00 3.00\n",
        "Task2_dog.txt": "a 0.900000 1.00 2.00 5.50 4.00\n",
    }


def test_cocos_results_have_the_ids_of_the_json(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)
    assert hand_in("format=coco", "ids=info.json") == 0
    assert json.loads(files("out")["results.json"]) == [
        {"image_id": 42, "category_id": 18, "bbox": [1, 2, 4.5, 2], "score": 0.9},
        {"image_id": 42, "category_id": 17, "bbox": [0, 0, 2, 3], "score": 0.5},
    ]


def test_masks_are_runs_that_cocos_tool_loads(seeing: Any) -> None:
    from faster_coco_eval import COCO
    from faster_coco_eval import mask as coco

    pages = np.zeros((10, 12, 3), np.uint8, order="F")
    pages[2:4, 1:5, 0] = pages[:3, :2, 1] = pages[3, 3, 2] = 1
    seeing("instance_segmentation", UPRIGHT, runs=as_rows(coco.encode(pages))[None])
    assert hand_in("format=coco", "ids=info.json") == 0
    truth = COCO(INFO | {"annotations": [], "images": [{**one, "height": 10, "width": 12} for one in INFO["images"]]})
    loaded = truth.loadRes("out/results.json")
    masks = {one["category_id"]: coco.decode(one["segmentation"]) for one in loaded.dataset["annotations"]}
    assert (masks[18] == pages[..., 0]).all() and (masks[17] == pages[..., 1]).all()
    sizes = {one["category_id"]: one["area"] for one in loaded.dataset["annotations"]}
    assert sizes == {18: 8, 17: 6}  # pixels of the masks, as evaluate sorts small from large, and not of the boxes


@pytest.mark.parametrize("words", [["format=dota"], ["format=coco", "ids=info.json"]])
def test_where_nothing_is_seen_the_files_are_there_and_empty(seeing: Any, words: list[str]) -> None:
    seeing("object_detection", UPRIGHT[:, :0])
    made = predict.load()
    nothing = {"boxes": UPRIGHT[:, :0], "scores": SCORES[:, :0], "labels": LABELS[:, :0]}
    made.attempts = lambda _: iter([nothing, nothing])
    assert hand_in(*words) == 0
    found = files("out")
    assert found.get("results.json", "[]").split() in (["[]"], ["[", "]"])
    assert {text for name, text in found.items() if name.startswith("Task2")} <= {""}


def test_an_image_that_cannot_be_read_costs_no_other(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT, broken=True)
    assert hand_in("format=coco", "ids=info.json") == 2
    assert len(json.loads(files("out")["results.json"])) == 2


def test_what_is_there_already_stays(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)
    Path("out").mkdir()
    Path("out", "results.json").write_text("mine")
    with pytest.raises(
        UserError, match=r"^out/results\.json: is there already: move it, or name another folder by out="
    ):
        hand_in("format=coco", "ids=info.json")
    assert files("out") == {"results.json": "mine"}


def test_predictions_that_break_off_leave_no_half_file(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)

    def broken(_: object) -> Any:
        yield {"boxes": UPRIGHT, "scores": SCORES, "labels": LABELS}
        raise RuntimeError("out of memory")

    predict.load().attempts = broken
    with pytest.raises(RuntimeError):
        hand_in("format=dota")
    assert files("out") == {}


WRONG = [
    (["format=voc"], {}, r"format=voc: must be dota or coco"),
    (["format=coco"], {}, r"format=coco: name the json that has the ids of images and categories"),
    (["format=dota", "ids=info.json"], {}, r"ids=info\.json: goes with format=coco"),
    (["format=coco", "ids=info.json"], {"images": INFO["images"][:1]}, r"ids=info\.json: does not list in/b\.png"),
    (
        ["format=coco", "ids=info.json"],
        {"images": [*INFO["images"], {"id": 3, "file_name": "b.png"}]},
        "several images",
    ),
    (["format=coco", "ids=info.json"], {"categories": INFO["categories"][:1]}, r"no category is called 'cat'"),
    (["format=coco", "ids=info.json"], {"images": 3}, r"info\.json: no list of images with ids"),
]


@pytest.mark.parametrize(("words", "change", "told"), WRONG)
def test_what_cannot_be_handed_in_is_one_line(seeing: Any, words: list[str], change: Any, told: str) -> None:
    seeing("object_detection", UPRIGHT)
    Path("info.json").write_text(json.dumps(INFO | change))
    with pytest.raises((UserError, DataError), match=told):
        hand_in(*words)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("task", "words"),
    [("instance_segmentation", ["format=dota"]), ("oriented_object_detection", ["format=coco", "ids=info.json"])],
)
def test_a_format_that_cannot_hold_the_tasks_predictions_is_refused(seeing: Any, task: str, words: list[str]) -> None:
    seeing(task, TURNED)
    with pytest.raises(UserError, match=rf"{words[0]}: takes runs of task=.*, and this is of {task}$"):
        hand_in(*words)


def test_names_that_lines_cannot_tell_apart_are_refused(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)
    Path("in", "x").mkdir()
    Path("in", "x", "a.jpg").touch()
    with pytest.raises(UserError, match=r"in/a\.png and in/x/a\.jpg have one name"):
        hand_in("format=dota")
    Path("in", "x", "a.jpg").rename(Path("in", "x", "a b.jpg"))
    with pytest.raises(UserError, match=r"in/x/a b\.jpg: its name has blanks"):
        hand_in("format=dota")


@pytest.mark.parametrize("words", [["format=dota"], ["format=coco", "ids=info.json"]])
def test_an_image_that_is_named_twice_would_be_found_twice(seeing: Any, words: list[str]) -> None:
    seeing("object_detection", UPRIGHT)
    with pytest.raises(UserError, match=rf"{words[0]}: in/a\.png is named twice"):
        hand_in("in/a.png", *words)


def test_of_images_of_one_name_the_folder_tells(seeing: Any) -> None:
    seeing("object_detection", UPRIGHT)
    both = [{"id": 1, "file_name": "in/a.png"}, {"id": 2, "file_name": "y/a.png"}, INFO["images"][1]]
    Path("info.json").write_text(json.dumps(INFO | {"images": both}))
    assert hand_in("format=coco", "ids=info.json") == 0
    assert {one["image_id"] for one in json.loads(files("out")["results.json"])} == {1}


def test_accents_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    apart, whole = "cafe\u0301", "caf\u00e9"
    content = {"images": [{"id": 7, "file_name": f"{apart}.jpg"}], "categories": [{"id": 5, "name": apart}]}
    (tmp_path / "ids.json").write_text(json.dumps(content))
    image, found = Path(f"{whole}.jpg"), {"boxes": UPRIGHT, "scores": SCORES, "labels": LABELS * 0}
    made = submission.coco(tmp_path, [image], [whole], ids=tmp_path / "ids.json", least=0.0)
    lines = [json.loads(line) for line in made.lines(image, found)["results.json"]]
    assert lines and all((line["image_id"], line["category_id"]) == (7, 5) for line in lines)
