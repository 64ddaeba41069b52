"""Ready spaces: ``sweep=NAME`` reads ``conf/sweep/NAME.yaml`` and becomes ordinary words of a sweep.

    parameters: [optimizer, learning_rate, dropout]       # what varies, over the range that its field has in the schema
    ranges: {learning_rate: {low: 1e-4, high: 1e-2}}      # other ranges; a setting without one in the schema needs one
    tasks: {regression: {add: [loss], ranges: {...}}}     # more for one task

A range is ``{low, high}`` with ``log: true`` or ``step: N``, or ``{choices: [...]}``. Imports no Optuna.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from visrun.config.checks import problems_of
from visrun.config.choices import known
from visrun.config.fields import extra, one_of, show
from visrun.config.overrides import GROUPS
from visrun.config.spelling import takes_integers, text
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters, all_losses, losses_of
from visrun.near import did_you_mean, near
from visrun.numbers import is_finite, is_number
from visrun.tables import TASKS, ModelEntry

BELOW_MAX_EPOCHS = ("warmup_epochs", "step_size")  # a later one never comes
KEYS = ("parameters", "ranges", "tasks")
ENDS = ("low", "high", "log", "step", "choices")
BATCHES = 4  # batch sizes of the schema are tried up to this many times the run's own, and down to its share


class Ready(NamedTuple):
    """What varies, and the ranges that are not the schema's."""

    parameters: tuple[str, ...]
    ranges: dict[str, dict[str, Any]]


def expand(
    content: Mapping[str, Any], *, task: str, values: Mapping[str, Any], model: ModelEntry, name: str = "FILE"
) -> list[str]:
    """The words of a ready space, one for each parameter; see :func:`spaces`."""
    words = spelt(spaces(content, task=task, values=values, model=model, name=name))
    if not words:
        raise ConfigError(f"sweep={name}: nothing varies for task={task}; name other parameters in its file")
    return words


def spelt(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The words of what :func:`spaces` found, one for each parameter that varies."""
    return [f"{key}={_sweep(key, space)}" for key, space in found.items() if space]


def spaces(
    content: Mapping[str, Any], *, task: str, values: Mapping[str, Any], model: ModelEntry, name: str = "FILE"
) -> dict[str, dict[str, Any]]:
    """The range of each parameter of a ready space; empty where it leaves one value or none.

    Args:
        content: What its file holds.
        task: The run's task.
        values: The run's hyperparameters: epochs stay below its max_epochs, batch sizes within a factor of its own.
        model: The facts of its model, which may not take all of the task's losses.
        name: The file's, for messages.

    Raises:
        ConfigError: With everything that is wrong in the file, for any task.
    """
    problems = [f"sweep={name}: {line}" for line in _problems(content)]
    if problems:
        raise ConfigError(problems)
    ready = _of_task(content, task)
    return {key: _space(key, ready.ranges.get(key), task=task, values=values, model=model) for key in ready.parameters}


def _of_task(content: Mapping[str, Any], task: str) -> Ready:
    own = (content.get("tasks") or {}).get(task) or {}
    parameters = dict.fromkeys([*(content.get("parameters") or ()), *(own.get("add") or ())])
    return Ready(tuple(parameters), {**(content.get("ranges") or {}), **(own.get("ranges") or {})})


def _schema(key: str) -> dict[str, Any] | None:
    info = Hyperparameters.model_fields.get(key)
    return extra(info, "search") if info else None


def _merged(key: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A given range over the schema's: an end that is not given is the schema's."""
    schema, given = _schema(key) or {}, given or {}
    if "choices" in given or ("choices" in schema and given):
        return dict(given)
    if "step" in given or given.get("log"):  # one of them only
        schema = {end: schema[end] for end in ("low", "high") if end in schema}
    return {**schema, **given}


def _space(
    key: str, given: Mapping[str, Any] | None, *, task: str, values: Mapping[str, Any], model: ModelEntry
) -> dict[str, Any]:
    """The range of a parameter in this run; empty where it leaves one value or none."""
    space = _merged(key, given)
    if key == "loss":
        of_task = losses_of(task, model)
        wanted = of_task if space["choices"] == "task" else space["choices"]
        space["choices"] = [loss for loss in wanted if loss in of_task]
    elif key == "batch_size" and not given:
        own = values["batch_size"]
        space["choices"] = [size for size in space["choices"] if own / BATCHES <= size <= own * BATCHES]
    elif key in BELOW_MAX_EPOCHS and "high" in space:
        step, low = space.get("step", 1), space["low"]
        highest = min(space["high"], values["max_epochs"] - 1)
        space["high"] = low + (highest - low) // step * step
    alone = len(space["choices"]) < 2 if "choices" in space else space["low"] >= space["high"]
    return {} if alone else space


def _sweep(key: str, space: Mapping[str, Any]) -> str:
    """A range in Hydra's grammar; the end of Hydra's own range is excluded, so it gets one more step."""
    if "choices" in space:
        listed = ",".join(text(value, key) for value in space["choices"])
        return listed if None in space["choices"] else f"choice({listed})"  # choice() takes no null
    low, high, step = space["low"], space["high"], space.get("step")
    whole = isinstance(low, int) and isinstance(high, int)
    if step and whole and isinstance(step, int):
        return f"range({low},{high + 1},{step})"
    if step:
        low, high, step = (Decimal(str(end)) for end in (low, high, step))
        return f"range({float(low)!r},{float(low + ((high - low) // step) * step + step / 2)!r},{float(step)!r})"
    interval = f"int(interval({low},{high}))" if takes_integers(key) else f"interval({low!r},{high!r})"
    return f"tag(log, {interval})" if space.get("log") else interval


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong in a file, for any task."""
    yield from _unknown(content, KEYS, "is no key")
    tasks = content.get("tasks") or {}
    if not isinstance(tasks, Mapping):
        yield "tasks must be a mapping of tasks to what they add"
        return
    yield from _unknown(tasks, TASKS, "is no task", prefix="tasks.")
    parts = [("", content, "parameters"), *((f"tasks.{name}.", own, "add") for name, own in tasks.items())]
    for prefix, part, listed in parts:
        if not isinstance(part, Mapping):
            yield f"{prefix.rstrip('.')} must be a mapping with add and ranges"
            return
        if prefix:
            yield from _unknown(part, ("add", "ranges"), "is no key", prefix=prefix)
        names, ranges = part.get(listed) or [], part.get("ranges") or {}
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            yield f"{prefix}{listed} must be a list of settings, such as [optimizer, learning_rate]"
            return
        if not isinstance(ranges, Mapping) or not all(isinstance(given, Mapping) for given in ranges.values()):
            yield f"{prefix}ranges must be a mapping of settings to ranges, such as {{dropout: {{low: 0, high: 0.5}}}}"
            return
    yield from _parameter_problems(content)


def _unknown(given: Mapping[str, Any], known: Iterable[str], what: str, *, prefix: str = "") -> Iterator[str]:
    names = list(known)
    for key in given:
        if key not in names:
            yield f"{prefix}{key} {what}: must be {one_of(names)}{did_you_mean(str(key), names)}"


def _parameter_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the parameters and ranges of a file whose sections are sound."""
    ready = {task: _of_task(content, task) for task in TASKS}
    listed = dict.fromkeys(key for one in ready.values() for key in one.parameters)
    ranged = dict.fromkeys(key for one in ready.values() for key in one.ranges)
    for key in [*listed, *(key for key in ranged if key not in listed)]:
        if key not in known():
            yield f"{show(key)} is no setting{near(key, known())}"
        elif key not in listed:
            yield f"ranges.{key}: no parameters name it"
        else:
            found = {
                line: None for one in ready.values() if key in one.parameters for line in _range_problems(key, one)
            }
            yield from found


def _range_problems(key: str, ready: Ready) -> list[str]:
    """What is wrong with the range of one parameter."""
    given = ready.ranges.get(key)
    space = _merged(key, given)
    if not space:
        return [f"{key}: the schema has no range for it; give ranges.{key}, such as {{choices: [...]}}"]
    unknown = list(_unknown(given or {}, ENDS, "is no part of a range", prefix=f"ranges.{key}."))
    if unknown or space.get("choices") == "task":
        return unknown
    if "choices" in space:
        return _choice_problems(key, space)
    if not {"low", "high"} <= space.keys():
        return [f"ranges.{key}: must have low and high, or choices"]
    numbers = {end: space[end] for end in ("low", "high", "step") if end in space}
    for end, value in numbers.items():
        if not is_number(value) or not is_finite(value):
            return [f"ranges.{key}.{end}={show(value)}: must be a number"]
    return [*_end_problems(key, space), *_value_problems(key, [space["low"], space["high"]])]


def _end_problems(key: str, space: Mapping[str, Any]) -> list[str]:
    low, high, log, step = space["low"], space["high"], space.get("log", False), space.get("step")
    lines = []
    if low > high:
        lines.append(f"low={show(low)}: must not be above high={show(high)}")
    if not isinstance(log, bool):
        lines.append(f"log={show(log)}: must be true or false")
    elif log and low <= 0:
        lines.append(f"low={show(low)}: must be above 0 where log is true")
    if log and step is not None:
        lines.append("log and step: one of them only")
    if step is not None and (step <= 0 or (takes_integers(key) and step != int(step))):
        lines.append(f"step={show(step)}: must be {'an integer' if takes_integers(key) else 'a number'} > 0")
    return [f"ranges.{key}: {line}" for line in lines]


def _choice_problems(key: str, space: Mapping[str, Any]) -> list[str]:
    choices = space["choices"]
    if len(space) > 1:
        return [f"ranges.{key}: choices stand alone, without {one_of([end for end in space if end != 'choices'])}"]
    if not isinstance(choices, list) or not choices:
        return [f"ranges.{key}.choices={show(choices)}: must be a list of values"]
    if key == "loss":
        known = all_losses()
        return [
            f"ranges.loss: {show(name)} is no loss{did_you_mean(str(name), known)}"
            for name in choices
            if name not in known
        ]
    return _value_problems(key, choices)


def _value_problems(key: str, values: Iterable[Any]) -> list[str]:
    """What is wrong with values by themselves; an option of a folder, such as a model, is checked with the words."""
    if key in GROUPS and key not in Hyperparameters.model_fields:
        return [f"ranges.{key}: {show(value)} is no name" for value in values if not isinstance(value, str)]
    return [f"ranges.{line}" for value in values for line in problems_of(key, value)]
