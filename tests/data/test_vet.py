"""Each rule for labelled objects: used, repaired and said, refused alone or with its image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visrun.data.marks import Marks, around, no_marks, with_boxes
from visrun.data.outlines import Rle
from visrun.data.vet import Vetted, vet
from visrun.errors import DataError

W, H = 100, 80
BOX = (10.0, 20.0, 40.0, 60.0)
NAN, INF = float("nan"), float("inf")


def marks(*boxes: tuple[float, ...], labels: list[int] | None = None, **more: object) -> Marks:
    n = len(boxes)
    return Marks(
        labels=np.array(labels if labels is not None else [0] * n, np.int64),
        boxes=np.array(boxes, np.float64).reshape(n, 4),
        ignored=np.zeros(n, bool),
        spots=np.arange(1, n + 1),
        file="a.txt:",
        **more,  # type: ignore[arg-type]
    )


def quads(*corners: list[list[float]], **more: object) -> Marks:
    every = np.array(corners, np.float64).reshape(-1, 4, 2)
    return marks(*map(tuple, around(every)), quads=every, **more)


def outlined(*outlines: list[np.ndarray] | Rle | None, boxes: list[tuple[float, ...]] | None = None) -> Marks:
    found = tuple(o if isinstance(o, Rle) or o is None else tuple(np.asarray(p, float) for p in o) for o in outlines)
    written = np.array(boxes if boxes else [(NAN,) * 4] * len(found), np.float64)
    return marks(*map(tuple, with_boxes(written, found)), outlines=found)


def check(*several: Marks, form: str = "boxes", **more: object) -> Vetted:
    return vet(
        several,
        [(W, H)] * len(several),
        wheres=[f"image {i}" for i in range(len(several))],
        form=form,
        classes=("cat", "dog"),
        **more,  # type: ignore[arg-type]
    )


def lines(vetted: Vetted) -> list[str]:
    return [str(problem) for problem in (*vetted.lost.values(), *vetted.problems)]


def test_what_is_right_passes_untouched() -> None:
    vetted = check(marks(BOX, (0, 0, W, H), labels=[1, 0]), no_marks("b.txt:"), marks((0, 0, 1, 1)))
    assert (vetted.lost, vetted.problems, vetted.notes, vetted.total) == ({}, [], (), 3)
    assert [objects.boxes.tolist() for objects in vetted.objects] == [[list(BOX), [0, 0, W, H]], [], [[0, 0, 1, 1]]]
    assert vetted.objects[0].labels.tolist() == [1, 0]


def test_no_image_and_no_object() -> None:
    assert check().objects == []
    for form in ("boxes", "quads", "outlines"):
        vetted = check(no_marks("b.txt:", form=form), form=form)
        assert [len(objects) for objects in vetted.objects] == [0]


@pytest.mark.parametrize("label", [-1, 2, 10**12])
def test_a_class_out_of_range_takes_its_image_with_it(label: int) -> None:
    vetted = check(marks(BOX, BOX, labels=[0, label]), marks(BOX))
    assert lines(vetted) == [f"a.txt:2: class {label} is out of range: there are 2 classes (cat, dog)"]
    assert list(vetted.lost) == [0]
    assert [len(objects) for objects in vetted.objects] == [0, 1]


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("place", range(4))
def test_a_number_that_is_not_finite_takes_its_image_with_it(value: float, place: int) -> None:
    box = (*BOX[:place], value, *BOX[place + 1 :])
    assert lines(check(marks(box))) == ["a.txt:1: a coordinate is no finite number"]
    corners = [[10.0, 10], [20, 10], [20, 20], [value, 20]]
    assert lines(check(quads(corners), form="quads")) == ["a.txt:1: a coordinate is no finite number"]
    outline = [np.array(corners)]
    vetted = check(outlined(outline, boxes=[BOX]), form="outlines")
    assert lines(vetted) == ["a.txt:1: a coordinate is no finite number"]


@pytest.mark.parametrize(
    ("box", "what"),
    [
        ((10, 20, 10, 60), "0x40 pixels"),
        ((10, 20, 40, 20), "30x0 pixels"),
        ((10, 20, 10, 20), "0x0 pixels"),
        ((10, 20, 10.05, 60), "0.05x40 pixels"),
    ],
)
def test_a_box_of_no_size_is_refused_alone(box: tuple[float, ...], what: str) -> None:
    vetted = check(marks(box, BOX))
    assert lines(vetted) == [f"a.txt:1: an object of no size ({what})"]
    assert vetted.lost == {}
    assert vetted.objects[0].boxes.tolist() == [list(BOX)]


@pytest.mark.parametrize(
    "box", [(-30, 10, -5, 20), (W, 0, W + 9, 9), (5, H, 9, H + 5), (5, -9, 9, 0), (-5, 0, 0.05, 9)]
)
def test_a_box_wholly_outside_is_refused_alone(box: tuple[float, ...]) -> None:
    assert lines(check(marks(box))) == ["a.txt:1: wholly outside its image of 100x80 pixels"]


@pytest.mark.parametrize("box", [(-101, 0, 5, 5), (0, 0, 201, 5), (0, -81, 5, 5), (0, 0, 5, 161)])
def test_a_box_far_beyond_its_image_is_of_another_unit(box: tuple[float, ...]) -> None:
    (line,) = lines(check(marks(box)))
    assert line.endswith("in an image of 100x80 pixels: another unit?")
    assert "coordinates from" in line


def test_shares_that_are_pixels_are_told_in_shares() -> None:
    (line,) = lines(check(marks((10, 20, 40, 60), relative=True)))
    assert line == "a.txt:1: shares of width and height from 10 to 40: they go from 0 to 1 (are these pixels?)"
    vetted = check(marks((0.1, 0.25, 0.4, 0.75), relative=True))
    assert vetted.objects[0].boxes.tolist() == [[10, 20, 40, 60]]


def test_pixels_that_are_shares_are_refused_for_the_whole_dataset() -> None:
    with pytest.raises(
        DataError, match=r"a\.txt:1: no coordinate of these labels is above 1: this layout writes pixels"
    ):
        check(marks((0.1, 0.2, 0.4, 0.6)), marks((0.1, 0.2, 1.0, 1.0)))
    assert len(check(marks((0.1, 0.2, 0.4, 0.6)), marks(BOX)).objects[0]) == 1  # one is in pixels, so all are


def test_a_box_that_reaches_beyond_is_clipped_and_said_from_a_pixel_on() -> None:
    vetted = check(marks((-10, 5, 20, 90), (-0.5, 5, 20, 30), *[(i, 0, i + 9, 9) for i in range(20)]))
    assert vetted.objects[0].boxes[:2].tolist() == [[0, 5, 20, 80], [0, 5, 20, 30]]
    assert vetted.notes == ("1 box reaches beyond the image: clipped to it, such as a.txt:1",)
    assert check(marks((-10, 5, 20, 90)), boxed=False).notes == ()


def test_many_boxes_beyond_raise_a_doubt() -> None:
    (note,) = check(marks(*[(i, 0, W + 9, 50) for i in range(5)])).notes
    assert "width and height written where corners are expected" in note


@pytest.mark.parametrize("learnt", [False, True])
def test_where_outlines_are_learnt_the_boxes_around_them_are_clipped(learnt: bool) -> None:
    """Of two objects the box of one and the outline of the other reach beyond the image."""
    inside, beyond = np.array([[80.0, 10], [99, 10], [80, 40]]), np.array([[80.0, 50], [120, 50], [80, 70]])
    several = outlined([inside], [beyond], boxes=[(75, 10, 105, 40), (80, 50, 99, 70)])
    vetted = check(several, form="outlines", outlined=learnt)
    (note,) = (note for note in vetted.notes if "clipped" in note)
    assert note.endswith(f"such as a.txt:{1 + learnt}")
    boxes = [[80, 10, 99, 40], [80, 50, 100, 70]] if learnt else [[75, 10, 100, 40], [80, 50, 99, 70]]
    assert vetted.objects[0].boxes.tolist() == boxes


def test_swapped_corners_are_put_in_order() -> None:
    vetted = check(marks((40, 60, 10, 20), (10, 60, 40, 20)))
    assert vetted.objects[0].boxes.tolist() == [list(BOX)]
    assert vetted.notes == (
        "2 boxes had corners swapped: they were put in order, such as a.txt:1",
        "1 object stands twice: one of each was left out, such as a.txt:2",
    )


SQUARE = [[10.0, 10], [20, 10], [20, 20], [10, 20]]


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 1, 3, 2], [1, 0, 2, 3], [3, 1, 2, 0]])
def test_quads_whose_edges_cross_get_their_corners_in_order(order: list[int]) -> None:
    vetted = check(quads([SQUARE[i] for i in order]), form="quads")
    (quad,) = vetted.objects[0].quads
    x, y = quad.T
    assert abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2 == 100
    assert sorted(quad.tolist()) == sorted(SQUARE)
    assert vetted.notes == ("1 quad had edges that cross: the corners were put in order, such as a.txt:1",)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("way", [1, -1])
def test_quads_in_order_stay_as_they_are_whichever_corner_is_first(turn: int, way: int) -> None:
    corners = np.roll(SQUARE, turn, 0)[::way].tolist()
    vetted = check(quads(corners), form="quads")
    assert vetted.objects[0].quads.tolist() == [corners]
    assert vetted.objects[0].boxes.tolist() == [[10, 10, 20, 20]]
    assert vetted.notes == ()


@pytest.mark.parametrize(
    ("corners", "what"),
    [
        ([[10, 10]] * 4, "an object of no size (0x0 pixels)"),
        ([[5, 5], [9, 5]] * 2, "an object of no size (4x0 pixels)"),
        ([[10, 10], [20, 20], [30, 30], [40, 40]], "an object without area: its points lie on a line"),
    ],
)
def test_quads_on_a_line_have_no_size(corners: list[list[float]], what: str) -> None:
    assert lines(check(quads(corners), form="quads")) == [f"a.txt:1: {what}"]


def test_a_quad_beyond_the_image_keeps_its_corners_and_its_box_is_clipped() -> None:
    corners = [[-10.0, 10], [20, 10], [20, 20], [-10, 20]]
    vetted = check(quads(corners), form="quads", boxed=False)
    assert vetted.objects[0].quads.tolist() == [corners]
    assert vetted.objects[0].boxes.tolist() == [[0, 10, 20, 20]]
    assert vetted.notes == ()


def test_polygons_of_fewer_than_three_points_are_left_out() -> None:
    square = np.array(SQUARE)
    vetted = check(outlined([square, square[:2]], [square[:2]], boxes=[BOX, BOX]), form="outlines")
    assert lines(vetted) == ["a.txt:2: an outline of fewer than 3 points"]
    assert [len(outline) for outline in vetted.objects[0].outlines] == [1]
    assert vetted.notes[0] == "1 outline lost parts that have fewer than 3 points, such as a.txt:1"


def test_an_outline_without_area_has_no_size() -> None:
    flat = np.array([[10.0, 10], [20, 10], [30, 10]])
    (line,) = lines(check(outlined([flat], boxes=[BOX]), form="outlines"))
    assert line == "a.txt:1: an object without area: its points lie on a line"


SLANTED = np.array([[10, 10], [20, 20], [30, 30]])
BLANK = Rle((W * H,), (H, W))


@pytest.mark.parametrize(
    ("outline", "what"),
    [
        ([SLANTED], "an object without area: its points lie on a line"),
        ([SLANTED, SLANTED[::-1] + 20], "an object without area: its points lie on a line"),
        (BLANK, "an object without area: its runs mark no pixel"),
        ([np.array([[110, 10], [130, 10], [130, 30]])], "wholly outside its image of 100x80 pixels"),
    ],
)
def test_an_outline_that_shows_nothing_is_refused_alone_where_outlines_are_learnt(outline: object, what: str) -> None:
    good = [np.array([[10, 20], [40, 20], [40, 60], [10, 60]])]
    several = outlined(good, outline, boxes=[BOX, BOX])  # type: ignore[arg-type]
    vetted = check(several, form="outlines", outlined=True)
    assert lines(vetted) == [f"a.txt:2: {what}"]
    assert [len(objects) for objects in vetted.objects] == [1]
    assert lines(check(several, form="outlines")) == []


@pytest.mark.parametrize(
    "parts",
    [
        [[[10, 10], [30, 30], [30, 10], [10, 30]]],  # whose halves have areas that cancel each other out
        [[[10, 10], [10.5, 10], [10.5, 10.5]], [[90, 70], [90.5, 70], [90.5, 70.5]]],
        [[[10, 10], [60, 60], [60, 60.4]]],
        [SLANTED.tolist(), [[30, 30], [40, 30], [40, 40]]],
        [[[90, 10], [130, 10], [130, 30]]],
    ],
)
def test_outlines_that_show_little_are_kept(parts: list[list[list[float]]]) -> None:
    assert lines(check(outlined([np.array(part) for part in parts]), form="outlines", outlined=True)) == []


def test_a_missing_outline_matters_where_outlines_are_learnt() -> None:
    mixed = outlined([np.array(SQUARE)], None, boxes=[(10, 10, 20, 20), BOX])
    assert check(mixed, form="outlines").objects[0].outlines is None
    vetted = check(mixed, form="outlines", outlined=True)
    assert lines(vetted) == ["a.txt:2: no outline, and this task learns outlines"]
    assert list(vetted.lost) == [0]


@pytest.mark.parametrize(
    ("learnt", "used"), [(False, "both are taken as written"), (True, "those around polygons are learnt")]
)
def test_a_box_unlike_its_outline_is_said(learnt: bool, used: str) -> None:
    vetted = check(outlined([np.array(SQUARE)], boxes=[(10, 10, 60, 60)]), form="outlines", outlined=learnt)
    assert vetted.notes == (f"1 box differs from the outline (IoU below 0.5): {used}, such as a.txt:1",)
    traced = np.array([[10.0, 10], [14, 10], [14, 11], [10, 11]])  # along the middles of pixels
    assert check(outlined([traced], boxes=[(10, 10, 15, 13)]), form="outlines").notes == ()


def test_objects_that_stand_twice_count_once() -> None:
    vetted = check(marks(BOX, BOX, BOX, labels=[0, 1, 0]), marks(BOX))
    assert vetted.objects[0].labels.tolist() == [0, 1]
    assert len(vetted.objects[1]) == 1
    assert vetted.notes == ("1 object stands twice: one of each was left out, such as a.txt:3",)
    other = np.array([[10.0, 10], [20, 10], [10, 20]])
    same = check(outlined([np.array(SQUARE)], [other], [other], boxes=[(10, 10, 20, 20)] * 3), form="outlines")
    assert len(same.objects[0]) == 2


@pytest.mark.parametrize(("size", "hint"), [((80, 100), " (turned by its EXIF orientation?)"), ((200, 160), "")])
def test_labels_made_for_another_size_are_refused(size: tuple[int, int], hint: str) -> None:
    what = f"image 1: labels for {size[0]}x{size[1]} pixels, the image has 100x80{hint}"
    # the box outside is not said as well: it follows from the size
    assert lines(check(marks(BOX), marks((120, 5, 150, 9), size=size))) == [what]
    rle = Rle((0, size[0] * size[1]), (size[1], size[0]))
    assert lines(check(outlined([np.array(SQUARE)]), outlined(rle), form="outlines")) == [what]
    assert lines(check(marks(size=size))) == []  # there is no label to be wrong


def test_every_bad_object_is_told_and_the_first_rule_counts() -> None:
    vetted = check(marks((5, 5, 5, 9), (NAN, 0, 0, 0), (W, 0, W + 1, 9), (0, 0, 9, 9), labels=[9, 0, 0, 0]))
    assert lines(vetted) == [
        "a.txt:1: class 9 is out of range: there are 2 classes (cat, dog)",
        "a.txt:3: wholly outside its image of 100x80 pixels",
    ]


BOXES = hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(4)), elements=st.floats(width=32))


@given(st.lists(BOXES, max_size=4), st.booleans())
def test_whatever_is_written_what_passes_is_inside_and_has_a_size(several: list[np.ndarray], relative: bool) -> None:
    written = [marks(*map(tuple, boxes), relative=relative) for boxes in several]
    try:
        vetted = check(*written)
    except DataError:
        return
    assert len(vetted.objects) == len(several)
    for number, objects in enumerate(vetted.objects):
        left, top, right, bottom = objects.boxes.T
        assert ((left >= 0) & (top >= 0) & (right <= W) & (bottom <= H)).all()
        assert ((right - left >= 0.099) & (bottom - top >= 0.099)).all()
        assert number not in vetted.lost or not len(objects)
    assert vetted.total == sum(map(len, several))


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.just(4), st.just(2)), elements=st.floats(1, 79)))
def test_no_quad_that_passes_has_crossing_edges(corners: np.ndarray) -> None:
    passed = check(quads(*corners.tolist()), form="quads").objects[0]
    again = quads(*passed.quads.tolist()) if len(passed) else no_marks("", form="quads")
    assert not any("cross" in note for note in check(again, form="quads").notes)
