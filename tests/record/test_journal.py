import json
import math

import pytest

from visrun.config.compose import resolve
from visrun.config.experiment import FOR_PEOPLE, load_experiment
from visrun.config.settings import SECTIONS
from visrun.errors import VisrunError
from visrun.record.journal import Journal, changes, close_dead, describe, differences, finite, identity
from visrun.record.remember import remembered
from visrun.record.run_folder import RunFolder
from visrun.run_files import STATUS


def test_a_run_that_crashed_is_still_marked_running_with_all_its_settings(tmp_path):
    resolved = resolve(["optimizer=sgd", "learning_rate=0.05", "data.image_size=[24,32]"])
    with RunFolder(tmp_path) as files:
        Journal(files, resolved)
    content = json.loads((tmp_path / "experiment.json").read_text())
    assert content["result"] == {"status": "running"}
    assert content["hyperparameters"]["learning_rate"] == 0.05 and content["sources"]["learning_rate"] == "you"
    assert content["sources"]["seed"] == "schema"
    assert content["created"] and content["versions"]["python"]
    again = remembered(tmp_path)
    assert again.hyperparameters == resolved.hyperparameters and again.settings.data == resolved.settings.data
    assert again.sources == content["sources"]
    assert load_experiment(tmp_path).hyperparameters["learning_rate"] == 0.05


def test_the_records_keys_are_in_order_and_all_known():
    content = describe(resolve([]), created="2025-01-01T00:00:00+00:00", result={"status": "running"})
    assert list(content) == [
        "hyperparameters",
        "task",
        "model",
        "data",
        "augment",
        "run",
        "tracking",
        "loss_options",
        "optimizer_options",
        "model_options",
        "seed",
        "sources",
        "versions",
        "git",
        "created",
        "result",
    ]
    assert set(content) <= {"hyperparameters", "task", "seed", *SECTIONS, *FOR_PEOPLE}
    assert json.loads(json.dumps(content)) == content


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("https://me:secret@mlflow.example/x@y", "https://mlflow.example/x@y"),
        ("sqlite:////a/m@b.db", "sqlite:////a/m@b.db"),
    ],
)
def test_a_servers_password_is_not_written(uri, written):
    assert describe(resolve([f"tracking.uri={uri}"]))["tracking"]["uri"] == written


def test_facts_add_up_and_nan_never_reaches_the_file(tmp_path):
    with RunFolder(tmp_path) as files:
        journal = Journal(files, resolve([]))
        journal.fingerprint("abc")
        journal.note(best_epoch=3, speed=math.nan)
        journal.close("finished", exit_code=0, val={"accuracy": 0.5, "auroc": math.nan}, reason="none")
        first = json.loads((tmp_path / "experiment.json").read_text())
        assert first["data"]["fingerprint"] == "abc"
        result = first["result"]
        assert (result["status"], result["best_epoch"], result["val"]) == ("finished", 3, {"accuracy": 0.5})
        assert "speed" not in result
        later = Journal(files, resolve([]), former=first)
        assert later.content["created"] == first["created"]
        assert later.content["result"]["status"] == "running" and later.content["result"]["best_epoch"] == 3


def test_how_a_run_ended_is_told_where_it_cannot_be_noted(tmp_path, monkeypatch):
    with RunFolder(tmp_path) as files:
        journal = Journal(files, resolve([]))

        def full(_content):
            raise VisrunError("experiment.json: cannot write (No space left on device)")

        monkeypatch.setattr(files, "write_experiment", full)
        with pytest.raises(VisrunError, match="No space left"):
            journal.close("failed", exit_code=1, reason="disk full")
    status = json.loads((tmp_path / STATUS).read_text())
    assert (status["state"], status["exit_code"]) == ("failed", 1)


def test_what_a_dead_process_left_running_is_closed(tmp_path):
    with RunFolder(tmp_path / "run") as files:
        journal = Journal(files, resolve([]))
        journal.note(seconds=3)
        close_dead(files.path, "failed", "its process died")  # of another process, which has gone on with it
        assert json.loads((files.path / "experiment.json").read_text()) == journal.content
    close_dead(files.path, "failed", "its process died")
    content = json.loads((files.path / "experiment.json").read_text())
    result = content.pop("result")
    assert content == {key: value for key, value in journal.content.items() if key != "result"}
    assert result.pop("ended") and result == {"status": "failed", "seconds": 3, "reason": "its process died"}
    close_dead(files.path, "killed", "later")
    close_dead(tmp_path / "gone", "killed", "later")
    assert json.loads((files.path / "experiment.json").read_text())["result"]["reason"] == "its process died"
    assert not (tmp_path / "gone").exists()


def test_finite_goes_through_what_is_nested():
    assert finite({"a": math.inf, "b": {"c": math.nan, "d": [1, math.nan]}}) == {"b": {"d": [1, None]}}
    assert finite((1.0, "x")) == [1.0, "x"]


def test_what_changes_numbers_is_part_of_the_identity_and_where_it_runs_is_not():
    base = identity(resolve([]))
    assert differences(base, identity(resolve(["learning_rate=0.5"]))) == ["learning_rate: 0.001 -> 0.5"]
    assert differences(base, identity(resolve(["augment.rotate=5"]))) == ["augment.rotate: 0.0 -> 5.0"]
    free = [
        "run.max_time=5",
        "run.device=cpu",
        "tracking=none",
        "data.workers=2",
        "data.cache=ram",
        "plugins=[colorsys]",
    ]
    assert differences(base, identity(resolve(free))) == []
    here = identity(resolve(["data.root=here"]))
    assert changes(here, resolve(["data.root=elsewhere"])) == []
    assert changes(here, resolve(["data.root=elsewhere", "seed=1"])) == ["seed: 0 -> 1"]
    assert differences({"a": "1"}, {"b": "2"}) == ["a: 1 -> unset", "b: unset -> 2"]
