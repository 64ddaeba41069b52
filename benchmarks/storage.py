"""What a trial costs the storage of a sweep: milliseconds, statements, commits; and what a look at the study costs.

VISRUN_STORAGE_PASSWORD=... python benchmarks/storage.py --storage postgresql://user@host/database --trials 100,1000

The worker is visrun's own; its job reports epochs, takes no time, and runs in the same process. Points are drawn at
random, since what a sampler computes is not the storage's. A study of 1,000 trials is looked at twice: when all of them
wait, and when only the last few do. A journal file is always measured, any database beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import optuna
import sqlalchemy
from common import report
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from visrun.record.sweep_files import ATTRIBUTE
from visrun.sweep.storage import open_storage, quiet
from visrun.sweep.study import Queue, create
from visrun.sweep.worker import Rules, work

SPACE = SimpleNamespace(
    distributions={
        "optimizer": CategoricalDistribution(("adam", "adamw", "sgd")),
        "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
        "batch_size": CategoricalDistribution((16, 32, 64)),
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description="what a trial costs a storage")
    parser.add_argument("--storage", help="URL of a database, without its password")
    parser.add_argument("--trials", default="100,1000", help="sizes of the study")
    parser.add_argument("--measure", type=int, default=25, help="trials that are timed")
    parser.add_argument("--epochs", type=int, default=10, help="reports of a trial")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        places = {"journal": f"{name}/study.journal"}
        if args.storage:
            places[args.storage.partition(":")[0].partition("+")[0]] = args.storage
        for kind, place in places.items():
            for size in map(int, args.trials.split(",")):
                measure(kind, open_storage(place), size=size, count=min(args.measure, size), epochs=args.epochs)


def measure(kind: str, storage: BaseStorage, *, size: int, count: int, epochs: int) -> None:
    """Report a study of ``size`` trials at its beginning and at its end; it is removed again."""
    for moment, ended in (("begin", 0), ("end", size - count)):
        queue = make(storage, size=size, ended=ended, epochs=epochs)
        queue.every()  # the first look reads all trials; a worker does that once
        with counted(storage) as statements:
            seconds = run(queue, n_trials=ended + count, epochs=epochs)
        tell(f"{kind}/{size}/{moment}/trial", seconds, statements, count, trials=size, epochs=epochs)
        with counted(storage) as statements:
            began = time.perf_counter()
            for _ in range(count):
                queue.trials()
            seconds = time.perf_counter() - began
        tell(f"{kind}/{size}/{moment}/look", seconds, statements, count, trials=size)
        storage.delete_study(queue.study_id)


def tell(name: str, seconds: float, statements: Counter[str], count: int, **more: Any) -> None:
    """One line: milliseconds each, and how many statements and commits."""
    each = {what: round(number / count, 2) for what, number in statements.items()}
    report(f"storage/{name}", seconds / count * 1000, "ms", **more, **each)


def make(storage: BaseStorage, *, size: int, ended: int, epochs: int) -> Queue:
    """A study of which ``ended`` trials are complete and the others wait."""
    name = f"benchmark-{uuid4().hex}"
    create(storage, name, ["maximize"])
    queue = Queue(storage, name)
    queue.study.sampler = RandomSampler(seed=0)
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["accuracy"], "n_trials": size})
    generator = RandomSampler(seed=1)
    other = optuna.create_study(sampler=generator)
    for place in range(ended):
        params = {key: other.ask(SPACE.distributions).params[key] for key in SPACE.distributions}
        queue.study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions=SPACE.distributions,
                value=0.5,
                user_attrs={"place": place, "folder": "multirun/search/0", "seconds": 1.0, "epochs": epochs},
                intermediate_values=dict.fromkeys(range(1, epochs + 1), 0.5),
            )
        )
    queue.fill(size)
    return queue


def run(queue: Queue, *, n_trials: int, epochs: int) -> float:
    """Seconds in which a worker runs the study's trials up to ``n_trials``."""

    def launch(number: int, params: dict[str, Any]) -> list[float]:
        queue.note(number, folder="multirun/search/0")
        for epoch in range(1, epochs + 1):
            queue.report(number, epoch, 0.5)
        queue.note(number, seconds=1.0, epochs=epochs)
        return [params["learning_rate"]]

    began = time.perf_counter()
    with quiet():
        work(
            queue,
            SPACE.distributions,
            active=lambda params: list(params),
            others=lambda: None,
            launch=launch,
            rules=Rules(n_trials=n_trials, max_failure_rate=1.0),
        )
    seconds = time.perf_counter() - began
    assert len(queue.every(TrialState.COMPLETE)) == n_trials
    return seconds


@contextmanager
def counted(storage: BaseStorage) -> Iterator[Counter[str]]:
    """Within: statements and commits of a database, and the server's own milliseconds where it keeps those."""
    found: Counter[str] = Counter()
    if not isinstance(storage, RDBStorage):
        yield found
        return

    def executed(*_: object) -> None:
        found["statements"] += 1

    def committed(_: object) -> None:
        found["commits"] += 1

    before = server_ms(storage.engine)
    sqlalchemy.event.listen(storage.engine, "before_cursor_execute", executed)
    sqlalchemy.event.listen(storage.engine, "commit", committed)
    try:
        yield found
    finally:
        sqlalchemy.event.remove(storage.engine, "before_cursor_execute", executed)
        sqlalchemy.event.remove(storage.engine, "commit", committed)
    if before is not None:
        found["server_ms"] = (server_ms(storage.engine) or 0.0) - before  # type: ignore[assignment]


def server_ms(engine: sqlalchemy.Engine) -> float | None:
    """What PostgreSQL has spent on statements so far; None without its extension pg_stat_statements."""
    try:
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("SELECT sum(total_exec_time) FROM pg_stat_statements"))
            return float(found.scalar_one())
    except sqlalchemy.exc.SQLAlchemyError:
        return None


if __name__ == "__main__":
    main()
