"""Where a run is written down besides its own folder: an MLflow store, or nowhere.

A tracker is told what happened and never answers back: no call raises, and none but ``finish`` waits. metrics.jsonl in
the run folder stays the source of truth, so a tracker may lose what its server does not take; ``finish`` says what.

    tracker = open_tracker("mlflow", experiment="visrun/classification", run_name="resnet18")
    tracker.start()
    tracker.epoch(1, {"loss": 0.7, "accuracy": 0.91})
    warning = tracker.finish("finished")
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from visrun.errors import ConfigError
from visrun.files import read_object
from visrun.result import Ending
from visrun.tracking.names import RECORD
from visrun.tracking.uris import SQLITE, URI, absolute_uri, is_relative, problem_of, sqlite_path, without_password

if TYPE_CHECKING:
    from torch import Tensor, nn

STATUSES: dict[Ending, str] = {"finished": "FINISHED", "pruned": "KILLED", "killed": "KILLED", "failed": "FAILED"}


class Data(NamedTuple):
    """What a run read: ``context`` is training, validation or test; ``profile`` are plain values to be shown."""

    name: str
    digest: str
    source: str
    context: str
    profile: Mapping[str, Any]


class Tracker(Protocol):
    """What the composition root tells about a run, from one thread.

    ``link`` is the run's page and ``command`` starts the UI that shows it, where no server does; ``run_id`` is the
    store's name for the run. Each is None where there is no such thing (yet).
    """

    @property
    def link(self) -> str | None: ...

    @property
    def command(self) -> str | None: ...

    @property
    def run_id(self) -> str | None: ...

    def start(self) -> None:
        """Open the run; returns at once."""

    def wait(self) -> str | None:
        """Wait until the run exists, while its store gets on with it; at most 5 s for a server that does not answer.

        Returns:
            The run's id; None where there is no run (yet).
        """

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note the values of an epoch (from 1). An epoch that the store already has is left as it is.

        ``time/at``, where it is among them, is when the epoch ended, and no value of its own.
        """

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Note values over something else than epochs, from step 1; a step that the store has stays as it is."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Note what the run came to (``test/accuracy``): values without a step. Later ones replace earlier ones."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep the file as it is when the tracker comes to it, under ``folder`` of the run's artifacts."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a later value replaces an earlier one."""

    def trouble(self) -> str | None:
        """One line, once for a run, on what the store has refused for good since the last call, or else None.

        So, too, on what has been tried in vain for half a minute, and goes on being tried.
        """

    def end_run(self, record: Path, status: Ending, reason: str | None = None) -> None:
        """Close another run of the same store, one whose process died, by its ``record``; see `open_tracker`.

        Nothing happens where the record is missing or that run was closed by itself.
        """

    def drop_run(self, record: Path) -> None:
        """Delete another run of the same store that holds no value, by its ``record``, which is read at once.

        MLflow keeps deleted runs, so that they can be restored.
        """

    def model(self, module: nn.Module, example: Tensor, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Keep the trained model. Call it after the last step.

        Args:
            module: On the CPU, used by nobody else from now on. It maps (B, 3, H, W) floats to a tensor or to a
                dictionary with a tensor under "out".
            example: (2, 3, H, W) float32 on the CPU, normalised as the module expects.
            metadata: Plain values that a user of the model needs (class names, mean, std).
        """

    def finish(self, status: Ending, reason: str | None = None) -> str | None:
        """Close the run as "finished", "pruned", "killed" or "failed".

        Waits while the store takes what is left; at most 5 s for a server that does not answer. One that is alive may
        take longer over a file or the model, see `visrun.tracking.worker`. A signal that comes meanwhile ends the wait.

        Args:
            reason: Why it ended so, one line; kept as the tag "reason".

        Returns:
            One line that says what was not written down and why, or None: also where `trouble` has said that the run
            was not opened, and no later process can.
        """


class NoTracker:
    """Writes nothing down."""

    link: str | None = None
    command: str | None = None
    run_id: str | None = None

    def start(self) -> None:
        """Nothing to open."""

    def wait(self) -> str | None:
        """There is no run to wait for."""
        return None

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Not noted."""

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Not noted."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Not noted."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Not kept."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Not set."""

    def trouble(self) -> str | None:
        """Nothing is refused."""
        return None

    def end_run(self, record: Path, status: Ending, reason: str | None = None) -> None:
        """There is no such run."""

    def drop_run(self, record: Path) -> None:
        """There is no such run."""

    def model(self, module: nn.Module, example: Tensor, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Not kept."""

    def finish(self, status: Ending, reason: str | None = None) -> str | None:
        """Nothing was to be written down, so nothing is missing."""


def open_tracker(
    name: Literal["mlflow", "none"],
    *,
    experiment: str,
    run_name: str,
    uri: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    data: Sequence[Data] = (),
    record: Path | None = None,
    began: float | None = None,
    names: Collection[str] = (),
    kept: str = "metrics.jsonl in the run folder holds every value",
    later: str | None = None,
) -> Tracker:
    """The tracker called ``name``; its ``start`` opens the run, and the thread in which it writes to MLflow.

    Args:
        name: "mlflow", or "none".
        experiment: Groups runs; made where it does not exist.
        run_name: What people read in the list of runs.
        uri: The store; None for ``default_uri()``. Relative SQLite paths are resolved from the current folder.
        params: What the run reads. Written once; a resumed run adds only those that are missing.
        tags: Task, model, git commit, host and the like. "status" is kept by the tracker.
        data: What the run reads; two of one name need two digests.
        record: A file that keeps the run's id: a resumed run goes on with it, where it still exists.
        began: When the run began, in seconds since 1970, which may be before its store is reached; None for now.
        names: What metrics' names may end in, such as classes: those that MLflow, which refuses some characters, would
            show alike are spelled.
        kept: Where a person finds what the store did not take, as `Tracker.finish` says it.
        later: The command that sends it later, once the run has finished, all but the model; None where none does.

    Raises:
        ConfigError: MLflow is not installed, or no store can be at ``uri``.
    """
    if name == "none":
        return NoTracker()
    require_address(name, uri)
    if importlib.util.find_spec("mlflow") is None:
        raise ConfigError(
            "tracking=mlflow: mlflow is not installed; install it (pip install mlflow) or use tracking=none"
        )
    from visrun.tracking.worker import MlflowTracker

    return MlflowTracker(
        uri=absolute_uri(uri or default_uri()),
        experiment=experiment,
        run_name=run_name,
        params=dict(params or {}),
        tags=dict(tags or {}),
        data=list(data),
        record=record,
        began=time.time() if began is None else began,
        names=names,
        kept=kept,
        later=later,
    )


def require_address(name: str, uri: str | None) -> None:
    """Refuse a store that can never work, before anything is done; no server is asked and no mlflow imported.

    Raises:
        ConfigError: It names its setting or variable.
    """
    address = uri or default_uri()
    problem = problem_of(absolute_uri(address)) if name != "none" else None
    if problem:
        key = URI if not uri and os.environ.get(URI) else "tracking.uri"
        raise ConfigError(f"{key}={without_password(address)}: {problem}")


def forget(folder: Path) -> None:
    """Let what begins anew in a folder have a run of its own, whatever was written there before."""
    (folder / RECORD).unlink(missing_ok=True)


def recorded_uri(folder: Path, wanted: str | None) -> str | None:
    """The database of the run in a folder, where it is still there and no other is named.

    Args:
        wanted: tracking.uri, of which a relative path names none: it counts from the folder where the run began. None
            for what MLFLOW_TRACKING_URI names.
    """
    uri = read_object(folder / RECORD).get("uri")
    named = not is_relative(wanted) if wanted else os.environ.get(URI)
    if named or not isinstance(uri, str) or not uri.startswith(SQLITE):
        return None
    return uri if os.path.isfile(sqlite_path(uri)) else None  # noqa: PTH113 (one that may not be looked at is not there)


def default_uri() -> str:
    """MLFLOW_TRACKING_URI where it is set, else mlflow.db in the current folder."""
    return os.environ.get(URI) or "mlflow.db"
