"""How a run is shown in a tracker."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from visrun.config.compose import resolve
from visrun.data.listing import Record
from visrun.data.records import Dataset
from visrun.data.verdicts import Verdict
from visrun.record import tracked
from visrun.record.journal import describe
from visrun.tracking.names import RECORD, write_record


def read() -> Dataset:
    """A dataset of two classes."""
    records = [Record(Path(f"{i}.png"), 0, "") for i in range(5)]
    return Dataset(
        root=Path("/srv/photos"),
        layout="folder",
        splits={"train": tuple(records[:3]), "val": tuple(records[3:4]), "test": tuple(records[4:])},
        classes=("a", "b"),
        targets=(),
        sizes={},
        fingerprint="all",
        fingerprints={"val": "v", "test": "t"},
    )


def content_of(dataset: Dataset) -> dict[str, object]:
    """As much of a run's experiment.json as is shown."""
    notes = {"image_size": [8, 8], "device": "cpu", "precision": "fp32", "weights": "random: none"}
    data = {"fingerprints": dataset.fingerprints, "data": tracked.noted_of(dataset)}
    return {
        "created": "2026-01-01T00:00:10+00:00",
        "data": {"fingerprint": dataset.fingerprint},
        "git": {"commit": "c0ffee", "dirty": True},
        "result": json.loads(json.dumps(notes | data)),
    }


def test_a_run_is_shown_with_its_start_what_it_really_used_and_its_data(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(tracked, "open_tracker", lambda name, **options: given.update(options))
    words = ["optimizer=sgd", "tracking.uri=http://me:secret@host"]
    resolved, dataset = resolve(words), read()
    content, names = content_of(dataset), tracked.names_of(dataset)
    tags = {**tracked.sitting_of(parameters=9), "command": tracked.command_of(resolved)}
    tracked.tracker_of(resolved, tmp_path, content, names=names, tags=tags)
    assert given["began"] == 1767225610 and given["names"] == ["a", "b"]
    used = {"device": "cpu", "precision": "fp32", "weights": "random: none", "parameters": "9"}
    used |= {"git": "c0ffee", "git.dirty": "true"}
    assert used.items() <= given["tags"].items()
    assert shlex.split(given["tags"]["command"]) == ["visrun", "optimizer=sgd", "tracking.uri='http://me:***@host'"]
    assert [(data.name, data.digest, data.source, data.context) for data in given["data"]] == [
        ("photos", "all-3", "/srv/photos", "training"),
        ("photos", "v", "/srv/photos", "validation"),
        ("photos", "t", "/srv/photos", "test"),
    ]
    assert [data.profile for data in given["data"]] == [{"num_rows": n, "classes": ["a", "b"]} for n in (3, 1, 1)]


@pytest.mark.parametrize(
    ("typed", "variable", "store", "expected"),
    [
        ([], None, "first/mlflow.db", "first/mlflow.db"),
        ([], None, "gone/mlflow.db", None),
        ([], None, f"{'n' * 300}/mlflow.db", None),  # no system can look at it, as at one in a closed folder
        ([], "http://host:5000", "first/mlflow.db", None),
        (["tracking.uri=http://other:5000"], None, "first/mlflow.db", "http://other:5000"),
        (["tracking.uri=/srv/mlflow.db"], None, "first/mlflow.db", "/srv/mlflow.db"),
        (["tracking.uri=mlflow.db"], None, "first/mlflow.db", "first/mlflow.db"),
        (["tracking.uri=mlflow.db"], "http://host:5000", "first/mlflow.db", "first/mlflow.db"),
        (["tracking.uri=mlflow.db"], None, "gone/mlflow.db", "mlflow.db"),
        ([], None, "http://host:5000", None),
    ],
)
def test_a_run_that_goes_on_is_in_the_database_where_it_began(tmp_path, monkeypatch, typed, variable, store, expected):
    given = {}
    monkeypatch.setattr(tracked, "open_tracker", lambda name, **options: given.update(options))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    database = tmp_path / "first" / "mlflow.db"
    database.parent.mkdir()
    database.touch()
    noted = store if "://" in store else f"sqlite:///{tmp_path}/{store}"
    content = content_of(read())
    tracked.tracker_of(resolve(typed), tmp_path, content, names=())
    assert given["uri"] == resolve(typed).settings.tracking.uri
    write_record(tmp_path / RECORD, noted, "abc")
    tracked.tracker_of(resolve(typed), tmp_path, content, names=())
    assert given["uri"] == (noted if expected == store else expected)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("task=segmentation optimizer=sgd tracking=none data.image_size=64", "small_unet data.image_size=64"),
        ("run.ema=0.999 run.device=cpu data.cache=ram data.workers=2", "small_resnet run.ema=0.999"),
        ("optimizer=adam max_epochs=50 learning_rate=0.001 data=demo", "small_resnet"),
        ("momentum=0.5", "small_resnet"),  # which adam does not read
        ("optimizer=sgd learning_rate=0.01 augment=strong", "small_resnet optimizer=sgd augment=strong"),
        ("augment=strong augment.rotate=5", "small_resnet augment=strong augment.rotate=5.0"),
        ("recipe=quick", "small_resnet warmup_epochs=0 max_epochs=5 early_stopping_patience=0"),
        ("seed=1 data.root=/photos", "resnet18 seed=1 data.root=/photos"),
        ("model=torchvision model.name=resnext50_32x4d dropout=0.5", "resnext50_32x4d dropout=0.5"),
    ],
)
def test_a_runs_name_is_the_model_and_what_sets_it_apart_whoever_set_it(tmp_path, words, name):
    resolved = resolve(words.split())
    assert tracked.run_name(resolved) == name
    content = describe(resolved)
    (tmp_path / "experiment.json").write_text(json.dumps(content))
    assert tracked.run_name(resolve([f"experiment={tmp_path}"])) == name


@pytest.mark.parametrize(
    ("typed", "new", "again"),
    [([], "small_resnet seed=1", "17-05-01"), (["tracking.run_name=mine"], "mine", "mine")],
)
def test_a_run_that_goes_on_in_a_new_store_is_called_by_the_user_or_as_its_folder(
    tmp_path, monkeypatch, typed, new, again
):
    given = {}
    monkeypatch.setattr(tracked, "open_tracker", lambda name, **options: given.update(options))
    resolved, content = resolve(["seed=1", *typed]), content_of(read())
    tracked.tracker_of(resolved, tmp_path / "17-05-01", content, names=(), name="trial-003")
    assert (given["run_name"], tracked.run_name(resolved)) == ("trial-003", new)
    tracked.tracker_of(resolved, tmp_path / "17-05-01", content, names=())
    assert given["run_name"] == again


def test_only_what_the_run_reads_is_tracked():
    shown = tracked.parameters(resolve(["optimizer=adam"]), {"image_size": [32, 32]})
    assert "momentum" not in shown and "step_size" not in shown
    assert shown["learning_rate"] == 0.001 and shown["data.image_size"] == [32, 32]
    assert shown["augment.hflip"] is False
    assert not {"data.workers", "data.cache", "data.cache_gb", "run.max_time", "run.device"} & set(shown)
    assert shown["optimizer_options.betas"] == [0.9, 0.999] and "optimizer_options.nesterov" not in shown


def test_metrics_are_named_after_classes_targets_and_kinds_of_defects():
    rows = [Record(Path(f"{kind}.png"), Verdict(kind), "") for kind in ("good", "scratch <1", "scratch >1")]
    dataset = replace(read(), splits={"train": (rows[0],), "test": (*rows,)})
    assert tracked.names_of(dataset) == ["a", "b", "good", "scratch <1", "scratch >1"]
    assert tracked.names_of(replace(dataset, splits={}, classes=(), targets=("x", "y"))) == ["x", "y"]
