"""All rules at once over a composed config: every value by itself, then the rules between values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from visrun import hyperparameters
from visrun.config import setting_rules
from visrun.config.configs import SCHEMA, Conf, Layer
from visrun.config.fields import flatten, show, validate, without
from visrun.config.lines import Line, about_others, texts
from visrun.config.schema import schema
from visrun.config.settings import Settings
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters


class Checked(NamedTuple):
    """A composed config's two halves (None: not valid), and what was found."""

    hyperparameters: Hyperparameters | None
    settings: Settings | None
    problems: tuple[Line, ...]
    warnings: tuple[Line, ...]


def check(composed: Mapping[str, Any]) -> Checked:
    """Validate a composed config.

    A wrong value does not hide what else is wrong: the rules between values are checked with the sound ones, and only
    what they say about a wrong value is left out.
    """
    values, rest = _halves(composed)
    found, lines = validate(Hyperparameters, values)
    given, more = validate(schema(), rest)
    wrong = lines | more
    single = [Line(text, (key,)) for key, text in wrong.items()]
    rules = _rules(found or Hyperparameters(**without(values, wrong)), given or schema()(**without(rest, wrong)))
    return Checked(found, given, (*single, *about_others(rules.problems, wrong)), rules.warnings)


def _halves(composed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters, and all else."""
    values = {key: value for key, value in composed.items() if key in Hyperparameters.model_fields}
    return values, {key: value for key, value in composed.items() if key not in values}


def option_problems(
    swept: Mapping[str, Sequence[Any]],
    values: Mapping[str, Any],
    *,
    first: Mapping[str, str],
    conf: Conf,
) -> list[str]:
    """What is wrong in the user's own files of the options that a sweep tries, each value by itself.

    Args:
        swept: Group -> its options. Those of the same number are composed together, since each compose takes a while.
        values: Dotted key -> what goes over the files.
        first: Group -> option of the first job, which is sound.
        conf: The config files.

    Raises:
        ConfigError: A file that cannot be read or composed.
    """
    if not conf.own:
        return []
    problems: list[str] = []
    seen = {layer.path for layer in conf.layers(first)}
    for several in zip_longest(*swept.values()):
        named = zip(swept, several, strict=True)
        options = {**first, **{group: name for group, name in named if name in conf.options(group)}}
        layers = conf.layers(options)
        brought = {layer.path for layer in layers} - seen
        if any((folder / f"{path}.yaml").is_file() for path in brought for folder in conf.own):
            names = {f"{group}.name": options[group] for group in ("model", "augment")}
            own, rest = _halves(conf.compose(options, {**values, **names}))
            wrong = validate(Hyperparameters, own)[1] | validate(schema(), rest)[1]
            lines = [Line(text, (key,)) for key, text in wrong.items()]
            problems += texts(located(lines, layers, recipe={}, typed=values))
    return problems


def located(
    lines: Iterable[Line], layers: Sequence[Layer], *, recipe: Mapping[str, Any], typed: Mapping[str, Any]
) -> list[Line]:
    """The lines, those about a single value that nobody typed with the file in which it stands.

    Args:
        layers: The composed files, low to high.
        recipe: What the recipe holds, with dotted keys; ``typed`` names it.
        typed: The values that the user typed.
    """

    def told(line: Line) -> Line:
        if len(line.keys) != 1 or line.keys[0] in typed:
            return line
        key = line.keys[0]
        if key in recipe:
            return line._replace(text=f"{line.text}; it stands in recipe={typed['recipe']}")
        holds = (layer.path for layer in reversed(layers) if layer.path != SCHEMA and key in flatten(layer.values))
        path = next(holds, None)
        return line if path is None else line._replace(text=f"{line.text}; it stands in conf/{path}.yaml")

    return [*map(told, lines)]


def problems_of(key: str, value: Any) -> list[str]:
    """What is wrong with one value by itself, as the lines of an error; nothing where it is sound."""
    return list(_alone(key, value)[1].values())


def plain_value(key: str, value: Any) -> Any:
    """A value that is sound by itself, in plain JSON types.

    Raises:
        ConfigError: With what is wrong with it.
    """
    found, lines = _alone(key, value)
    if found is None:
        raise ConfigError(*lines.values())
    return flatten(found.model_dump(mode="json"))[key]


def _alone(key: str, value: Any) -> tuple[Hyperparameters | Settings | None, dict[str, str]]:
    """One value beside the defaults, validated."""
    if key in Hyperparameters.model_fields:
        return validate(Hyperparameters, {key: value})
    section, _, leaf = key.rpartition(".")
    return validate(schema(), {section: {leaf: value}} if section else {leaf: value})


def lower_warmup(composed: dict[str, Any], *, typed: Mapping[str, Any]) -> list[Line]:
    """A warm-up that nobody typed and that does not fit into max_epochs is lowered to a tenth of them, and said."""
    both, _ = validate(Hyperparameters, {key: composed[key] for key in ("warmup_epochs", "max_epochs")})  # or texts
    if "warmup_epochs" in typed or both is None or both.warmup_epochs < both.max_epochs:
        return []
    lowered = composed["warmup_epochs"] = both.max_epochs // 10
    told = f"warmup_epochs={both.warmup_epochs} does not fit into max_epochs={both.max_epochs}: lowered to {lowered}"
    return [Line(told, ("warmup_epochs", "max_epochs"))]


def _rules(values: Hyperparameters, given: Settings) -> hyperparameters.Findings:
    """The rules between values."""
    model = setting_rules.entry_of(given.model.name, given.task)
    between = hyperparameters.check(values, task=given.task, model=model)
    others = [*setting_rules.check(given), *setting_rules.check_options(values, given, model=model)]
    warnings = (*between.warnings, *setting_rules.warnings(values, given, model=model))
    return hyperparameters.Findings((*between.problems, *others), warnings)


def unread_warnings(typed: Mapping[str, Any], values: Hyperparameters, given: Settings) -> list[Line]:
    """One line for each typed value that this run does not read, saying who would; and for a dataset, typed or not."""
    facts = setting_rules.facts_of(values, given)
    lines = []
    for key, value in typed.items():
        why = setting_rules.why_unread(key, facts)
        if why and value is not None:
            told = f"{key}={show(value)} is not read: {why}" if key in Hyperparameters.model_fields else why
            lines.append(Line(told, (key,), "unread"))
    if given.data.name == "demo" and given.data.root is not None:  # also of a file: nobody expects the demo then
        told = f"data.root={show(given.data.root)} is not read: data=demo brings its own images"
        lines.append(Line(told, ("data.root", "data.name")))
    return lines
