"""The form as a pure function: (task, model, what the user touched) -> everything the page shows.

``touched`` holds what the user entered and nothing else, so it is at once the list of overrides, the mark of a changed
field and what a reload brings back. Defaults, rules, errors and notices are the command line's: the same compose gives
them. The page renders, and decides nothing.

    >>> shown = view("segmentation", None, {"learning_rate": "1e-3"}, Composer(Path.cwd()))
    >>> shown["command"]
    'visrun task=segmentation learning_rate=0.001'
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from visrun import hyperparameters
from visrun.config.choices import setting_of, unknown_option
from visrun.config.compose import Resolved
from visrun.config.fields import flatten
from visrun.config.lines import Line, about_others, texts
from visrun.config.provenance import CHOSEN
from visrun.config.setting_rules import READ_WHEN, SELECTING, entry_of, facts_of, is_read, why_unread
from visrun.config.spelling import to_override
from visrun.errors import ConfigError
from visrun.hyperparameters import CHOICES, OWNERS, Hyperparameters, losses_of
from visrun.lr import lr_curve
from visrun.tables import TASKS, models_of
from visrun.web.advice import advice
from visrun.web.catalog import FORM_GROUPS, editable, selects
from visrun.web.composer import Composer
from visrun.web.entered import Entered, read, require_known, shown, words

# Choices, and settings beside which others are read or not.
DECIDERS = {*CHOICES, *(key for needs in READ_WHEN.values() for key in needs if key in editable())}
DECIDERS |= {choice for choice, _ in OWNERS.values() if choice in editable()}
# What decides which images, splits and classes a run has.
SURVEYED = ("data", "data.root", *(f"data.{name}" for name in SELECTING), "seed")
CORRECTED = ("data.image_size",)  # typed digit by digit, through sizes that the model does not take


@dataclass(frozen=True)
class Form:
    """A filled form.

    Args:
        task: A name of ``TASKS``.
        model: The model the user picked, or None.
        entered: What the user touched, without what the task or the model cannot have.
        dropped: What the task or the model cannot have: key -> line.
        sent: The touched values that are sound and that the run reads.
        resolved: The configuration, None where the config files themselves are wrong.
        problems: What the command line would refuse.
        defaults: What every field would hold if it alone were not touched, by key; plain values.
        sources: Where each default comes from.
    """

    task: str
    model: str | None
    entered: Entered
    dropped: dict[str, str]
    sent: dict[str, Any]
    resolved: Resolved
    problems: tuple[Line, ...]
    defaults: dict[str, Any]
    sources: dict[str, str]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that decides what the run reads."""
        return facts_of(self.resolved.hyperparameters, self.resolved.settings)

    def reads(self, key: str) -> bool:
        """Whether the run reads a setting."""
        return is_read(key, self.facts)


def fill(task: str, model: str | None, touched: Mapping[str, Any], composer: Composer) -> Form:
    """Compose what the form stands for.

    Raises:
        ConfigError: A task or key that there is none of, or config files that cannot be composed.
    """
    if task not in TASKS:
        raise ConfigError(unknown_option("task", task, composer.conf, among=[]))
    require_known(touched)
    entered = read(touched, task, composer)
    model, dropped = _serving(task, model, composer)
    dropped |= _strange(entered.values, composer.look(words(task, model, entered.values, composer.models)).problems)
    entered = Entered({k: v for k, v in entered.values.items() if k not in dropped}, entered.errors)
    base = {key: value for key, value in entered.values.items() if key in (*FORM_GROUPS, *DECIDERS, "data.root")}
    chosen = _composed(composer, task, model, base)
    facts = facts_of(chosen.hyperparameters, chosen.settings)
    sent = {key: value for key, value in entered.values.items() if is_read(key, facts)}  # the others wait
    found = composer.look(words(task, model, sent, composer.models))
    defaults, sources = _defaults(composer, task, model, base, sent)
    return Form(task, model, entered, dropped, sent, found.resolved or chosen, found.problems, defaults, sources)


def _composed(composer: Composer, task: str, model: str | None, values: Mapping[str, Any]) -> Resolved:
    found = composer.look(words(task, model, values, composer.models))
    if found.resolved is None:
        raise ConfigError(texts(found.problems))
    return found.resolved


def _serving(task: str, model: str | None, composer: Composer) -> tuple[str | None, dict[str, str]]:
    """The model, or None with the line of the command line on why the task cannot have it."""
    if model is None:
        return None, {}
    try:
        to_override("model", model)  # refuses what Hydra would replace
    except ConfigError as error:
        return None, {"model": error.problems[0]}
    problems = composer.look(words(task, model, {}, composer.models)).problems
    lines = [line.text for line in problems if _field_of(line) == "model"]
    return (None, {"model": lines[0]}) if lines else (model, {})


def _strange(values: Mapping[str, Any], problems: Iterable[Line]) -> dict[str, str]:
    """Of the values, those that the task or the model cannot have, with the line that says so."""
    lines = {_field_of(line): line.text for line in problems if line.kind == "unfit"}
    return {key: line for key, line in lines.items() if key not in CORRECTED and values.get(key) is not None}


def _field_of(line: Line) -> str:
    """The field at which a line stands; "" for one that is about none."""
    key = line.keys[0] if line.keys else ""
    field = CHOSEN.get(key, key)
    return field if field in ("task", "model", *editable()) else ""


def _by_field(lines: Iterable[Line]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(_field_of(line), []).append(line.text)
    return found


def _defaults(
    composer: Composer, task: str, model: str | None, base: Mapping[str, Any], sent: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values and sources under the choices alone; choices without themselves; the warm-up under its epochs."""
    where = {key: base[key] for key in ("data", "data.root") if key in base}
    layers = [
        (_composed(composer, task, model, base), set(editable())),
        (_composed(composer, task, model, where), {*DECIDERS, "augment", "tracking"}),
        (_composed(composer, task, model, {k: v for k, v in where.items() if k != "data"}), {"data"}),
        (_composed(composer, task, model, {k: v for k, v in where.items() if k != "data.root"}), {"data.root"}),
        (_composed(composer, task, None, where), {"model"}),
    ]
    if "max_epochs" in sent:
        with_epochs = composer.look(words(task, model, {**base, "max_epochs": sent["max_epochs"]}, composer.models))
        layers += [(with_epochs.resolved, {"warmup_epochs"})] if with_epochs.resolved else []
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for resolved, keys in layers:
        flat, told = flat_values(resolved)
        values |= {key: flat[key] for key in keys if key in flat}
        sources |= {key: told[key] for key in keys if key in told}
    return values, sources


def flat_values(resolved: Resolved) -> tuple[dict[str, Any], dict[str, str]]:
    """Key -> value and key -> source of everything the form shows, ``model`` included."""
    settings = flatten(resolved.settings.model_dump(mode="json"))
    groups = {group: settings[f"{group}.name"] for group in (*FORM_GROUPS, "model")}
    told = {group: resolved.sources.get(f"{group}.name", "schema") for group in groups}
    values = {**settings, **groups, **resolved.hyperparameters.model_dump(mode="json")}
    return values, {**told, **resolved.sources}


def view(task: str, model: str | None, touched: Mapping[str, Any], composer: Composer) -> dict[str, Any]:
    """What the page shows, as plain JSON types. Raises what :func:`fill` does."""
    with composer.lock:
        composer.refresh()
        form = fill(task, model, touched, composer)
        values, _ = flat_values(form.resolved)
        lines = _lines(form)
        return {
            "task": task,
            "model": _model(form),
            "fields": {key: _field(key, form, values, touched) for key in editable()},
            "losses": list(losses_of(task, entry_of(str(values["model"]), task))),
            "metrics": list(TASKS[task].metrics),
            "layouts": list(composer.layouts(task)),
            "options": {group: list(composer.options[group]) for group in ("augment", "tracking")},
            "dropped": form.dropped,
            "errors": lines["errors"],
            "warnings": lines["warnings"],
            "notices": lines["notices"],
            "command": "" if lines["errors"] else command(form, composer),
            "surveyed": [task, {key: form.sent[key] for key in SURVEYED if key in form.sent}, _learns(form)],
            "curve": _curve(form.resolved),
        }


def _learns(form: Form) -> bool:
    """Whether the model learns by gradient; another one gets other splits of some data."""
    return entry_of(form.resolved.settings.model.name, form.task).gradient


def _model(form: Form) -> dict[str, Any]:
    """The run's model, those it may be exchanged for, and what is known of each."""
    name = form.resolved.settings.model.name
    listed = models_of(form.task)
    names = listed if name in listed else [*listed, name]
    usual = TASKS[form.task].image_size
    facts = []
    for known in names:
        entry = entry_of(known, form.task)
        told = {"parameters": entry.parameters, "speed": entry.speed, "accuracy": entry.accuracy}
        facts.append({"name": known, "size": entry.image_size or usual, "pretrained": entry.pretrained, **told})
    return {"name": name, "default": form.defaults["model"], "all": facts}


def _field(key: str, form: Form, values: Mapping[str, Any], touched: Mapping[str, Any]) -> dict[str, Any]:
    """One field: its text, its default and whence it comes, and whether it is changed, shown, and read."""
    changed = key in touched and key not in form.dropped
    given = touched[key] if changed else form.defaults.get(key) if key not in values else values[key]
    greyed = _greyed(form)
    told: dict[str, Any] = {
        "text": given if isinstance(given, str) else _entry(key, given),
        "default": _entry(key, form.defaults.get(key)),
        "source": form.sources.get(key, "schema"),
        "changed": changed,
        "shown": form.reads(key) or key in greyed,
    }
    if key in greyed:
        told["why"] = why_unread(key, form.facts)
    return told


def _entry(key: str, value: Any) -> str:
    """A value as its field holds it: no value leaves it empty, where it is no list to choose from."""
    return "" if value is None and key not in selects() else shown(value)


def _greyed(form: Form) -> set[str]:
    """Hyperparameters that the model, whatever the others are, does not read; they stand there with the reason."""
    usual = hyperparameters.facts_of(form.resolved.hyperparameters)
    return {key for key in Hyperparameters.model_fields if is_read(key, usual) and not form.reads(key)}


def _lines(form: Form) -> dict[str, Any]:
    """Errors, warnings and notices by field, under "" what is about none."""
    facts = form.resolved.hyperparameters
    errors = {key: [line] for key, line in form.entered.errors.items() if form.reads(key)}
    wrong = {setting_of(key) for key in errors}  # a wrong entry stood for its default
    for key, more in _by_field(about_others(form.problems, wrong)).items():
        errors.setdefault(key, []).extend(more)
    warnings = {} if form.problems else _by_field(form.resolved.warnings)
    for key, line in advice(facts, form.defaults).items():
        if key not in errors:
            warnings.setdefault(key, []).append(line)
    return {"errors": errors, "warnings": warnings, "notices": _by_field(form.resolved.notices)}


def problems_of_form(form: Form, *, varied: Collection[str] = ()) -> list[str]:
    """Everything that keeps a form from being trained, one line each; a sweep gives what is ``varied`` its values."""
    return [line for key, lines in _lines(form)["errors"].items() if key not in varied for line in lines]


def command_words(form: Form, composer: Composer, *, varied: Collection[str] = ()) -> tuple[str, ...]:
    """The words behind ``visrun``, less those of what is ``varied``; a task that is the default goes without saying."""
    kept = {key: value for key, value in form.sent.items() if key not in varied}
    every = words(form.task, None if "model" in varied else form.model, kept, composer.models)
    told = every[1:] if form.task == composer.conf.default_choices()["task"] else every
    return (*composer.always, *told)


def command(form: Form, composer: Composer) -> str:
    """The command line, quoted for a shell."""
    return shlex.join(["visrun", *command_words(form, composer)])


def _curve(resolved: Resolved) -> list[float] | str:
    """The learning rate at the start of each epoch, or why there is none."""
    values = resolved.hyperparameters
    if "learning_rate" in resolved.unread:
        return f"{resolved.settings.model.name} learns without a learning rate."
    return [float(f"{rate:.6g}") for rate in lr_curve(values.model_dump(mode="json"))]
