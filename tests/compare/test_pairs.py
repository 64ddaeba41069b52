"""Two repeats beside one another: differences against values worked out by hand, and why there are none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from visrun.compare.find import find
from visrun.compare.pairs import PairedRow, Pairing, as_text, cells, pairings, verdict
from visrun.compare.repeats import repeats
from visrun.spread import spread


def beside(*folders: Path) -> list[Pairing]:
    return pairings(repeats(folders, find(folders)[0]))


def rows_of(*folders: Path) -> dict[str, PairedRow]:
    (pairing,) = beside(*folders)
    return {row.metric: row for row in pairing.rows}


def test_three_seeds_by_hand(write_repeat) -> None:
    # differences 0.1, 0.2, 0.3: mean 0.2, s = 0.1; t(0.975, 2) = 4.30265, so the half width is 0.24841
    a = write_repeat("a", {0: 0.5, 1: 0.4, 2: 0.6})
    b = write_repeat("b", {2: 0.9, 0: 0.6, 1: 0.6})
    (pairing,) = beside(a, b)
    assert pairing.title == "b against a, paired by seeds 0, 1, 2"
    for row, metric in zip(pairing.rows, ["val/accuracy", "test/accuracy"], strict=True):
        assert (row.metric, row.pairs, row.verdict) == (metric, 3, "undecided")
        assert (row.first, row.other) == (pytest.approx(0.5), pytest.approx(0.7))
        assert row.difference and row.difference.mean == pytest.approx(0.2)
        assert row.difference.low == pytest.approx(0.2 - 0.24841, abs=1e-5)
    assert cells(pairing.rows[0]) == (
        *("val/accuracy", "3", "0.5000", "0.7000", "0.2000", "-0.0484 to 0.4484", "undecided"),
    )
    assert len(pairing.notes) == 1 and pairing.notes[0].endswith("excludes 0, 0 of 2 metrics")


def test_pairs_tell_apart_what_the_seeds_hide(write_repeat) -> None:
    """Means differ by 0.011 and the seeds by 0.8, and yet each seed is better."""
    a = write_repeat("a", {0: 0.1, 1: 0.5, 2: 0.9})
    b = write_repeat("b", {0: 0.11, 1: 0.511, 2: 0.912})
    assert {row.verdict for row in rows_of(a, b).values()} == {"better"}
    assert {row.verdict for row in rows_of(b, a).values()} == {"worse"}


def test_folds_share_training_images(write_repeat) -> None:
    # differences 0.1, 0.2, 0.3 of three folds: 1/3 + 1/2 of the variance, the half width is 4.30265 * 0.1 * sqrt(5/6)
    folds = ("1/3", "2/3", "3/3")
    a = write_repeat("a", dict(zip(folds, (0.5, 0.4, 0.6), strict=True)), val=str)
    b = write_repeat("b", dict(zip(folds, (0.6, 0.6, 0.9), strict=True)), val=str)
    (pairing,) = beside(a, b)
    assert pairing.title.endswith("paired by folds 1/3, 2/3, 3/3")
    for row in pairing.rows:
        assert row.difference and row.difference.high == pytest.approx(0.2 + 0.430265 * math.sqrt(5 / 6), abs=1e-5)
    assert pairing.notes[-1].startswith("val/ and test/: runs share training images")


def test_seeds_that_hold_out_images_of_their_own_share_the_others_on_val(write_repeat) -> None:
    split = {"val": str, "splits": {"train": 80, "val": 20}}
    a = write_repeat("a", {0: 0.5, 1: 0.4, 2: 0.6}, **split)
    b = write_repeat("b", {0: 0.6, 1: 0.6, 2: 0.9}, **split)
    (pairing,) = beside(a, b)
    val, test = pairing.rows
    assert val.difference and val.difference.high == pytest.approx(0.2 + 0.430265 * math.sqrt(1 / 3 + 1 / 4), abs=1e-5)
    assert test.difference and test.difference.high == pytest.approx(0.2 + 0.24841, abs=1e-5)
    assert pairing.notes[-1].startswith("val/: runs share training images")


def test_only_shared_seeds_are_paired_and_it_is_said(write_repeat) -> None:
    a = write_repeat("a", {0: 0.5, 1: 0.5, 2: 0.0})
    b = write_repeat("b", {1: 0.75, 0: 0.5, 7: 1.0, 9: 1.0})
    (pairing,) = beside(a, b)
    assert (pairing.rows[0].pairs, pairing.rows[0].first, pairing.rows[0].other) == (2, 0.5, 0.625)
    assert pairing.notes[:2] == ("seeds 2: in a alone, so not paired", "seeds 7, 9: in b alone, so not paired")


def test_one_pair_has_a_difference_and_no_interval(write_repeat) -> None:
    a, b = write_repeat("a", {0: 0.5, 1: 0.5}), write_repeat("b", {1: 0.75, 2: 0.75})
    (pairing,) = beside(a, b)
    assert cells(pairing.rows[0]) == ("val/accuracy", "1", "0.5000", "0.7500", "0.2500", "-", "-")
    assert pairing.notes[-1] == "one pair tells no interval, which needs two or more"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({5: 0.75, 6: 0.75}, "none of their seeds is the same, so no runs are paired"),
        ({"1/2": 0.75, "2/2": 0.75}, "the seeds of a and the folds of b make no pairs"),
    ],
)
def test_without_a_pair_there_are_means_alone(write_repeat, other: dict[int | str, float], told: str) -> None:
    (pairing,) = beside(write_repeat("a", {0: 0.5, 1: 0.25}), write_repeat("b", other))
    assert pairing.title == "b against a" and pairing.notes == (told,)
    assert cells(pairing.rows[0]) == ("val/accuracy", "0", "0.3750", "0.7500", "-", "-", "-")


@pytest.mark.parametrize(
    ("prints", "pairs", "told"),
    [
        ({"val": lambda seed: f"v{seed}"}, (0, 3), "val/ of seeds 0, 1, 2: not of the same images, so not paired"),
        ({"val": lambda seed: "v" * (seed > 0)}, (2, 3), "val/ of seeds 0: not of the same images, so not paired"),
        ({"test": lambda _: "u"}, (3, 0), "test/ of seeds 0, 1, 2: not of the same images, so not paired"),
        ({"test": lambda _: ""}, (3, 0), "test/ of seeds 0, 1, 2: not of the same images, so not paired"),
        ({"data": lambda _: "e"}, (0, 0), "seeds 0, 1, 2: not on the same data, so not paired"),
        ({"data": lambda _: ""}, (0, 0), "seeds 0, 1, 2: not on the same data, so not paired"),
    ],
)
def test_runs_on_other_images_are_not_paired(write_repeat, prints, pairs: tuple[int, int], told: str) -> None:
    values = {0: 0.5, 1: 0.25, 2: 0.5}
    a = write_repeat("a", values, val=lambda _: "v", test=lambda _: "t", data=lambda _: "d")
    b = write_repeat("b", values, **{"val": lambda _: "v", "test": lambda _: "t", "data": lambda _: "d", **prints})
    (pairing,) = beside(a, b)
    assert (pairing.rows[0].pairs, pairing.rows[1].pairs) == pairs
    assert pairing.notes[0] == told


def test_pixels_of_another_size_are_not_paired(write_repeat) -> None:
    values = {seed: {"synthetic_auroc": 0.5 + seed / 8, "aupro": 0.5 + seed / 8} for seed in range(2)}
    a, b = (
        write_repeat(name, values, task="anomaly_detection", sections={"data": {"image_size": size}})
        for name, size in (("a", 32), ("b", 64))
    )
    (pairing,) = beside(a, b)
    assert {row.metric: row.pairs for row in pairing.rows} == {
        "val/synthetic_auroc": 2,
        "val/aupro": 0,
        "test/synthetic_auroc": 2,
        "test/aupro": 0,
    }
    assert pairing.notes[0].startswith("val/aupro, test/aupro: in pixels of another size")


def test_the_metrics_that_both_have_without_single_classes_and_the_monitored_first(write_repeat) -> None:
    a = write_repeat("a", {0: {"ece": 0.5, "accuracy": 0.5, "f1/x": 0.5, "mine": 1.0}, 1: {"accuracy": 0.5, "top5": 1}})
    b = write_repeat("b", {0: {"ece": 0.5, "accuracy": 0.5, "f1/x": 0.5}, 1: {"accuracy": 0.5, "ece": 0.25, "top5": 1}})
    rows = rows_of(a, b)
    assert [key for key in rows if key.startswith("val/")] == ["val/accuracy", "val/ece", "val/top5"]
    assert (rows["val/accuracy"].pairs, rows["val/ece"].pairs, rows["val/top5"].pairs) == (2, 1, 1)


def test_of_errors_less_is_better_and_a_threshold_has_no_best(write_repeat) -> None:
    low, high = ({0: {"ece": x, "accuracy": 0.5}, 1: {"ece": x + 0.01, "accuracy": 0.5}} for x in (0.1, 0.2))
    high[1]["ece"] += 0.001
    a, b = write_repeat("a", low), write_repeat("b", high)
    assert rows_of(a, b)["val/ece"].verdict == "worse" and rows_of(b, a)["val/ece"].verdict == "better"
    assert rows_of(a, b)["val/accuracy"].verdict == "undecided"


@pytest.mark.parametrize(("more", "told"), [(True, ("better", "worse")), (False, ("worse", "better"))])
def test_theverdict(more: bool, told: tuple[str, str]) -> None:
    above, below = spread([1.0, 1.01, 1.02]), spread([-1.0, -1.01, -1.02])
    assert (verdict(above, more), verdict(below, more)) == told
    assert (verdict(above, None), verdict(below, None)) == ("higher", "lower")
    assert verdict(spread([-1.0, 1.0]), more) == "undecided"
    assert verdict(spread([1.0]), more) == "-"


def test_the_noise_of_single_precision_is_no_difference(write_repeat) -> None:
    a = write_repeat("a", {0: 0.4166666865, 1: 0.5})
    b = write_repeat("b", {0: 0.4166666567, 1: 0.5})
    row = rows_of(a, b)["val/accuracy"]
    assert row.difference and (row.difference.mean, row.difference.std, row.verdict) == (0.0, 0.0, "undecided")


def test_equal_differences_decide_nothing(write_repeat) -> None:
    a, b = write_repeat("a", {0: 0.5, 1: 0.7}), write_repeat("b", {0: 0.6, 1: 0.8})
    (pairing,) = beside(a, b)
    assert cells(pairing.rows[0])[4:] == ("0.1000", "0.1000 to 0.1000", "undecided")
    assert pairing.notes[-1].startswith("an interval without width")


def test_a_repeat_beside_itself_does_not_differ(write_repeat) -> None:
    values = {0: 0.5, 1: 1e300, 2: -1e300}
    (pairing,) = beside(write_repeat("a", values), write_repeat("b", values))
    assert {(row.difference.mean, row.difference.std) for row in pairing.rows if row.difference} == {(0.0, 0.0)}
    assert len(pairing.notes) == 1


def test_each_further_repeat_stands_beside_the_first(write_repeat) -> None:
    folders = [write_repeat(name, {0: value, 1: value}) for name, value in (("a", 0.5), ("b", 0.6), ("c", 0.7))]
    assert [pairing.title.partition(",")[0] for pairing in beside(*folders)] == ["b against a", "c against a"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_the_other_way_round_the_difference_has_the_other_sign(values: list[tuple[float, float]]) -> None:
    forth, back = (spread([sign * (b - a) for a, b in values], scale=1.0) for sign in (1, -1))
    assert (forth.mean, forth.std) == (-back.mean, back.std)
    swapped = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert verdict(back, True) == swapped[verdict(forth, True)]


def test_the_text(write_repeat) -> None:
    values = {0: {"accuracy": 0.5, "ece": 0.5}, 1: {"accuracy": 0.5, "ece": 0.25}}
    (pairing,) = beside(write_repeat("a", values), write_repeat("b", dict.fromkeys(range(2), values[1])))
    shown = as_text(pairing, width=120).splitlines()
    assert shown[:5] == [
        "b against a, paired by seeds 0, 1",
        "metric         pairs  a       b       difference  95 % interval      verdict",
        "val/accuracy   2      0.5000  0.5000  0.0000      0.0000 to 0.0000   undecided",
        "val/ece        2      0.3750  0.2500  -0.1250     -1.7133 to 1.4633  undecided",
        "test/accuracy  2      0.5000  0.5000  0.0000      0.0000 to 0.0000   undecided",
    ]
    assert shown[6:] == list(pairing.notes)


@pytest.mark.parametrize("width", [90, 120, 200])
def test_long_names_are_cut_to_fit(write_repeat, width: int) -> None:
    a, b = (write_repeat("画像 " * 12 + letter, {0: 0.5, 1: 0.25}) for letter in "ab")
    (pairing,) = beside(a, b)
    table = as_text(pairing, width=width).splitlines()[1:4]
    assert max(map(cell_len, table)) <= width
    assert len({cell_len(line.partition("0.0000")[0]) for line in table[1:]}) == 1
