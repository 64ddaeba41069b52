"""Calls to MLflow, one after another, from the tracker's thread. mlflow is imported only when the store opens.

The client's own interface is used, not the fluent one: no active run, nothing at exit, no lines on the screen.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visrun.errors import VisrunError
from visrun.result import Ending
from visrun.run_files import SECONDS
from visrun.tracking.client import ENVIRONMENT, Answering, current, environment, is_temporary, make_client
from visrun.tracking.names import look_alikes, metric_name, parameter_text, read_record, source_tags, write_record
from visrun.tracking.system import Meters
from visrun.tracking.uris import artifact_location, is_local, probe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from visrun.tracking import Data

PROBE_SECONDS = 3.0
IMPORT_SECONDS = 60.0  # importing mlflow
TABLES_SECONDS = 300.0  # the same and opening a file: making the tables of a new one, on a busy machine
EXPORT_SECONDS = 120.0  # tracing a model
BYTES_PER_SECOND = 5e6  # the slowest line that an upload of a large file has to live with
LARGE = 4_000_000  # bytes from which a file's upload may take longer than an ordinary answer
QUICK = 0.5  # seconds of an answer that is worth another sample of the system
START = "visrun.start"  # a tag that no other run has
BATCH = 100  # parameters and tags of one request; of metrics ten times as many: MLflow's limits


class Store:
    """One run in one MLflow store. ``open`` before anything else; see ``open_tracker`` for the arguments.

    Args:
        progress: Called when the store has answered, with the seconds that the next step may take (None: the usual).
    """

    def __init__(
        self,
        uri: str,
        *,
        experiment: str,
        run_name: str,
        tags: Mapping[str, str],
        record: Path | None,
        began: float,
        names: Collection[str],
        progress: Callable[[float | None], None],
    ) -> None:
        self.uri, self.experiment, self.run_name = uri, experiment, sendable(run_name)
        first = {**source_tags(tags), **tags, "status": "running", START: uuid.uuid4().hex}
        self.first_tags = {name: sendable(value) for name, value in first.items()}
        self.record, self.progress = record, progress
        self.experiment_id: str | None = None
        self.run_id: str | None = None
        self.seen: set[int] = set()
        self.known: Collection[str] = ()  # the parameters that the run has
        self.spelled = tuple(f"/{name}" for name in look_alikes(names))
        self.client: Any = None
        self.asked = False
        self.meters: Meters | None = None
        self.began = int(1000 * began)  # MLflow counts in milliseconds

    def open(self) -> None:
        """Reach the store and open the run. May be called again after it failed.

        Raises:
            ConnectionError: The server does not answer; mlflow is not imported then.
        """
        self.meters = self.meters or Meters()
        if noted := self.noted():  # what follows may be lacking there from now on
            write_record(self.record, self.uri, noted, is_open=True)
        if self.client is None:
            self.client = Answering(self._connect(), self.progress)
            self.progress(None)
        self.experiment_id = self._experiment()
        wanted = self.run_id or noted
        run = self._existing(wanted) or self._new()
        if not run.info.run_id:  # any answer in JSON is read as one that leaves everything out
            raise VisrunError("it is no MLflow server")
        self.run_id, self.experiment_id = run.info.run_id, run.info.experiment_id
        self.began = run.info.start_time
        write_record(self.record, self.uri, run.info.run_id, is_open=True)
        self.known = run.data.params
        if run.info.run_id == wanted:
            self._reopen(run)
        self.sample()

    def parameters(self, params: Mapping[str, Any]) -> None:
        """Write the parameters that are not there yet; those that are stay as they are."""
        from mlflow.entities import Param

        lacking = {name: value for name, value in params.items() if name not in self.known}
        pairs = [Param(name, sendable(parameter_text(value))) for name, value in lacking.items()]
        for start in range(0, len(pairs), BATCH):
            self._write(params=pairs[start : start + BATCH])

    def metrics(self, epoch: int, values: Mapping[str, float], milliseconds: int) -> None:
        """Write the values of an epoch that is not there yet, in one call (a thousand values each); 0: of none."""
        from mlflow.entities import Metric

        if epoch in self.seen:
            return
        batch = [Metric(self._shown(name), float(value), milliseconds, epoch) for name, value in values.items()]
        for start in range(0, len(batch), 10 * BATCH):
            self._write(metrics=batch[start : start + 10 * BATCH])

    def artifact(self, path: Path, folder: str) -> None:
        """Copy or upload a file."""
        with self._time_for(path.stat().st_size):
            self.client.log_artifact(self.run_id, str(path), folder or None)

    def data(self, data: Sequence[Data]) -> None:
        """Name what the run reads; what it has already stays as it is."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=sendable(item.name[:500]),
                    digest=item.digest[:36],  # MLflow's limit
                    source_type="local",
                    source=json.dumps({"uri": item.source}),
                    profile=json.dumps(item.profile),
                ),
                [InputTag("mlflow.data.context", item.context)],
            )
            for item in data
        ]
        self.client.log_inputs(self.run_id, datasets=inputs)

    def tags(self, tags: Mapping[str, str], run_id: str | None = None) -> None:
        """Set tags, of this run or of another."""
        from mlflow.entities import RunTag

        pairs = [RunTag(metric_name(name), sendable(str(value))) for name, value in tags.items()]
        for start in range(0, len(pairs), BATCH):
            self._write(run_id, tags=pairs[start : start + BATCH])

    def model(self, module: nn.Module, example: Tensor, metadata: dict[str, Any]) -> None:
        """Trace the model and upload it with its signature."""
        from visrun.tracking.model import NUMBER_BYTES, log_model

        size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
        size += NUMBER_BYTES * example[0].numel()
        with self._time_for(max(size, LARGE + 1), EXPORT_SECONDS), current(self.uri):
            client = self.client.client  # whose answers do not end the time that all of them are given
            log_model(client, client.get_run(self.run_id), module, example, metadata=metadata)

    def end(self, word: Ending, status: str, reason: str | None) -> None:
        """Close the run with MLflow's ``status`` and the tags status = ``word`` and reason."""
        self._close(self.run_id, word, status, reason)
        if self.client.seconds < QUICK:  # a slow server has more important things to take
            self.sample()

    def noted(self) -> str | None:
        """The run by which another process goes on, also while the store does not answer; None where there is none."""
        return read_record(self.record, self.uri)

    def close_record(self) -> None:
        """Note that the store has all of the run."""
        if self.run_id is not None:
            write_record(self.record, self.uri, self.run_id)

    def end_run(self, record: Path, word: Ending, status: str, reason: str | None) -> None:
        """Close the run of a record, if there is one that is still open."""
        run = self._existing(read_record(record, self.uri))
        if run is not None and run.info.status == "RUNNING":
            self._close(run.info.run_id, word, status, reason)

    def drop_run(self, run_id: str | None) -> None:
        """Delete a run that has ended without a value, if there is one."""
        # A folder whose move was broken off may hold a copy of this run's own record.
        run = self._existing(run_id) if run_id != self.run_id else None
        if run is not None and not trained_metrics(run):
            self.client.delete_run(run_id)

    def sample(self) -> None:
        """Write the load of the machine now.

        These values are a comfort: where they cannot be had or written, the run is none the worse.
        """
        from mlflow.entities import Metric

        with contextlib.suppress(Exception):
            assert self.meters is not None
            values, now = self.meters.read(), time.time_ns() // 1_000_000
            # Seconds of the run: they go on where a resumed run stopped. MLflow shows those of 0 as the model's.
            step = max(1, (now - self.began) // 1000)
            batch = [Metric(f"system/{name}", float(value), now, step) for name, value in values.items()]
            self._write(metrics=batch)

    def _write(self, run_id: str | None = None, **what: Sequence[Any]) -> None:
        """One request, and its answer: of what MLflow sends from a thread of its own nobody hears that it failed."""
        self.client.log_batch(run_id or self.run_id, **what, synchronous=True)

    def _shown(self, name: str) -> str:
        return metric_name(name, spelled=f"/{name}".endswith(self.spelled))

    def _connect(self) -> Any:
        probe(self.uri, PROBE_SECONDS)
        self.progress(TABLES_SECONDS if is_local(self.uri) else IMPORT_SECONDS)
        return make_client(self.uri)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(self.client.create_experiment(self.experiment, artifact_location(self.uri, self.experiment)))
            except MlflowException:
                found = self.client.get_experiment_by_name(self.experiment)  # another process was faster
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise VisrunError(f"experiment {self.experiment} is deleted there; restore it or set tracking.experiment")
        return str(found.experiment_id)

    def _new(self) -> Any:
        """Make the run, unless it was made by a request whose answer was lost: it is found by a tag of its own."""
        if self.asked:
            wanted = f"tags.`{START}` = '{self.first_tags[START]}'"
            if found := self.client.search_runs([self.experiment_id], wanted, max_results=1):
                return found[0]
        self.asked = True
        with environment("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"):  # MLflow would send it again without a look
            return self.client.create_run(
                self.experiment_id, start_time=self.began, tags=self.first_tags, run_name=self.run_name
            )

    def _existing(self, run_id: str | None) -> Any:
        """The run, or None where it is not there (any more)."""
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return None
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if is_temporary(error):
                raise
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def _reopen(self, run: Any) -> None:
        """Go on with a run: mark it as running and learn which epochs it has. An epoch is written as a whole."""
        names = trained_metrics(run)
        always = [SECONDS] if SECONDS in names else names  # others may be undefined in some epochs
        steps = {metric.step for name in always for metric in self.client.get_metric_history(run.info.run_id, name)}
        self.seen = steps - {0}  # that of the summary
        self.client.update_run(run.info.run_id, status="RUNNING")
        if "reason" in run.data.tags:
            self.client.delete_tag(run.info.run_id, "reason")
        self.tags(self.first_tags)

    def _close(self, run_id: str | None, word: Ending, status: str, reason: str | None) -> None:
        self.tags({"status": word, **({"reason": reason} if reason else {})}, run_id)
        self.client.set_terminated(run_id, status)

    @contextlib.contextmanager
    def _time_for(self, size: int, seconds: float = 0.0) -> Iterator[None]:
        """Let an upload of ``size`` bytes take its time, if the store has just shown that it answers."""
        if size <= LARGE:
            yield
            return
        self.client.get_run(self.run_id)
        allowed = seconds + size / BYTES_PER_SECOND
        self.progress(allowed + PROBE_SECONDS)
        name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
        kept = os.environ.get(name, ENVIRONMENT[name])
        with environment(name, str(int(4 + size / BYTES_PER_SECOND)) if kept == ENVIRONMENT[name] else kept):
            yield


def trained_metrics(run: Any) -> list[str]:
    """The metrics that a run of MLflow has, but for those of the machine's load."""
    return [name for name in run.data.metrics if not name.startswith("system/")]


def sendable(text: str) -> str:
    """``text`` with "?" for what UTF-8 cannot say: a byte of a file's name that is no text."""
    return text.encode("utf-8", "replace").decode()
