"""A real SQLite store, written by the tracker and read back with MLflow's own client."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from visrun.files import read_object
from visrun.tracking import Data, open_tracker, store, uris, worker
from visrun.tracking.client import Answering
from visrun.tracking.model import NUMBER_BYTES
from visrun.tracking.names import read_record, write_record


def read_run(uri, run_id):
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    return client, client.get_run(run_id)


def steps(client, run_id, name):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A store with its tables and nothing else: making them takes seconds."""
    path = tmp_path_factory.mktemp("tables") / "my.db"
    tracker = open_tracker("mlflow", experiment="other", run_name="first", uri=str(path))
    tracker.start()
    assert tracker.finish("finished") is None
    return path


@pytest.fixture
def database(tables, tmp_path):
    """Such a store for one test."""
    return shutil.copy(tables, tmp_path / "my.db")


@pytest.mark.slow
def test_a_run_in_a_strange_folder_reads_back_and_goes_on(tmp_path, monkeypatch, capfd):
    folder = tmp_path / "a (b), ü=1 #~"
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = {"experiment": "visrun/classification", "run_name": "resnet18 sgd", "record": folder / "run.json"}
    tags = {"task": "classification", "model": "resnet18", "git": "abc", "host": "me"}
    params = {"learning_rate": 0.1, "milestones": [3, 5]}
    options["data"] = [
        Data("photos", "a" * 64, "/srv/photos", "training", {"num_rows": 3}),
        Data("photos", "b" * 64, "/srv/photos", "test", {"num_rows": 1}),
    ]
    options["names"] = ["tree (dead)", "<30", ">30"]
    tracker = open_tracker("mlflow", **options, params=params, tags=tags, began=1_000.25)
    tracker.start()
    for epoch in (1, 2):
        tracker.epoch(epoch, {"loss": 1 / epoch, "iou/tree (dead)": 0.5, "iou/>30": 0.25, "time/at": 1_000.5 + epoch})
    (folder / "curves.png").write_bytes(b"picture")
    tracker.artifact(Path("curves.png"), "plots")
    tracker.summary({"a/test": 0.75, "test/accuracy": 0.5})
    assert tracker.finish("killed", "ctrl-c") is None

    uri = f"sqlite:///{folder}/mlflow.db"
    client, run = read_run(uri, tracker.run_id)
    assert (run.info.status, run.info.run_name, run.info.start_time) == ("KILLED", "resnet18 sgd", 1_000_250)
    assert client.get_experiment(run.info.experiment_id).name == "visrun/classification"
    assert run.data.params == {"learning_rate": "0.1", "milestones": "[3, 5]"}
    assert tags.items() <= run.data.tags.items()
    assert (run.data.tags["status"], run.data.tags["mlflow.source.git.commit"]) == ("killed", "abc")
    assert run.data.tags["reason"] == "ctrl-c"
    assert (run.data.metrics["a/test"], run.data.metrics["test/accuracy"]) == (0.75, 0.5)
    assert steps(client, tracker.run_id, "loss") == [(1, 1.0), (2, 0.5)]
    assert [m.timestamp for m in client.get_metric_history(tracker.run_id, "loss")] == [1_001_500, 1_002_500]
    assert "time/at" not in run.data.metrics
    assert steps(client, tracker.run_id, "iou/tree _dead_") == [(1, 0.5), (2, 0.5)]
    assert steps(client, tracker.run_id, "iou/_greater-than sign_30") == [(1, 0.25), (2, 0.25)]
    [first, *_] = client.get_metric_history(tracker.run_id, "system/cpu_utilization_percentage")
    assert first.value > 0 and first.step > 0  # of step 0 are the values that MLflow shows as the model's
    assert Path(client.download_artifacts(tracker.run_id, "plots/curves.png")).read_bytes() == b"picture"
    assert run.info.artifact_uri.startswith(f"{(folder / 'mlruns').as_uri()}/visrun-classification/")

    changed = {"learning_rate": 0.2, "milestones": [3, 5], "dropout": 0.0}
    again = open_tracker("mlflow", **options, params=changed, tags=tags, began=2_000.0)
    again.start()
    for epoch in (1, 2, 3):  # a resumed run may tell what the store has already
        again.epoch(epoch, {"loss": 9.0 if epoch < 3 else 0.25})
    again.summary({"test/accuracy": 0.25})  # later values replace earlier, smaller ones too
    assert again.finish("finished") is None
    client, run = read_run(uri, tracker.run_id)
    assert again.run_id == tracker.run_id
    found = [(item.dataset.name, item.dataset.digest, item.tags[0].value) for item in run.inputs.dataset_inputs]
    assert sorted(found) == [("photos", "a" * 36, "training"), ("photos", "b" * 36, "test")]
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")
    assert run.info.start_time == 1_000_250
    assert run.data.params == {"learning_rate": "0.1", "milestones": "[3, 5]", "dropout": "0.0"}
    assert "reason" not in run.data.tags
    assert steps(client, tracker.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 0.25)]
    assert run.data.metrics["test/accuracy"] == 0.25
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"time/total": 1.0}], ids=["a sweep's", "a run's"])
def test_a_resumed_run_gets_the_epochs_that_it_missed_and_no_other_twice(tmp_path, database, extra):
    options = {"experiment": "e", "run_name": "r", "uri": str(database), "record": tmp_path / "run.json"}
    # Each of three values is undefined in an epoch of its own, and the third epoch did not arrive.
    undefined = {"loss": 1, "a": 2, "z": 4}
    rows = {e: {name: 0.5 for name, without in undefined.items() if e != without} | extra for e in (1, 2, 3, 4)}
    for told in ((1, 2, 4), (1, 2, 3, 4)):
        tracker = open_tracker("mlflow", **options)
        tracker.start()
        for epoch in told:
            tracker.epoch(epoch, rows[epoch])
        assert tracker.finish("killed") is None
    client, _run = read_run(f"sqlite:///{database}", tracker.run_id)
    for name, without in undefined.items():
        found = sorted(step for step, _ in steps(client, tracker.run_id, name))
        assert found == [epoch for epoch in (1, 2, 3, 4) if epoch != without]


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text_is_shown_with_question_marks(database):
    odd = "/srv/caf\udce9"
    options = {"params": {"data.root": odd}, "tags": {"folder": odd}, "data": [Data(odd, "a", odd, "training", {})]}
    tracker = open_tracker("mlflow", experiment="e", run_name=f"resnet18 {odd}", uri=str(database), **options)
    tracker.start()
    tracker.tags({"command": f"visrun data.root={odd}"})
    assert tracker.finish("failed", f"{odd} is empty") is None
    _client, run = read_run(f"sqlite:///{database}", tracker.run_id)
    shown = {key: run.data.tags[key] for key in ("folder", "command", "reason")}
    assert shown == {"folder": "/srv/caf?", "command": "visrun data.root=/srv/caf?", "reason": "/srv/caf? is empty"}
    assert (run.info.run_name, run.data.params) == ("resnet18 /srv/caf?", {"data.root": "/srv/caf?"})
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["/srv/caf?"]


@pytest.mark.parametrize(("uri", "seconds"), [("sqlite:////srv/my.db", 300.0), ("http://host", 60.0)])
def test_a_new_file_has_minutes_for_its_tables(uri, seconds, monkeypatch):
    told = []
    monkeypatch.setattr(store, "probe", lambda *_: None)
    monkeypatch.setattr(store, "make_client", Mock(side_effect=ZeroDivisionError))
    options = {"experiment": "e", "run_name": "r", "tags": {}, "record": None, "began": 0.0, "names": ()}
    with pytest.raises(ZeroDivisionError):
        store.Store(uri, **options, progress=told.append).open()
    assert told == [seconds]


@pytest.mark.slow
def test_a_run_that_is_gone_is_begun_anew(tmp_path, database):
    options = {"experiment": "e", "run_name": "r", "uri": str(database), "record": tmp_path / "run.json"}
    write_record(tmp_path / "run.json", f"sqlite:///{database}", "0" * 32)
    tracker = open_tracker("mlflow", **options)
    tracker.start()
    assert tracker.finish("failed") is None
    assert tracker.run_id != "0" * 32
    assert read_run(f"sqlite:///{database}", tracker.run_id)[1].info.status == "FAILED"
    assert read_record(tmp_path / "run.json", f"sqlite:///{database}") == tracker.run_id


@pytest.mark.slow
def test_a_run_whose_folder_was_copied_goes_on_in_one_of_its_own(tmp_path, database):
    ids = []
    for name, told in (("first", (1, 2)), ("copy", (1, 2, 3)), ("copy", (1, 2, 3, 4)), ("first", (1, 2, 3))):
        if not (tmp_path / name).exists():
            shutil.copytree(tmp_path / "first", tmp_path / name) if ids else (tmp_path / name).mkdir()
        record = tmp_path / name / "run.json"
        tracker = open_tracker("mlflow", experiment="e", run_name=name, uri=str(database), record=record)
        tracker.start()
        for epoch in told:
            tracker.epoch(epoch, {"loss": 1.0})
        assert tracker.finish("finished") is None
        ids.append(tracker.run_id)
    first, copy, again, last = ids
    assert first == last != copy == again
    client, _ = read_run(f"sqlite:///{database}", first)
    found = [[step for step, _ in steps(client, run_id, "loss") if step] for run_id in (first, copy)]
    assert found == [[1, 2, 3], [1, 2, 3, 4]]


@pytest.mark.slow
def test_a_run_whose_process_died_is_closed_by_another_and_one_that_ended_is_left(tmp_path, database):
    uri = f"sqlite:///{database}"
    options = {"experiment": "e", "uri": str(database)}
    ended = open_tracker("mlflow", run_name="ended", record=tmp_path / "ended.json", **options)
    dead = open_tracker("mlflow", run_name="dead", record=tmp_path / "dead.json", **options)
    for tracker in (ended, dead):
        tracker.start()
        assert tracker.wait() is not None
    assert ended.finish("finished") is None
    assert [read_object(tmp_path / f"{name}.json").get("open") for name in ("ended", "dead")] == [None, True]
    parent = open_tracker("mlflow", run_name="parent", **options)
    parent.start()
    for name in ("ended", "dead", "missing"):
        parent.end_run(tmp_path / f"{name}.json", "failed", "killed by signal 9")
    assert parent.finish("finished") is None
    runs = [read_run(uri, tracker.run_id)[1] for tracker in (ended, dead, parent)]
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED", "FINISHED"]
    assert [run.data.tags.get("reason") for run in runs] == [None, "killed by signal 9", None]
    dead.finish("finished")


@pytest.mark.slow
def test_another_run_is_deleted_where_it_has_no_value(tmp_path, database):
    uri, names = f"sqlite:///{database}", ("empty", "trained", "missing")
    others = [
        open_tracker("mlflow", run_name=name, record=tmp_path / f"{name}.json", experiment="e", uri=str(database))
        for name in names[:2]
    ]
    others[0].summary({})
    others[1].epoch(1, {"loss": 0.5})
    for other in others:
        other.start()
        assert other.finish("killed") is None
    tracker = open_tracker("mlflow", experiment="e", uri=str(database), run_name="next")
    tracker.start()
    for name in names:
        tracker.drop_run(tmp_path / f"{name}.json")
        (tmp_path / f"{name}.json").unlink(missing_ok=True)  # read by then
    assert tracker.finish("finished") is None
    stages = [read_run(uri, other.run_id)[1].info.lifecycle_stage for other in (*others, tracker)]
    assert stages == ["deleted", "active", "active"]


@pytest.mark.slow
def test_a_run_does_not_delete_itself(tmp_path, database):
    record = tmp_path / "6" / "mlflow_run.json"
    record.parent.mkdir()
    first = open_tracker("mlflow", experiment="e", uri=str(database), run_name="r", record=record)
    first.start()
    assert first.finish("killed") is None
    copied = tmp_path / "7" / record.name  # by a move that was broken off after its small files
    shutil.copytree(record.parent, copied.parent)
    moved = shutil.move(record.parent, tmp_path / "8") / record.name
    tracker = open_tracker("mlflow", experiment="e", uri=str(database), run_name="r", record=moved)
    tracker.drop_run(copied)
    tracker.start()
    assert tracker.finish("finished") is None
    assert tracker.run_id == first.run_id
    assert read_run(f"sqlite:///{database}", first.run_id)[1].info.lifecycle_stage == "active"


@pytest.mark.slow
def test_the_model_has_signature_example_and_any_batch_size(database, capfd, monkeypatch):
    import mlflow
    import torch
    from torch import nn

    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))

        def forward(self, images):
            return {"out": self.layers(images), "aux": images}

    torch.manual_seed(0)
    net = Segments().to(memory_format=torch.channels_last)
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=str(database), params={"a": 1})
    tracker.start()
    images_given = torch.randn(2, 3, 16, 24)
    tracker.epoch(1, {"accuracy": 0.5})
    tracker.summary({"best/accuracy": 0.5, "best/epoch": 1})
    tracker.model(net, images_given, metadata={"classes": ["a", "b"]})
    monkeypatch.setattr("mlflow.MlflowClient.get_metric_history", None)  # a request for each metric of the run
    assert tracker.finish("finished") is None
    monkeypatch.undo()
    assert capfd.readouterr() == ("", "")

    uri = f"sqlite:///{database}"
    client, run = read_run(uri, tracker.run_id)
    [output] = run.outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.experiment_id, logged.source_run_id, str(logged.status)) == (
        run.info.experiment_id,
        tracker.run_id,
        "READY",
    )
    assert {metric.key: metric.value for metric in logged.metrics} == {"best/accuracy": 0.5, "best/epoch": 1}
    assert steps(client, tracker.run_id, "best/accuracy") == [(0, 0.5)]
    place = Path(logged.artifact_location.removeprefix("file://"))
    mlflow.set_tracking_uri(uri)
    info = mlflow.models.get_model_info(str(place))
    [images], [masks] = info.signature.inputs.inputs, info.signature.outputs.inputs
    assert (images.shape, masks.shape) == ((-1, 3, 16, 24), (-1, 4, 16, 24))
    assert info.run_id == tracker.run_id
    assert info.metadata == {"classes": ["a", "b"]}
    assert not [line for line in (place / "requirements.txt").read_text().splitlines() if "+" in line]
    example = mlflow.models.Model.load(str(place)).load_input_example(str(place))
    assert example.dtype == "float32" and example == pytest.approx(images_given[:1].numpy(), abs=5.1e-5)
    written = sum(file.stat().st_size for file in place.glob("*example.json"))
    assert written < NUMBER_BYTES * example.size

    loaded, batch = mlflow.pyfunc.load_model(f"models:/{output.model_id}"), torch.randn(5, 3, 16, 24)
    assert loaded.predict(example).shape == (1, 4, 16, 24)
    with torch.no_grad():
        expected = net.eval()(batch)["out"].numpy()
    assert loaded.predict(batch.numpy()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_model_has_the_time_of_all_its_requests(monkeypatch):
    import torch

    told, at_log = [], []
    options = {"experiment": "e", "run_name": "r", "tags": {}, "record": None, "began": 0.0, "names": ()}
    made = store.Store("http://host", **options, progress=told.append)
    made.client, made.run_id = Answering(Mock(), told.append), "abc"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
    monkeypatch.setattr("mlflow.set_tracking_uri", lambda uri: None)
    monkeypatch.setattr("visrun.tracking.model.log_model", lambda *_, **__: at_log.append(told[-1]))
    made.model(torch.nn.Conv2d(3, 1, 1), torch.zeros(2, 3, 1000, 1000), {})
    [allowed] = at_log
    assert allowed > store.EXPORT_SECONDS + 3e6 * NUMBER_BYTES / store.BYTES_PER_SECOND


@pytest.mark.slow
def test_a_model_without_a_tensor_is_said_and_the_run_is_closed(database):
    import torch
    from torch import nn

    class Boxes(nn.Module):
        def forward(self, images):
            return [images]

    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=str(database))
    tracker.start()
    tracker.model(Boxes(), torch.zeros(2, 3, 8, 8))
    assert "did not take the model: a model that returns list has no signature" in tracker.finish("finished")
    assert read_run(f"sqlite:///{database}", tracker.run_id)[1].info.status == "FINISHED"


def test_a_file_that_is_no_database_any_more_or_cannot_be_made_is_said_soon(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in (("no.db", "the file is no database; name a file"), ("file/my.db", "exists")):
        tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=str(tmp_path / path))
        (tmp_path / "no.db").write_text("this is no database, though its name ends as if it were one" * 100)
        tracker.start()
        began = time.monotonic()
        warning = tracker.finish("finished")
        assert reason in warning
        assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_database_that_is_locked_when_the_run_starts_is_opened_later(database, monkeypatch, wait_until):
    monkeypatch.setattr(uris, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.05)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=str(database))
        tracker.start()
        tracker.epoch(1, {"loss": 1.0})
        wait_until(lambda: "locked" in tracker._reason, 60)
        other.execute("ROLLBACK")
    assert tracker.finish("finished") is None
    client, _run = read_run(f"sqlite:///{database}", tracker.run_id)
    assert steps(client, tracker.run_id, "loss") == [(1, 1.0)]


@pytest.mark.slow
def test_two_processes_may_make_the_same_store_at_once(tmp_path):
    script = (
        "from visrun.tracking import open_tracker\n"
        "tracker = open_tracker('mlflow', experiment='e', run_name='r', uri='my.db')\n"
        "tracker.start(); tracker.epoch(1, {'loss': 1.0}); print(tracker.finish('finished'), tracker.run_id)\n"
    )
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].decode().split() for process in both]
    assert [words[0] for words in said] == ["None", "None"]
    for _, run_id in said:
        client, _run = read_run(f"sqlite:///{tmp_path}/my.db", run_id)
        assert steps(client, run_id, "loss") == [(1, 1.0)]
