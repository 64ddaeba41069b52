"""The tracker's thread, on a store of the tests' own: order, tries, patience, and the choice of a tracker."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from visrun.console import logged
from visrun.data import demo
from visrun.errors import ConfigError, VisrunError
from visrun.folders import cache_folder
from visrun.signals import stop_on_signals
from visrun.tracking import NoTracker, open_tracker, worker


def test_no_tracker_takes_everything_and_wants_nothing(tmp_path):
    tracker = open_tracker("none", experiment="e", run_name="r", uri="http://nowhere", params={"a": 1})
    assert isinstance(tracker, NoTracker)
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    tracker.artifact(tmp_path / "missing.png", "plots")
    tracker.tags({"a": "b"})
    tracker.values(1, {"best": 1.0})
    tracker.summary({"test/accuracy": 1.0})
    tracker.end_run(tmp_path / "missing.json", "failed", "it died")
    tracker.drop_run(tmp_path / "missing.json")
    assert tracker.wait() is None
    assert (tracker.finish("failed", "no luck"), tracker.link, tracker.run_id) == (None, None, None)


def test_a_missing_mlflow_is_said_at_once(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="use tracking=none"):
        open_tracker("mlflow", experiment="e", run_name="r")


def test_tracking_is_imported_without_mlflow_and_torch():
    script = (
        "import sys; from visrun.tracking import open_tracker, worker, store\n"
        "open_tracker('none', experiment='e', run_name='r').finish('finished')\n"
        "open_tracker('mlflow', experiment='e', run_name='r')\n"
        "assert not {'mlflow', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


class ScriptedStore:
    """Takes what ``visrun.tracking.store.Store`` takes; each call does what ``behave`` says of it."""

    def __init__(self, _uri, *, progress, **_):
        self.progress, self.calls, self.behave = progress, [], lambda _call: None
        self.experiment_id = self.run_id = None
        self.closed = False

    def _do(self, *call):
        self.behave(call)
        self.calls.append(call)

    def open(self):
        self._do("open")
        self.run_id = "abc"

    def parameters(self, params):
        self._do("parameters", params)

    def metrics(self, epoch, values, _milliseconds):
        self._do("metrics", epoch, values)

    def data(self, data):
        self._do("data", data)

    def artifact(self, path, folder):
        self._do("artifact", path.name, folder)

    def tags(self, tags):
        self._do("tags", tags)

    def model(self, module, example, metadata):
        self._do("model", module, example, metadata)

    def end(self, word, status, reason):
        self._do("end", word, status, reason)

    def end_run(self, record, word, status, reason):
        self._do("end_run", record.name, word, status, reason)

    def sample(self):
        self._do("sample")

    def noted(self):
        return self.run_id

    def close_record(self):
        self.closed = True


@pytest.fixture
def tracker(monkeypatch):
    monkeypatch.setattr(worker, "Store", ScriptedStore)
    monkeypatch.setattr(worker, "REMOTE_PATIENCE", 0.4)
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    return open_tracker("mlflow", experiment="e", run_name="r", uri="http://host")


@pytest.fixture
def whole(tracker, monkeypatch):
    """A tracker that has parameters and data, and of which it can be said what sends later what is lacking; it waits
    long, so that a busy machine costs nothing."""
    monkeypatch.setattr(worker, "REMOTE_PATIENCE", 5.0)
    options = {"experiment": "e", "run_name": "r", "uri": "http://host", "params": {"a": 1}, "data": ["photos"]}
    return open_tracker("mlflow", **options, kept="", later="visrun resume RUN")


def fail_on(error, *kinds):
    def behave(call):
        if call[0] in kinds:
            raise error

    return behave


def test_calls_arrive_in_their_order_and_as_they_were_made(tracker, tmp_path):
    values = {"loss": 1.0}
    tracker.epoch(1, values)
    values["loss"] = 7.0
    tracker.start()
    tracker.artifact(tmp_path / "a.png", "plots")
    tracker.tags({"k": "v"})
    tracker.model("net", "images", metadata={"classes": ["a"]})
    tracker.values(4, {"best": 0.5})
    tracker.summary({"test/accuracy": 0.25})
    tracker.end_run(tmp_path / "run.json", "failed", "killed by signal 9")
    assert tracker.finish("pruned", "no better than the median") is None
    assert tracker._store.calls == [
        ("open",),
        ("metrics", 1, {"loss": 1.0}),
        ("tags", {"k": "v"}),
        ("metrics", 4, {"best": 0.5}),
        ("metrics", 0, {"test/accuracy": 0.25}),
        ("end_run", "run.json", "failed", "FAILED", "killed by signal 9"),
        ("end", "pruned", "KILLED", "no better than the median"),  # before what may be large
        ("artifact", "a.png", "plots"),
        ("model", "net", "images", {"classes": ["a"]}),
    ]
    assert tracker.finish("failed") is None  # a second end changes nothing
    assert [call[0] for call in tracker._store.calls].count("end") == 1


def test_a_file_that_waits_is_not_queued_again_and_one_that_was_taken_is(tracker, tmp_path, wait_until):
    for _ in range(5):
        tracker.artifact(tmp_path / "a.png", "plots")
    tracker.artifact(tmp_path / "a.png", "elsewhere")
    tracker.start()
    wait_until(lambda: len(tracker._store.calls) == 3)
    tracker.artifact(tmp_path / "a.png", "plots")
    assert tracker.finish("finished") is None
    files = [call[1:] for call in tracker._store.calls if call[0] == "artifact"]
    assert files == [("a.png", "plots"), ("a.png", "elsewhere"), ("a.png", "plots")]


def test_a_run_can_be_waited_for(tracker):
    assert tracker.wait() is None  # nobody opens it yet
    tracker._store.behave = lambda call: time.sleep(0.2) if call[0] == "open" else None
    tracker.start()
    assert tracker.wait() == "abc"


def test_waiting_for_a_run_ends_with_the_patience_and_costs_it_once(tracker):
    tracker._store.behave = fail_on(ConnectionError("down"), "open")
    tracker.start()
    for low, high in ((0.3, 0.8), (0.0, 0.1)):
        began = time.monotonic()
        assert tracker.wait() is None
        assert low <= time.monotonic() - began < high
    tracker._store.behave = lambda _call: None
    assert tracker.finish("finished") is None  # the server has come back


def test_waiting_ends_at_once_where_the_store_refuses_and_goes_on_where_it_works(tracker):
    def slow(call):
        if call[0] == "open":
            tracker._store.progress(5.0)
            time.sleep(2 * worker.REMOTE_PATIENCE)

    tracker._store.behave = slow
    tracker.start()
    assert tracker.wait() == "abc"
    other = open_tracker("mlflow", experiment="e", run_name="r", uri="http://host")
    other._store.behave = fail_on(ValueError("no such thing"), "open")
    other.start()
    began = time.monotonic()
    assert other.wait() is None
    assert time.monotonic() - began < 0.3


def test_what_is_refused_for_good_is_said_once_and_soon(tracker, wait_until):
    tracker._store.behave = fail_on(ValueError("no such thing"), "open")
    assert tracker.trouble() is None
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    wait_until(tracker._done.is_set)
    assert tracker.trouble() == (
        "MLflow at http://host did not take this run: no such thing (metrics.jsonl in the run folder holds every value)"
    )
    assert (tracker.trouble(), tracker.finish("finished")) == (None, None)


def test_what_is_refused_of_a_run_that_another_process_goes_on_with_is_said_again_at_the_end(whole, wait_until):
    whole._store.behave = fail_on(ValueError("no such thing"), "open")
    whole._store.noted = lambda: "abc"
    whole.start()
    wait_until(whole._done.is_set)
    assert whole.trouble().startswith("MLflow at http://host did not take this run: no such thing")
    assert whole.finish("finished").endswith("no such thing (visrun resume RUN sends it later)")


def test_a_part_that_is_refused_is_said_soon_and_again_with_all_others(tracker, wait_until):
    tracker._store.behave = fail_on(ValueError("bad"), "metrics")
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    wait_until(lambda: tracker._troubles)
    assert tracker.trouble().startswith("MLflow at http://host did not take the metrics of one epoch: bad")
    tracker.epoch(2, {"loss": 1.0})
    assert tracker.finish("finished").startswith("MLflow at http://host did not take the metrics of 2 epochs: bad")


def test_what_is_long_in_vain_is_said_once_and_tried_again_and_said_at_the_end(tracker, monkeypatch, wait_until):
    errors = [ConnectionError("read-only")]

    def behave(_call):
        for error in errors:
            raise error

    tracker._store.behave = behave
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    time.sleep(0.1)
    assert tracker.trouble() is None  # it may pass
    monkeypatch.setattr(worker, "TELL_SECONDS", 0.1)
    wait_until(lambda: tracker._troubles)
    where, kept = "MLflow at http://host", "(metrics.jsonl in the run folder holds every value)"
    assert tracker.trouble() == f"{where} has not taken this run so far: read-only; it is tried again {kept}"
    assert tracker.trouble() is None
    other = open_tracker("mlflow", experiment="e", run_name="r", uri="http://host")
    other._store.behave = behave
    other.start()
    wait_until(other.trouble)
    assert other.finish("finished") == f"{where} did not take the final status: read-only {kept}"
    errors.clear()  # somebody has mended it
    assert tracker.finish("finished") is None
    assert [call[0] for call in tracker._store.calls] == ["open", "metrics", "end"]


def test_what_is_refused_after_it_was_tried_in_vain_is_said_too(tracker, monkeypatch, wait_until):
    monkeypatch.setattr(worker, "TELL_SECONDS", 0.0)
    errors = [ConnectionError("down")]
    tracker._store.behave = lambda _call: fail_on(errors[-1], "open")(("open",))
    tracker.start()
    wait_until(lambda: tracker._troubles)
    errors.append(ValueError("deleted"))
    wait_until(tracker._done.is_set)
    assert "has not taken this run so far: down; it is tried again" in tracker.trouble()
    assert "did not take this run: deleted" in tracker.trouble()
    assert (tracker.trouble(), tracker.finish("finished")) == (None, None)


def test_where_a_person_finds_the_values_is_the_callers_to_say(monkeypatch):
    monkeypatch.setattr(worker, "Store", ScriptedStore)
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri="http://host", kept="trials.csv has it all")
    tracker._store.behave = fail_on(ConnectionError("down"), "open")
    tracker.start()
    tracker.values(1, {"best": 1.0})
    tracker.summary({"test/accuracy": 1.0})
    assert tracker.finish("finished") == (
        "MLflow at http://host did not take some values, the final values, the final status: down "
        "(trials.csv has it all)"
    )


def test_a_tracker_that_never_started_ends_at_once(tracker):
    tracker.epoch(1, {"loss": 1.0})
    assert tracker.finish("failed") is None


def test_a_server_that_comes_back_gets_everything(tracker, wait_until):
    failures = iter([ConnectionError("down")] * 3)

    def behave(_call):
        for error in failures:
            raise error

    tracker._store.behave = behave
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    wait_until(lambda: len(tracker._store.calls) == 2)
    assert tracker.finish("finished") is None
    assert [call[0] for call in tracker._store.calls] == ["open", "metrics", "end"]


def test_what_was_not_taken_is_named_once(tracker, tmp_path):
    tracker._store.behave = fail_on(ConnectionError("it is down"), "open")
    tracker.start()
    for epoch in range(1, 13):
        tracker.epoch(epoch, {"loss": 1.0})
    tracker.artifact(tmp_path / "a.png")
    began = time.monotonic()
    warning = tracker.finish("finished")
    assert time.monotonic() - began < 0.3
    assert warning == (
        "MLflow at http://host did not take the metrics of 12 epochs, one file, the final status: it is down "
        "(metrics.jsonl in the run folder holds every value)"
    )


def test_parameters_that_were_not_taken_are_named_and_cost_nothing_else(whole):
    whole._store.behave = fail_on(ValueError("bad"), "parameters")
    whole.start()
    whole.epoch(1, {"loss": 1.0})
    assert whole.finish("finished") == (
        "MLflow at http://host did not take the parameters: bad (visrun resume RUN sends it later)"
    )
    assert [call[0] for call in whole._store.calls] == ["open", "data", "metrics", "end"] and not whole._store.closed


@pytest.mark.parametrize(
    ("failing", "status", "told"),
    [
        (["metrics"], "finished", "(visrun resume RUN sends it later)"),
        (["metrics", "model"], "finished", "(visrun resume RUN sends it later, but for the model)"),
        (["model"], "finished", "the model: bad"),  # which is sent by nothing
        (["metrics"], "killed", "epoch: bad"),  # it is said how the run goes on
        (["open"], "finished", "(visrun resume RUN sends it later, but for the model)"),
        (["open"], "killed", "the final status, the model: bad"),
    ],
)
def test_what_sends_it_later_is_said_where_something_does(whole, failing, status, told):
    whole._store.behave = fail_on(ConnectionError("bad") if failing == ["open"] else ValueError("bad"), *failing)
    whole.start()
    whole.epoch(1, {"loss": 1.0})
    whole.model("net", "images")
    warning = whole.finish(status)
    assert warning.endswith(told)


@pytest.mark.parametrize("missing", [None, "open", "artifact", "model", "end"])
def test_a_run_is_noted_as_complete_once_its_store_has_all(tracker, tmp_path, missing):
    tracker._store.behave = fail_on(ValueError("bad"), missing)
    tracker.start()
    tracker.artifact(tmp_path / "a.png")
    tracker.model("module", "example")
    assert (tracker.finish("finished") is None) == (missing is None)
    assert tracker._store.closed == (missing is None)


def test_what_is_tried_in_vain_lets_the_epochs_go_first(whole, wait_until):
    whole._store.behave = fail_on(ConnectionError("it answers 500"), "parameters")
    whole.start()
    whole.epoch(1, {"loss": 1.0})
    wait_until(lambda: ("metrics", 1, {"loss": 1.0}) in whole._store.calls, 2)
    assert whole.finish("finished").startswith("MLflow at http://host did not take the parameters: it answers 500 (")


def test_what_is_tried_in_vain_lets_the_files_go_first_and_is_sent_in_the_end(whole, tmp_path, wait_until):
    whole._store.behave = fail_on(ConnectionError("it answers 500"), "parameters")
    whole.start()
    whole.epoch(1, {"loss": 1.0})
    whole.artifact(tmp_path / "a.png")
    wait_until(lambda: ("artifact", "a.png", "") in whole._store.calls, 2)
    whole._store.behave = lambda _call: None
    whole.epoch(2, {"loss": 1.0})
    assert whole.finish("finished") is None
    assert {"parameters", "data", "end"} <= {call[0] for call in whole._store.calls}


def test_an_older_value_of_a_tag_never_replaces_a_later_one(tracker, monkeypatch, wait_until):
    monkeypatch.setattr(worker, "TELL_SECONDS", 0.05)
    tracker._store.behave = fail_on(ConnectionError("it answers 500"), "tags")
    tracker.start()
    tracker.tags({"best": "1"})
    tracker.tags({"best": "2"})
    wait_until(lambda: tracker.trouble())
    time.sleep(0.2)
    tracker._store.behave = lambda _call: None
    assert tracker.finish("finished") is None
    assert [call[1]["best"] for call in tracker._store.calls if call[0] == "tags"] == ["1", "2"]


def test_one_bad_job_does_not_stop_the_others(tracker, tmp_path):
    tracker._store.behave = fail_on(FileNotFoundError("a.png is gone"), "artifact")
    tracker.start()
    tracker.artifact(tmp_path / "a.png")
    tracker.epoch(1, {"loss": 1.0})
    assert tracker.finish("finished").startswith("MLflow at http://host did not take one file: a.png is gone")
    assert [call[0] for call in tracker._store.calls] == ["open", "metrics", "end"]


@pytest.mark.parametrize(
    ("error", "bug"),
    [
        (KeyError("size"), True),
        (TypeError("odd"), True),
        (PermissionError("no"), False),
        (VisrunError("is deleted there"), False),
        (sqlite3.OperationalError("attempt to write a readonly database"), False),
    ],
)
def test_a_bug_leaves_its_traceback_in_the_log_and_a_refusal_its_line_alone(tracker, tmp_path, error, bug):
    tracker._store.behave = fail_on(error, "artifact")
    with logged(tmp_path / "visrun.log"):
        tracker.start()
        tracker.artifact(tmp_path / "a.png")
        warning = tracker.finish("finished")
    assert len(warning.splitlines()) == 1
    log = (tmp_path / "visrun.log").read_text()
    assert log.count("Traceback (most recent call last)") == int(bug)
    assert ("in behave" in log) is bug


def test_a_hanging_call_costs_the_patience_and_no_more(tracker, wait_until):
    release = threading.Event()
    tracker._store.behave = lambda call: release.wait(10) if call[0] == "metrics" else None
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    wait_until(lambda: tracker.run_id)
    began = time.monotonic()
    warning = tracker.finish("finished")
    seconds = time.monotonic() - began
    release.set()
    assert 0.3 < seconds < 1.0
    assert "the metrics of one epoch, the final status: it does not answer" in warning
    wait_until(tracker._done.is_set)
    assert tracker._store.calls[-1][0] == "metrics"  # given up: nothing is written after the run has ended


def test_a_signal_while_the_last_things_are_sent_ends_the_wait_and_one_before_does_not(whole, wait_until):
    begun = threading.Event()

    def behave(call):
        if call[0] == "end":
            begun.set()
            time.sleep(1.0)

    whole._store.behave = behave
    with stop_on_signals() as stop:
        stop.deferred = True
        whole.start()
        whole.epoch(1, {"loss": 1.0})
        threading.Thread(target=lambda: begun.wait(10) and signal.raise_signal(signal.SIGINT)).start()
        since = time.monotonic()
        warning = whole.finish("finished")
        assert time.monotonic() - since < 0.9 and stop.exit_code == 130
        assert "did not take the final status: it was stopped on the way" in warning
        assert "visrun resume RUN sends it later" in warning
        again = open_tracker("mlflow", experiment="e", run_name="r", uri="http://host")
        again.start()
        assert again.finish("killed") is None


def test_finish_waits_for_a_slow_store_as_long_as_it_answers(tracker):
    tracker._store.behave = lambda call: time.sleep(0.15) if call[0] == "metrics" else None
    tracker.start()
    for epoch in range(1, 9):
        tracker.epoch(epoch, {"loss": 1.0})
    began = time.monotonic()
    assert tracker.finish("finished") is None
    assert time.monotonic() - began > 2 * worker.REMOTE_PATIENCE


def test_finish_waits_for_a_slow_store_no_longer_than_its_limit_and_the_status_is_there(tracker, tmp_path):
    tracker._limit = 1.0
    tracker._store.behave = lambda call: time.sleep(0.15)
    tracker.start()
    assert tracker.wait() == "abc"
    for number in range(20):
        tracker.artifact(tmp_path / f"{number}.png")
    tracker.epoch(1, {"loss": 1.0})
    began = time.monotonic()
    warning = tracker.finish("finished")
    assert 0.9 < time.monotonic() - began < 1.5
    assert {"metrics", "end"} <= {call[0] for call in tracker._store.calls}
    assert "epoch" not in warning and "status" not in warning
    assert warning.startswith("MLflow at http://host did not take ") and " files: it answers too slowly" in warning


def test_finish_waits_for_work_that_was_announced_beyond_its_limit(tracker):
    tracker._limit = 0.1

    def behave(call):
        if call[0] == "model":
            tracker._store.progress(5.0)
            time.sleep(2 * worker.REMOTE_PATIENCE)

    tracker._store.behave = behave
    tracker.start()
    tracker.model("net", "images")
    assert tracker.finish("finished") is None


@pytest.mark.parametrize("stopped", [True, False])
def test_what_was_announced_is_waited_for_while_the_server_is_alive(tracker, stopped):
    release = threading.Event()

    def behave(call):
        if call[0] == "model":
            tracker._store.progress(60.0)
            release.wait(1.0)

    tracker._store.behave = behave
    tracker._pulse = SimpleNamespace(stopped=lambda since: stopped and time.monotonic() - since > 0.1)
    tracker.start()
    assert tracker.wait() == "abc"
    tracker.model("net", "images")
    began = time.monotonic()
    warning = tracker.finish("finished")
    release.set()
    if stopped:
        assert time.monotonic() - began < 0.9
        assert "did not take the model: it does not answer" in warning
    else:
        assert warning is None


def test_an_answer_that_comes_while_the_server_is_asked_counts(tracker, wait_until):
    release = threading.Event()
    tracker._store.behave = lambda call: release.wait(10) if call[0] == "metrics" else None

    def stopped(since):
        if release.is_set():
            return False
        release.set()
        wait_until(lambda: tracker._since > since)
        return True

    tracker._pulse = SimpleNamespace(stopped=stopped)
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    assert tracker.finish("finished") is None
    assert [call[0] for call in tracker._store.calls] == ["open", "metrics", "end"]


def test_the_system_is_sampled_while_nothing_else_happens(tracker, monkeypatch, wait_until):
    monkeypatch.setattr(worker, "SAMPLE_SECONDS", 0.01)
    tracker.start()
    wait_until(lambda: tracker._store.calls.count(("sample",)) >= 3)
    assert tracker.finish("finished") is None


def test_the_system_is_sampled_while_epochs_follow_each_other(tracker, monkeypatch, wait_until):
    monkeypatch.setattr(worker, "SAMPLE_SECONDS", 0.05)
    tracker._store.behave = lambda call: time.sleep(0.01) if call[0] == "metrics" else None
    for epoch in range(1, 101):
        tracker.epoch(epoch, {"loss": 1.0})
    tracker.start()
    wait_until(lambda: ("metrics", 100, {"loss": 1.0}) in tracker._store.calls)
    kinds = [call[0] for call in tracker._store.calls]
    last = len(kinds) - 1 - kinds[::-1].index("metrics")
    assert 2 <= kinds[:last].count("sample") <= 40
    assert tracker.finish("finished") is None


IMPORTS = """
import json, runpy, sys, threading

seen, before = {}, set()

class Watch:
    def find_spec(self, name, path=None, target=None):
        if any(thread.name == "visrun-mlflow" for thread in threading.enumerate()):
            before or before.update(sys.modules)
            seen.setdefault(name.split(".")[0], []).append((threading.current_thread().name, name))

sys.meta_path.insert(0, Watch())
sys.argv[0] = "visrun"
try:
    runpy.run_module("visrun", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
found = {root: {thread for thread, name in names if name in sys.modules} for root, names in seen.items()}
print(json.dumps([sorted(found), sorted(root for root in found if len(found[root]) > 1 and root not in before)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "anomaly_detection"])
def test_no_package_is_imported_by_the_thread_and_the_training_at_once(tmp_path, task):
    demo.build(task, cache_folder() / "demo")  # building it imports much of what is asked about
    words = [f"task={task}", "max_epochs=1", "data.image_size=32", "data.train_fraction=0.1", "batch_size=64"]
    command = [sys.executable, "-c", IMPORTS, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    imported, twice = json.loads(done.stdout.splitlines()[-1])
    assert {"mlflow", "pandas"} < set(imported)
    assert twice == []
