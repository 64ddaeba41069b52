"""What a hostile page, a foreign user and a forged file are answered, by a real server process."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from visrun.config.settings import Settings
from visrun.errors import UserError
from visrun.hyperparameters import Hyperparameters
from visrun.record.journal import describe
from visrun.record.remember import Remembered
from visrun.record.run_folder import this_process
from visrun.web.guard import CSP, HEADERS, MOST_BYTES
from visrun.web.server import listen

from .conftest import Served, finish, photos, serve

DEFAULTS = Remembered(Hyperparameters(), Settings(), {})
STATE = {"task": "classification", "model": None, "touched": {}}
TICKET = "0123456789abcdef0123"
SECRET = "visrun-secret-of-this-test"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, demo: dict[str, str]) -> Iterator[Served]:
    """A server whose folder holds a run and a dataset, beside a folder that nobody may read."""
    top = tmp_path_factory.mktemp("machine")
    cwd, outside = top / "work", photos(top / "outside")
    photos(cwd / "photos")
    (cwd / "link").symlink_to(outside)
    for place in (cwd / "outputs" / "2026-01-01" / "00-00-00_classification", outside / "run"):
        (place / "plots").mkdir(parents=True)
        content = describe(DEFAULTS, result={"status": "finished", "val": {}})
        (place / "experiment.json").write_text(json.dumps(content))
        (place / "plots" / "predictions.png").write_bytes(b"png")
        (place / "plots" / "secret.txt").write_text("secret")
    (cwd / "outputs" / "2026-01-01" / "linked").symlink_to(outside / "run")
    (cwd / "outputs" / "2026-01-01" / "00-00-00_classification" / "plots" / "leak.png").symlink_to(
        outside / "secret.png"
    )
    home = top / "home"
    home.mkdir()
    started = serve(cwd, HOME=str(home), SECRET=SECRET, **demo)
    yield started
    finish(started)


def test_the_page_itself_is_answered(served: Served) -> None:
    assert served.ask("GET", "/").status == 200
    assert served.get("/api/runs")["runs"]
    assert served.post("/api/view", STATE).status == 200
    as_localhost = {"Host": f"localhost:{served.port}", "Origin": f"http://localhost:{served.port}"}
    assert served.ask("POST", "/api/view", STATE, headers=as_localhost).status == 200


# name -> headers that differ from the page's own, status, what is said
WHO = {
    "another host": ({"Host": "evil.example"}, 403, "bad host"),
    "another host with the port": ({"Host": "evil.example:{port}"}, 403, "bad host"),
    "the host without its port": ({"Host": "127.0.0.1"}, 403, "bad host"),
    "another port in the host": ({"Host": "127.0.0.1:1"}, 403, "bad host"),
    "a host with a dot behind": ({"Host": "localhost.:{port}"}, 403, "bad host"),
    "all addresses as host": ({"Host": "0.0.0.0:{port}"}, 403, "bad host"),
    "no cookie": ({"Cookie": None}, 403, "no login"),
    "a wrong token": ({"Cookie": "visrun_{port}=x"}, 403, "no login"),
    "no ASCII in the token": ({"Cookie": "visrun_{port}=ä"}, 403, "no login"),
    "the token of another port": ({"Cookie": "visrun_1={token}"}, 403, "no login"),
    "the token under another name": ({"Cookie": "token={token}"}, 403, "no login"),
    "another origin": ({"Origin": "http://evil.example"}, 403, "cross-site request"),
    "no origin": ({"Origin": None}, 403, "cross-site request"),
    "the origin of a sandbox": ({"Origin": "null"}, 403, "cross-site request"),
    "another port of this machine": ({"Origin": "http://127.0.0.1:9999"}, 403, "cross-site request"),
    "an origin that begins alike": ({"Origin": "http://127.0.0.1:{port}.evil.example"}, 403, "cross-site request"),
    "https": ({"Origin": "https://127.0.0.1:{port}"}, 403, "cross-site request"),
    "without the page's own header": ({"x-visrun": None}, 403, "cross-site request"),
    "a form's text": ({"Content-Type": "text/plain"}, 415, "JSON only"),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "JSON only"),
    "an upload": ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "JSON only"),
    "almost JSON": ({"Content-Type": "application/jsonp"}, 415, "JSON only"),
    "no type": ({"Content-Type": None}, 415, "JSON only"),
}


@pytest.mark.parametrize("name", WHO)
def test_who_may_change_something(name: str, served: Served) -> None:
    headers, status, reason = WHO[name]
    known = {"port": str(served.port), "token": served.token}
    given = {
        key: None if value is None else value.format(**known).encode().decode("latin-1")
        for key, value in headers.items()
    }
    for path in ("/api/view", "/api/runs", "/api/nowhere"):
        answer = served.ask("POST", path, STATE, headers=given)
        assert (answer.status, answer.json["detail"][: len(reason)]) == (status, reason)
        assert "access-control-allow-origin" not in {key.lower() for key in answer.headers}


@pytest.mark.parametrize("name", [name for name, (headers, *_) in WHO.items() if {"Host", "Cookie"} & headers.keys()])
@pytest.mark.parametrize(
    "path", ["/", "/api/runs", "/static/main.js", "/docs", "/?token=wrong", "/static/../?token={token}"]
)
def test_who_may_look(name: str, path: str, served: Served) -> None:
    headers, status, reason = WHO[name]
    known = {"port": str(served.port), "token": served.token}
    given = {
        key: None if value is None else value.format(**known).encode().decode("latin-1")
        for key, value in headers.items()
    }
    answer = served.ask("GET", path.format(**known), headers=given)
    assert (answer.status, answer.json["detail"][: len(reason)]) == (status, reason)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_change_nothing(method: str, served: Served) -> None:
    foreign = served.ask(method, "/api/runs", headers={"Origin": "http://evil.example"})
    assert (foreign.status, foreign.json["detail"]) == (403, "cross-site request")
    assert served.ask(method, "/api/runs").status == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_data_and_files_are_not_for_other_pages(site: str, served: Served) -> None:
    for path in ("/api/runs", "/static/main.js"):
        answer = served.ask("GET", path, headers={"Sec-Fetch-Site": site})
        assert (answer.status, answer.json["detail"]) == (403, "cross-site request")
    assert served.ask("GET", "/api/runs", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_the_token_becomes_a_strict_cookie_and_leaves_the_address(served: Served) -> None:
    answer = served.ask("GET", f"/?token={served.token}", headers={"Cookie": None})
    assert answer.status == 200 and served.token not in answer.body.decode() and "url=/" in answer.body.decode()
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"visrun_{served.port}={served.token}; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))


def test_every_answer_has_the_headers(served: Served) -> None:
    for path in ("/", "/api/runs", "/static/main.js", "/nowhere"):
        given = {key.lower(): value for key, value in served.ask("GET", path).headers.items()}
        for name, value in HEADERS.items():
            assert given[name] == value or (name, given[name]) == ("cache-control", "no-cache")
    refused = {key.lower(): value for key, value in served.ask("GET", "/", headers={"Host": "x"}).headers.items()}
    assert refused["content-security-policy"] == CSP
    assert "unsafe" not in CSP and "*" not in CSP


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/api", "/static/", "/favicon.ico"])
def test_nothing_else_is_served(path: str, served: Served) -> None:
    assert served.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/%2e%2e%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/main.js%00.css",
        "/static/vendor",
        "/api/runs/../runs",
        "/api/runs/..%2f..%2foutside%2frun",
        "/api/runs/%2e%2e",
        "/api/runs/2026-01-01%2f00-00-00_classification",
        "/api/runs/{id}%00",
        "/api/runs/{id}/plots/..%2fexperiment.json",
        "/api/runs/{id}/plots/%2e%2e%2fexperiment.json",
        "/api/runs/{id}/plots/secret.txt",
        "/api/runs/{id}/plots/leak.png",
        "/api/runs/{id}/plots/predictions.png%00",
        "/api/runs/{id}/plots/.%2fpredictions.png",
        "/api/runs/{id}/predictions/0",
        "/api/runs/{id}/predictions/" + "9" * 5000,
        "/api/runs/{id}/predictions/..%2fexperiment.json",
        "/api/runs/0000000000000000",
        "/api/runs/{linked}",
        "/api/sweeps/{id}",
    ],
)
def test_no_path_leads_out(path: str, served: Served) -> None:
    (run,) = served.get("/api/runs")["runs"]
    linked = "f" * 16
    answer = served.ask("GET", path.format(id=run["id"], linked=linked))
    assert answer.status == 404, answer.body
    assert b"secret" not in answer.body and b"root:" not in answer.body
    assert served.ask("GET", f"/api/runs/{run['id']}/plots/predictions.png").body == b"png"


def test_a_link_to_a_run_elsewhere_is_no_run(served: Served) -> None:
    assert [run["name"] for run in served.get("/api/runs")["runs"]] == ["2026-01-01/00-00-00_classification"]


# What no client may set, and what it is answered: touched values -> a part of the line
FORGED = {
    "a target": ({"_target_": "os.system"}, "is no setting of the form"),
    "a nested target": ({"optimizer._target_": "os.system"}, "is no setting of the form"),
    "Hydra's folder": ({"hydra.run.dir": "/tmp/x"}, "is no setting of the form"),
    "Hydra's search path": ({"hydra.searchpath": "[file:///tmp]"}, "is no setting of the form"),
    "Hydra's launcher": ({"hydra/launcher": "joblib"}, "is no setting of the form"),
    "a new key": ({"+x": "1"}, "is no setting of the form"),
    "a plugin": ({"plugins": ["os"]}, "is no setting of the form"),
    "a file of settings": ({"experiment": "/etc/passwd"}, "is no setting of the form"),
    "another store": ({"tracking.uri": "http://evil.example"}, "is no setting of the form"),
    "another cache": ({"data.cache_dir": "/tmp/x"}, "is no setting of the form"),
    "a word in a key": ({"learning_rate=1 seed": "2"}, "is no setting of the form"),
    "a variable": ({"learning_rate": "${oc.env:SECRET}"}, "learning_rate=${oc.env:SECRET}: must be a number > 0"),
    "a variable in a text": ({"tracking.run_name": "${oc.env:SECRET}"}, "${...} is not taken"),
    "a variable in a path": ({"data.root": "${oc.env:HOME}/x"}, "${...} is not taken"),
    "a variable in a list": ({"data.classes": ["${oc.env:SECRET}"]}, "${...} is not taken"),
    "an option that is a path": ({"augment": "../../../etc/passwd"}, "augment=../../../etc/passwd: must be default, "),
    "a loss that is code": ({"loss": "os:system"}, "loss=os:system: "),
    "a folder above": ({"data.root": "../outside"}, "outside of what this page may read"),
    "a folder above in the middle": ({"data.root": "photos/../../outside"}, "outside of what this page may read"),
    "an absolute path": ({"data.root": "/etc"}, "outside of what this page may read"),
    "a link": ({"data.root": "link"}, "outside of what this page may read"),
    "weights elsewhere": ({"model.weights": "/etc/passwd"}, "outside of what this page may read"),
    "NUL": ({"data.root": "photos\0/etc"}, "data.root="),
    "a long name": ({"data.root": "x" * 300}, "x: a name in this path is too long"),
    "a long text": ({"tracking.run_name": "x" * 5000}, "longer than 4096 characters"),
}


@pytest.mark.parametrize("name", FORGED)
def test_nothing_forged_is_started(name: str, served: Served) -> None:
    touched, reason = FORGED[name]
    for path in ("/api/runs", "/api/sweeps"):
        more = {"ranges": {"weight_decay": {"low": 0.1, "high": 0.2}}} if path == "/api/sweeps" else {}
        answer = served.post(path, {**STATE, "touched": touched, "ticket": TICKET, **more})
        assert answer.status == 422 and reason in " ".join(answer.json["detail"]), answer.json
        assert SECRET not in answer.body.decode()
    assert len(served.get("/api/runs")["runs"]) == 1


@pytest.mark.parametrize(
    "root",
    ["/etc", "../outside", "link", "photos\0", "${oc.env:HOME}", "~root/../etc", "/proc/self/root/etc", "x" * 300],
)
def test_no_dataset_outside_is_looked_at(root: str, served: Served) -> None:
    told = served.post("/api/dataset", {"task": "classification", "touched": {"data.root": root}}).json
    assert told.keys() == {"state", "lines"} and told["state"] == "failed"
    assert "data.root=" in told["lines"][0]


@pytest.mark.parametrize("path", ["/etc", "../outside", "link", "photos\0", "/proc/self/root/etc"])
def test_nothing_outside_is_offered_or_predicted(path: str, served: Served) -> None:
    (run,) = served.get("/api/runs")["runs"]
    assert served.post("/api/offers", {"text": f"{path}/", "kind": "data"}).json == {"offers": [], "more": False}
    answer = served.post(f"/api/runs/{run['id']}/predictions", {"path": path})
    assert answer.status == 422 and "outside of what this page may read" in answer.json["detail"][0]
    assert served.get(f"/api/runs/{run['id']}/predictions") == {"state": "none"}


@pytest.mark.parametrize(
    "body",
    [{"path": "x" * 300}, {"path": "x" * 5000}, {"path": "photos", "threshold": "0.5\0"}],
    ids=["name", "long", "NUL"],
)
def test_what_no_command_can_be_given_is_refused(body: dict[str, str], served: Served) -> None:
    (run,) = served.get("/api/runs")["runs"]
    assert served.post(f"/api/runs/{run['id']}/predictions", body).status == 422
    assert served.get(f"/api/runs/{run['id']}/predictions") == {"state": "none"}


def test_a_missing_folder_outside_is_answered_like_one_that_is_there(served: Served) -> None:
    there, gone = (
        served.post("/api/dataset", {"task": "classification", "touched": {"data.root": root}}).json
        for root in ("/etc", "/nowhere")
    )
    assert there["lines"][0].replace("/etc", "X") == gone["lines"][0].replace("/nowhere", "X")


# Bodies: content, status
BODIES: dict[str, tuple[Any, int]] = {
    "no JSON": (b"{", 422),
    "a list": ([], 422),
    "nothing": (b"", 422),
    "deep": (b"[" * 100_000, 400),
    "an unknown key": ({**STATE, "words": ["seed=1"]}, 422),
    "a number for a task": ({**STATE, "task": 1}, 422),
    "an object for a value": ({**STATE, "touched": {"learning_rate": {"x": 1}}}, 422),
    "an unknown task": ({**STATE, "task": "x"}, 422),
    "too many values": ({**STATE, "touched": {f"x{i}": 1 for i in range(300)}}, 422),
    "too large": (b" " * (MOST_BYTES + 1), 413),
}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/api/offers", {"text": "x", "kind": "plugins"}),
        ("/api/offers", {"text": "x" * 5000, "kind": "data"}),
        ("/api/runs/{id}/predictions", {"path": "photos", "out": "/tmp/x"}),
        ("/api/runs/{id}/predictions", {"path": ["photos", "out=/tmp/x"]}),
    ],
    ids=lambda item: str(item)[:40],
)
def test_only_what_is_asked_for_is_taken(path: str, content: dict[str, Any], served: Served) -> None:
    (run,) = served.get("/api/runs")["runs"]
    assert served.post(path.format(id=run["id"]), content).status == 422


@pytest.mark.parametrize("name", BODIES)
def test_strange_bodies_are_refused_in_a_line(name: str, served: Served) -> None:
    content, status = BODIES[name]
    answer = served.ask("POST", "/api/view", content)
    assert answer.status == status
    told = answer.json["detail"]
    assert isinstance(told if isinstance(told, str) else told[0], str)
    assert b"Traceback" not in answer.body


def test_a_body_that_never_ends_is_cut(served: Served) -> None:
    """Chunks without a length: the server stops reading at its limit."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.putrequest("POST", "/api/view", skip_host=True)
    for name, value in {**served.usual, "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    sent, chunk = 0, b"10000\r\n" + b" " * 65536 + b"\r\n"
    try:
        while sent < 50 * MOST_BYTES:
            connection.send(chunk)
            sent += 65536
    except OSError:
        pass
    assert sent < 10 * MOST_BYTES
    connection.close()
    assert served.ask("GET", "/api/runs").status == 200


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"hyperparameters": {}, "_target_": "os.system"}', "key _target_ is refused"),
        ('{"hyperparameters": {"learning_rate": "${oc.env:SECRET}"}}', "${...} is refused"),
        ('{"hyperparameters": {}, "hydra": {"run": {"dir": "/x"}}}', "key hydra is refused"),
        ('{"hyperparameters": {}, "plugins": ["os"]}', "key plugins is refused"),
        ('{"hyperparameters": {"lr": 1}}', "lr is no setting"),
        ('{"hyperparameters": {}, "data": {"root": "../x"}}', "'..' is refused"),
        ('{"result": ' + "[" * 5000 + "]" * 5000 + "}", "nested deeper"),
        ("not json", "not plain JSON"),
        ('{"hyperparameters": {"loss": "<img src=x onerror=alert(1)>"}}', "loss=<img src=x onerror=alert(1)>: must be"),
        ("\ud800", "not understood: text"),
    ],
    ids=lambda item: item[:40].encode("unicode_escape").decode(),
)
def test_a_forged_experiment_is_refused_as_on_the_command_line(text: str, reason: str, served: Served) -> None:
    answer = served.post("/api/load", {"text": text})
    assert answer.status == 422
    assert reason in " ".join(answer.json["detail"]) and "/tmp" not in answer.body.decode()


@pytest.mark.parametrize("name", ["../task/regression", "quick plugins=[os]", "'quick'", "", "\n"])
def test_a_forged_recipe_is_refused(name: str, served: Served) -> None:
    answer = served.post("/api/recipe", {"task": "classification", "recipe": name})
    assert answer.status == 422 and answer.json["detail"][0].startswith("recipe=")


def test_a_path_of_a_loaded_file_is_looked_at_only_inside(served: Served) -> None:
    loaded = served.post(
        "/api/load", {"text": '{"hyperparameters": {}, "data": {"name": "folder", "root": "/etc"}}'}
    ).json
    assert loaded["touched"] == {"data": "folder", "data.root": "/etc"}
    answer = served.post("/api/runs", {**loaded, "ticket": TICKET})
    assert answer.status == 422 and "outside of what this page may read" in answer.json["detail"][0]


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ({"plugins": {"choices": ["os"]}}, "plugins does not vary here"),
        ({"experiment": {"choices": ["/etc/passwd"]}}, "experiment does not vary here"),
        ({"data.root": {"choices": ["/etc"]}}, "data.root does not vary here"),
        ({"model.weights": {"choices": ["/etc/passwd"]}}, "model.weights does not vary here"),
        ({"hydra.run.dir": {"choices": ["x"]}}, "hydra.run.dir does not vary here"),
        ({"optimizer": {"choices": ["sgd) hydra.run.dir=x", "adam"]}}, "optimizer=sgd) hydra.run.dir=x: must be"),
        ({"tracking.run_name": {"choices": ["${oc.env:SECRET}", "b"]}}, "${...} is not taken"),
        ({"augment": {"choices": ["../x", "light"]}}, "augment=../x: must be"),
        ({"model": {"choices": ["/etc/passwd", "resnet18"]}}, "model=/etc/passwd: is a path"),
        ({"model": {"choices": ["../x) hydra.run.dir=x", "resnet18"]}}, "model=../x) hydra.run.dir=x: "),
        ({"model.name": {"choices": ["a", "b"]}}, "model.name does not vary here"),
        ({"task": {"choices": ["regression", "classification"]}}, "task does not vary here"),
        ({"learning_rate": {"low": "0.1) seed=1", "high": 1}}, "low=0.1) seed=1: must be a number"),
        ({"learning_rate": {"low": 1, "high": 2, "words": "x"}}, "words is no part of a range"),
    ],
    ids=str,
)
def test_a_forged_range_is_refused(ranges: dict[str, Any], reason: str, served: Served) -> None:
    answer = served.post("/api/sweeps", {**STATE, "ranges": ranges, "ticket": TICKET})
    assert answer.status == 422 and reason in " ".join(answer.json["detail"]), answer.json


@pytest.mark.parametrize("field", ["ticket", "trials", "slots", "pruner"])
def test_the_rest_of_a_start_is_checked_too(field: str, served: Served) -> None:
    whole = {**STATE, "ranges": {"learning_rate": {"low": 0.1, "high": 0.2}}, "ticket": TICKET, "trials": 1, "slots": 1}
    wrong = {"ticket": "../x", "trials": -1, "slots": 0, "pruner": "os.system"}
    assert served.post("/api/sweeps", {**whole, field: wrong[field]}).status == 422


def test_what_changes_something_is_never_a_get(served: Served) -> None:
    (run,) = served.get("/api/runs")["runs"]
    for path in ("stop", "kill", "resume", "predictions/stop"):
        assert served.ask("GET", f"/api/runs/{run['id']}/{path}").status in (404, 405)


# The process


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", "", "127.0.0.2"])
def test_no_other_address_than_loopback(host: str) -> None:
    with pytest.raises(UserError, match=r"ssh -L 8123:127\.0\.0\.1:8123 "):
        listen(host, 8123)


def test_the_refusal_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "visrun", "ui", "--no-browser", "--host", "0.0.0.0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("visrun: error: --host 0.0.0.0: ") and "ssh -L 8765:127.0.0.1:8765" in done.stderr


def test_it_listens_on_loopback_only(served: Served) -> None:
    listening = [
        c.laddr for c in psutil.Process(served.process.pid).net_connections() if c.status == psutil.CONN_LISTEN
    ]
    assert [tuple(place) for place in listening] == [("127.0.0.1", served.port)]


def test_a_taken_port_is_said(served: Served) -> None:
    with pytest.raises(UserError, match=f"--port {served.port}: is taken"):
        listen("127.0.0.1", served.port)
    with pytest.raises(UserError, match="--port 70000: must be an integer"):
        listen("localhost", 70000)


def test_ctrl_c_ends_it_within_a_second_with_streams_open(tmp_path: Path, demo: dict[str, str]) -> None:
    served, opened = serve(tmp_path, **demo), contextlib.ExitStack()
    try:
        run = tmp_path / "outputs" / "day" / "run"
        run.mkdir(parents=True)
        content = describe(DEFAULTS, result={"status": "running"})
        (run / "experiment.json").write_text(json.dumps(content))
        (run / "run.lock").write_text(json.dumps(this_process()))
        (line,) = served.get("/api/runs")["runs"]
        for _ in range(3):
            stream = opened.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            head = "".join(f"{name}: {value}\r\n" for name, value in served.usual.items())
            stream.sendall(f"GET /api/runs/{line['id']}/stream HTTP/1.1\r\n{head}\r\n".encode())
            assert b"text/event-stream" in stream.recv(65536)
        began = time.monotonic()
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(timeout=30) == 0
        took = time.monotonic() - began
        assert served.process.stderr is not None and served.process.stderr.read() == ""
        assert took < 5.0  # a second on a machine with nothing else to do: see benchmarks/ui.py
    finally:
        opened.close()
        finish(served)


# a server that ends while its warming up is inside pydantic, which asks Python about values
ENDS_WHILE_IT_COMPOSES = """
import http.client, os, signal, threading, time
from pathlib import Path
from pydantic import BaseModel, field_validator
from visrun.web.server import listen, make_desk, serve

class Slow(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def checked(cls, value):
        time.sleep(0.001)
        return value

def end():
    asked = http.client.HTTPConnection(*listener.getsockname())
    asked.request("GET", "/")
    asked.getresponse().close()  # so the server is there to take the signal
    asked.close()
    os.kill(os.getpid(), signal.SIGTERM)  # SIGINT may be ignored, as in a shell's background
    if WAITS:
        with desk.composer.lock:
            pass

desk, listener = make_desk(Path.cwd(), [], port=0, token=""), listen("127.0.0.1", 0)
desk.composer.look = lambda words: [Slow(value=1) for _ in range(1000)]
threading.Thread(target=end).start()
serve(desk, listener)
"""


@pytest.mark.parametrize("waits", [False, True], ids=["nobody waits", "a request waits for it"])
def test_the_end_waits_for_who_composes_and_nobody_waits_for_ever(waits: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"WAITS = {waits}{ENDS_WHILE_IT_COMPOSES}"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_idle_it_is_small_and_knows_no_torch(served: Served) -> None:
    assert served.post("/api/view", STATE).status == 200
    assert served.post("/api/space", STATE).status == 200
    process = psutil.Process(served.process.pid)
    assert process.memory_info().rss < 150e6
    maps = Path(f"/proc/{process.pid}/maps")
    if maps.exists():
        assert not re.findall(r"libtorch|_mlflow|sklearn", maps.read_text())
