"""``visrun ui``: the page's server on this machine alone, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from visrun.arguments import verb_parser
from visrun.config import plugins
from visrun.errors import ConfigError, UserError
from visrun.folders import expanded, home_folder
from visrun.tables import TASKS
from visrun.web.app import make_app
from visrun.web.desk import Desk
from visrun.web.guard import Guard
from visrun.web.roots import Roots

HOST, PORT, TRIES = "127.0.0.1", 8765, 20  # ports that are tried from the usual one on, where none is named
LOOPBACK = (HOST, "localhost")


class Server(uvicorn.Server):
    """A server whose streams end first when it is asked to, or it would wait for them."""

    closing = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.closing = True
        super().handle_exit(sig, frame)


def main(words: Sequence[str]) -> int:
    """Serve the page until a signal ends it.

    Raises:
        UserError: An address beyond this machine, a port that is taken, or words that mean nothing.
    """
    parser = verb_parser("ui")
    parser.add_argument("--port", type=int, help=f"port of this machine; {PORT}, or one above it that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument("--data", metavar="DIR", type=Path, action="append", default=[], help="a folder with datasets")
    parser.add_argument("--host", default=HOST, help="127.0.0.1 only")
    always = tuple(word for word in words if word.startswith("plugins="))
    given = parser.parse_args(plugins.take(words, cwd=Path.cwd()))
    if given.words:
        raise ConfigError(f"visrun ui takes no {given.words[0]}: settings are made on the page")
    listener = listen(given.host, given.port)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(32)
    desk = make_desk(Path.cwd(), given.data, port=port, token=token, always=always)
    address = f"http://{HOST}:{port}/?token={token}"
    print(f"visrun ui: {address}\n{_tunnel(port)}Ctrl-C ends the page; runs that train go on.", flush=True)
    if not given.no_browser and _has_display():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    serve(desk, listener)
    return 0


def make_desk(cwd: Path, data: Sequence[Path], *, port: int, token: str, always: tuple[str, ...] = ()) -> Desk:
    """What the server works with: it may read what lies below ``cwd``, the home folder and ``data``.

    Raises:
        UserError: A folder of ``data`` does not exist.
    """
    missing = [folder for folder in data if not expanded(folder).is_dir()]
    if missing:
        raise UserError(f"--data {missing[0]}: no such folder; name one that exists")
    home = home_folder()
    roots = Roots([cwd, *([home] if home else []), *data])
    return Desk(cwd, roots, cookie=f"visrun_{port}", token=token, always=always)  # a cookie ignores the port


def serve(desk: Desk, listener: socket.socket) -> None:
    """Answer until a signal comes; what the page has started for itself is ended then."""
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        Guard(make_app(desk), port=port, cookie=desk.cookie, token=desk.token),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    desk.closing = lambda: server.closing
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: server.handle_exit(signal.SIGTERM, None))  # its terminal is closed
    try:
        threading.Thread(target=_warm, args=(desk,), name="visrun-warm").start()
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has closed
        pass
    finally:
        server.closing = True
        desk.close()


def listen(host: str, port: int | None) -> socket.socket:
    """A socket on this machine's own address.

    Raises:
        UserError: Another address is asked for, or the port is taken.
    """
    if host not in LOOPBACK:
        shown = PORT if port is None else port
        raise UserError(
            f"--host {host}: the page is for this machine alone; from another one, ssh -L {shown}:{HOST}:{shown} "
            f"{socket.gethostname()} brings it there, then open the address that visrun ui prints"
        )
    if port is not None and not 0 <= port <= 65535:
        raise UserError(f"--port {port}: must be an integer from 0 to 65535")
    for number in range(PORT, PORT + TRIES) if port is None else [port]:
        # with its protocol named, or asyncio would leave Nagle's algorithm on, which holds every answer back for 40 ms
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen(128)  # a browser that comes before the server answers waits instead of failing
            return listener
        except OSError:
            listener.close()
    raise UserError(f"--port {PORT if port is None else port}: is taken; choose another one, such as --port 0")


def _warm(desk: Desk) -> None:
    """Look at all runs and compose each task once, before anybody asks, unless the server ends.

    For no daemon: before Python 3.14 the interpreter's end throws those out of what they do, and inside pydantic, which
    is Rust, that aborts the process.
    """
    desk.library.listed()
    for task in TASKS:
        with desk.composer.lock:
            if desk.closing():
                return
            desk.composer.look((f"task={task}",))


def _tunnel(port: int) -> str:
    """A line for who came here over SSH."""
    if "SSH_CONNECTION" not in os.environ:
        return ""
    return f"From your own machine: ssh -L {port}:{HOST}:{port} {socket.gethostname()}, then open this address.\n"


def _has_display() -> bool:
    """Whether a browser could show something; on Linux a text browser would take the terminal instead."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
