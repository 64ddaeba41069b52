"""One reader of metrics.jsonl and one rule for the best epoch: training, comparing and the page ask them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.compare.runs import read_run
from visrun.errors import UserError
from visrun.patience import loss_of
from visrun.record.epochs import best_row, epochs_in, monitor_of, read_epochs
from visrun.record.run_folder import RunFolder
from visrun.run_files import METRICS
from visrun.tables import TASKS
from visrun.training import Progress, rank
from visrun.web import state
from visrun.web.state import rows_of
from visrun.web.stream import Rows

LINES = {
    "as written": (
        '{"epoch": 1, "a": 0.5}\n{"epoch": 2, "a": 0.25}\n',
        [{"epoch": 1, "a": 0.5}, {"epoch": 2, "a": 0.25}],
    ),
    "written again": (
        '{"epoch": 1}\n{"epoch": 2, "a": 1}\n{"epoch": 2, "a": 2}\n',
        [{"epoch": 1}, {"epoch": 2, "a": 2.0}],
    ),
    "out of order": ('{"epoch": 2}\n{"epoch": 1}\n', [{"epoch": 1}, {"epoch": 2}]),
    "no epochs": (
        '{"epoch": 0}\n{"epoch": -1}\n{"epoch": 1.5}\n{"epoch": true}\n{"epoch": "1"}\n{"epoch": null}\n{}\n',
        [],
    ),
    "no objects": ('null\n3\n[1]\n\n"epoch"\n', []),
    "cut short in the middle": (
        '{"epoch": 1}\n{"epoch": 2, "a{"epoch": 3}\n{"epoch": 4}\n',
        [{"epoch": 1}, {"epoch": 4}],
    ),
    "cut short at the end": ('{"epoch": 1}\n{"epoch": 2, "a"', [{"epoch": 1}]),
    "whole without its end of line": ('{"epoch": 1}\n{"epoch": 2}', [{"epoch": 1}, {"epoch": 2}]),
    "undefined": (
        '{"epoch": 1, "a": NaN, "b": Infinity, "c": null, "d": "x", "e": 1e400, "f": 1}\n',
        [{"epoch": 1, "f": 1.0}],
    ),
    "deep": ('{"epoch": 1}\n' + "[" * 100_000 + '\n{"epoch": 2}\n', [{"epoch": 1}, {"epoch": 2}]),
    "line breaks of others": ('{"epoch": 1, "a\u2028b": 2}\n', [{"epoch": 1, "a\u2028b": 2.0}]),
    "empty": ("", []),
}


@pytest.mark.parametrize("name", LINES)
def test_everybody_reads_the_same_epochs(name: str, tmp_path: Path) -> None:
    text, rows = LINES[name]
    (tmp_path / METRICS).write_text(text, encoding="utf-8")
    (tmp_path / "experiment.json").write_text('{"hyperparameters": {}}')
    assert read_epochs(tmp_path / METRICS) == rows
    assert RunFolder(tmp_path).read_metrics() == rows
    assert rows_of(tmp_path) == rows
    assert Rows(tmp_path / METRICS, 0).more() == (True, rows)
    compared = [list(row.values()) for row in read_run(tmp_path).rows]  # its names are for a terminal
    assert compared == [list(row.values()) for row in rows]
    assert all(isinstance(row["epoch"], int) for row in rows_of(tmp_path))


def test_the_page_reads_epochs_again_only_where_there_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list[Path]()
    monkeypatch.setattr(state, "read_epochs", lambda file, most: reads.append(file) or read_epochs(file, most))
    for text in ('{"epoch": 1}\n', '{"epoch": 1}\n{"epoch": 2}\n', '{"epoch": 1}\n'):
        (tmp_path / METRICS).write_text(text)
        assert rows_of(tmp_path) == rows_of(tmp_path) == epochs_in(text.encode())
    assert len(reads) == 3
    (tmp_path / METRICS).unlink()
    assert rows_of(tmp_path) == []


def test_a_run_with_very_many_classes_reads_what_is_too_much_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MOST_READ", 10)
    with RunFolder(tmp_path) as files:
        files.append_metrics({"epoch": 1})
        assert rows_of(tmp_path) == []
        assert files.read_metrics() == files.keep_metrics(1) == [{"epoch": 1}]


def test_what_is_no_text_is_said_or_left_out(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    assert read_epochs(file) == []
    file.write_bytes(b'{"epoch": 1}\n\xff\xfe\x00')
    with pytest.raises(UserError, match=r"metrics.jsonl: not readable"):
        read_epochs(file)
    assert rows_of(tmp_path) == [] and Rows(file, 0).more() == (True, [])


LOSSES = st.sampled_from([math.nan, math.inf, 1.0, 2.0])
VALUES = st.lists(st.tuples(st.sampled_from([None, 0.1, 0.2, 0.3]), LOSSES), max_size=8)


@given(VALUES, st.booleans(), st.booleans())
def test_the_best_epoch_is_the_one_that_training_keeps(
    values: list[tuple[float | None, float]], maximize: bool, has_loss: bool
) -> None:
    has_loss = has_loss and any(math.isfinite(loss) for _, loss in values)
    rows, progress = [], Progress()
    for epoch, (value, loss) in enumerate(values, start=1):
        progress.epoch = epoch
        metrics = {"a": value, **({"val_loss": loss} if has_loss else {})}
        rank(progress, value, loss_of({"val_loss": loss} if has_loss else {}), maximize=maximize)
        told = {"epoch": float(epoch), **metrics}
        rows.append({key: number for key, number in told.items() if number is not None and math.isfinite(number)})
    best = best_row(epochs_in("\n".join(map(json.dumps, rows)).encode()), "a", maximize=maximize)
    assert (best["epoch"] if best else 0) == progress.best_epoch
    lowest = best_row(rows, "val_loss", maximize=False)
    assert (lowest["epoch"] if lowest else 0) == progress.lowest_epoch


def test_of_equal_values_the_lower_loss_is_best_then_the_first() -> None:
    rows = [{"epoch": 1, "a": 0.5, "val_loss": 3.0}, {"epoch": 2, "a": 0.5, "val_loss": 2.0}, {"epoch": 3, "a": 0.4}]
    assert best_row(rows, "a", maximize=True) == rows[1]
    assert best_row([rows[0], {**rows[2], "val_loss": 9.0}], "a", maximize=False)["epoch"] == 3
    assert best_row([{"epoch": 1, "a": 0.5}, {"epoch": 2, "a": 0.5}], "a", maximize=True) == {"epoch": 1, "a": 0.5}
    assert best_row([{"epoch": 1}], "a", maximize=True) is None


def test_the_monitor_is_looked_for_in_all_epochs() -> None:
    rows = [{"epoch": 1.0}, {"epoch": 2.0, "synthetic_auroc": 0.5}]
    assert monitor_of(rows, TASKS["anomaly_detection"]) == "synthetic_auroc"
    assert monitor_of([], TASKS["anomaly_detection"]) == "auroc"
