"""What a newcomer waits for: the default ``visrun`` command from its start to its finished MLflow run.

    python benchmarks/demo.py [key=value ...]

A whole process in an empty folder with an empty cache of its own, so the demo's images are made in this time, too.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from common import command, report


def main() -> None:
    overrides = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        took, _ = command(*overrides, cwd=folder, fresh=True)
        (file,) = folder.glob("outputs/*/*/experiment.json")
        result = json.loads(file.read_text(encoding="utf-8"))["result"]
        tracked = status(folder / "mlflow.db")
    facts = {"epochs": result["epochs"], "mlflow": tracked, "overrides": overrides}
    report("demo/seconds", took, "s", training_seconds=round(result["seconds"], 2), **facts)
    for metric, value in result["test"].items():
        report(f"demo/test/{metric}", value, metric, best_epoch=result["best_epoch"], **facts)


def status(database: Path) -> str | None:
    """What MLflow's own store says of the run; None where nothing was tracked."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(database)) as store:
        ((found,),) = store.execute("SELECT status FROM runs").fetchall()
    return str(found)


if __name__ == "__main__":
    main()
