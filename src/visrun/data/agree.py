"""A dataset whose targets are those that a finished model tells, in its order, so that the two can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visrun.errors import DataError

if TYPE_CHECKING:
    from visrun.data.records import Dataset


def agreeing(
    dataset: Dataset, *, targets: Sequence[str] = (), multilabel: bool | None = None, by_place: bool = False
) -> Dataset:
    """``dataset`` with its values in the order of ``targets``, others left out, and labels as the model tells them.

    Args:
        dataset: Its classes are the model's already; see :func:`visrun.data.records.read`.
        targets: Names of the values that a model of values tells.
        by_place: Whether the dataset's values stand for the model's in their order, if they are as many.
        multilabel: Whether a model of labels tells several an image; None for any other model.

    Raises:
        DataError: A value of that name is missing, or an image has not exactly the one label that the model tells.
    """
    if dataset.kind == "value":
        if by_place and len(targets) == len(dataset.targets):
            return replace(dataset, targets=tuple(targets))
        missing = [name for name in targets if name not in dataset.targets]
        if missing:
            here = ", ".join(dataset.targets)
            raise DataError(
                f"{dataset.root}: the model tells {missing[0]}, and the values here are {here}: add or rename one, or "
                f"say which columns stand for the model's {len(targets)}: data.targets=[NAME,...]"
            )
        order = [dataset.targets.index(name) for name in targets]
        changed = _changed(dataset, lambda values: tuple(values[i] for i in order))
        return replace(changed, targets=tuple(targets))
    if dataset.kind == "label" and multilabel is not None and multilabel != dataset.multilabel:
        changed = _changed(dataset, (lambda label: (label,)) if multilabel else _only)
        return replace(changed, multilabel=multilabel)
    return dataset


def _only(labels: tuple[int, ...]) -> int:
    if len(labels) != 1:
        raise DataError(f"the model tells one label an image, and an image here has {len(labels)}: keep one")
    return labels[0]


def _changed(dataset: Dataset, change: Callable[[Any], Any]) -> Dataset:
    """Every target changed; an error names its image."""
    splits = {}
    for name, records in dataset.splits.items():
        made = []
        for record in records:
            try:
                made.append(replace(record, target=change(record.target)))
            except DataError as error:
                raise DataError(f"{record.where}: {error}") from None
        splits[name] = tuple(made)
    return replace(dataset, splits=splits)
