"""What must hold for a run to go on: its last checkpoint, its best one, and the data that it began with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from visrun import checkpoint
from visrun.config.configured import Configured
from visrun.console import Screen
from visrun.data.records import Dataset
from visrun.errors import UserError
from visrun.files import part_of
from visrun.memory import setting_up
from visrun.record.epochs import Row
from visrun.record.journal import changes
from visrun.record.next_steps import new_run, repeat_command
from visrun.record.recorder import restore
from visrun.record.run_folder import RunFolder
from visrun.step import Step
from visrun.text import plural
from visrun.training import Progress


class CannotResume(UserError):
    """A run cannot be gone on with; it is left as it is."""


@contextmanager
def _refused() -> Iterator[None]:
    """Within: what is wrong with the files of a run is why it cannot be gone on with."""
    try:
        yield
    except UserError as error:
        raise CannotResume(error.reason, error.onward) from error


@_refused()
def last_state(files: RunFolder, resolved: Configured, screen: Screen) -> dict[str, Any] | None:
    """What last.pt holds, or None before the first one, which is said.

    Raises:
        CannotResume: It is gone, though more than one epoch is there, or damaged, or the settings are no longer those
            it was written with.
    """
    otherwise = f"{repeat_command(files.path)} repeats the run"
    if not files.last.exists():
        epochs = len(files.read_metrics())
        if epochs > 1 or (files.best.exists() and not epochs):  # 1: killed before its checkpoint was whole
            raise UserError(f"{files.last}: missing, so the run cannot go on", otherwise)
        screen.say("the run ended before its first checkpoint: it starts anew")
        return None
    state = checkpoint.load(files.last, instead=otherwise)
    if not {"identity", "begun"} <= state.keys():  # best.pt has neither
        raise UserError(f"{files.last}: not the last.pt of a run of this version", otherwise)
    with checkpoint.reading(files.last):
        changed = changes(state["identity"], resolved)
    if changed:
        raise UserError(f"{files.path}: cannot resume, experiment.json has changed since ({'; '.join(changed)})")
    return state


@_refused()
def where_left(
    state: Mapping[str, Any] | None,
    files: RunFolder,
    screen: Screen,
    *,
    step: Step,
    scheduler: Any,
    device: torch.device,
) -> Progress:
    """Where the run begins: afresh, or where ``state``, read from last.pt, left it.

    Raises:
        CannotResume: last.pt is of another network, or one of the checkpoints is damaged.
        OutOfMemory: There is no room for what it holds.
    """
    if state is None:
        return Progress()
    with setting_up(device):
        progress = restore(state, files.last, step=step, scheduler=scheduler, device=device)
    settle_best(files, progress, screen)
    screen.say(f"resumed after epoch {progress.epoch}, step {progress.step}")
    return progress


def epochs_so_far(files: RunFolder, progress: Progress, screen: Screen) -> list[Row]:
    """The lines of metrics.jsonl that go with ``progress``; later ones are dropped, since they are written again."""
    rows = files.keep_metrics(progress.epoch)
    if lost := progress.epoch - len(rows):
        screen.warn(
            f"{files.metrics}: {lost} of {progress.epoch} epochs are missing; the run goes on without their lines"
        )
    return rows


def settle_best(files: RunFolder, progress: Progress, screen: Screen) -> None:
    """Leave the weights of the best epoch that ``progress``, read from last.pt, knows as best.pt.

    A sitting that died before it wrote last.pt, or that ended by an error, may have left those of a later epoch there,
    which is trained anew.

    Raises:
        UserError: One of the checkpoints is damaged.
    """
    otherwise = f"delete it, or {repeat_command(files.path)} repeats the run"
    found = [file for file in (files.former, files.best) if file.exists()]
    known = {checkpoint.load(file, instead=otherwise).get("epoch"): file for file in found}.get(progress.best_epoch)
    if known is None:
        checkpoint.remove(files.best)
        if progress.best_epoch:
            screen.warn(f"{files.best}: the weights of epoch {progress.best_epoch} are gone; the best is sought anew")
            progress.best, progress.best_loss, progress.best_epoch = None, math.inf, 0
    elif known == files.former:
        checkpoint.move(files.former, files.best)
    checkpoint.remove(files.former)


def require_same_data(former: Mapping[str, Any] | None, dataset: Dataset, folder: Path) -> None:
    """Refuse a dataset that is not what the run in ``folder`` began with.

    Raises:
        CannotResume: Its fingerprint differs from the one noted; it says in which splits.
    """
    noted = part_of(former, "data").get("fingerprint")
    if former and noted not in (None, dataset.fingerprint):
        told = ", ".join(_changes(part_of(former, "result"), dataset)) or "other files or labels in train"
        onward = f"put it back, or {new_run(folder, former)}"
        raise CannotResume(f"data: the dataset has changed since the run began ({told})", onward)


def _changes(result: Mapping[str, Any], dataset: Dataset) -> list[str]:
    """What of a dataset's splits is not as the run noted it; nothing is known of files and labels of train."""
    before = part_of(part_of(result, "data"), "splits")
    now = {split: len(records) for split, records in dataset.splits.items()}
    sizes = {split: (before.get(split, 0), now.get(split, 0)) for split in {**before, **now}}
    noted = part_of(result, "fingerprints")
    return [
        f"{split} had {plural(then, 'image')}, now {size}" if then != size else f"other files or labels in {split}"
        for split, (then, size) in sizes.items()
        if then != size or noted.get(split) != dataset.fingerprints.get(split)
    ]
