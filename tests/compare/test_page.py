"""The page: whole, valid, on its own, and with nothing in it that a run could have made active."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from html.parser import HTMLParser

import pytest

from visrun.compare.find import find
from visrun.compare.gallery import Cell, Gallery, Sample
from visrun.compare.page import page
from visrun.compare.pairs import pairings
from visrun.compare.repeats import repeats
from visrun.compare.runs import read_run
from visrun.figures.palette import COLOURS

NASTY = "<img src=x onerror=alert(1)>\"'&amp; Käfer 画像 😀"
VOID = {"meta", "img", "wbr"}
DOT = "data:image/png;base64,AAAA"


class Reader(HTMLParser):
    """Elements in order, their texts, and whatever does not close as it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]


def made(*folders, gallery: Gallery | None = None, remarks: Sequence[str] = ()) -> str:
    runs, when = find(folders)[0], datetime(2026, 1, 31, 12, 0)
    return page(runs, gallery or Gallery(), pairings=pairings(repeats(folders, runs)), remarks=remarks, made=when)


def check(text: str) -> Reader:
    """What must hold for every page."""
    reader = Reader(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?://|url\(|@import", text)
    assert {tag for tag, _ in reader.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "script"),
        *("h1", "h2", "h3", "p", "small", "strong", "span", "div", "ul", "li", "dl", "dt", "dd", "wbr", "button"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "article"),
        *("figure", "figcaption", "img", "svg", "g", "line", "path", "circle", "text"),
    }
    assert not any(name.startswith("on") or name in ("href", "style") for _, attrs in reader.elements for name in attrs)
    assert all(attrs["src"].startswith("data:image/") and attrs["alt"] for attrs in reader.of("img"))
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs["aria-labelledby"] in ids for _, attrs in reader.elements if "aria-labelledby" in attrs)
    for attrs in reader.of("figure"):
        if "data-chart" in attrs:
            assert json.loads(attrs["data-chart"])["lines"]
    return reader


def test_a_plain_comparison(write_run) -> None:
    text = made(write_run("a", [0.5, 0.75], learning_rate=0.1), write_run("b", [0.25]))
    reader = check(text)
    told = " ".join(" ".join(reader.texts).split())
    assert "a is best: accuracy 0.7500 on val." in told
    assert "a b learning_ rate 0.1 0.001" in told
    assert "val accuracy 0.7500 (best) 0.2500" in told
    assert len(reader.of("svg")) == 4
    assert [attrs["data-toggle"] for attrs in reader.of("button")] == ["0", "1"]
    assert "2026-01-31 12:00" in told


def test_repeats_stand_paired_before_all_else(write_repeat) -> None:
    a, b = write_repeat("a", {0: 0.5, 1: 0.75}), write_repeat("b <i>", {0: 0.625, 1: 0.876})
    text = made(a, b)
    reader = check(text)
    told = " ".join(" ".join(reader.texts).split())
    assert "b <i> against a, paired by seeds 0, 1" in told
    assert "val/ accuracy 2 0.6250 0.7505 0.1255 0.1191 to 0.1319 better test/" in told
    assert "b <i> is better or worse where that excludes 0, 2 of 2 metrics" in told
    assert text.index('id="repeats"') < text.index('id="settings"')
    assert "What differs" in told and "b <i>/1" in told
    assert 'id="repeats"' not in made(a)


def test_pairs_without_an_interval_have_no_value_there(write_repeat) -> None:
    reader = check(made(write_repeat("a", {0: 0.5}), write_repeat("b", {1: 0.75})))
    told = " ".join(" ".join(reader.texts).split())
    assert "val/ accuracy 0 0.5000 0.7500 – no value – no value – no value test/" in told
    assert "none of their seeds is the same" in told


def test_no_run_is_best_on_other_images(write_run) -> None:
    results = [{"status": "finished", "fingerprints": {"val": letter}} for letter in "ab"]
    folders = [write_run(str(i), [0.5 + i / 4], result=result) for i, result in enumerate(results)]
    told = " ".join(" ".join(check(made(*folders)).texts).split())
    assert "accuracy on val is not of the same images, so no run is best." in told
    assert "another seed or share of val holds out others" in told
    assert "(best)" not in told


def test_every_row_has_a_cell_for_every_run(write_run) -> None:
    text = made(*(write_run(f"r{i}", [0.1 * i], dropout=0.1 * i) for i in range(1, 4)))
    rows = re.findall(r"<tr>.*?</tr>", text)
    assert len(rows) > 5
    assert all(len(re.findall(r"<t[dh]", row)) == 4 for row in rows)


def test_twelve_runs_have_colours_and_from_the_eleventh_on_dashes(write_run) -> None:
    text = made(*(write_run(f"run {i}", [0.05 * i, 0.06 * i], learning_rate=10.0**-i) for i in range(1, 13)))
    reader = check(text)
    assert len(reader.of("button")) == 12
    assert all(f".run-{i} {{ --colour: {COLOURS[i % 10]}; }}" in text for i in range(12))
    assert [i for i in range(12) if f".run-{i} .line" in text] == [10, 11]
    assert {attrs["data-run"] for attrs in reader.of("g")} == {str(i) for i in range(12)}


def test_nothing_a_run_says_becomes_active(write_run) -> None:
    rows = [{"epoch": 1, "accuracy": 0.5, f"iou/{NASTY}": 0.5, "val_loss": 1.0}]
    result = {"status": NASTY, "reason": NASTY, "weights": NASTY, "test": {f"iou/{NASTY}": 0.25}}
    sections = {"data": {"root": NASTY, "classes": [NASTY], "fingerprint": NASTY}, "model": {"weights": NASTY}}
    first = write_run("<b onclick=x>'\"&", rows=rows, result=result, sections=sections, loss=NASTY)
    gallery = Gallery("test", (Sample(NASTY, NASTY, (Cell(DOT, 2, 1, NASTY), None)),), (NASTY,))
    reader = check(made(first, write_run("b"), gallery=gallery, remarks=[NASTY]))
    said = "".join(reader.texts)
    assert said.count(NASTY) >= 8  # arrives as text, whole
    assert not any(attrs.get("src") == "x" for attrs in reader.of("img"))
    assert reader.of("img")[0]["alt"] == f"<b onclick=x>'\"&: {NASTY}"


def test_a_script_cannot_be_closed_early_nor_another_one_run(write_run) -> None:
    text = made(write_run("a<script>"), write_run("b"), remarks=["</script><script>"])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(attrs["content"] for attrs in check(text).of("meta") if "http-equiv" in attrs)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_runs_without_anything(write_run) -> None:
    empty = {"status": "failed", "reason": "no data"}
    text = made(write_run("a", [], result=empty), write_run("b", [], result=empty), gallery=Gallery(reasons=("why",)))
    told = " ".join(check(text).texts)
    assert "No run has a value of accuracy yet." in told
    assert "All settings are the same." in told
    assert "No run has finished an epoch." in told
    assert "Left out: why." in told
    assert "a: failed, no data" in told


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.5, 0.75, 0.25), "b is best: accuracy 0.7500 on val"),
        ((0.75, 0.75, 0.25), "a , b are best: accuracy 0.7500 on val"),
        ((0.5, 0.5, 0.5), "All reach accuracy 0.5000 on val."),
    ],
)
def test_the_verdict(write_run, values: tuple[float, ...], verdict: str) -> None:
    text = made(*(write_run(name, [value]) for name, value in zip("abc", values, strict=True)))
    assert verdict in " ".join(" ".join(Reader(text).texts).split())


def test_runs_that_monitor_another_metric_are_judged_by_it(write_run) -> None:
    rows = {
        "a": [{"epoch": 1, "accuracy": 0.75, "ece": 0.25}, {"epoch": 2, "accuracy": 0.5, "ece": 0.125}],
        "b": [{"epoch": 1, "accuracy": 0.5, "ece": 0.0625}],
    }
    by_ece = {"sections": {"run": {"monitor": "ece"}}}
    a, b = (write_run(name, rows=each, **by_ece) for name, each in rows.items())
    told = " ".join(" ".join(Reader(made(a, b)).texts).split())
    assert "b is best: ece 0.0625 on val" in told and "on val, lower is better" in told
    assert read_run(a).best_epoch == 2
    c = write_run("c", [0.9])
    told = " ".join(" ".join(Reader(made(a, c)).texts).split())
    assert "They chose by different metrics (ece, accuracy), so no run is best." in told


@pytest.mark.parametrize(("rows", "status"), [([], "failed"), ([{"epoch": 1, "ece": 0.5}], "killed")])
def test_what_a_run_monitors_that_cannot_be_the_best_does_not_judge_the_others(
    write_run, rows: list, status: str
) -> None:
    failed = write_run("a", rows=rows, result={"status": status}, sections={"run": {"monitor": "ece"}})
    text = made(failed, *(write_run(name, [value]) for name, value in (("b", 0.5), ("c", 0.75))))
    told = " ".join(" ".join(Reader(text).texts).split())
    assert "c is best: accuracy 0.7500 on val" in told and "accuracy on val, higher is better" in told


def test_a_failed_run_is_best_only_where_no_run_finished(write_run) -> None:
    failed = {"status": "failed", "reason": "loss is nan"}
    runs = [write_run("a", [0.9], result=failed), write_run("b", [0.8], result=failed)]
    assert "a is best: accuracy 0.9000 on val" in " ".join(" ".join(Reader(made(*runs)).texts).split())
    told = " ".join(" ".join(Reader(made(*runs, write_run("c", [0.5]))).texts).split())
    assert "c is best: accuracy 0.5000 on val" in told and "a: failed, loss is nan" in told


def test_what_a_failed_run_was_measured_on_does_not_count(write_run) -> None:
    seen = {"fingerprints": {"val": "a"}}
    runs = [write_run(name, [value], result={"status": "finished"} | seen) for name, value in (("a", 0.5), ("b", 0.75))]
    failed = write_run("c", [0.9], result={"status": "failed", "fingerprints": {"val": "b"}})
    told = " ".join(" ".join(Reader(made(*runs, failed)).texts).split())
    assert "b is best: accuracy 0.7500 on val" in told and "not of the same images" not in told


def test_of_errors_the_smallest_is_best_and_test_is_told(write_run) -> None:
    folders = [
        write_run(
            name,
            rows=[{"epoch": 1, "mae": value}],
            task="regression",
            loss="mse",
            result={"status": "finished", "test": {"mae": value / 2}},
        )
        for name, value in (("a", 2.0), ("b", 4.0))
    ]
    assert "a is best: mae 2.0000 on val, 1.0000 on test." in " ".join(" ".join(Reader(made(*folders)).texts).split())


def test_pictures_stand_side_by_side_and_a_run_without_one_is_left_out(write_run) -> None:
    cells = (Cell(DOT, 256, 300, '{"label": "7"}'), None, Cell(DOT, 600, 200, "x"))
    gallery = Gallery("test", (Sample("a/1.png", "7", cells), Sample("a/2.png", "", cells)), ("b: no best checkpoint",))
    text = made(*(write_run(name) for name in "abc"), gallery=gallery)
    reader = check(text)
    assert "2 images of the test split" in " ".join(" ".join(reader.texts).split())
    assert [attrs["alt"] for attrs in reader.of("img")] == ['a: {"label": "7"}', "c: x"] * 2
    shown = [attrs["class"] for attrs in reader.of("figure") if "data-run" in attrs]
    assert shown == ["run-0", "run-2 wide"] * 2
    assert text.count("truth:") == 1
    assert "Left out: b: no best checkpoint." in text
