"""What Hydra and OmegaConf complain of, in visrun's form: the word, what is wrong, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from visrun.config.configs import PRIMARY
from visrun.config.fields import one_of
from visrun.near import did_you_mean

# The texts of Hydra 1.4 and OmegaConf 2.4; what fits none of them is passed on as it stands.
NO_OPTION = re.compile(
    r"Could not find '(?P<group>[^']+)/(?P<option>[^'/]+)'\s+Available options in '[^']+':(?P<all>.*)", re.S
)
ALREADY = re.compile(r"An item is already at '(?P<key>[^']+)'")
NO_KEY = re.compile(r"Key '[^']+' (?:is )?not in ")
NEAR = re.compile(r"Did you mean: '(?P<near>[^']+)'")
PLACE = re.compile(r"full_key: (?P<key>\S+)")
NO_VALUE = re.compile(
    r"Value '(?P<value>.*?)'(?: of type '\w+')? (?:could not be converted to|is not a valid) (?P<kind>\w+)"
)
NOISE = re.compile(
    r"\s*(?:Error merging override \S+|Config search path:.*|To append to your config use \S+|full_key: .*"
    r"|(?:reference|object)_type=\S+)",
    re.S,
)
KINDS = {"Integer": "an integer", "Float": "a number", "bool": "true or false"}


def in_one_line(error: Exception, words: Sequence[str] = ()) -> str:
    """The complaint as one line, without Hydra's advice to append with ``+``.

    Args:
        error: Hydra's or OmegaConf's.
        words: The words of the command; the one that is wrong is shown as it was typed.
    """
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    if found := NO_OPTION.search(text):
        group, option = found["group"], found["option"]
        options = [
            line.strip() for line in found["all"].partition("Config search path")[0].splitlines() if line.strip()
        ]
        return f"{group}={option}: must be {one_of(options)}{did_you_mean(option, options)}"
    if found := ALREADY.search(text):
        return f"+{found['key']}: is there already; write {found['key']}=VALUE"
    place = PLACE.search(text)
    if place and NO_KEY.search(text):
        key, near = place["key"], NEAR.search(text)
        parent = key.rpartition(".")[0]
        hint = f" (did you mean {parent + '.' if parent else ''}{near['near']}?)" if near else ""
        return f"{key} is no setting{hint}"
    if place and (refused := NO_VALUE.search(text)):
        kind = refused["kind"]
        return f"{place['key']}={refused['value']}: must be {KINDS.get(kind, kind)}"
    line = " ".join(NOISE.sub("", text).split()) or type(error).__name__
    word = next((word for word in words if place and word.lstrip("+~").startswith(place["key"])), "")
    return f"{word}: {line}" if word and word not in line else line


def refused(words: Sequence[str], loader: ConfigLoader, mode: RunMode) -> list[str]:
    """All that Hydra has against the words for its own settings, one line each; Hydra itself stops at the first.

    Each word is tried with the good choices of options alone, since what a setting may be depends on them.
    """
    options = [word for word in words if "/" in word.partition("=")[0]]
    good: list[str] = []
    problems = []
    for word in [*options, *(word for word in words if word not in options)]:
        try:
            loader.load_configuration(PRIMARY, [*good, word], mode)
        except (HydraException, OmegaConfBaseException) as error:
            problems.append(in_one_line(error, words))
        else:
            good += [word] * (word in options)
    return problems
