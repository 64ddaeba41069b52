"""The files of a sweep's folder, and the one fact that its study keeps."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visrun.config.overrides import STUDY, SWEEP_DIR
from visrun.config.spelling import to_override
from visrun.record.run_folder import read_json
from visrun.run_files import FILE_NAME

TABLE = "trials.csv"
REPORT = "repeat.json"  # of a repeat
RESULTS = "optimization_results.yaml"
JOURNAL = "study.journal"
LEAD = ".lead.lock"  # the process that leads, and its command; with the study's name before it, beside its journal
IMPORTANCE = "importance.json"  # within PLOTS
ATTRIBUTE = "visrun"  # of the study: what everybody who works for it or looks at it shares


def onward(folder: Path) -> str:
    """Where and by which command the sweep in ``folder`` goes on; "" where there is none."""
    lead = folder / LEAD
    if (folder / FILE_NAME).exists() or not lead.is_file():
        return ""
    noted = read_json(lead)
    return f"in {noted.get('cwd')}: {placed(str(noted.get('command')), noted, folder)}"


def placed(command: str, noted: Mapping[str, Any], folder: Path) -> str:
    """The command that goes on with the sweep in ``folder``, of which ``noted`` stands in its LEAD."""
    added = moved(noted, folder)
    keys = [one.partition("=")[0] for one in added]  # which are not taken twice
    kept = [one for one in shlex.split(command) if one.partition("=")[0] not in keys]
    return shlex.join([*kept, *added]) if added else command


def moved(noted: Mapping[str, Any], folder: Path) -> list[str]:
    """The words to add to a sweep's command where its folder is no longer the one noted; [] where it is."""
    if Path(str(noted.get("folder", folder))).resolve() == folder.resolve():
        return []
    name = str(noted.get("name", folder.name))
    return [to_override(SWEEP_DIR, os.path.abspath(folder)), to_override(STUDY, name)]  # noqa: PTH100
