"""What a run pays for a server that is dead, deaf or dying."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import pytest

from visrun.files import read_object
from visrun.tracking import open_tracker, worker
from visrun.tracking.names import write_record
from visrun.tracking.uris import probe

DEAD = """
import json, sys, time
from visrun.tracking import open_tracker, worker
began = time.monotonic()
tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=sys.argv[1], params={"a": 1})
tracker.start()
for epoch in range(1, 4):
    tracker.epoch(epoch, {"loss": 1.0})
    time.sleep(0.2)
tracker.artifact(__import__("pathlib").Path(sys.argv[0]))
called = time.monotonic() - began - 0.6
began = time.monotonic()
warning = tracker.finish("finished")
print(json.dumps([called, time.monotonic() - began, warning, "mlflow" in sys.modules]))
"""


@pytest.mark.parametrize("answers", ["never", "refuses"])
def test_a_dead_server_costs_five_seconds_at_most_and_the_process_ends(answers, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(DEAD)
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        if answers == "never":
            hole.listen(16)
        began = time.monotonic()
        uri = f"http://127.0.0.1:{hole.getsockname()[1]}"
        done = subprocess.run([sys.executable, script, uri], check=True, capture_output=True, text=True, timeout=60)
    total = time.monotonic() - began
    called, finished, warning, imported = json.loads(done.stdout)
    assert called < 2.5  # half of what one call that waits would cost
    assert finished < (5.5 if answers == "never" else 1.0)
    assert total - called - finished < 6.0  # python's start, 0.6 s of "training", the exit
    assert warning.startswith(
        f"MLflow at {uri} did not take the parameters, the metrics of 3 epochs, one file, the final status"
    )
    assert not imported
    assert done.stderr == ""


def test_a_run_that_goes_on_while_its_server_is_away_is_sent_later(tmp_path):
    record = tmp_path / "run.json"
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{hole.getsockname()[1]}"
        write_record(record, uri, "abc")
        options = {"experiment": "e", "run_name": "r", "uri": uri, "record": record, "later": "visrun resume RUN"}
        for _ in range(2):  # the second time is such a later one
            tracker = open_tracker("mlflow", **options)
            tracker.start()
            tracker.epoch(1, {"loss": 1.0})
            assert tracker.finish("finished").endswith("; visrun resume RUN sends it later)")
            assert read_object(record) == {"uri": uri, "run_id": "abc", "folder": str(tmp_path), "open": True}


def test_any_answer_of_a_server_is_an_answer(server):
    probe(server.uri, 5)
    server.lost = True
    with pytest.raises(ConnectionError, match="does not answer"):
        probe(server.uri, 0.2)
    probe("sqlite:////nowhere/a.db", 0.1)


def test_a_server_is_asked_through_a_proxy_where_mlflow_would(server, monkeypatch):
    for name, value in {"http_proxy": "http://127.0.0.1:9", "no_proxy": "10.0.0.0/8", "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionError, match="Connection refused"):
        probe(server.uri, 5)
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,127.0.0.0/8")
    probe(server.uri, 5)


@pytest.mark.parametrize("wrap", [lambda error: error, urllib.error.URLError])  # TLS 1.3 asks late for a certificate
def test_a_server_that_wants_a_certificate_has_answered(wrap, monkeypatch):
    refused = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
    refused.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"  # as Python sets it
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", Mock(side_effect=wrap(refused)))
    probe("https://host", 1)


class Server(ThreadingHTTPServer):
    """As much of MLflow's web interface as a run without files needs; ``lost``: it accepts and never answers.

    Every answer takes ``delay`` seconds. Of the calls that are ``unanswered`` the first is done, and answered by 503,
    with the advice to come back in ten minutes. With a ``page`` all answers are HTML of that status;
    a ``strange`` one is another program's and answers {} to everything.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"
        self.lost, self.ended, self.requests, self.delay = False, threading.Event(), [], 0.0
        self.unanswered, self.page, self.strange = set(), 0, False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply()

    def do_POST(self):
        self.reply()

    def reply(self):
        if self.server.lost:
            self.server.ended.wait(60)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self.path.partition("?")[0].partition("/mlflow/")[2]
        self.server.requests.append((call, json.loads(body or b"{}")))
        info = {
            "run_id": "abc",
            "experiment_id": "7",
            "status": "RUNNING",
            "start_time": 1,
            "lifecycle_stage": "active",
        }
        answers = {
            "experiments/get-by-name": {"experiment": {"experiment_id": "7", "name": "e", "lifecycle_stage": "active"}},
            "runs/create": {"run": {"info": info, "data": {}}},
            "runs/get": {"run": {"info": info, "data": {}}},
            "runs/update": {"run_info": info},
        }
        answer = json.dumps({} if self.server.strange else answers.get(call, {})).encode()
        time.sleep(self.server.delay)
        if call == "runs/search" and "runs/create" in dict(self.server.requests):
            answer = json.dumps({"runs": [{"info": info, "data": {}}]}).encode()
        unanswered = call in self.server.unanswered
        self.server.unanswered.discard(call)
        if self.server.page:
            answer = b"<!doctype html>\n<title>Sign in</title>"
        self.send_response(self.server.page or (404 if self.path == "/health" else 503 if unanswered else 200))
        if unanswered:
            self.send_header("Retry-After", "600")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    made.ended.set()
    made.shutdown()
    made.server_close()


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_costs_five_seconds(server, capfd, wait_until):
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri, params={"milestones": [1, 2]})
    tracker.start()
    tracker.epoch(1, {"loss": 1.0, "miou": 0.5})
    wait_until(lambda: tracker._waiting["epoch"] == 0, 60)
    assert tracker.link == f"{server.uri}/#/experiments/7/runs/abc?workflowType=machine_learning"
    batches = [body for call, body in server.requests if call == "runs/log-batch"]
    assert [batch["params"] for batch in batches if batch.get("params")] == [[{"key": "milestones", "value": "[1, 2]"}]]
    [metrics] = [batch["metrics"] for batch in batches if batch.get("metrics") and batch["metrics"][0]["key"] == "loss"]
    assert [(metric["key"], metric["value"], metric["step"]) for metric in metrics] == [
        ("loss", 1.0, 1),
        ("miou", 0.5, 1),
    ]

    server.lost = True
    began = time.monotonic()
    for epoch in range(2, 6):
        tracker.epoch(epoch, {"loss": 1.0})
    assert time.monotonic() - began < 0.1
    warning = tracker.finish("finished")
    assert time.monotonic() - began < 5.6
    assert warning.startswith(f"MLflow at {server.uri} did not take the metrics of 4 epochs, the final status: it does")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_server_is_alive_as_long_as_each_of_its_answers_comes(server, monkeypatch):
    monkeypatch.setattr(worker, "REMOTE_PATIENCE", 1.0)
    server.delay = 0.6
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri, params={"a": 1})
    tracker.start()
    assert tracker.wait() == "abc"
    tracker.epoch(1, {"loss": 1.0})
    assert tracker.finish("finished", "a reason") is None
    call, body = server.requests[-1]
    assert (call, body["status"]) == ("runs/update", "FINISHED")


@pytest.mark.slow
def test_an_epoch_that_failed_is_sent_again_also_where_mlflow_logs_from_a_thread_of_its_own(
    server, monkeypatch, wait_until
):
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.05)
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri)
    tracker.start()
    assert tracker.wait() == "abc"
    server.unanswered = {"runs/log-batch"}
    tracker.epoch(1, {"loss": 1.0})
    wait_until(lambda: tracker._waiting["epoch"] == 0)
    assert tracker.finish("finished") is None
    batches = [body for call, body in server.requests if call == "runs/log-batch"]
    assert [metric["key"] for batch in batches for metric in batch.get("metrics", ())].count("loss") == 2


@pytest.mark.slow
def test_a_server_of_another_program_is_said_to_be_one(server, tmp_path, wait_until):
    server.strange = True
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri, record=tmp_path / "run.json")
    tracker.start()
    tracker.epoch(1, {"loss": 1.0})
    wait_until(tracker._done.is_set, 60)
    assert tracker.trouble().startswith(f"MLflow at {server.uri} did not take this run: it is no MLflow server (")
    assert tracker.link is None and not (tmp_path / "run.json").exists()


@pytest.mark.slow
def test_a_run_whose_making_was_not_answered_is_found_and_not_made_twice(server, monkeypatch):
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.05)
    server.unanswered = {"runs/create"}
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri)
    tracker.start()
    assert tracker.wait() == "abc"
    assert tracker.finish("finished") is None
    calls = [call for call, _ in server.requests]
    assert calls.count("runs/create") == 1
    tags = {tag["key"]: tag["value"] for tag in dict(server.requests)["runs/create"]["tags"]}
    assert dict(server.requests)["runs/search"]["filter"] == f"tags.`visrun.start` = '{tags['visrun.start']}'"


@pytest.mark.slow
def test_a_server_that_asks_for_ten_minutes_of_patience_is_asked_again_soon(server):
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri)
    tracker.start()
    assert tracker.wait() == "abc"
    server.unanswered = {"runs/log-batch"}
    tracker.epoch(1, {"loss": 1.0})
    assert tracker.finish("finished") is None
    assert [call for call, _ in server.requests].count("runs/log-batch") >= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "it answers with error 500"),
        (200, "it answers with an HTML page, which a login or a proxy gives"),
        (403, "it answers with error 403 and an HTML page, which a login or a proxy gives"),
    ],
)
def test_what_a_server_answers_is_said_where_it_answers(server, status, said):
    server.page = status
    tracker = open_tracker("mlflow", experiment="e", run_name="r", uri=server.uri)
    tracker.start()
    assert f"did not take the final status: {said} (metrics.jsonl" in tracker.finish("finished")
