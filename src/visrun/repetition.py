"""The finished runs of a ``visrun repeat``, read from its folder, and how far they share what they learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visrun.errors import UserError
from visrun.files import part_of
from visrun.numbers import numbers_of
from visrun.record.run_folder import read_json
from visrun.run_files import FILE_NAME
from visrun.tables.entries import SYNTHETIC
from visrun.varied import Varied

SPLITS = ("val", "test")


@dataclass(frozen=True)
class Repetition:
    """A finished run of the repeat.

    Args:
        value: Its seed or fold.
        folder: Its own.
        metrics: As ``val/NAME`` and ``test/NAME``.
        data: The fingerprint of its dataset; "" where it does not say.
        images: Those of its val and test images alone.
        share: How many images it validates on for one that it learns from; 0 where it does not say.
    """

    value: int | str
    folder: Path
    metrics: dict[str, float]
    data: str = ""
    images: dict[str, str] = field(default_factory=dict)
    share: float = 0.0


def finished(folder: Path, varied: Varied) -> list[Repetition]:
    """The finished runs below ``folder``, one for each seed or fold that has one, in their order.

    Of one that was run again, after its first run was stopped, the later one counts.
    """
    runs: dict[int | str, Repetition] = {}
    for place in sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name)):
        try:
            content = read_json(place / FILE_NAME)
        except UserError:
            continue
        result, value = part_of(content, "result"), varied.of(content)
        if value is not None and value in varied.values and result.get("status") == "finished":
            data = str(part_of(content, "data").get("fingerprint", ""))
            images = {split: str(value) for split, value in part_of(result, "fingerprints").items()}
            runs[value] = Repetition(value, place, _metrics(result), data, images, _share(part_of(result, "data")))
    return [runs[value] for value in varied.values if value in runs]


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    return {f"{split}/{key}": value for split in SPLITS for key, value in numbers_of(result.get(split)).items()}


def _share(data: Mapping[str, Any]) -> float:
    val, train = (part_of(data, "splits").get(split) for split in ("val", "train"))
    return val / train if isinstance(val, int) and isinstance(train, int) and train > 0 else 0.0


def of_one_dataset(runs: Sequence[Repetition]) -> list[Repetition]:
    """Those on the dataset of the latest run, which may be another than that of those before it."""
    latest = max(runs, key=lambda run: int(run.folder.name), default=None)
    return [run for run in runs if latest and run.data == latest.data]


def hold_out_others(runs: Sequence[Repetition]) -> bool:
    """Whether the seeds of runs decide which of the same images they learn from and which they validate on."""
    return len({run.images["val"] for run in runs if run.images.get("val")}) > 1


def overlap_of(runs: Sequence[Repetition], split: str, *, folds: float = 0.0) -> float:
    """The overlap of the runs in metrics on ``split``, see `visrun.spread.spread`.

    Args:
        runs: One at least.
        split: val or test.
        folds: The overlap of the folds of a cross-validation; 0 of seeds, whose own hold-outs overlap.
    """
    if folds or split != "val" or not hold_out_others(runs):
        return folds
    return max(run.share for run in runs)


def split_of(key: str) -> str:
    """The split of a metric such as ``val/accuracy``."""
    return key.partition("/")[0]


def name_of(key: str) -> str:
    """Its name on that split."""
    return key.partition("/")[2]


def in_order(keys: Iterable[str], monitor: str) -> list[str]:
    """Such metrics, each once: val before test, and of each split the monitored one first."""
    return sorted(
        dict.fromkeys(keys),
        key=lambda key: (SPLITS.index(split_of(key)), name_of(key).removeprefix(SYNTHETIC) != monitor),
    )
