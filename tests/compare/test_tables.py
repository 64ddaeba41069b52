"""Differences and results, as rows and as text."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from visrun.compare.find import find
from visrun.compare.gallery import Gallery
from visrun.compare.page import page
from visrun.compare.runs import Run
from visrun.compare.tables import (
    Row,
    as_text,
    common,
    cut,
    differences,
    metric_row,
    metrics,
    notes,
    outcomes,
    rounded,
)


def runs_of(*folders) -> list[Run]:
    return find(folders)[0]


def test_differences_are_exactly_the_settings_that_differ(write_run) -> None:
    runs = runs_of(
        write_run("a", learning_rate=0.001),
        write_run("b", learning_rate=0.1, optimizer="sgd", sections={"augment": {"hflip": True}}, seed=7),
    )
    assert differences(runs) == [
        Row("optimizer", ("adam", "sgd")),
        Row("learning_rate", ("0.001", "0.1")),
        Row("momentum", (None, "0.9")),
        Row("seed", ("0", "7")),
        Row("augment.hflip", ("false", "true")),
        Row("optimizer_options.betas", ("[0.9, 0.999]", None)),
        Row("optimizer_options.nesterov", (None, "false")),
    ]
    same = common(runs)
    assert same["batch_size"] == "32"
    assert not same.keys() & {row.label for row in differences(runs)}


def test_runs_that_do_not_differ(write_run) -> None:
    runs = runs_of(write_run("a"), write_run("b"))
    assert differences(runs) == []
    assert "no difference" in as_text(runs, width=80)


def test_long_numbers_are_rounded_while_they_differ() -> None:
    assert rounded(("0.009249407960183188", "7.932807605575547e-06", "0.5")) == ("0.0092494", "7.9328e-06", "0.5")
    assert rounded(("0.1234567", "0.1234568")) == ("0.1234567", "0.1234568")
    assert rounded(("0.00001234567", None, "/data/1.2345678x")) == ("1.2346e-05", None, "/data/1.2345678x")


def test_the_best_of_each_metric_is_marked(write_run) -> None:
    rows = {
        "a": {"epoch": 1, "accuracy": 0.5, "ece": 0.3, "mine": 1.0},
        "b": {"epoch": 1, "accuracy": 0.75, "ece": 0.4, "mine": 2.0},
        "c": {"epoch": 1, "f1": 0.9, "accuracy": 0.75},
    }
    result = {"status": "finished", "test": {"accuracy": 0.25}}
    runs = runs_of(*(write_run(name, rows=[row], result=result if name == "a" else None) for name, row in rows.items()))
    assert metrics(runs) == [
        Row("val accuracy", ("0.5000", "0.7500", "0.7500"), frozenset({1, 2})),
        Row("val ece", ("0.3000", "0.4000", None), frozenset({0})),
        Row("val mine", ("1.0000", "2.0000", None), frozenset({1})),
        Row("val f1", (None, None, "0.9000")),  # alone, so the best of nothing
        Row("test accuracy", ("0.2500", None, None)),
    ]


def test_a_run_that_did_not_finish_is_not_marked_beside_one_that_did(write_run) -> None:
    result = {"status": "failed"}
    failed = [write_run("a", [0.9], result=result), write_run("b", [0.8], result=result)]
    assert [row.best for row in metrics(runs_of(*failed))] == [{0}]
    assert [row.best for row in metrics(runs_of(*failed, write_run("c", [0.5])))] == [{2}]


def test_a_smaller_error_is_better(write_run) -> None:
    rows = [[{"epoch": 1, "mae": value, "mae/width": value, "r2": 1 / value}] for value in (2.0, 4.0)]
    runs = runs_of(*(write_run(str(i), rows=row, task="regression", loss="mse") for i, row in enumerate(rows)))
    assert [(row.label, row.best) for row in metrics(runs)] == [
        ("val mae", {0}),
        ("val mae/width", {0}),
        ("val r2", {0}),
    ]


def test_a_threshold_has_no_best(write_run) -> None:
    rows = [[{"epoch": 1, "synthetic_auroc": value, "synthetic_threshold": value}] for value in (0.5, 0.75)]
    runs = runs_of(*(write_run(str(i), rows=row, task="anomaly_detection") for i, row in enumerate(rows)))
    assert [(row.label, row.best) for row in metrics(runs)] == [
        ("val synthetic_auroc", {1}),
        ("val synthetic_threshold", frozenset()),
    ]


def test_equal_values_have_no_best() -> None:
    assert metric_row("x", [0.5, 0.5], True).best == frozenset()
    assert metric_row("x", [0.5, None, 0.25], False).best == {2}
    assert metric_row("x", [None, None], True) == Row("x", (None, None))


def test_the_noise_of_single_precision_makes_none_better() -> None:
    row = metric_row("val f1", [0.4166666865, 0.4166666567, 0.3], True)
    assert row.best == {0, 1}
    assert metric_row("val f1", [0.4166666865, 0.4166666567], True).best == frozenset()
    assert metric_row("val f1", [0.41667, 0.41666], True).best == {0}


def test_outcomes(write_run) -> None:
    runs = runs_of(write_run("a", [0.5, 0.4]), write_run("b", [], result={"status": "failed", "reason": "it broke"}))
    assert outcomes(runs) == [
        Row("status", ("finished", "failed")),
        Row("epochs", ("2", "0")),
        Row("best epoch", ("1", None)),
        Row("seconds", ("4.0", None)),
    ]
    assert notes(runs) == ["b: failed, it broke"]


def test_other_data_are_said(write_run) -> None:
    first, second = (write_run(letter, sections={"data": {"fingerprint": letter * 64}}) for letter in "ab")
    assert "different data" in notes(runs_of(first, second))[0]
    assert notes(runs_of(first, write_run("c"))) == []  # c never came to read its data


@pytest.mark.parametrize(
    ("prints", "whole", "best", "said"),
    [
        ([{"val": "a", "test": "t"}, {"val": "a", "test": "t"}], "ww", {"val": {1}, "test": {1}}, []),
        ([{"val": "a", "test": "t"}, {"val": "b", "test": "t"}], "ww", {"val": set(), "test": {1}}, ["val are not"]),
        ([{"val": "a", "test": "t"}, {"val": "b", "test": "s"}], "wx", {}, ["different data", "val are", "test are"]),
        ([{"val": "a", "test": "t"}, {"val": "a", "test": "t"}], "wx", {"val": {1}, "test": {1}}, ["different data"]),
        ([{}, {"val": "a", "test": "t"}], "ww", {"val": {1}, "test": {1}}, []),  # written before runs told it
        ([{}, {"val": "a", "test": "t"}], "wx", {}, ["different data", "val are", "test are"]),
    ],
)
def test_none_is_best_of_figures_on_other_images(write_run, prints, whole, best, said) -> None:
    folders = []
    for i, value in enumerate((0.5, 0.75)):
        result = {"status": "finished", "test": {"accuracy": value}, "fingerprints": prints[i]}
        folders.append(write_run(str(i), [value], result=result, sections={"data": {"fingerprint": whole[i]}}))
    runs = runs_of(*folders)
    assert {row.label: set(row.best) for row in metrics(runs)} == {
        f"{split} accuracy": best.get(split, set()) for split in ("val", "test")
    }
    assert [part in line for part, line in zip(said, notes(runs), strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("task", "unfair", "fair"),
    [
        ("segmentation", ("miou", "dice", "pixel_accuracy", "iou/a"), ()),
        ("anomaly_detection", ("synthetic_pixel_auroc", "aupro", "pixel_f1"), ("synthetic_auroc", "f1_max")),
        ("object_detection", (), ("map", "map50")),
    ],
)
@pytest.mark.parametrize(
    ("rulers", "differ"),
    [
        ([{"image_size": 32}, {"image_size": 96}], True),
        ([{"image_size": 96, "resize": "letterbox"}, {"image_size": 96, "resize": "crop"}], True),
        ([{"image_size": 96, "resize": None}, {"image_size": 96}], False),
    ],
)
def test_none_is_best_of_pixels_of_another_size(write_run, task, unfair, fair, rulers, differ) -> None:
    folders = []
    for i, ruler in enumerate(rulers):
        row = {"epoch": 1, **dict.fromkeys((*unfair, *fair), 0.5 + i / 10)}
        folders.append(write_run(str(i), rows=[row], task=task, sections={"data": ruler}))
    folders.append(
        write_run("failed", rows=[row], task=task, result={"status": "failed"}, sections={"data": rulers[0]})
    )
    runs = runs_of(*folders)
    best = {row.label.removeprefix("val "): set(row.best) for row in metrics(runs)}
    assert best == {**{key: set() if differ else {1} for key in unfair}, **{key: {1} for key in fair}}
    told = (
        f"{', '.join(key for key in unfair if '/' not in key)}: measured on pixels of data.image_size and data.resize, "
    )
    assert [line.startswith(told) for line in notes(runs)] == [True] * (differ and bool(unfair))
    verdict = page(runs, Gallery())
    assert ("so no run is best" in verdict) == (differ and runs[0].monitor in unfair)


def test_the_star_says_among_which_runs(write_run) -> None:
    folders = [write_run("a", [0.9], result={"status": "killed"}), write_run("b", [0.5]), write_run("c", [0.4])]
    assert "\n* best of its row among finished runs\n" in as_text(runs_of(*folders), width=80) + "\n"
    assert "\n* best of its row\n" in as_text(runs_of(*folders[1:]), width=80) + "\n"


def test_the_text(write_run) -> None:
    one = write_run("one", [0.5, 0.75], learning_rate=0.1)
    two = write_run("two", rows=[{"epoch": 1, "accuracy": 0.25, "iou/x": 0.5, "time/total": 1234.5}])
    assert as_text(runs_of(one, two), width=80) == "\n".join(
        [
            "2 runs of task=classification",
            "",
            "               one       two",
            "",
            "learning_rate  0.1       0.001",
            "",
            "val accuracy   0.7500 *  0.2500",
            "",
            "status         finished  finished",
            "epochs         2         1",
            "best epoch     2         1",
            "seconds        4.0       1,234",
            "",
            "* best of its row",
            "1 rows of single classes or targets stand on the page",
        ]
    )


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_many_runs_fit_the_terminal(write_run, width: int) -> None:
    folders = [write_run(f"画像 {i} " + "x" * 5 * i, [i / 20], learning_rate=10.0**-i) for i in range(1, 13)]
    shown = as_text(runs_of(*folders), width=width)
    assert max(map(cell_len, shown.splitlines())) <= width
    assert sum(line.startswith("val accuracy") for line in shown.splitlines()) > 1
    assert all(f"{i / 20:.4f}" in shown for i in range(1, 13))


def test_a_terminal_too_narrow_for_a_column_gets_one_a_block(write_run) -> None:
    shown = as_text(runs_of(write_run("a"), write_run("b")), width=10)
    assert sum(line.startswith("val accuracy") for line in shown.splitlines()) == 2


def test_long_texts_lose_their_middle() -> None:
    assert cut("short", 28) == "short"
    shown = cut("/data/" + "画" * 40 + "/photos", 28)
    assert cell_len(shown) <= 28 and shown.startswith("/data/") and shown.endswith("/photos")
