"""Predictions of many files, some of which may be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from visrun.data.decoding import Late
from visrun.data.opening import header
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.tasks.base import Prediction

STREAM = 4096  # files whose batches are prepared together

Predict = Callable[[Sequence[Path]], Iterator[Prediction]]


def attempted(predict: Predict, paths: Sequence[Path], *, batch: int) -> Iterator[tuple[int, Prediction | DataError]]:
    """The number of each file with its prediction, or with why there is none.

    The files of a batch in which one cannot be decoded are predicted one by one.

    Args:
        predict: Gives a prediction for each file, and raises DataError for a batch that holds a broken one.
        paths: The files.
        batch: How many files it takes at once.

    Raises:
        Late: A file did not come in time, so the others on its drive would not, either.
    """
    for start in range(0, len(paths), STREAM):
        part = range(start, min(start + STREAM, len(paths)))
        faults = mapped(_fault, [paths[i] for i in part], path=lambda path: path)
        yield from ((i, fault) for i, fault in zip(part, faults, strict=True) if fault is not None)
        left = [i for i, fault in zip(part, faults, strict=True) if fault is None]
        while left:
            done = 0
            try:
                for prediction in predict([paths[i] for i in left]):
                    yield left[done], prediction
                    done += 1
            except Late:
                raise
            except DataError:
                for i in left[done : done + batch]:
                    yield i, _alone(predict, paths[i])
                done += batch
            left = left[done:]


def _fault(path: Path) -> DataError | None:
    """What is wrong with a file's header."""
    try:
        header(path)
    except DataError as error:
        return error
    return None


def _alone(predict: Predict, path: Path) -> Prediction | DataError:
    try:
        (prediction,) = predict([path])
    except Late:
        raise
    except DataError as error:
        return error
    return prediction
