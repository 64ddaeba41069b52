"""The files of a sweep's folder, and the one fact that its study keeps. Imports no Optuna."""

from __future__ import annotations

from pathlib import Path

from visrun.record.run_files import FILE_NAME
from visrun.record.run_folder import read_json

TABLE = "trials.csv"
RESULTS = "optimization_results.yaml"
JOURNAL = "study.journal"
LEAD = ".lead.lock"  # the process that leads, and its command; with the study's name before it, beside its journal
PLOTS = "plots"
IMPORTANCE = "importance.json"  # within PLOTS
ATTRIBUTE = "visrun"  # of the study: what everybody who works for it or looks at it shares


def onward(folder: Path) -> str:
    """Where and by which command the sweep in ``folder`` goes on; "" where there is none."""
    lead = folder / LEAD
    if (folder / FILE_NAME).exists() or not lead.is_file():
        return ""
    noted = read_json(lead)
    return f"in {noted.get('cwd')}: {noted.get('command')}"
