"""``visrun check`` as it is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock, call

import pytest
from PIL import Image

from visrun import cli
from visrun.config import plugins
from visrun.data import records
from visrun.figures.sheet import FORMATS
from visrun.survey import command, look

from .conftest import SIZE, photo


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["data.root={}", "{}"])
def test_it_says_what_the_folder_serves_and_draws_a_sheet(outlines: Path, capsys, tmp_path: Path, form: str) -> None:
    assert cli.main(["check", form.format(outlines)]) == 0
    out, err = capsys.readouterr()
    assert "  segmentation               yes  data=coco" in out
    assert out.splitlines()[-2] == f"sheet: {tmp_path / 'check.png'} (labels for task=instance_segmentation)"
    assert out.splitlines()[-1] == f"train: visrun task=instance_segmentation 'data.root={outlines}'"
    assert err == ""
    with Image.open(tmp_path / "check.png") as sheet:
        assert sheet.width > 400


def test_no_bar_stays_where_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Mock()
    monkeypatch.setattr(command, "Screen", Mock(return_value=screen))
    monkeypatch.setattr(command, "look", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        command.main([str(tmp_path)])
    assert screen.mock_calls == [call.end_progress()]


def test_how_to_train_names_the_plugins(outlines: Path, capsys) -> None:
    assert cli.main(["check", str(outlines), "plugins=[colorsys]"]) == 0
    assert capsys.readouterr().out.endswith(" 'plugins=[colorsys]'\n")


@pytest.mark.parametrize("words", [["data=coco"], ["data=coco", "data.on_bad=skip"]])
def test_how_to_train_says_how_the_data_was_read(outlines: Path, capsys, words: list[str]) -> None:
    assert cli.main(["check", str(outlines), *words]) == 0
    line = f"train: visrun task=instance_segmentation 'data.root={outlines}' {' '.join(words)}\n"
    assert capsys.readouterr().out.endswith(line)


def table(file: Path, head: str, cells: Sequence[str]) -> None:
    """A table of pictures beside it, each with one of the ``cells``."""
    for i in range(len(cells)):
        photo(file.parent / f"{i}.png", i)
    file.write_text("\n".join([head, *(f"{i}.png,{cell}" for i, cell in enumerate(cells))]))


def test_how_to_train_on_several_labels_an_image_names_their_loss(tmp_path: Path, capsys) -> None:
    table(tmp_path / "set" / "table.csv", "image,label", ["a|b" if i % 2 else "a" for i in range(8)])
    assert cli.main(["check", "set"]) == 0
    assert capsys.readouterr().out.endswith(
        f"train: visrun task=classification data.root={tmp_path / 'set'} loss=bce\n"
    )


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["data.targets=[grade]"], {"train": {"1": 6, "2": 6}, "val": {"1": 2, "2": 2}}),
        (["data.targets=['the site']"], {"train": {"x": 6, "y": 6}, "val": {"x": 2, "y": 2}}),
        (["data.targets=[grade]", "data.val_fraction=0.5"], {"train": {"1": 4, "2": 4}, "val": {"1": 4, "2": 4}}),
        (["data.targets=[grade]", r"data.group=(\d*)[05].png"], {"train": {"1": 6, "2": 7}, "val": {"1": 2, "2": 1}}),
        (["data.targets=[grade]", "data.classes=[2,1]"], {"train": {"2": 6, "1": 6}, "val": {"2": 2, "1": 2}}),
    ],
)
def test_what_is_chosen_is_chosen_as_in_a_run(tmp_path: Path, capsys, words: list[str], counts: object) -> None:
    for i in range(16):
        photo(tmp_path / "set" / f"{i}.png", i)
    rows = [f"{i}.png,{1 + i % 2},{'xy'[i // 2 % 2]}" for i in range(16)]
    (tmp_path / "set" / "table.csv").write_text("\n".join(["image,grade,the site", *rows]))
    assert cli.main(["check", "set", "task=classification"]) == 2
    assert "choose it with data.targets=[NAME]" in capsys.readouterr().out
    assert cli.main(["check", "set", "task=classification", *words, "seed=3", "--json"]) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert {name: split["counts"] for name, split in service["splits"].items()} == counts
    assert cli.main(["check", "set", "task=classification", *words, "seed=3"]) == 0
    line = plugins.command("task=classification", f"data.root={tmp_path / 'set'}", *words, "seed=3")
    assert capsys.readouterr().out.endswith(f"\ntrain: {line}\n")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_chooses_what_is_held_out(class_folders: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    datasets = {}

    def looked(*words, **choice):
        found, several = look.look(*words, **choice)
        datasets.update(several)
        return found, several

    monkeypatch.setattr(command, "look", looked)
    assert cli.main(["check", str(class_folders), f"seed={seed}"]) == 0
    run = records.read(class_folders, task="classification", seed=seed)
    assert datasets["classification"].fingerprints == run.fingerprints


def test_chosen_classes_are_no_matter_of_values(outlines: Path, capsys) -> None:
    assert cli.main(["check", str(outlines), "data.classes=[dog]"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"  regression +no   it has no classes that data.classes could choose\n", out)
    assert re.search(r"  object_detection +yes", out)
    assert out.endswith("data.classes=[dog]'\n")


def test_one_task_and_another_place(outlines: Path, capsys, tmp_path: Path) -> None:
    assert cli.main(["check", f"data.root={outlines}", "task=regression", "out=new/count.png"]) == 0
    assert "classification" not in capsys.readouterr().out
    assert (tmp_path / "new" / "count.png").is_file()
    assert not (tmp_path / "check.png").exists()


COLUMNS = {
    "classification": ("label", "class_id", "Category", "classes"),
    "regression": ("count", "target"),
}


@pytest.mark.parametrize(("column", "task"), [(name, task) for task, names in COLUMNS.items() for name in names])
def test_a_table_of_numbers_is_for_what_its_column_says(tmp_path: Path, capsys, column: str, task: str) -> None:
    table(tmp_path / "set" / "table.csv", f"image,{column}", [str(i % 2) for i in range(12)])
    assert cli.main(["check", "data.root=set"]) == 0
    out = capsys.readouterr().out
    assert "  classification             yes  data=csv" in out and "  regression                 yes  data=csv" in out
    assert f"train: visrun task={task} " in out


def test_columns_of_0_and_1_are_labels(tmp_path: Path, capsys) -> None:
    table(tmp_path / "set" / "_classes.csv", "filename,cat,dog", [f"{i % 2},{i // 2 % 2}" for i in range(12)])
    assert cli.main(["check", "data.root=set"]) == 0
    out = capsys.readouterr().out
    assert "  regression                 yes  data=csv" in out
    assert "train: visrun task=classification " in out and out.endswith(" loss=bce\n")


@pytest.mark.parametrize(
    ("corners", "task"),
    [(".1 .2 .6 .1 .7 .5 .2 .6", "oriented_object_detection"), (".1 .2 .6 .1 .7 .5", "instance_segmentation")],
)
def test_turned_boxes_are_not_shown_as_outlines(tmp_path: Path, capsys, corners: str, task: str) -> None:
    (tmp_path / "set" / "labels").mkdir(parents=True)
    for i in range(12):
        photo(tmp_path / "set" / "images" / f"{i}.png", i)
        (tmp_path / "set" / "labels" / f"{i}.txt").write_text(f"0 {corners}\n" if i else "")
    assert cli.main(["check", "data.root=set"]) == 0
    assert f"train: visrun task={task} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folders", "mask", "task"),
    [
        (["NORMAL", "PNEUMONIA"], "", "classification"),
        (["good", "ripe", "unripe"], "", "classification"),
        (["train/NORMAL", "train/PNEUMONIA", "test/NORMAL", "test/PNEUMONIA"], "", "classification"),
        (["good", "bad"], "ground_truth/bad", "anomaly_detection"),
        (["train/good", "test/good", "test/bent"], "", "anomaly_detection"),
    ],
)
def test_a_class_called_normal_makes_no_defects_of_the_others(
    tmp_path: Path, capsys, folders: list[str], mask: str, task: str
) -> None:
    for k, folder in enumerate(folders):
        for i in range(5):
            photo(tmp_path / "set" / folder / f"{i}.png", 10 * k + i)
    for i in range(5 if mask else 0):
        (tmp_path / "set" / mask).mkdir(parents=True, exist_ok=True)
        page = Image.new("L", SIZE)
        page.putpixel((3, 4), 255)
        page.save(tmp_path / "set" / mask / f"{i}_mask.png")
    assert cli.main(["check", "set"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"  anomaly_detection +yes", out)
    assert f" (labels for task={task})\n" in out and f"\ntrain: visrun task={task} " in out


def test_json(class_folders: Path, capsys) -> None:
    assert cli.main(["check", f"data.root={class_folders}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["services"][0]["splits"]["train"] == {"images": 6, "counts": {"a": 3, "b": 3}, "without_objects": None}


def test_names_that_are_no_text_are_escaped(class_folders: Path, capsys) -> None:
    (class_folders / "a" / "caf\udce9.png").write_bytes(b"")
    (class_folders / "a" / "0.png").rename(class_folders / "a" / "\udce9.png")
    for flag in ((), ("--json",)):
        assert cli.main(["check", f"data.root={class_folders}", "data.on_bad=skip", *flag]) == 0
        assert r"a/caf\udce9.png: empty file (0 bytes)" in capsys.readouterr().out


def test_a_terminal_obeys_no_name(class_folders: Path, capsys) -> None:
    (class_folders / "a" / "a\x1b[31m.png").write_bytes(b"none")
    assert cli.main(["check", f"data.root={class_folders}"]) == 2
    out = capsys.readouterr().out
    assert "a/a\\x1b[31m.png" in out and "\x1b" not in out


def test_it_ends_with_2_where_no_run_could_start(class_folders: Path, capsys, tmp_path: Path) -> None:
    assert cli.main(["check", f"data.root={class_folders}", "task=segmentation"]) == 2
    assert not (tmp_path / "check.png").exists()
    (class_folders / "a" / "0.png").write_bytes(b"")
    assert cli.main(["check", f"data.root={class_folders}"]) == 2
    out = capsys.readouterr().out
    assert "a/0.png: empty file (0 bytes)" in out
    assert "train:" not in out
    assert cli.main(["check", f"data.root={class_folders}", "data.on_bad=skip"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "usage: visrun check data.root=PATH"),
        (["data.root=nowhere"], "data.root=.*nowhere: no such file or folder"),
        (["caf\udce9"], r'data.root="caf\\udce9": the name is not UTF-8; rename it or name another one'),
        (["photos", "task=segmentatoin"], "did you mean segmentation"),
        (["photos", "data.onbad=skip"], "did you mean data.on_bad="),
        (["photos", "data.on_bad=drop"], "must be error or skip"),
        (["photos", "data=foldr"], r"data=foldr: must be auto, .* or \w+ \(did you mean folder\?\)"),
        (["photos", "data.val_fraction=2"], r"data.val_fraction=2: must be a number > 0 and < 1"),
        (["photos", "data.classes=[a],[b]"], r"data.classes=\[a\],\[b\]: one value only"),
        (["photos", "out=check.html"], "out=check.html: must end in .png, .jpg, .jpeg or .webp, such as"),
        (["photos", "--pretty"], "unrecognized arguments"),
        (
            ["photos", "out=photos/a/x/y.png", "data=folder", "task=classification"],
            "cannot be written.*another file",
        ),
        (
            ["photos", "out=photos/b.png", "data=folder", "task=classification"],
            "out=.*b.png: cannot be written.*another file",
        ),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(class_folders: Path, capsys, words: list[str], message: str) -> None:
    (class_folders / "a" / "x").write_text("in the way of a folder")
    (class_folders / "b.png").mkdir()  # in the way of a file
    assert cli.main(["check", *words]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert re.search(message, err)


@pytest.mark.parametrize("suffix", [*FORMATS, ".JPG"])
def test_the_sheet_is_of_the_format_that_its_name_tells(class_folders: Path, tmp_path: Path, suffix: str) -> None:
    assert cli.main(["check", "photos", "task=classification", f"out=sheet{suffix}"]) == 0
    with Image.open(tmp_path / f"sheet{suffix}") as sheet:
        assert sheet.format == FORMATS[suffix.lower()]


def test_an_image_that_is_cut_short_is_a_problem_and_not_the_end(class_folders: Path, capsys, tmp_path: Path) -> None:
    whole = (class_folders / "a" / "0.png").read_bytes()
    (class_folders / "a" / "0.png").write_bytes(whole[: len(whole) // 2])
    assert cli.main(["check", f"data.root={class_folders}"]) == 2
    out, err = capsys.readouterr()
    assert "  classification             no   1 cannot be used" in out
    assert "problems (1):\n  a/0.png: broken image" in out
    assert (tmp_path / "check.png").is_file()
    assert err == ""
