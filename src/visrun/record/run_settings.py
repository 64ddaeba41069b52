"""The settings of a run as its experiment.json has them, as text: what compare and the page show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from visrun import hyperparameters
from visrun.config import schema
from visrun.config.setting_rules import SHAPING, facts_of, is_read
from visrun.errors import ConfigError
from visrun.files import part_of
from visrun.hyperparameters import Hyperparameters
from visrun.tables import TASKS, TaskEntry, model_entry

NOT_COMPARED = ("data.cache_dir", "data.fingerprint")  # of the machine; shown in a form of its own
VERSIONS = ("visrun", "torch", "torchvision")
# A setting that may leave the choice to the run -> what the run's result says it became.
CHOSEN_BY_RUN = {"data.image_size": "image_size", "run.device": "device", "run.precision": "precision"}


def settings_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Every value of an experiment.json that this run reads, as text; what a run settled itself by its outcome.

    A setting that the version lacked which wrote a section of the file had its default.
    """
    given, usual = part_of(content, "hyperparameters"), schema.defaults()
    values = {**hyperparameters.defaults(), **given}
    result = part_of(content, "result")
    facts = facts_of(values, {**content, "task": str(task_of(content))})
    shown = {key: given[key] for key in Hyperparameters.model_fields if key in given}
    shown |= {key: content[key] for key in ("seed",) if key in content}
    for section in SHAPING:
        if had := part_of(content, section):
            shown |= {f"{section}.{key}": value for key, value in {**usual[section], **had}.items()}
    shown |= {key: result[fact] for key, fact in CHOSEN_BY_RUN.items() if fact in result}
    shown = {key: value for key, value in shown.items() if is_read(key, facts) and key not in NOT_COMPARED}
    return {key: text(value) for key, value in (shown | _provenance(content)).items()}


def _provenance(content: Mapping[str, Any]) -> dict[str, Any]:
    """What else may explain a difference: the weights begun with, the data's fingerprint, the code."""
    facts = {}
    if "weights" in part_of(content, "result"):
        facts["weights"] = content["result"]["weights"]
    fingerprint = part_of(content, "data").get("fingerprint")
    if fingerprint:
        facts["data.fingerprint"] = str(fingerprint)[:12]
    versions, git = part_of(content, "versions"), part_of(content, "git")
    facts |= {f"versions.{name}": versions[name] for name in VERSIONS if name in versions}
    if "commit" in git:
        facts["git.commit"] = str(git["commit"])[:12] + (" (changed)" if git.get("dirty") else "")
    return facts


def learns(content: Mapping[str, Any]) -> bool:
    """Whether the model of an experiment.json learns by gradient; one that is not known here, as of a plugin, is taken
    to."""
    name = part_of(content, "model").get("name")
    try:
        return not isinstance(name, str) or model_entry(name).gradient
    except ConfigError:
        return True


def task_of(content: Mapping[str, Any]) -> Any:
    """The task of an experiment.json; of one that names none the usual one, as where it is run again."""
    return content.get("task", schema.defaults()["task"])


def judged(task: str, content: Mapping[str, Any]) -> TaskEntry | None:
    """What is known of a task, by the metric that the run of this experiment.json monitors; None of an unknown task."""
    entry = TASKS.get(task)
    return entry and entry.judged_by(str(part_of(content, "run").get("monitor")))


def text(value: object) -> str:
    """A value as the command line would take it, on one line, with nothing in it that could steer a terminal."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shown if shown.isprintable() else json.dumps(value, default=str)
