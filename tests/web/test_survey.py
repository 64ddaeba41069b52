"""A look at a dataset: what is told of each kind of target, what is wrong with it, and what is never looked at."""

from __future__ import annotations

import base64
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.emptied import nothing
from visrun.data import demo
from visrun.data.listing import Record
from visrun.data.objects import Objects
from visrun.data.outlines import Rle
from visrun.data.records import Dataset
from visrun.data.verdicts import Verdict
from visrun.errors import ConfigError, UserError
from visrun.folders import cache_folder
from visrun.web import datasets, server
from visrun.web.bodies import Folder
from visrun.web.datasets import Datasets, Inspection
from visrun.web.form import view
from visrun.web.roots import Roots
from visrun.web.server import make_desk
from visrun.web.survey import describe
from visrun.web.thumbnails import SIDE, drawn

from .conftest import photos

HOSTILE = "<img src=x onerror=alert(1)>"


def picture(path: Path, size: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 200, 30)).save(path)
    return path


def test_class_folders(tmp_path: Path) -> None:
    told = describe(photos(tmp_path / "photos"), task="classification", layout="auto", roots=Roots([tmp_path]))
    assert (told["layout"], told["classes"], told["problems"]) == ("folder", 2, [])
    assert told["splits"] == [
        {"name": "train", "images": 32},
        {"name": "val", "images": 16},
        {"name": "test", "images": 16},
    ]
    assert told["histogram"]["what"] == "images" and told["histogram"]["splits"]["train"] == [16, 16]
    assert told["sizes"] == {"low": [16, 16], "high": [16, 16]}
    assert len(told["thumbnails"]) == 12 and {thumb["label"] for thumb in told["thumbnails"]} == {"blue", "red"}
    kind, _, data = told["thumbnails"][0]["src"].partition(",")
    assert kind == "data:image/jpeg;base64" and Image.open(io.BytesIO(base64.b64decode(data))).size == (SIDE, SIDE)


def test_values_and_masks(tmp_path: Path) -> None:
    for i in range(10):
        picture(tmp_path / "table" / f"{i}.png")
        picture(tmp_path / "masks" / "images" / f"{i}.png")
        mask = tmp_path / "masks" / "masks" / f"{i}.png"
        mask.parent.mkdir(exist_ok=True)
        Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 16, 1).repeat(24, 0)).save(mask)
    (tmp_path / "table" / "train.csv").write_text("image,weight\n" + "".join(f"{i}.png,{i}\n" for i in range(10)))
    roots = Roots([tmp_path])
    told = describe(tmp_path / "table" / "train.csv", task="regression", layout="auto", roots=roots)
    assert told["histogram"]["what"] == "weight" and sum(map(sum, told["histogram"]["splits"].values())) == 10
    assert told["thumbnails"][0]["label"].startswith("weight ")
    told = describe(tmp_path / "masks", task="segmentation", layout="auto", roots=roots)
    assert told["histogram"]["what"] == "pixels"
    assert {len(counts) for counts in told["histogram"]["splits"].values()} == {2}
    assert {thumb["label"] for thumb in told["thumbnails"]} == {"class_0, class_1"}


def test_what_is_wrong_is_listed_and_the_rest_is_told(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    broken = root / "train" / "red" / "3.png"
    broken.write_bytes(broken.read_bytes()[:20])
    told = describe(root, task="classification", layout="folder", roots=Roots([tmp_path]))
    assert told["splits"][0]["images"] == 31 and len(told["problems"]) == 1 and "3.png" in told["problems"][0]
    with pytest.raises(UserError, match=r"task=segmentation: no layout .*; it looks like data for task=classification"):
        describe(root, task="segmentation", layout="auto", roots=Roots([tmp_path]))


def several_labels(root: Path, count: int = 12) -> Path:
    """A table of images with two labels each."""
    for i in range(count):
        Image.new("RGB", (16, 16), (20 * i, 200 - 10 * i, 90)).save(picture(root / f"{i}.png"))
    (root / "train.csv").write_text("image,cat,dog\n" + "".join(f"{i}.png,{i % 2},1\n" for i in range(count)))
    return root / "train.csv"


def test_what_several_labels_need_is_said_and_can_be_set(tmp_path: Path) -> None:
    roots = Roots([tmp_path])
    told = describe(several_labels(tmp_path / "table"), task="classification", layout="auto", roots=roots)
    assert told["needs"] == {"text": "several labels an image: loss=bce", "key": "loss", "value": "bce"}
    told = describe(photos(tmp_path / "photos"), task="classification", layout="auto", roots=roots)
    assert told["needs"] is None


def test_what_only_decoding_finds_is_found_where_it_is_asked_for(tmp_path: Path) -> None:
    root, roots = photos(tmp_path / "photos"), Roots([tmp_path])
    cut = root / "train" / "red" / "3.png"
    cut.write_bytes(cut.read_bytes()[:-100])
    Image.open(root / "train" / "blue" / "0.png").save(root / "val" / "blue" / "twin.bmp")
    found = [
        describe(root, task="classification", layout="auto", roots=roots, choice={"pixels": pixels})
        for pixels in (False, True)
    ]
    assert [len(told["problems"]) for told in found] == [0, 1] and "3.png" in found[1]["problems"][0]
    assert ["twin.bmp" in " ".join(told["warnings"]) for told in found] == [False, True]


def test_a_class_may_have_any_name(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    for split in ("train", "val", "test"):
        (root / split / "red").rename(root / split / HOSTILE.replace("/", "_"))
    told = describe(root, task="classification", layout="auto", roots=Roots([tmp_path]))
    assert HOSTILE in told["histogram"]["names"]
    assert json.loads(json.dumps(told)) == told


def test_no_thumbnail_leads_outside(tmp_path: Path) -> None:
    inside, outside = photos(tmp_path / "in"), picture(tmp_path / "out" / "secret.png")
    for file in (inside / "train" / "red").iterdir():
        file.unlink()
        file.symlink_to(outside)
    told = describe(inside, task="classification", layout="auto", roots=Roots([inside]))
    assert {thumb["label"] for thumb in told["thumbnails"]} == {"blue"}


def test_objects_are_drawn_whatever_form_they_have(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", (320, 240))
    labels, boxes, no = np.array([0, 1]), np.array([[0, 0, 100, 100], [200, 100, 300, 200.0]]), np.zeros(2, bool)
    polygon = (np.array([[0, 0], [100, 0], [100, 100.0]]),)
    mask = Rle(counts=(0, 240 * 100, 240 * 220), size=(240, 320))
    forms = {
        "boxes": Objects(labels, boxes, no),
        "rotated_boxes": Objects(labels, boxes, no, quads=np.zeros((2, 4, 2)) + boxes[:, None, :2]),
        "instances": Objects(labels, boxes, no, outlines=(polygon, mask)),
    }
    plain = np.asarray(drawn(Record(image, nothing(), "a"), dataset(image, "boxes"))[0])
    for kind, objects in forms.items():
        page, caption = drawn(Record(image, objects, "a"), dataset(image, kind))
        assert caption == "1 cat, 1 dog" and page.size == (160, 120)
        assert (np.asarray(page) != plain).any()
    assert drawn(Record(image, nothing(), "a"), dataset(image, "boxes"))[1] == "no objects"


@pytest.mark.parametrize("side", [8, 320])
def test_deep_grey_is_as_bright_as_in_training(tmp_path: Path, side: int) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(np.full((side, side), 1023, np.uint16)).save(image)
    whole = replace(dataset(image, "label"), sizes={image: (side, side)}, white=4095)
    page, _ = drawn(Record(image, 0, "a"), whole)
    assert (np.asarray(page) == round(255 * 1023 / 4095)).all() and max(page.size) == SIDE


def dataset(image: Path, kind: str) -> Dataset:
    return Dataset(
        root=image.parent,
        layout="x",
        kind=kind,
        splits={},
        classes=("cat", "dog"),
        targets=(),
        sizes={image: (320, 240)},
    )


def test_of_many_classes_some_are_shown(tmp_path: Path) -> None:
    for number in range(70):
        for i in range(2):
            path = picture(tmp_path / "train" / f"c{number}" / f"{i}.png")
            Image.new("RGB", (8, 8), (number, i, 0)).save(path)
    bars = describe(tmp_path, task="classification", layout="auto", roots=Roots([tmp_path]))["histogram"]
    assert len(bars["names"]) == 60 == len(bars["splits"]["train"]) and bars["more"] == 10


@pytest.mark.parametrize("path", ["a", "a/b", "a/../a/b", "a/./c"])
def test_what_lies_inside_the_roots(path: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Roots([tmp_path / "a"]).require({"data.root": str(tmp_path / path), "model.weights": None, "seed": 1})


@pytest.mark.parametrize("path", ["", "ab", "a/../../x", "/etc", "a/link", "a/link/passwd", "a\0"])
def test_what_does_not(path: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to("/etc")
    with pytest.raises(ConfigError, match="outside of what this page may read"):
        Roots([tmp_path / "a"]).require({"data.root": str(tmp_path / path)})


def test_the_home_of_nobody_is_refused_as_a_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--data ~no_such_user/x: no such folder; name one that exists"):
        make_desk(tmp_path, [Path("~no_such_user/x")], port=1, token="x")
    assert Roots([Path("~no_such_user/x")]).folders == (Path("~no_such_user/x").resolve(),)


def test_a_user_without_a_home_folder_has_a_page_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "home_folder", lambda: None)
    assert make_desk(tmp_path, [], port=1, token="x").roots.folders == (tmp_path.resolve(),)


@pytest.mark.slow
@pytest.mark.parametrize("task", demo.WRITERS)
def test_every_task_has_its_demo_looked_at(task: str) -> None:
    root = demo.build(task, cache_folder() / "demo")  # once for all tests
    told = describe(root, task=task, layout="auto", roots=Roots([root]))
    assert told["problems"] == [] and all(split["images"] for split in told["splits"])
    assert told["histogram"]["names"] and len(told["thumbnails"]) == 12
    assert all(thumb["label"] and thumb["src"].startswith("data:image/jpeg") for thumb in told["thumbnails"])


def test_a_marked_defect_is_outlined_and_a_verdict_named(tmp_path: Path) -> None:
    image, mask = picture(tmp_path / "a.png", (320, 240)), picture(tmp_path / "mask.png", (320, 240))
    pages = {
        verdict: drawn(Record(image, verdict, "a"), dataset(image, "verdict"))
        for verdict in (Verdict("good"), Verdict("crack"), Verdict("crack", (mask,)))
    }
    assert [caption for _, caption in pages.values()] == ["good", "crack", "crack"]
    good, plain, marked = (np.asarray(page) for page, _ in pages.values())
    assert (good == plain).all() and (marked != plain).any() and marked.shape == (120, 160, 3)


@pytest.mark.slow
def test_a_look_in_a_process_of_its_own(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    looks = Datasets(Roots([tmp_path]), tmp_path)
    told = looks.look("classification", str(root), "auto")
    until = time.monotonic() + 60
    while told["state"] == "looking" and time.monotonic() < until:
        time.sleep(0.05)
        told = looks.look("classification", str(root), "auto")
    assert told["state"] == "done" and told["classes"] == 2
    assert looks.look("classification", str(root), "auto") == told
    failed = looks.look("classification", str(tmp_path / "nothing"), "auto")
    while failed["state"] == "looking" and time.monotonic() < until:
        time.sleep(0.05)
        failed = looks.look("classification", str(tmp_path / "nothing"), "auto")
    assert failed["state"] == "failed" and "no such file or folder" in failed["lines"][0]
    slow = looks.look("segmentation", str(root), "auto")
    looks.close()
    assert slow["state"] == "looking"


PLUGIN = """
from visrun.data.listing import Listing, Record
from visrun.tables import READERS, TASKS, ReaderEntry

print("a plugin that says hello")

def recognise(root):
    return (root / "stacks.txt").is_file()

def read(root):
    names = (root / "stacks.txt").read_text().split()
    records = [Record(root / name, i, name) for i, name in enumerate(names)]
    return Listing(splits={"train": records, "val": records}, classes=tuple(names))

TASKS["sorting"] = TASKS["classification"]
READERS["stacks"] = ReaderEntry(read=read, recognise=recognise, targets=("label",))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("crash", "said"),
    [
        ("demo.build = None", "TypeError: 'NoneType' object is not callable (see LOG)"),
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "it was killed; is memory short?"),
    ],
)
def test_a_look_that_crashes_says_so(crash: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    log = tmp_path / "visrun" / "look.log"
    (tmp_path / "crashing_plugin.py").write_text(f"import os\nfrom visrun.data import demo\n{crash}\n")
    looks = Datasets(Roots([tmp_path]), tmp_path)
    until, told = time.monotonic() + 60, {"state": "looking"}
    while told["state"] == "looking" and time.monotonic() < until:
        time.sleep(0.05)
        told = looks.look("classification", None, "auto", plugins=("crashing_plugin",))
    assert told == {"state": "crashed", "lines": [f"the look at the dataset failed: {said.replace('LOG', str(log))}"]}
    assert not log.exists() or "in describe" in log.read_text() or "in _found" in log.read_text()
    assert log.exists() is ("LOG" in said)


@pytest.mark.slow
def test_a_look_knows_the_readers_and_tasks_of_plugins(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "set" / name)
    (tmp_path / "set" / "stacks.txt").write_text("a.png b.png")
    (tmp_path / "stacks_plugin.py").write_text(PLUGIN)
    (tmp_path / "json.py").write_text("raise SystemExit(1)  # a file of the user's own, named like a module of Python")
    looks = Datasets(Roots([tmp_path]), tmp_path)

    def told(*plugins: str) -> dict[str, Any]:
        until = time.monotonic() + 60
        while True:
            found = looks.look("sorting", str(tmp_path / "set"), "auto", plugins=plugins)
            if found["state"] != "looking" or time.monotonic() > until:
                return found
            time.sleep(0.05)

    found = told("stacks_plugin")
    assert (found["state"], found.get("layout"), found.get("classes")) == ("done", "stacks", 2), found
    missing = told("no_such_plugin")
    assert missing["state"] == "failed" and "plugins=no_such_plugin: does not import" in missing["lines"][0]


@pytest.mark.parametrize("demo", [True, False])
def test_the_pages_plugins_are_sent_with_every_look(
    demo: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def begin(_: Datasets, key: datasets.Key) -> Inspection:
        begun.append(key)
        return Inspection(Endless())  # type: ignore[arg-type]

    monkeypatch.setattr(Datasets, "_begin", begin)
    desk = make_desk(tmp_path, [], port=1, token="x", always=("plugins=[colorsys]",))
    root = {} if demo else {"data.root": str(photos(tmp_path / "photos"))}
    desk.look(Folder(task="classification", touched=root))
    desk.close()
    assert [key[3] for key in begun] == [("colorsys",)]


CHOICES = {
    "data.classes": (["red"], {"classes": ("red",)}),
    "data.targets": (["label"], {"targets": ("label",)}),
    "data.val_fraction": ("0.5", {"val_fraction": 0.5}),
    "data.fold": ("2/5", {"fold": "2/5"}),
    "data.group": ("_(.)", {"group": "_(.)"}),
    "data.train_fraction": ("0.5", {"train_fraction": 0.5}),
    "data.on_bad": ("skip", {"on_bad": "skip"}),
    "seed": ("7", {"seed": 7}),
}


@pytest.mark.parametrize("key", CHOICES)
def test_a_look_takes_what_the_run_would(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(Datasets, "_begin", lambda _, key: begun.append(key) or Inspection(Endless()))  # type: ignore[arg-type]
    desk, (text, asked) = make_desk(tmp_path, [], port=1, token="x"), CHOICES[key]
    touched = {"data.root": str(photos(tmp_path / "photos"))}
    for more in ({}, {key: text}, {key: text, "batch_size": "abc"}):  # what it does not read may be wrong
        desk.look(Folder(task="classification", touched=touched | more))
    desk.close()
    usual, chosen = (dict(key[4]) for key in begun)
    assert chosen == usual | asked != usual
    seen = [view("classification", None, touched | more, desk.composer)["surveyed"] for more in ({}, {key: text})]
    assert seen[0] != seen[1]


def test_a_look_decodes_images_only_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(Datasets, "_begin", lambda _, key: begun.append(key) or Inspection(Endless()))  # type: ignore[arg-type]
    desk = make_desk(tmp_path, [], port=1, token="x")
    for pixels in (False, True):
        desk.look(
            Folder(task="classification", touched={"data.root": str(photos(tmp_path / str(pixels)))}, pixels=pixels)
        )
    desk.close()
    assert [dict(key[4])["pixels"] for key in begun] == [False, True]


def test_a_look_at_another_choice_counts_what_the_run_has(tmp_path: Path) -> None:
    root, roots = photos(tmp_path / "photos", counts={"train": 20}), Roots([tmp_path])
    (root / "train" / "blue" / "0.png").write_bytes(b"")
    choice = {"val_fraction": 0.5, "train_fraction": 0.5, "on_bad": "skip", "seed": 1, "defects_aside": False}
    told = describe(root, task="classification", layout="auto", roots=roots, choice=choice)
    assert [split["images"] for split in told["splits"]] == [10, 20] and told["ready"]
    one = describe(root, task="classification", layout="auto", roots=roots, choice={"classes": ("red", "blue")})
    assert one["histogram"]["names"] == ["red", "blue"] and not one["ready"] and len(one["problems"]) == 1


class Endless:
    """A process that looks until it is ended."""

    killed = False

    def kill(self) -> None:
        self.killed = True


def test_a_look_that_somebody_waits_for_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, begun = [100.0], []

    def begin(_: Datasets, key: datasets.Key) -> Inspection:
        begun.append(key[1])
        return Inspection(Endless())  # type: ignore[arg-type]

    monkeypatch.setattr(datasets, "monotonic", lambda: now[0])
    monkeypatch.setattr(Datasets, "_begin", begin)
    looks = Datasets(Roots([tmp_path]), tmp_path)
    for _ in range(20):  # two pages, each at its own dataset
        now[0] += 0.25
        looks.look("classification", "/a", "auto")
        looks.look("classification", "/b", "auto")
    assert begun == ["/a", "/b"]
    for _ in range(20):  # the first page has turned away
        now[0] += 0.25
        looks.look("classification", "/b", "auto")
    looks.look("classification", "/a", "auto")
    assert begun == ["/a", "/b", "/a"]


@pytest.mark.parametrize("asked_again", [True, False])
def test_a_page_that_turned_away_leaves_nothing_running(
    asked_again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "WAITED_FOR", 0.2)
    processes: dict[str | None, Endless] = {}

    def begin(_: Datasets, key: datasets.Key) -> Inspection:
        processes[key[1]] = Endless()
        return Inspection(processes[key[1]])  # type: ignore[arg-type]

    monkeypatch.setattr(Datasets, "_begin", begin)
    looks = Datasets(Roots([tmp_path]), tmp_path)
    for root in ("/a", "/b"):
        looks.look("classification", root, "auto")
    time.sleep(0.1)
    if asked_again:
        looks.look("classification", "/b", "auto")
    until = time.monotonic() + 10
    while not processes["/a"].killed and time.monotonic() < until:
        time.sleep(0.05)
    assert processes["/a"].killed and not processes["/b"].killed
    looks.close()
    assert processes["/b"].killed
