"""MOTChallenge's sequences of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import records
from visrun.data.readers import folder, mot
from visrun.errors import DataError

INFO = "[Sequence]\nname={}\nimDir=img1\nframeRate=30\nseqLength=4\nimWidth=40\nimHeight=30\nimExt=.jpg\n"
WALK = "1,7,5,6,10,20,1,1,0.9"  # left and top count from 1


def sequence(folder: Path, *lines: str, frames: int = 4, shade: int = 0, info: str | None = INFO) -> Path:
    (folder / "img1").mkdir(parents=True)
    for i in range(frames):
        Image.fromarray(np.full((30, 40), shade + i, np.uint8)).save(folder / "img1" / f"{i + 1:06d}.jpg")
    if info:
        (folder / "seqinfo.ini").write_text(info.format(folder.name))
    if lines:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text("\n".join(lines))
    return folder


def rows_of(root: Path, lines: Sequence[str]) -> dict[str, tuple[list[int], list[bool], list[list[float]]]]:
    sequence(root / "train" / "A", *lines)
    dataset = records.read(root, task="object_detection", training=False)
    found = {row.image.stem: row.target for row in dataset.splits["train"]}
    return {name: (o.labels.tolist(), o.ignored.tolist(), o.boxes.tolist()) for name, o in found.items()}


def test_boxes_count_from_one_and_frames_without_a_line_show_nothing(tmp_path: Path) -> None:
    found = rows_of(tmp_path, ["3,1,1,1,4,5,1,1,1", WALK, "1,8,20.5,6,10,20,1,1,0"])
    assert found["000001"] == ([0, 0], [False, False], [[4, 5, 14, 25], [19.5, 5, 29.5, 25]])
    assert found["000003"] == ([0], [False], [[0, 0, 4, 5]])
    assert found["000002"] == found["000004"] == ([], [], [])


def test_what_does_not_count_is_ignored_or_of_no_class(tmp_path: Path) -> None:
    flags = {1: 0, 2: 0, 3: 0, 7: 0, 8: 0, 9: 0, 12: 0, 13: 0}
    lines = [WALK, *(f"2,{k},{3 * k},6,10,20,{flag},{k},1" for k, flag in flags.items())]
    found = rows_of(tmp_path, lines)
    assert found["000002"][:2] == ([0] * 5, [True] * 5)
    assert [box[0] for box in found["000002"][2]] == [2, 5, 20, 23, 35]  # 1, 2, 7, 8 and 12, none cut at the edge


def test_the_first_challenge_has_no_classes_and_others_have_several(tmp_path: Path) -> None:
    sequence(tmp_path / "15" / "A", "1,7,5,6,10,20,1,-1,-1,-1", "2,7,5,6,10,20", "3,7,5,6,10,20,0")
    assert mot.read(tmp_path / "15").classes == ("pedestrian",)
    sequence(tmp_path / "cars" / "A", WALK, "2,7,5,6,10,20,1,3,1", "3,7,5,6,10,20,0,7,1")
    listing = mot.read(tmp_path / "cars")
    assert listing.classes == ("pedestrian", "car")
    assert [row.target.labels.tolist() for row in listing.splits["all"]] == [[0], [1], [0], []]


def test_cvats_sequences_name_their_classes_and_count_from_nought(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "A", "1,7,5,6,10,20,1,2,1", "2,7,5,6,10,20,0,2,1", "3,1,5,6,10,20,0,1,1", info=None)
    (folder / "gt" / "labels.txt").write_text("cat\ndog\n")
    assert mot.recognise(folder) and mot.recognise(tmp_path)
    listing = mot.read(folder)
    assert listing.classes == ("dog",)
    marks = [row.target for row in listing.splits["all"]]
    assert [len(one) for one in marks] == [1, 1, 0, 0] and marks[1].ignored.tolist() == [True]
    assert marks[0].boxes.tolist() == [[5, 6, 15, 26]]


def test_frames_of_one_sequence_are_held_out_together(tmp_path: Path) -> None:
    for i, name in enumerate("ABCDE"):
        sequence(tmp_path / "train" / name, WALK, "2,7,5,6,10,20,1,1,1", shade=40 * i)
    sequence(tmp_path / "test" / "T", shade=220)
    dataset = records.read(tmp_path, task="object_detection", val_fraction=0.2)
    names = {split: {row.image.parent.parent.name for row in rows} for split, rows in dataset.splits.items()}
    assert (
        len(names["val"]) == 1 and names["train"] | names["val"] == set("ABCDE") and not names["train"] & names["val"]
    )
    assert "1 sequence without gt/gt.txt is left out, such as test/T" in dataset.warnings
    folds = records.read(tmp_path, task="object_detection", fold="2/5")
    assert len({row.image.parent.parent.name for row in folds.splits["val"]}) == 1
    with pytest.raises(DataError, match=r"^data\.fold=1/6: there are only 5 sequences; take fewer folds$"):
        records.read(tmp_path, task="object_detection", fold="1/6")
    other = records.read(tmp_path, task="object_detection", group=r"img1/\d+")
    assert len({row.image.parent.parent.name for row in other.splits["val"]}) > 1


def test_a_single_sequence_is_divided(tmp_path: Path) -> None:
    sequence(tmp_path / "train" / "A", *(f"{i},7,5,6,10,20,1,1,1" for i in (1, 2, 3, 4)))
    splits = records.read(tmp_path, task="object_detection", val_fraction=0.25).splits
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 3, "val": 1}


def test_sequences_that_stand_there_for_several_detectors_are_read_once(tmp_path: Path) -> None:
    for detector in ("SDP", "DPM", "FRCNN"):
        sequence(tmp_path / "train" / f"MOT17-02-{detector}", WALK)
    sequence(tmp_path / "train" / "MOT17-04-DPM", WALK, shade=90)
    listing = mot.read(tmp_path)
    assert {row.member for row in listing.splits["train"]} == {"MOT17-02-DPM", "MOT17-04-DPM"}
    assert listing.warnings == ("2 sequences are others again, for another detector, and are left out",)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2,7,5,6,10", "no line of frame,track,left,top,width,height,counted,class: '2,7,5,6,10'"),
        ("2,7,5,x,10,20,1,1,1", "no line of frame,track,left,top,width,height,counted,class: '2,7,5,x,10,20,1,1,1'"),
        ("2,7,5,6,10,20,1,14,1", "class 14 is out of range: there are 13, from 1"),
        ("2,7,5,6,10,20,1,0,1", "class 0 is out of range: there are 13, from 1"),
    ],
)
def test_a_wrong_line_is_named_and_its_frame_left_out(tmp_path: Path, line: str, what: str) -> None:
    sequence(tmp_path / "train" / "A", WALK, line, "2,8,5,6,10,20,1,1,1")
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert f"train/A/gt/gt.txt:2: {what}" in str(caught.value)
    assert [row.image.stem for row in mot.read(tmp_path).splits["train"]] == ["000001", "000003", "000004"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sequences: expected train/SEQUENCE"):
        mot.read(tmp_path)
    folder = sequence(tmp_path / "train" / "A", WALK, "9,7,5,6,10,20,1,1,1")
    assert mot.read(tmp_path).warnings == ("1 line names a frame without an image, such as in train/A/gt/gt.txt",)
    (folder / "img1" / "000002.jpg").rename(folder / "img1" / "two.jpg")
    with pytest.raises(DataError, match=r"two\.jpg: frames are named by their numbers"):
        mot.read(tmp_path)
    (folder / "img1" / "two.jpg").unlink()
    sequence(tmp_path / "train" / "B")
    with pytest.raises(DataError, match=r"B: frames of train without gt/gt\.txt"):
        mot.read(tmp_path)
    (folder / "seqinfo.ini").write_text("name=A")
    (tmp_path / "train" / "B" / "seqinfo.ini").unlink()
    with pytest.raises(DataError, match=r"A/seqinfo\.ini: no seqinfo\.ini"):
        mot.read(tmp_path)


@pytest.mark.parametrize("top", ["train", "."])
@pytest.mark.parametrize("truth", [[WALK], []])
def test_sequences_are_no_classes(tmp_path: Path, top: str, truth: list[str]) -> None:
    for k in range(3):
        sequence(tmp_path / "set" / top / f"MOT17-0{k}", *truth, shade=40 * k)
    assert not folder.recognise(tmp_path / "set") and not folder.recognise(tmp_path / "set" / top / "MOT17-00")
    with pytest.raises(
        DataError, match=r"single class, pedestrian, .* task=object_detection$" if truth else "no layout for"
    ):
        records.read(tmp_path / "set", task="classification")
