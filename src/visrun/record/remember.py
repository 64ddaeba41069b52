"""A run's own experiment.json as its configuration: how a run is resumed or used without composing it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visrun import checkpoint
from visrun.config import plugins
from visrun.config.configs import flatten
from visrun.config.configured import Configured
from visrun.config.fields import validate
from visrun.config.settings import SECTIONS, Settings
from visrun.console import Screen
from visrun.data.records import Dataset
from visrun.errors import ConfigError, DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.hyperparameters import Hyperparameters
from visrun.record.experiment import unknown_names
from visrun.record.journal import differences, former_identity, identity
from visrun.record.run_files import FILE_NAME
from visrun.record.run_folder import RunFolder, part_of, read_json
from visrun.tables import model_entry
from visrun.training import Progress


@dataclass(frozen=True)
class Remembered:
    """What a run's folder keeps of its configuration; a :class:`visrun.config.configured.Configured`."""

    hyperparameters: Hyperparameters
    settings: Settings
    sources: dict[str, str]


def remembered(folder: Path) -> Remembered:
    """The configuration that the run in ``folder`` was started with.

    Raises:
        UserError: experiment.json is missing, holds what no run writes, or names what is not known here.
    """
    file = folder / FILE_NAME
    content = read_json(file)
    values, problems = validate(Hyperparameters, part_of(content, "hyperparameters"))
    data = {key: value for key, value in part_of(content, "data").items() if key != "fingerprint"}
    given = {key: part_of(content, key) for key in SECTIONS} | {"data": data}
    given |= {key: content[key] for key in ("task", "seed") if key in content}
    settings, more = validate(Settings, given)
    if values is None or settings is None:
        raise UserError(f"{file}: {'; '.join([*problems, *more])}")
    unknown = unknown_names({"loss": values.loss, **flatten(settings.model_dump(mode="json"))})
    if unknown:
        raise ConfigError([f"{file}: {line}" for line in unknown])
    sources = {str(key): str(source) for key, source in part_of(content, "sources").items()}
    return Remembered(values, settings, sources)


def repeat_command(folder: Path) -> str:
    """The command that does what the run in ``folder`` did once more."""
    return plugins.command(f"experiment={folder / FILE_NAME}")


def longer_command(folder: Path, *words: str) -> str:
    """The command that begins a new run at the best weights of the one in ``folder``, with these changes."""
    return plugins.command(f"experiment={folder}", f"model.weights={folder}", *words)


def once_finished(folder: Path, content: Mapping[str, Any]) -> str:
    """What a person can do with a finished run, whose experiment.json holds ``content``; a model that learns nothing by
    gradient is not trained on."""
    noted = (part_of(content, "hyperparameters").get("loss"), part_of(content, "model").get("name"))
    names = {key: name for key, name in zip(("loss", "model.name"), noted, strict=True) if isinstance(name, str)}
    unknown, repeats = unknown_names(names), f"{repeat_command(folder)} repeats it"
    if not unknown and "model.name" in names and not model_entry(names["model.name"]).gradient:
        return repeats
    lacking = " (add the plugins=[...] that it was started with)" if unknown else ""
    return f"{repeats}, {longer_command(folder, 'max_epochs=N')} trains on from its best weights{lacking}"


def what_next(files: RunFolder, error: BaseException | None = None) -> str:
    """What a person can do after a run was stopped, or ended by ``error``, which itself is said elsewhere."""
    if _is_gone(files.path / FILE_NAME):
        word = "failed" if isinstance(error, Exception) else "stopped"
        return f"{word}; {files.path / FILE_NAME} is gone, without which the run cannot go on"
    onward = f"go on with: {plugins.command('resume', str(files.path))}"
    if not isinstance(error, VisrunError):
        return f"{'failed' if isinstance(error, Exception) else 'stopped'}; {onward}"
    changed = f"the same with a change: {repeat_command(files.path)} KEY=VALUE"
    # What the settings are to blame for happens again; a full disk or a drive that is gone can be mended. Data that no
    # epoch was trained on were refused, and there is nothing to go on with.
    mended = isinstance(error, DataError) and files.last.exists()
    lasting = isinstance(error, (Diverged, OutOfMemory, UserError)) and not mended
    return f"failed; {changed}" if lasting else f"failed; {onward}; {changed}"


def _is_gone(file: Path) -> bool:
    """Whether a file is certainly not there: of a drive that does not answer nothing is known."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def last_state(files: RunFolder, resolved: Configured, screen: Screen) -> dict[str, Any] | None:
    """What last.pt holds, or None before the first one, which is said.

    Raises:
        UserError: It is gone, though more than one epoch is there, or damaged, or the settings are no longer those it
            was written with.
    """
    otherwise = f"{repeat_command(files.path)} repeats the run"
    if not files.last.exists():
        epochs = len(files.read_metrics())
        if epochs > 1 or (files.best.exists() and not epochs):  # 1: killed before its checkpoint was whole
            raise UserError(f"{files.last}: missing, so the run cannot go on; {otherwise}")
        screen.say("the run ended before its first checkpoint: it starts anew")
        return None
    state = checkpoint.load(files.last, instead=otherwise)
    if not {"identity", "begun"} <= state.keys():  # best.pt has neither
        raise UserError(f"{files.last}: not the last.pt of a run of this version; {otherwise}")
    with checkpoint.reading(files.last):
        changed = differences(former_identity(state["identity"]), identity(resolved))
    if changed:
        raise UserError(f"{files.path}: cannot resume, experiment.json has changed since ({'; '.join(changed)})")
    return state


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
        UserError: Its fingerprint differs from the one noted; it says in which splits.
    """
    noted = part_of(former, "data").get("fingerprint")
    if noted is not None and noted != dataset.fingerprint:
        told = ", ".join(_changes(part_of(former, "result"), dataset)) or "other files or labels in train"
        onward = f"put it back, or {longer_command(folder)} trains on from the run's best weights"
        raise UserError(f"data: the dataset has changed since the run began ({told}): {onward}")


def _changes(result: Mapping[str, Any], dataset: Dataset) -> list[str]:
    """What of a dataset's splits is not as the run noted it; nothing is known of files and labels of train."""
    before = part_of(part_of(result, "data"), "splits")
    now = {split: len(records) for split, records in dataset.splits.items()}
    sizes = {split: (before.get(split, 0), now.get(split, 0)) for split in {**before, **now}}
    noted = part_of(result, "fingerprints")
    return [
        f"{split} had {then} images, now {size}" if then != size else f"other files or labels in {split}"
        for split, (then, size) in sizes.items()
        if then != size or noted.get(split) != dataset.fingerprints.get(split)
    ]
