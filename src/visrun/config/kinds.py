"""The kinds of values that settings have beyond numbers and names, each with its rule."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from visrun.config.fields import Float, Int, ascending
from visrun.numbers import is_int

MOST_FOLDS = 1000
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def duration(value: object) -> object:
    """Seconds: a number as it is, or a text such as ``90``, ``45m``, ``1h30m``, ``1d`` (units d, h, m, s, in order)."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or match is None:
        return value
    return float(sum(int(count) * UNITS[unit] for count, unit in zip(match.groups(), UNITS, strict=True) if count))


def _names(value: object) -> object:
    """A list of names; one that looks like a number (``classes=[0,1]``) is a name all the same."""
    if not isinstance(value, (list, tuple)):
        return value
    return [str(item) if is_int(item) else item for item in value]


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        raise ValueError("is no regular expression") from None
    return value


def _fold(value: str) -> str:
    number, _, count = value.partition("/")
    if not 1 <= int(number) <= int(count) <= MOST_FOLDS or int(count) < 2:
        raise ValueError("is no fold")
    return value


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names one twice")
    return names


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("does not ascend")
    return ends


Side = Annotated[Int, Field(ge=8, le=4096)]
Share = Annotated[Float, Field(gt=0, le=4)]
BODY = r"^[A-Za-z0-9][A-Za-z0-9_.]*$"  # timm's names have dots
Strides = Annotated[tuple[Literal[4, 8, 16, 32], ...], AfterValidator(ascending), Field(min_length=1)]
Scale = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
Decay = Annotated[Float, Field(ge=0, lt=1)]
Address = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
Pattern = Annotated[str, AfterValidator(_expression), Field(min_length=1, max_length=4096)]
Fold = Annotated[str, Field(pattern=r"^[0-9]{1,4}/[0-9]{1,4}$"), AfterValidator(_fold)]
Module = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
Seconds = Annotated[Float, BeforeValidator(duration), Field(gt=0)]
Weights = Annotated[tuple[Annotated[Float, Field(ge=0)], ...], Field(min_length=1)]
Class = Annotated[str, Field(min_length=1)]
Classes = Annotated[tuple[Class, ...], BeforeValidator(_names), AfterValidator(_different), Field(min_length=1)]
