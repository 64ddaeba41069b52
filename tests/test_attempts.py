"""Predictions of many files, on a predictor of the tests' own that takes them in batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from visrun import attempts
from visrun.data.decoding import Late
from visrun.errors import DataError
from visrun.tasks.base import Prediction

BATCH = 3


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(attempts, "STREAM", 7)
    for i in range(16):
        Image.new("L", (2, 2)).save(tmp_path / f"{i:02}.png")
    return sorted(tmp_path.iterdir())


def in_batches(broken: Collection[Path], error: type[DataError]) -> Callable[[Sequence[Path]], Iterator[Prediction]]:
    def predict(files: Sequence[Path]) -> Iterator[Prediction]:
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            if bad := [file.name for file in part if file in broken]:
                raise error(bad[0])
            yield from ({"number": torch.tensor([int(file.stem)])} for file in part)

    return predict


@pytest.mark.parametrize("broken", [[], [0], [2, 3], [6, 7], [13, 14, 15], range(16)])
@pytest.mark.parametrize("by", ["pixels", "header"])
def test_each_file_has_its_own_prediction_or_its_own_error(paths: list[Path], broken: Collection[int], by: str) -> None:
    for i in broken if by == "header" else ():
        paths[i].write_bytes(b"none")
    predict = in_batches([paths[i] for i in broken], DataError)
    found = list(attempts.attempted(predict, paths, batch=BATCH))
    assert sorted(i for i, _ in found) == list(range(16))
    for i, seen in found:
        assert isinstance(seen, DataError) == (i in broken)
        assert paths[i].name in str(seen) if isinstance(seen, DataError) else seen["number"].item() == i


def test_a_drive_that_is_gone_ends_it(paths: list[Path]) -> None:
    with pytest.raises(Late, match=r"^08\.png$"):
        list(attempts.attempted(in_batches(paths[8:9], Late), paths, batch=BATCH))
