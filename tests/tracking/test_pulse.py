"""Whether a silent server is still there."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from visrun.tracking import pulse
from visrun.tracking.pulse import Pulse


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(pulse, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(pulse, "ANSWER_SECONDS", 0.5)


@pytest.fixture
def hole():
    """A port that takes connections, as the kernel does for a stopped process, and on which nobody answers."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(16)
        yield f"http://127.0.0.1:{made.getsockname()[1]}"


@pytest.fixture
def alive():
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            self.send_error(401)

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    made.asked = 0
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_server_that_says_nothing_has_stopped_after_as_long_as_it_is_given(hole):
    began = time.monotonic()
    assert Pulse(hole).stopped(began - 1)
    assert 0.4 < time.monotonic() - began < 1.5


def test_looking_up_a_name_may_take_no_longer(monkeypatch):
    monkeypatch.setattr(pulse, "probe", lambda *_: time.sleep(5))
    began = time.monotonic()
    assert Pulse("http://nowhere").stopped(began - 1)
    assert time.monotonic() - began < 1.5


def test_a_server_that_refuses_connections_has_stopped():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert Pulse(f"http://127.0.0.1:{free.getsockname()[1]}").stopped(time.monotonic() - 1)


def test_nobody_is_asked_before_there_was_silence_for_a_while(hole):
    assert not Pulse(hole).stopped(time.monotonic())


def test_any_answer_is_a_sign_of_life_and_holds_for_a_while(alive):
    asker, since = Pulse(f"http://127.0.0.1:{alive.server_port}"), time.monotonic() - 1
    assert not asker.stopped(since) and not asker.stopped(since)
    assert alive.asked == 1
    time.sleep(0.25)
    assert not asker.stopped(since)
    assert alive.asked == 2


@pytest.mark.parametrize("uri", ["sqlite:////nowhere/mlflow.db", "postgresql://nowhere/db"])
def test_other_stores_are_not_asked(uri):
    assert not Pulse(uri).stopped(time.monotonic() - 1)
