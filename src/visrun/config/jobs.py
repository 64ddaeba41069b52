"""Which job of a sweep is looked at before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice, product
from typing import TYPE_CHECKING, Any

from visrun.config.overrides import Typed
from visrun.config.spelling import to_override
from visrun.errors import ConfigError

if TYPE_CHECKING:
    from visrun.config.compose import Resolved

TRIES = 50  # jobs that are tried, each in some 10 ms


def first_job(words: Sequence[Typed], resolve: Callable[[list[str]], Resolved]) -> Resolved:
    """A sweep's first job, or, where that cannot run, one that can: the order of the values decides nothing.

    Raises:
        ConfigError: What is wrong with the first job, where no other of those that are most like it can run.
    """
    wrong: ConfigError | None = None
    for changed in islice(_changes([item for item in words if item.values]), TRIES):
        job = {item.key: changed.get(item.key, item.value) for item in words if item.values}
        try:
            return resolve([to_override(item.key, job[item.key]) if item.values else item.line for item in words])
        except ConfigError as error:
            wrong = wrong or error
    assert wrong is not None  # without a change there is a job
    raise wrong


def _changes(swept: Sequence[Typed]) -> Iterator[dict[str, Any]]:
    """Key -> another value than the first one: none, then every one by itself, then every two, and so on."""
    for number in range(len(swept) + 1):
        for items in combinations(swept, number):
            for values in product(*(item.values[1:] for item in items)):
                yield dict(zip((item.key for item in items), values, strict=True))
