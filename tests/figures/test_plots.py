"""Pictures: what is drawn where, at the sizes and with the names that real runs have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visrun.errors import VisrunError
from visrun.figures import fonts, palette, plots
from visrun.figures.precision_recall import closed, mean_precision, precision_recall
from visrun.figures.sheet import GAP, LARGEST, SAMPLES, SMALLEST, WIDER, fit, full_rows, sheet

ROWS = [
    {"epoch": 1, "learning_rate": 0.1, "loss": 2.0, "val_loss": 2.5, "miou": 0.2, "iou/road": 0.1, "time/epoch": 3.0},
    {"epoch": 2, "learning_rate": 0.1, "loss": 1.0, "val_loss": 1.5, "miou": 0.4, "iou/roof": 0.3, "time/epoch": 3.0},
    {"epoch": 3, "learning_rate": 0.0, "loss": 0.5, "val_loss": 1.6, "miou": 0.3, "iou/road": 0.2, "time/epoch": 3.0},
]


def axes_of_a_new_figure():
    return plots.new_figure(6, 6).add_subplot()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return picture.size


def test_values_are_grouped_into_panels():
    assert plots.group(ROWS, "iou/roof") == {
        "loss": ["loss", "val_loss"],
        "iou": ["iou/roof", "iou/road"],
        "miou": ["miou"],
    }
    assert plots.group([], "miou") == {}
    rows = [{"epoch": 1, "mae": 0.2, "r2": 0.5, "mae/price": 3e4, "mae/angle": 0.1, "r2/price": 0.5}]
    assert plots.group(rows, "mae") == {  # errors in different units do not share an axis
        "mae": ["mae"],
        "r2": ["r2", "r2/price"],
        "mae/price": ["mae/price"],
        "mae/angle": ["mae/angle"],
    }


def test_a_line_holds_exactly_the_epochs_that_have_a_value():
    axes = axes_of_a_new_figure()
    plots.draw_lines(axes, [*ROWS, {"epoch": 4, "iou/road": float("nan")}], ["iou/road", "iou/roof"], prefix="iou/")
    road, roof = axes.lines
    assert list(zip(*road.get_data(), strict=True)) == [(1, 0.1), (3, 0.2)]
    assert list(zip(*roof.get_data(), strict=True)) == [(2, 0.3)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["road", "roof"]


def test_a_mean_stands_out_among_many_classes():
    axes = axes_of_a_new_figure()
    names = ["f1", *(f"f1/{i}" for i in range(20))]
    plots.draw_lines(axes, [{"epoch": 1, **dict.fromkeys(names, 0.5)}], names, prefix="f1/")
    mean, *others = axes.lines
    assert mean.get_color() == palette.BLUE and {line.get_color() for line in others} == {palette.GREY}
    assert all(mean.get_zorder() > line.get_zorder() for line in others)


@pytest.mark.parametrize("count", [3, 5, len(palette.COLOURS)])
def test_the_legend_of_several_lines_covers_none(count):
    names = [f"iou/class {i}" for i in range(count)]
    axes = axes_of_a_new_figure()
    plots.draw_lines(axes, [{"epoch": i, **dict.fromkeys(names, 0.1 * i)} for i in range(9)], names, prefix="iou/")
    axes.figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y1 < axes.xaxis.label.get_window_extent().y0 + 1


def test_the_best_epoch_is_marked_with_its_value():
    axes = axes_of_a_new_figure()
    plots.mark_best(axes, ROWS, "miou", ["miou"], 2)
    assert axes.get_title("left").endswith("0.4 at epoch 2")
    assert [list(line.get_xdata()) for line in axes.lines] == [[2, 2], [2]]


@pytest.mark.parametrize("best", [None, 0, 9])
def test_no_best_epoch_marks_nothing(best):
    axes = axes_of_a_new_figure()
    plots.mark_best(axes, ROWS, "miou", ["miou"], best)
    assert not axes.lines
    assert axes.get_title("left") == "miou"


@pytest.mark.parametrize(("losses", "scale"), [([2.0, 1.0], "linear"), ([2.0, 0.01], "log"), ([2.0, 0.0], "linear")])
def test_losses_of_several_magnitudes_get_a_logarithmic_axis(losses, scale):
    axes = axes_of_a_new_figure()
    rows = [{"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, start=1)]
    plots.draw_lines(axes, rows, ["loss"], prefix="")
    assert axes.get_yscale() == scale


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [], [{"epoch": 1, "loss": float("nan"), "mae": 3.0}]])
def test_curves_of_any_length_are_written(tmp_path, rows):
    plots.curves(rows, tmp_path / "new" / "curves.png", monitor="miou", best_epoch=1)
    assert min(size_of(tmp_path / "new" / "curves.png")) > 10


@pytest.mark.parametrize("rates", [[], [0.01], [0.0, 0.1, 0.05]])
def test_learning_rate_is_written(tmp_path, rates):
    plots.learning_rate(rates, tmp_path / "rate.png")
    assert size_of(tmp_path / "rate.png")[0] > 300


@pytest.mark.parametrize("count", [1, 2, 10, 40, 200])
def test_a_confusion_matrix_of_any_size_is_labelled_and_fits_a_screen(tmp_path, count):
    names = [f"class number {number}" for number in range(count)]
    plots.confusion_matrix(np.eye(count, dtype=int), names, tmp_path / "matrix.png")
    assert max(size_of(tmp_path / "matrix.png")) < 1900

    axes = axes_of_a_new_figure()
    plots.label_classes(axes, names)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == names[0]
    assert len(labels) == (count if count <= plots.MOST_LABELS else 50)


def test_short_names_stand_upright_and_long_ones_do_not():
    for names, rotation in ((["good", "bad"], 0), (["a rather long name", "another long one"] * 5, 90)):
        axes = axes_of_a_new_figure()
        plots.label_classes(axes, names)
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {rotation}


@pytest.mark.parametrize(
    ("counts", "texts"),
    [
        ([[3, 1], [0, 2]], ["3", "1", "2"]),
        ([[0, 0], [0, 0]], []),
        ([[30_000, 10_000], [10, 39_990]], ["75 %", "25 %", "<1 %", "100 %"]),
    ],
)
def test_cells_hold_counts_or_shares_of_the_true_class(counts, texts):
    axes = axes_of_a_new_figure()
    matrix = np.array(counts, dtype=float)
    plots.write_cells(axes, matrix, matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    assert [text.get_text() for text in axes.texts] == texts


def test_a_matrix_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="2 classes"):
        plots.confusion_matrix(np.eye(3), ["a", "b"], tmp_path / "matrix.png")


@pytest.mark.parametrize("taken", ["plots", "plots/curves.png"])
def test_a_picture_that_cannot_be_written_is_one_line(tmp_path, taken):
    file = tmp_path / "plots" / "curves.png"
    if taken == "plots":
        file.parent.touch()
    else:
        file.mkdir(parents=True)
    with pytest.raises(VisrunError, match=r"^[^\n]*/curves\.png: cannot write \([^\n]*\)$"):
        plots.curves([{"epoch": 1, "loss": 1.0}], file)


def test_names_in_any_script_and_with_signs_are_drawn_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "font_with", lambda _: None)  # as on a machine without other fonts
    names = ["$x", "a$b$c", "土地", "großer Baum", r"\frac{", "👍"]
    plots.confusion_matrix(np.eye(6), names, tmp_path / "matrix.png")
    plots.curves([{"epoch": 1, **{f"iou/{name}": 0.5 for name in names}}], tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("map", "map   0.5 at epoch 1"),
        ("synthetic_pixel_average_precision", "synthetic_pixel_average_precision\n0.5 at epoch 1"),
    ],
)
def test_a_panels_title_has_room_for_its_name_and_its_best_value(name, title):
    figure = plots.new_figure(3, 3)
    axes = figure.add_subplot()
    plots.mark_best(axes, [{"epoch": 1, name: 0.5}], name, [name], 1)
    assert axes.get_title(loc="left") == title


def test_predicted_against_true_states_the_error():
    axes = axes_of_a_new_figure()
    plots.scatter(axes, np.array([1.0, 4.0, np.nan]), np.array([2.0, 4.0, 1.0]))
    assert axes.texts[0].get_text() == "MAE 0.5   N 2"
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.collections[0].get_offsets().tolist() == [[2.0, 1.0], [4.0, 4.0]]


def test_many_points_are_thinned_out_over_the_whole_range():
    axes = axes_of_a_new_figure()
    values = np.arange(20_000.0)
    plots.scatter(axes, values, values)
    drawn = axes.collections[0].get_offsets()[:, 0]
    assert (len(drawn), drawn[0], drawn[-1]) == (plots.MOST_POINTS, 0, 19_999)


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (7, 1)])
def test_one_target_may_lack_its_dimension(tmp_path, shape):
    plots.predicted_against_true(np.ones(shape), np.ones(shape), ["weight"], tmp_path / "values.png")
    assert size_of(tmp_path / "values.png")[0] > 300


def test_targets_get_a_panel_each_and_wrong_shapes_are_refused(tmp_path):
    plots.predicted_against_true(np.zeros((5, 4)), np.ones((5, 4)), list("abcd"), tmp_path / "values.png")
    width, height = size_of(tmp_path / "values.png")
    assert width > 1.2 * height
    with pytest.raises(ValueError, match="2 targets"):
        plots.predicted_against_true(np.zeros((5, 3)), np.zeros((5, 3)), ["a", "b"], tmp_path / "values.png")


@pytest.mark.parametrize("count", [0, 1, 3, 30])
def test_precision_over_recall_of_any_number_of_classes_is_written(tmp_path, count):
    curves = {f"$class {k}": (np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.6, 0.6]), 0.8) for k in range(count)}
    curves |= {"nothing found": (np.zeros(0), np.zeros(0), 0.0)} if count else {}
    precision_recall(curves, tmp_path / "curves.png", best=(0.4, 0.7) if count else None)
    assert size_of(tmp_path / "curves.png")[0] > 400


def test_a_curve_begins_at_no_recall_and_falls_where_it_ends():
    recall, precision = closed(np.array([0.5, 0.75]), np.array([1.0, 0.6]))
    assert recall.tolist() == [0.0, 0.5, 0.75, 0.75] and precision.tolist() == [1.0, 1.0, 0.6, 0.0]
    assert [part.tolist() for part in closed(np.zeros(0), np.zeros(0))] == [[0.0], [0.0]]


def test_the_mean_of_classes_counts_those_that_end_early():
    whole, half = (np.array([1.0]), np.array([0.8]), 0.8), (np.array([0.5]), np.array([0.4]), 0.2)
    mean = mean_precision({"whole": whole, "half": half})
    assert mean[:51] == pytest.approx(0.6) and mean[51:] == pytest.approx(0.4)


def test_matplotlib_comes_with_the_first_picture_and_pyplot_never(tmp_path):
    script = (
        "import sys; from visrun.figures import plots; from pathlib import Path\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"plots.learning_rate([1.0], Path({str(tmp_path / 'rate.png')!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900))
def test_a_tile_keeps_its_shape_and_is_neither_tiny_nor_huge(width, height):
    tile = fit(Image.new("RGB", (width, height)), max(width, height))
    assert SMALLEST <= max(tile.size) <= LARGEST
    scale = max(tile.size) / max(width, height)
    assert abs(tile.width - scale * width) < 1
    assert abs(tile.height - scale * height) < 1


def test_pictures_of_one_sheet_have_one_scale():
    small, large = fit(Image.new("RGB", (64, 80)), 100), fit(Image.new("RGB", (64, 100)), 100)
    assert small.width == large.width == 128


def test_pictures_stand_row_by_row_in_the_middle_of_their_cells(tmp_path):
    pictures = [
        Image.new("RGB", (200, 200), "red"),
        Image.new("L", (200, 100), 255),
        Image.new("RGB", (200, 200), "blue"),
    ]
    sheet(pictures, tmp_path / "deep" / "sheet.png")
    with Image.open(tmp_path / "deep" / "sheet.png") as page:
        assert page.size == (2 * 200 + 3 * GAP, 2 * 200 + 3 * GAP)
        middles = [(GAP + 100, GAP + 100), (2 * GAP + 300, GAP + 100), (GAP + 100, 2 * GAP + 300)]
        assert [page.getpixel(middle) for middle in middles] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]
        assert page.getpixel((2 * GAP + 300, GAP + 20)) == page.getpixel((2, 2))
        assert page.getpixel((2 * GAP + 300, 2 * GAP + 300)) == page.getpixel((2, 2))


@pytest.mark.parametrize(("size", "cell"), [((1000, 400), 2 * LARGEST), ((1000, 900), LARGEST), ((150, 50), 2 * 150)])
def test_pictures_of_several_panels_get_twice_the_room(tmp_path, size, cell):
    sheet([Image.new("RGB", size)], tmp_path / "sheet.png")
    assert size_of(tmp_path / "sheet.png")[0] == cell + 2 * GAP


def test_a_sheet_replaces_the_last_one_whole(tmp_path):
    for colour in ("red", "blue"):
        sheet([Image.new("RGB", (200, 200), colour)], tmp_path / "sheet.png")
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.getpixel((100, 100)) == (0, 0, 255)


@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_a_sheet_is_not_higher_than_wide(tmp_path, count):
    sheet([Image.new("RGB", (160, 160))] * count, tmp_path / "sheet.png")
    width, height = size_of(tmp_path / "sheet.png")
    assert width >= height


@pytest.mark.parametrize("height", [53, 80, 120, 160, 208, 320])
def test_a_runs_sheet_has_full_rows_whatever_the_pictures_shape(height):
    columns = full_rows(SAMPLES, (WIDER * SAMPLES * height / 160) ** 0.5)
    assert SAMPLES % columns == 0
    assert 0.9 <= columns * 160 / (SAMPLES / columns * height) <= 2


def test_an_empty_sheet_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs a picture"):
        sheet([], tmp_path / "sheet.png")
