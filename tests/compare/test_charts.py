"""The drawing of curves: axes, ticks, and what travels beside them."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.compare.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    as_svg,
    charts,
    epoch_ticks,
    labels,
    value_ticks,
)
from visrun.compare.find import find

positive = st.floats(1e-12, 1e12)


def chart(*lines: tuple[tuple[float, float], ...], log: bool = False) -> Chart:
    return Chart("loss", "", lines, tuple(0 for _ in lines), log)


def drawn(svg: str) -> list[tuple[str, list[tuple[float, float]]]]:
    paths = re.findall(r'data-run="(\d+)"[^>]*><path class="line" d="M([^"]+)"', svg)
    return [(run, [tuple(map(float, point.split())) for point in path.split("L")]) for run, path in paths]


def told(svg: str) -> dict:
    return json.loads(unescape(re.search(r'data-chart="([^"]+)"', svg).group(1)))


def test_a_line_runs_from_corner_to_corner() -> None:
    ((run, points),) = drawn(as_svg(chart((), ((1.0, 0.0), (2.0, 100.0))), ["a", "b"]))
    assert run == "1"
    height = HEIGHT - TOP - BOTTOM
    assert points[0] == pytest.approx((LEFT, HEIGHT - BOTTOM - height * 6 / 112), abs=0.1)
    assert points[1] == pytest.approx((WIDTH - RIGHT, TOP + height * 6 / 112), abs=0.1)


def test_what_is_told_is_what_is_drawn() -> None:
    svg = as_svg(chart(((1.0, 0.25), (3.0, 0.5)), ()), ["a", "b"])
    (_, points), content = drawn(svg)[0], told(svg)
    assert content["lines"][1] == []
    assert [(epoch, shown) for epoch, shown, _ in content["lines"][0]] == [(1.0, "0.2500"), (3.0, "0.5000")]
    assert [y for _, _, y in content["lines"][0]] == [y for _, y in points]


def test_on_a_logarithmic_axis_equal_factors_are_equal_steps() -> None:
    ((_, points),) = drawn(as_svg(chart(((1.0, 1.0), (2.0, 10.0), (3.0, 100.0)), log=True), ["a"]))
    assert points[0][1] - points[1][1] == pytest.approx(points[1][1] - points[2][1], abs=0.2)


def test_a_single_epoch_is_a_dot_in_the_middle() -> None:
    svg = as_svg(chart(((1.0, 0.5),)), ["a"])
    assert drawn(svg) == []
    assert float(re.search(r'class="dot" cx="([\d.]+)"', svg).group(1)) == pytest.approx((LEFT + WIDTH - RIGHT) / 2)


def test_many_epochs_have_no_dots_but_the_best_one_its_ring() -> None:
    line = tuple((float(epoch), epoch / 100) for epoch in range(1, 101))
    svg = as_svg(Chart("accuracy", "", (line,), (40,), False), ["a"])
    assert 'class="dot"' not in svg
    assert svg.count('class="best"') == 1


def test_the_charts_of_runs(write_run) -> None:
    folders = [write_run("a", [0.5, 0.6]), write_run("b", rows=[{"epoch": 1, "accuracy": 0.5, "val_loss": 400.0}])]
    made = {chart.title: chart for chart in charts(find(folders)[0])}
    assert list(made) == ["accuracy", "val_loss", "loss", "learning_rate"]
    assert made["accuracy"].lines == (((1.0, 0.5), (2.0, 0.6)), ((1.0, 0.5),))
    assert made["accuracy"].marks == (2, 1)
    assert made["val_loss"].log and not made["loss"].log and not made["learning_rate"].log
    assert made["loss"].lines[1] == ()


def test_runs_without_an_epoch_have_no_charts(write_run) -> None:
    assert charts(find([write_run("a", []), write_run("b", [])])[0]) == []


def test_a_loss_that_exploded_leaves_the_others_visible(write_run) -> None:
    rows = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 1e308}, {"epoch": 3, "loss": 0.5}]
    (made,) = charts(find([write_run("a", rows=rows), write_run("b", [])])[0])
    assert made.lines[0] == ((1.0, 1.0), (3.0, 0.5))
    assert made.values[1] < 2


def test_learning_rates_far_apart_stand_on_a_logarithmic_axis(write_run) -> None:
    rows = [[{"epoch": 1, "learning_rate": rate}] for rate in (1e-4, 0.1)]
    (made,) = charts(find([write_run(str(i), rows=row) for i, row in enumerate(rows)])[0])
    assert made.log


@given(st.lists(st.tuples(st.integers(1, 1000), positive), min_size=1, max_size=20, unique_by=lambda pair: pair[0]))
def test_everything_lies_inside_the_drawing(points: list[tuple[int, float]]) -> None:
    line = tuple(sorted((float(epoch), value) for epoch, value in points))
    for log in (False, True):
        svg = as_svg(chart(line, log=log), ["a"])
        assert all(TOP <= y <= HEIGHT - BOTTOM for *_, y in told(svg)["lines"][0])
        assert all(0 <= float(x) <= WIDTH for x in re.findall(r' (?:x|cx|x1|x2)="([^"]+)"', svg))
        assert all(0 <= float(y) <= HEIGHT for y in re.findall(r' (?:y|cy|y1|y2)="([^"]+)"', svg))


@given(positive, st.floats(1e-6, 1e6), st.booleans())
def test_ticks_are_few_round_and_inside(low: float, ratio: float, log: bool) -> None:
    high = low * (1 + ratio)
    ticks = value_ticks(low, high, log=log)
    assert len(ticks) <= 12
    assert ticks == sorted(ticks)
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert log or len(ticks) >= 2
    assert len(labels(ticks)) == len(ticks)


@pytest.mark.parametrize(
    ("low", "high", "log", "shown"),
    [
        (1.94, 2.17, False, ["1.95", "2.00", "2.05", "2.10", "2.15"]),
        (-1.0, 1.0, False, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0.05, 60.0, True, ["0.1", "1", "10"]),
        (0.8, 12.0, True, ["1", "2", "5", "10"]),
        (0.0, 2e7, False, ["0", "5e+06", "1e+07", "1.5e+07", "2e+07"]),
    ],
)
def test_ticks(low: float, high: float, log: bool, shown: list[str]) -> None:
    assert labels(value_ticks(low, high, log=log)) == shown


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        (1, 4, [1, 2, 3, 4]),
        (0.5, 1.5, [1]),
        (1, 40, [1, 10, 20, 30, 40]),
        (1, 2, [1, 2]),
        (98, 103, list(range(98, 104))),
    ],
)
def test_epochs_are_whole(first: float, last: float, ticks: list[int]) -> None:
    assert epoch_ticks(first, last) == ticks


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_epoch_ticks_are_few(first: int, more: int) -> None:
    ticks = epoch_ticks(first, first + more)
    assert ticks[0] == first and ticks[-1] <= first + more
    assert len(ticks) <= 9


def test_titles_are_escaped() -> None:
    svg = as_svg(Chart('<b>"', "<i>", (((1.0, 1.0),),), (0,), False), ["a"])
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(svg)
    assert "b" not in tags and "i" not in tags
    assert math.isfinite(told(svg)["lines"][0][0][2])
