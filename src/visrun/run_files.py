"""The names of a run's files and of what metrics.jsonl holds, for who writes and who reads them.

What each file is for: :mod:`visrun.record.run_folder`.
"""

from __future__ import annotations

FILE_NAME = "experiment.json"
MAX_BYTES = 20_000_000  # of FILE_NAME, to which each of 10,000 classes adds some 300 bytes: a larger file is none
METRICS, LOCK, STATUS = "metrics.jsonl", "run.lock", "status.json"
CHECKPOINTS, BEST_WEIGHTS, PLOTS = "checkpoints", "best.pt", "plots"
PREDICTIONS = "predictions"  # the folder for what is drawn of images that it is tried on
BEST = "best"  # a sweep's column of what is best, and its folder for the experiment.json of that, or of each of a front
HYDRA = ".hydra"  # the folder for its record of the config
# The folders that are written in, beside those of trials, which are numbers; a sweep's and Hydra's among them.
FOLDERS = (CHECKPOINTS, PLOTS, PREDICTIONS, BEST, "slots", HYDRA, ".submitit")
LOG = "visrun.log"
# Clocks of metrics.jsonl: seconds that the run has trained, which no epoch is without, of the epoch; images a second.
CLOCK = "time/"
SECONDS, EPOCH_SECONDS, SPEED = f"{CLOCK}total", f"{CLOCK}epoch", f"{CLOCK}images_per_second"


def is_loss(key: str) -> bool:
    """Whether a key of metrics.jsonl is a loss, or a part of one."""
    return key in ("loss", "val_loss") or key.startswith("loss/")


def is_metric(key: str) -> bool:
    """Whether a key of metrics.jsonl is one of the task's metrics, rather than a loss, a rate, a time or the epoch."""
    return not is_loss(key) and key not in ("epoch", "learning_rate") and not key.startswith(CLOCK)


def is_of_class(metric: str) -> bool:
    """Whether a metric is that of a single class, kind or target, as ``iou/road`` is."""
    return "/" in metric
