"""From labelled objects to what each task learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visrun.data import derive, images
from visrun.data.derive import DERIVE
from visrun.data.ids import IGNORE
from visrun.data.objects import Objects
from visrun.data.outlines import Rle
from visrun.data.verdicts import BESIDE, DEFECT, GOOD
from visrun.errors import DataError
from visrun.tables import READERS

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SIZE = (64, 48)
NAMES = ("cat", "dog", "emu")


def turned(x: float, y: float, w: float, h: float, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
    return corners @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def objects(*labels: int, ignored: set[int] = frozenset(), outlines: bool = False) -> Objects:
    n = len(labels)
    boxes = np.array([[i, 0, i + 4, 8] for i in range(n)], np.float64).reshape(n, 4)
    shapes = tuple((turned(i + 2, 4, 4, 8, 0),) for i in range(n)) if outlines else None
    return Objects(np.array(labels, np.int64), boxes, np.array([i in ignored for i in range(n)], bool), outlines=shapes)


def test_every_kind_that_a_task_of_objects_learns_can_be_derived() -> None:
    assert {target for entry in READERS.values() if entry.derived for target in entry.served} == set(DERIVE)


def test_labels_are_one_where_no_image_shows_two_classes() -> None:
    made = derive.label([objects(0, 0), objects(2), objects()], NAMES)
    assert (made.targets, made.multilabel, made.classes) == ([0, 2, None], False, NAMES)
    assert made.notes == ("1 image without objects is left out: their class is not known",)
    made = derive.label([objects(2, 0, 2), objects(2), objects()], NAMES)
    assert (made.targets, made.multilabel, made.notes) == ([(0, 2), (2,), ()], True, ())


def test_counts_leave_out_what_is_ignored() -> None:
    several = [objects(0, 0, 2, ignored={1}), objects()]
    made = derive.value(several, NAMES)
    assert (made.targets, made.named, made.classes) == ([(1.0, 0.0, 1.0), (0.0, 0.0, 0.0)], NAMES, ())
    assert derive.value([objects(0, 0)], ("cat",)).named == ("count",)
    assert derive.value([objects()], ()).targets == [(0.0,)]


def test_objects_are_defects_but_those_that_are_called_good() -> None:
    several = [objects(0, 2, 2), objects(), objects(1, 1, 0), objects(1), objects(0, ignored={0})]
    made = derive.verdict(several, ("scratch", "OK", "dent"))
    kinds = [target and target.kind for target in made.targets]
    assert (kinds, made.classes) == (["dent", "good", "scratch", "good", None], ("good", "defect"))
    assert made.notes == ("1 image of ignored objects alone is left out",)
    assert not any(target.marked for target in made.targets if target)


def test_outlines_mark_the_defect_and_what_is_ignored_counts_for_neither() -> None:
    defect, blank = derive.verdict([objects(2, 0, ignored={1}, outlines=True), objects()], NAMES).targets
    assert (defect.kind, defect.marked, blank.marked) == ("emu", True, False)
    page = images.mask_of(defect, (), (10, 8))
    assert page[:8, 0].tolist() == [DEFECT] * 8  # the first box is 4 wide, the second covers all but its first column
    assert page[:8, 4].tolist() == [IGNORE] * 8
    assert page[8:].tolist() == [[BESIDE] * 8] * 2
    assert (images.mask_of(blank, (), (10, 8)) == GOOD).all()


@pytest.mark.parametrize(
    ("classes", "labels", "named", "target"),
    [
        (("Background", "cat", "dog"), (1, 2, 1), ("cat", "dog"), (2.0, 1.0)),
        (("background", "cat"), (1, 1), ("count",), (2.0,)),
        (("background",), (0,), ("count",), (1.0,)),
        (("cat", "Background", "dog"), (0, 2, 2), ("cat", "dog"), (1.0, 2.0)),
    ],
)
def test_the_background_is_not_counted(
    classes: tuple[str, ...], labels: tuple[int, ...], named: tuple[str, ...], target: tuple[float, ...]
) -> None:
    made = derive.value([objects(*labels)], classes)
    assert (made.named, made.targets) == (named, [target])


def test_masks_have_the_background_first() -> None:
    made = derive.mask([objects(1, outlines=True)], NAMES)
    assert made.classes == ("background", *NAMES)
    page = images.mask_of(made.targets[0], (), (10, 12))
    assert sorted(zip(*np.unique(page, return_counts=True), strict=True)) == [(0, 120 - 32), (2, 32)]
    chosen = images.mask_of(made.targets[0], (2, 0), (10, 12))
    assert set(chosen.ravel().tolist()) == {0, 1}
    with pytest.raises(DataError, match="300 classes"):
        derive.mask([], tuple(map(str, range(300))))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_masks_have_one_background_whichever_class_is_named_so(place: int) -> None:
    names = ["cat", "dog"]
    names.insert(place, "background")
    made = derive.mask([objects(names.index("dog"), outlines=True)], tuple(names))
    assert made.classes == ("background", "cat", "dog")
    assert set(images.mask_of(made.targets[0], (), (48, 64)).ravel().tolist()) == {0, 2}


def test_a_mask_of_a_path_is_the_files(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(tmp_path / "m.png")
    assert images.mask_of(tmp_path / "m.png", (2, 1), (1, 3)).tolist() == [[255, 1, 0]]


def test_boxes_lose_what_they_do_not_need() -> None:
    (made,) = derive.boxes([objects(0, outlines=True)], NAMES).targets
    assert (made.outlines, made.quads, len(made)) == (None, None, 1)


def corners(quad: np.ndarray) -> list[list[float]]:
    return sorted(np.round(quad, 6).tolist())


def test_rectangles_of_turned_shapes_by_hand() -> None:
    shapes = [turned(30, 20, 20, 8, 30), turned(10, 10, 6, 6, 0), turned(40, 30, 30, 4, -70)]
    mask = np.zeros((48, 64), np.uint8)
    mask[5:9, 10:30] = 1
    ends = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel(), [0]])))
    runs = Rle(tuple(np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()), mask.shape)
    found = derive.rectangles([*((shape,) for shape in shapes), (shapes[0][:2], shapes[0][2:]), runs])
    assert [corners(quad) for quad in found[:3]] == [corners(shape) for shape in shapes]
    assert corners(found[3]) == corners(shapes[0])  # two parts, one rectangle
    assert corners(found[4]) == [[10, 5], [10, 9], [30, 5], [30, 9]]
    assert derive.rectangles([]).shape == (0, 4, 2)


@given(st.lists(st.tuples(st.integers(3, 40), st.integers(0, 2**32 - 1)), min_size=1, max_size=6))
def test_rectangles_hold_their_outlines_whatever_their_lengths(shapes: list[tuple[int, int]]) -> None:
    outlines = [(np.random.default_rng(seed).random((n, 2)) * 50,) for n, seed in shapes]
    for quad, (points,) in zip(derive.rectangles(outlines), outlines, strict=True):
        for a, b in zip(quad, np.roll(quad, -1, 0), strict=True):
            side = (b - a)[0] * (points - a)[:, 1] - (b - a)[1] * (points - a)[:, 0]
            assert (side >= -1e-6).all() or (side <= 1e-6).all()
