"""The MLflow tracker: the training thread only enqueues, one daemon thread talks to the store.

While the run trains, a store that does not answer is tried again and again, at growing intervals; training does not
notice. Once ``finish`` is called each waiting job is tried once more; ``finish`` gives up after some seconds without
progress, when a server shows no sign of life, or when all that was waiting takes too long. What matters most goes
first: values, the status, files, the model. The thread is a daemon, so a request that hangs does not keep the process
alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visrun.console import log_bug
from visrun.errors import VisrunError
from visrun.result import Ending
from visrun.signals import asked
from visrun.tracking import STATUSES, Data
from visrun.tracking.client import import_shared, is_temporary, is_told
from visrun.tracking.jobs import KINDS, RANKS, Job
from visrun.tracking.names import AT, one_line, read_record
from visrun.tracking.pulse import Pulse
from visrun.tracking.store import Store
from visrun.tracking.uris import command, is_local, link, without_password

if TYPE_CHECKING:
    from torch import Tensor, nn

REMOTE_PATIENCE = 5.0  # seconds that finish() waits for an answer of a server
LOCAL_PATIENCE = 60.0  # the same for a file: the disk answers in the end, a loaded one late
REMOTE_LIMIT, LOCAL_LIMIT = 60.0, 600.0  # seconds that finish() waits for all answers, beside those for large uploads
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two tries while the run trains
TELL_SECONDS = 30.0  # of tries in vain, after which a person is told: it may be theirs to mend
SAMPLE_SECONDS = 10.0  # between two samples of the system's metrics


class MlflowTracker:
    """See ``visrun.tracking.Tracker`` and ``open_tracker`` for the meaning of the arguments."""

    def __init__(
        self, *, uri: str, params: Mapping[str, Any], data: Sequence[Data], kept: str, later: str | None, **run: Any
    ) -> None:
        self.uri, self._kept, self._later = uri, kept, later
        self._patience = LOCAL_PATIENCE if is_local(uri) else REMOTE_PATIENCE
        self._limit = LOCAL_LIMIT if is_local(uri) else REMOTE_LIMIT
        self._allowed, self._until = self._patience, 0.0
        self._since = time.monotonic()
        self._store, self._pulse = Store(uri, **run, progress=self._progress), Pulse(uri)
        self._jobs: queue.PriorityQueue[Job] = queue.PriorityQueue()
        self._failed: list[Job] = []  # to be tried again; the thread's alone
        self._numbers = count()
        self._models: list[Callable[[], None]] = []
        self._waiting: Counter[str] = Counter()
        self._files: set[tuple[Path, str]] = set()
        self._lock = threading.Lock()
        self._closing, self._done, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._opened = threading.Event()
        self._thread: threading.Thread | None = None
        if params:
            self._put("params", lambda: self._store.parameters(params))
        if data:
            self._put("data", lambda: self._store.data(data))
        self._reason, self._sample_at, self._pause = "", 0.0, FIRST_PAUSE
        self._troubles: dict[bool, str] = {}  # the first that may pass (False) and the first that lasts (True)
        self._told: set[bool] = set()

    @property
    def link(self) -> str | None:
        """The run's page."""
        return link(self.uri, self._store.experiment_id, self._store.run_id)

    @property
    def command(self) -> str | None:
        """What starts the UI of a store on this disk."""
        return command(self.uri)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, once it exists."""
        return self._store.run_id

    def start(self) -> None:
        """Start the thread that opens the run."""
        import_shared()
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="visrun-mlflow", daemon=True)
        self._thread.start()

    def wait(self) -> str | None:
        """Wait for the run; see ``Tracker.wait``."""
        while self._thread is not None and not self._opened.wait(0.02) and not self._done.is_set():
            if time.monotonic() - self._since > self._allowed:
                break
        return self.run_id

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Enqueue an epoch's values."""
        self._metrics("epoch", epoch, metrics)

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Enqueue values over something else than epochs."""
        self._metrics("values", step, values)

    def summary(self, values: Mapping[str, float]) -> None:
        """Enqueue final values: step 0 of the store, which no epoch has."""
        self._metrics("summary", 0, values)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Enqueue a file; once is enough for one that waits already."""
        file = path.absolute(), folder
        with self._lock:
            if file in self._files:
                return
            self._files.add(file)
        self._put("file", lambda: self._artifact(*file))

    def tags(self, tags: Mapping[str, str]) -> None:
        """Enqueue tags."""
        copy = dict(tags)
        self._put("tags", lambda: self._store.tags(copy))

    def model(self, module: nn.Module, example: Tensor, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Keep the model until the end: nothing else has to wait for it then."""
        self._models.append(lambda: self._store.model(module, example, dict(metadata or {})))

    def trouble(self) -> str | None:
        """See ``Tracker.trouble``."""
        for lasting in (False, True):
            if lasting in self._troubles and lasting not in self._told:
                self._told.add(lasting)
                return self._line(self._troubles[lasting])
        return None

    def end_run(self, record: Path, status: Ending, reason: str | None = None) -> None:
        """Enqueue the end of a run whose process died."""
        self._put("run", lambda: self._store.end_run(record, status, STATUSES[status], reason))

    def drop_run(self, record: Path) -> None:
        """Enqueue the deletion of a run that holds nothing."""
        run_id = read_record(record, self.uri)
        self._put("run", lambda: self._store.drop_run(run_id))

    def finish(self, status: Ending, reason: str | None = None) -> str | None:
        """Write what is left and stop the thread; see ``Tracker.finish``."""
        if self._thread is None or self._closing.is_set():
            return None
        self._put("status", lambda: self._store.end(status, STATUSES[status], reason))
        for run in self._models:
            self._put("model", run)
        with self._lock:
            self._since = time.monotonic()
            self._until = self._since + self._limit + self._allowed - self._patience
        self._closing.set()
        self._put("", lambda: None)
        before = asked()
        while not self._done.wait(0.02):
            stopped = asked() != before
            now, since = time.monotonic(), self._since
            if now > self._until:
                self._reason = "it answers too slowly"
            late = now > self._until or now - since > self._allowed
            if stopped:
                self._reason = "it was stopped on the way"
            if stopped or late or (self._pulse.stopped(since) and self._since == since):
                self._abandoned.set()
                break
        warning = self._warning(status)
        if warning is None and self._opened.is_set():
            with suppress(VisrunError):  # then it is sent once more, by who asks for it
                self._store.close_record()
        return warning

    def _metrics(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        copy = dict(values)
        milliseconds = int(1000 * copy.pop(AT, time.time()))  # an epoch of a run that goes on may be of yesterday
        self._put(kind, lambda: self._store.metrics(step, copy, milliseconds))

    def _artifact(self, path: Path, folder: str) -> None:
        with self._lock:
            self._files.discard((path, folder))  # what is asked for from now on may be a newer content
        self._allowed = max(self._allowed, 2 * self._patience)  # the first file of a run is two requests
        self._store.artifact(path, folder)

    def _put(self, kind: str, run: Callable[[], None]) -> None:
        with self._lock:
            self._waiting[kind] += 1
        self._jobs.put(Job(RANKS.get(kind, 0), next(self._numbers), kind, run))

    def _warning(self, status: Ending) -> str | None:
        with self._lock:
            missing = {kind: number for kind, number in self._waiting.items() if kind and number > 0}
        later = ""
        if self._later and status == "finished" and missing.keys() != {"model"}:
            later = f"{self._later} sends it later{', but for the model' if 'model' in missing else ''}"
        if not missing or (True in self._told and not self._opened.is_set() and not later):
            return None
        parts = [KINDS[kind][number > 1].format(number) for kind, number in missing.items()]
        return self._line(f"did not take {', '.join(parts)}: {self._reason or 'it does not answer'}", later)

    def _line(self, what: str, later: str = "") -> str:
        notes = "; ".join(filter(None, (self._kept, later)))
        return f"MLflow at {without_password(self.uri)} {what}{f' ({notes})' if notes else ''}"

    def _progress(self, allowed: float | None = None) -> None:
        """The store has answered; what comes next may take ``allowed`` seconds."""
        with self._lock:
            self._allowed = self._patience if allowed is None else allowed
            self._until += allowed or 0.0
            self._since = time.monotonic()

    def _work(self) -> None:
        try:
            if not self._attempt("this run", self._store.open):
                return
            self._opened.set()
            self._sample_at = time.monotonic() + SAMPLE_SECONDS  # opening took the first sample
            while (job := self._next()) is not None:
                if self._attempt(KINDS[job.kind][0], job.run, job):
                    with self._lock:
                        self._waiting[job.kind] -= 1
        finally:
            self._done.set()

    def _next(self) -> Job | None:
        """The next job; None at the end. Between two jobs the system's metrics are taken when it is time to."""
        while not self._abandoned.is_set():
            if time.monotonic() >= self._sample_at and not self._closing.is_set():
                self._store.sample()
                self._sample_at = time.monotonic() + SAMPLE_SECONDS
            while self._failed and (self._jobs.empty() or self._closing.is_set()):
                self._jobs.put(self._failed.pop(0)._replace(number=next(self._numbers)))
            try:
                job = self._jobs.get(timeout=max(0.0, self._sample_at - time.monotonic()))
            except queue.Empty:
                continue
            if job.kind or not self._failed:
                return job if job.kind else None
            self._jobs.put(job)  # the run closed just now: first what failed
        return None

    def _attempt(self, what: str, run: Callable[[], None], job: Job | None = None) -> bool:
        """Whether ``run``, which writes ``what``, got through.

        What a later try may mend is tried until the run ends, then once more. A ``job`` goes behind all that wait,
        files too, before it is tried again, but for tags, whose order counts.
        """
        since = job.since if job and job.since else time.monotonic()
        while True:
            last = self._closing.is_set()
            try:
                run()
            except Exception as error:  # whatever happens to the tracker, the run goes on
                self._reason = one_line(error)
                lasting = not is_temporary(error)
                if not is_told(error):
                    log_bug(f"MLflow did not take {what}", error)
                if lasting:
                    self._troubles.setdefault(True, f"did not take {what}: {self._reason}")
                elif time.monotonic() - since > TELL_SECONDS:
                    self._troubles.setdefault(False, f"has not taken {what} so far: {self._reason}; it is tried again")
                if last or lasting or self._abandoned.is_set():
                    return False
                self._closing.wait(self._pause)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                if job and job.kind != "tags":
                    self._failed.append(job._replace(since=since))
                    return False
            else:
                self._pause = FIRST_PAUSE
                self._progress()
                return True
