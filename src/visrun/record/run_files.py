"""The names of a run's files, for who writes them and who looks for them; see :mod:`visrun.record.run_folder`."""

from __future__ import annotations

FILE_NAME = "experiment.json"
MAX_BYTES = 20_000_000  # of FILE_NAME, to which each of 10,000 classes adds some 300 bytes: a larger file is none
METRICS, LOCK, STATUS = "metrics.jsonl", "run.lock", "status.json"
PREDICTIONS = "predictions"  # the folder for what is drawn of images that it is tried on
# The folders that are written in, beside those of trials, which are numbers; a sweep's and Hydra's among them.
FOLDERS = ("checkpoints", "plots", PREDICTIONS, "best", "slots", ".hydra", ".submitit")
