"""Which option each group takes, decided in one place before Hydra composes, since Hydra alone cannot order them.

From high to low: what the user typed, a file (experiment=, recipe=), the model's own file, what the chosen data wants
for the task, the task's own file, the defaults list of ``conf/config.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from visrun.config.configs import Conf, choices_in
from visrun.config.fields import leaves, one_of, show
from visrun.config.lines import Line
from visrun.config.overrides import GROUPS
from visrun.config.schema import schema
from visrun.config.settings import Settings
from visrun.config.yaml_files import misnamed
from visrun.data.files import exists
from visrun.errors import PLUGIN_HINT, ConfigError
from visrun.folders import expanded
from visrun.hyperparameters import Hyperparameters, all_losses
from visrun.near import did_you_mean
from visrun.synonyms import hint, lacks
from visrun.tables import GENERIC_MODEL, MODELS, TASKS, TIMM, TIMM_MODEL, named_by, timm_name, torchvision_builders
from visrun.tables.models import own_detector

NAMED = ("data", "model", "augment", "tracking")  # groups whose options fill a section; the others are hyperparameters
WITH_ROOT = "auto"  # the data that a data.root alone means
BROUGHT = ("task", "data", "model", "loss")  # groups to whose options a plugin adds
PATH_OF = {"data": "data.root", "model": "model.weights"}  # where a path goes that is typed as a choice
PATH_ENDS = (".pt", ".pth", ".yaml", ".yml", ".json", ".csv", ".safetensors")
AHEAD = ("task", "data", "model")  # chosen before the model's file is read


class Chosen(NamedTuple):
    """The choices of a run.

    Args:
        options: Group -> option, as Hydra takes it.
        model: The model's name; it differs from its option for torchvision's builders without a file, and for timm's.
        sources: Group -> you, file, architecture, option, task or schema.
    """

    options: dict[str, str]
    model: str
    sources: dict[str, str]


def setting_of(group: str) -> str:
    """The dotted setting that holds a group's option; any other setting as it is."""
    return f"{group}.name" if group in NAMED else group


def known() -> frozenset[str]:
    """Every setting there is: groups, hyperparameters, and the sections' own with dotted keys."""
    return _known(schema())


@lru_cache(maxsize=16)
def _known(model: type[Settings]) -> frozenset[str]:
    return frozenset((*GROUPS, *Hyperparameters.model_fields, *leaves(model)))


def typed_choices(
    typed: Mapping[str, Any], conf: Conf, *, file: Mapping[str, Any]
) -> tuple[dict[str, str], list[Line]]:
    """The choices among the typed values, and a line for each that names no option.

    ``augment.name=light`` is ``augment=light``; ``data.root=PATH`` alone takes ``data=auto`` (see :func:`choose`).
    """
    found: dict[str, str] = {}
    problems = []
    usual = "" if "task" in {**typed, **file} else conf.default_choices().get("task", "")  # nobody chose it
    for group in GROUPS:
        named = typed.get(f"{group}.name") if group in NAMED else None
        option = typed.get(group, named)
        if named is not None and option not in (named, GENERIC_MODEL, TIMM_MODEL):
            told = f"{group}.name={show(named)}: contradicts {group}={show(option)}; keep one"
            problems.append(Line(told, (setting_of(group),)))
        elif group in typed and option not in _serving(group, conf.options(group), usual):
            problems.append(Line(unknown_option(group, option, conf, among=[typed, file]), (setting_of(group),)))
        elif f"{group}.name" in typed and group != "model" and named not in conf.options(group):
            problems.append(Line(unknown_option(group, named, conf, among=[typed, file]), (setting_of(group),)))
        elif named is not None or option is not None:
            found[group] = named_by(str(option if named is None else named), option)
    return found, problems


def unknown_option(group: str, option: Any, conf: Conf, *, among: Sequence[Mapping[str, Any]]) -> str:
    """The line for an option that a group does not have; of models and losses it lists those that serve the task.

    Args:
        among: The settings of the run, high to low, as far as they are known; the task is among them or the usual one.
    """
    if wrong := misnamed(group, option, conf.folders):
        return wrong
    foreign = group == "model" and isinstance(option, str) and hint(option)  # yolo11n.pt: weights that fit nothing here
    if group in PATH_OF and isinstance(option, str) and _is_path(option) and not foreign:
        return f"{group}={show(option)}: is a path, which is written {PATH_OF[group]}={show(option)}"
    task = next(str(given["task"]) for given in (*among, conf.default_choices()) if "task" in given)
    names = _serving(group, conf.options(group), task)
    line = f"{group}={show(option)}: must be {one_of(names)}"
    if not isinstance(option, str):
        return line
    if group == "model" and torchvision_builders().get(option) in ("classification", "segmentation"):
        return f"{line}; torchvision's own is model={GENERIC_MODEL} model.name={option}"
    meant = (own_detector(option) if group == "model" else None) or option
    told = did_you_mean(meant, names, _elsewhere(group, task)) or lacks(option)
    return line + (told or (PLUGIN_HINT if group in BROUGHT else ""))


def own_file(folder: str, name: object, conf: Conf) -> dict[str, Any]:
    """What a file of conf/recipe/ or conf/sweep/ holds, from the user's folders or visrun's own.

    Raises:
        ConfigError: There is no such file, which tells the names that there are, or it is no mapping.
    """
    names = conf.options(folder)
    if name not in names:
        known = one_of(names) if names else f"a file in conf/{folder}/"
        wrong = f"{folder}={show(name)}: must be {known}{did_you_mean(str(name), names)}"
        raise ConfigError(misnamed(folder, name, conf.folders) or wrong)
    return conf.read(f"{folder}/{name}")


def _serving(group: str, names: list[str], task: str) -> list[str]:
    """``names`` less the models and losses that are known to serve other tasks alone."""
    foreign = _elsewhere(group, task) if task in TASKS else {}
    return [name for name in names if name not in foreign]


def _elsewhere(group: str, task: str) -> dict[str, str]:
    """The models or losses that other tasks alone take -> how they are had."""
    taking: dict[str, list[str]] = {}
    if group == "model":
        taking = {name: [*entry.tasks] for name, entry in MODELS.items()}
    elif group == "loss":
        taking = {name: [other for other in TASKS if name in TASKS[other].losses] for name in all_losses()}
    return {name: f"{group}={name} with task={one_of(tasks)}" for name, tasks in taking.items() if task not in tasks}


def _is_path(option: str) -> bool:
    return "/" in option or Path(option).suffix in PATH_ENDS or exists(expanded(option))


def choose(typed: Mapping[str, str], file: Mapping[str, Any], conf: Conf, *, rooted: str | None = None) -> Chosen:
    """Every group's option.

    Args:
        typed: The choices the user typed.
        file: What a file (experiment=, recipe=) holds, with dotted keys.
        conf: The config files.
        rooted: Whose data.root counts (see :func:`rooted_by`): without a choice of data it means WITH_ROOT.
    """
    ladder: list[tuple[str, Mapping[str, str]]] = [
        ("you", typed),
        ("file", choices_in(file, GROUPS)),
        ("schema", conf.default_choices()),
    ]
    task = _first("task", ladder)[0]
    ladder.insert(2, ("task", conf.choices(f"task/{task}")))
    data, source = _first("data", ladder)
    if rooted and data == "demo" and source != "you":
        data, source = WITH_ROOT, rooted
    ladder.insert(2, ("option", conf.choices(f"data_task/{data}_{task}")))
    model = timm_name(_first("model", ladder)[0], task)
    usual = TIMM_MODEL if TIMM in model else GENERIC_MODEL
    option = model if model in conf.options("model") else usual
    wanted = conf.choices(f"model/{option}")
    ladder.insert(2, ("architecture", {group: name for group, name in wanted.items() if group not in AHEAD}))
    found = {group: _first(group, ladder) for group in GROUPS} | {"data": (data, source)}
    options = {group: name for group, (name, _) in found.items()} | {"model": option}
    return Chosen(options, model, {group: source for group, (_, source) in found.items()})


def usual_options(chosen: Chosen, conf: Conf, *, rooted: str | None) -> dict[str, str]:
    """Group -> what a run of this task, data and model takes where nobody chooses; of data, without or with a root."""
    ahead = {group: chosen.options[group] for group in AHEAD} | {"model": chosen.model}
    return choose(ahead, {}, conf).options | {"data": WITH_ROOT if rooted else conf.default_choices()["data"]}


def found_options(chosen: Chosen, conf: Conf) -> tuple[Chosen, list[Line]]:
    """The choices without those of a config file that name no option, as of a plugin that is not imported, and a line
    for each; the defaults list's take their places."""
    task, data, model = (chosen.options[group] for group in AHEAD)
    files = {"option": f"data_task/{data}_{task}", "architecture": f"model/{model}", "task": f"task/{task}"}
    problems, options = [], dict(chosen.options)
    for group, name in chosen.options.items():
        place = files.get(chosen.sources[group])  # of the defaults list Hydra says it itself
        if place and name not in conf.options(group):
            problems.append(Line(f"conf/{place}.yaml: {unknown_option(group, name, conf, among=[chosen.options])}"))
            options[group] = conf.default_choices().get(group, name)
    return chosen._replace(options=options), problems


def rooted_by(typed: Mapping[str, Any], file: Mapping[str, Any]) -> str | None:
    """Whose data.root counts: ``you``, ``file`` or None where there is none."""
    by, values = ("you", typed) if "data.root" in typed else ("file", file)
    return by if values.get("data.root") is not None else None


def _first(group: str, ladder: list[tuple[str, Mapping[str, str]]]) -> tuple[str, str]:
    return next(((names[group], source) for source, names in ladder if group in names), ("", "schema"))
