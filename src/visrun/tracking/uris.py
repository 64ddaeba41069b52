"""Addresses of MLflow stores: which are local, how a person opens them, whether they answer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import sqlite3
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from visrun.folders import expanded
from visrun.interpreter import python
from visrun.tracking.needs import DATABASES, NAMES, lacking

URI = "MLFLOW_TRACKING_URI"  # the variable that names a store to MLflow
SQLITE = "sqlite:///"
LOCK_SECONDS = 20.0  # that another program may keep a SQLite file to itself before it is tried anew
LOOK_SECONDS = 1.0  # the same while a run waits for a look at it
EXPERIMENTS = "SELECT 1 FROM experiments"  # one that MLflow has used has its "Default" at least
TABLES = {"experiments", "runs", "metrics", "params", "tags", "alembic_version"}  # some of MLflow's
NEWER = "a newer MLflow made it; update mlflow, or name another database"
FOREIGN = "another program made it; name a file that MLflow may have for itself, such as mlflow.db"
DAMAGED = "restore a copy of it, or name another database (tracking.uri=NEW.db)"
NO_DATABASE = "name a file that ends in .db and is a database, or is not there yet"
UNWRITABLE = "let it and its folder be written, or name another database (tracking.uri=NEW.db)"
SERVER = "give such as http://127.0.0.1:5000"
FAULTS = {sqlite3.SQLITE_CORRUPT: "damaged", sqlite3.SQLITE_NOTADB: "none"}
LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` listens unless told otherwise
VIEW = "?workflowType=machine_learning"  # else MLflow's pages are laid out for language models


def is_local(uri: str) -> bool:
    """Whether the store is files on this machine."""
    return uri.startswith((SQLITE, "file:", "/")) or ("://" not in uri and uri not in NAMES)


def is_relative(uri: str) -> bool:
    """Whether ``uri`` is a path that means another store in another folder.

    >>> is_relative("my.db"), is_relative("sqlite:///my.db"), is_relative("/srv/my.db"), is_relative("http://host")
    (True, True, False, False)
    """
    return uri not in NAMES and "://" not in uri.removeprefix(SQLITE) and not expanded(sqlite_path(uri)).is_absolute()


def absolute_uri(uri: str) -> str:
    """``uri`` that means the same from every folder; a path that ends in .db is a SQLite store.

    >>> absolute_uri("http://127.0.0.1:5000/"), absolute_uri("sqlite:////srv/runs.db")
    ('http://127.0.0.1:5000', 'sqlite:////srv/runs.db')
    """
    if "://" not in uri and uri.endswith((".db", ".sqlite")):
        return sqlite_uri(Path(uri))
    if uri.startswith(SQLITE):
        return sqlite_uri(sqlite_path(uri))
    return uri.rstrip("/") if uri.startswith(("http://", "https://")) else uri


def problem_of(uri: str) -> str | None:
    """Why no store can be at this absolute address, and what to do instead; None where there may be one.

    >>> problem_of("http://host:5000"), problem_of("https://me:secret@host/mlflow")
    (None, None)
    >>> problem_of("http://host:x")
    'no such port; give such as http://127.0.0.1:5000'
    """
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else uri
    if scheme in ("http", "https"):
        try:
            parts = urllib.parse.urlsplit(uri)
            return None if parts.hostname and parts.port != 0 else f"no host; {SERVER}"
        except ValueError:
            return f"no such port; {SERVER}"
    if scheme == "sqlite":
        if not uri.startswith(SQLITE):
            return "sqlite has three slashes before its path; give a path that ends in .db"
        if sqlite_path(uri).is_dir():
            return "is a folder; give a path that ends in .db"
        return _problem_of_file(uri, sqlite_path(uri))
    if scheme in (*NAMES, *DATABASES):
        return lacking(uri, scheme)
    if scheme in {entry.name for entry in entry_points(group="mlflow.tracking_store")}:
        return None
    if "://" in uri and scheme != "file":
        return (
            f"no such kind of store; a path that ends in .db, http://, https:// or a database: {', '.join(DATABASES)}"
        )
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return None
    is_folder = os.path.isdir(urllib.parse.unquote(uri.removeprefix("file://")))  # noqa: PTH112 (it may be closed to us)
    turned = " (mlflow migrate-filestore turns one into a database)" if is_folder else ""
    return f"MLflow takes no folder as a store; give a path that ends in .db, or a server's address{turned}"


def _problem_of_file(uri: str, file: Path) -> str | None:
    known = {
        "older": outdated(uri),
        "newer": NEWER,
        "foreign": FOREIGN,
        "damaged": f"it is damaged; {DAMAGED}",
        "none": f"no database; {NO_DATABASE}",
    }
    there = next((path for path in (file, *file.parents) if os.path.lexists(path)), file.parent)
    folder = file.parent if there == file else there  # beside a database lies its journal
    if any(os.path.exists(path) and not os.access(path, os.W_OK) for path in (there, folder)):  # noqa: PTH110
        return f"it cannot be written; {UNWRITABLE}"
    return known.get(_made_by(file))


def outdated(uri: str) -> str:
    """What to do with a database that MLflow would migrate as it opens it; broken off, that leaves one that is lost."""
    return f"an older MLflow made it; copy it, then: {_program()} db upgrade {shlex.quote(without_password(uri))}"


def _made_by(database: Path) -> str:
    """Who made a SQLite store that holds something: an ``older`` or ``newer`` MLflow than the installed one, which is
    not imported, or another program (``foreign``), or nobody (``none``); ``damaged`` where the file has been, and ""
    where that MLflow opens it as it is."""
    package = find_spec("mlflow")
    if package is None or package.origin is None or not os.path.isfile(database):  # noqa: PTH113 (or may not be seen)
        return ""
    try:
        reader = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=LOOK_SECONDS)
        with contextlib.closing(reader):
            tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and tables.isdisjoint(TABLES):
                return "foreign"
            if reader.execute(EXPERIMENTS).fetchone() is None:  # it is being made: its tables come before the first one
                return ""
            if "alembic_version" not in tables:
                return "older"  # MLflow's first versions noted none
            found = reader.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:  # one that does not answer now, but for these two
        return FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    steps = (Path(package.origin).parent / "store" / "db_migrations" / "versions").glob("*.py")
    texts = [step.read_text(encoding="utf-8") for step in steps]
    if found is None or any(f'down_revision = "{found[0]}"' in text for text in texts):
        return "older"
    return "" if any(f'\nrevision = "{found[0]}"' in text for text in texts) or not texts else "newer"


def sqlite_uri(path: Path) -> str:
    """The store in a file; "%" and "?" mean something in an address and are escaped."""
    return SQLITE + str(Path.cwd() / expanded(path)).replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path:
    """The file of a SQLite store."""
    return Path(urllib.parse.unquote(uri.removeprefix(SQLITE)))


def link(uri: str, experiment_id: str | None, run_id: str | None) -> str | None:
    """A run's page, None before the run exists; a store on this disk has it once its UI runs, see `command`.

    >>> link("http://host:5000", "1", "abc")
    'http://host:5000/#/experiments/1/runs/abc?workflowType=machine_learning'
    >>> link("sqlite:////home/me/mlflow.db", "1", "abc")
    'http://127.0.0.1:5000/#/experiments/1/runs/abc?workflowType=machine_learning'
    """
    if run_id is None:
        return None
    server = without_password(uri) if uri.startswith(("http://", "https://")) else LOCAL_UI
    return f"{server}/#/experiments/{experiment_id}/runs/{run_id}{VIEW}"


def command(uri: str) -> str | None:
    """What starts the UI of a store on this disk; None where a server runs."""
    if uri.startswith(("http://", "https://")):
        return None
    return f"{_program()} ui --backend-store-uri {shlex.quote(without_password(uri))}"


def _program() -> str:
    return "mlflow" if shutil.which("mlflow") else shlex.join(python("-m", "mlflow"))


def without_password(uri: str) -> str:
    """``uri`` as it may be shown.

    >>> without_password("https://me:secret@host/path")
    'https://me:***@host/path'
    """
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)


def without_user(uri: str) -> str:
    """``uri`` as it may be written to a file that is shared: neither who reads the store nor by what password.

    >>> without_user("https://me:secret@host/path")
    'https://host/path'
    """
    return re.sub(r"//[^/]*@", "//", uri)


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where a new experiment's files go: beside a SQLite store, else (None) where the server keeps them."""
    if not uri.startswith(SQLITE):
        return None
    folder = re.sub(r"[^\w.-]+", "-", experiment).strip("-.") or "experiment"
    return (sqlite_path(uri).parent / "mlruns" / folder).as_uri()


def probe(uri: str, seconds: float) -> None:
    """See whether a web server answers at all, whatever it answers; other stores are not asked.

    Raises:
        ConnectionError: It refuses, cannot be found, or says nothing for ``seconds``.
    """
    if not uri.startswith(("http://", "https://")):
        return
    from requests.utils import should_bypass_proxies  # mlflow's own rules: to urllib no_proxy names no networks

    parts = urllib.parse.urlsplit(uri)
    address = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    context = ssl._create_unverified_context()  # nothing is sent; mlflow itself verifies the server
    direct = [urllib.request.ProxyHandler({})] if should_bypass_proxies(address, None) else []
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), *direct)
    try:
        with opener.open(f"{address}/health", timeout=seconds):
            return
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if not isinstance(error, ssl.SSLError) and not isinstance(reason, ssl.SSLError):
            raise ConnectionError(f"it does not answer ({reason})") from None


@contextlib.contextmanager
def creation_lock(uri: str) -> Iterator[None]:
    """Only one process at a time makes a SQLite store's tables: two at once fail. No other store is locked.

    Raises:
        OSError, sqlite3.Error: The file cannot be written or is no database (MLflow would try for two minutes).
    """
    if not uri.startswith(SQLITE):
        yield
        return
    database = sqlite_path(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f"{database.name}.lock").open("w") as file:
        with contextlib.suppress(OSError):  # no locks there: SQLite says whether it can do without
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")
        yield
