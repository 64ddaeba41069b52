"""What a person can do next with a run that has ended, as commands: go on with it, repeat it, train on from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visrun.config import plugins
from visrun.config.experiment import unknown_names
from visrun.errors import DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.files import part_of
from visrun.record.run_folder import RunFolder
from visrun.record.run_settings import learns
from visrun.run_files import FILE_NAME


def repeat_command(folder: Path, *words: str) -> str:
    """The command that does what the run in ``folder`` did once more, with these changes."""
    return plugins.command(f"experiment={folder / FILE_NAME}", *words)


def new_run(folder: Path, content: Mapping[str, Any], *words: str) -> str:
    """By which command a new run with these changes begins where the one in ``folder``, whose experiment.json holds
    ``content``, was best; one without a best, or whose model learns nothing by gradient, is not trained on."""
    if not learns(content) or not RunFolder(folder).best.exists():
        return f"{repeat_command(folder, *words)} begins anew"
    longer = plugins.command(f"experiment={folder}", f"model.weights={folder}", *words)
    return f"{longer} trains on from its best weights"


def once_finished(folder: Path, content: Mapping[str, Any]) -> str:
    """What a person can do with a finished run, whose experiment.json holds ``content``."""
    longer = f", {new_run(folder, content, 'max_epochs=N')}" if learns(content) else ""
    lacking = " (add the plugins=[...] that it was started with)" if unknown_names(_names(content)) else ""
    return f"{repeat_command(folder)} repeats it{longer}{lacking}"


def _names(content: Mapping[str, Any]) -> dict[str, str]:
    """The loss and the model that an experiment.json names, where they are texts."""
    noted = {
        "loss": part_of(content, "hyperparameters").get("loss"),
        "model.name": part_of(content, "model").get("name"),
    }
    return {key: name for key, name in noted.items() if isinstance(name, str)}


def what_next(files: RunFolder, error: BaseException | None = None, *, alone: bool = True) -> str:
    """What a person can do after a run was stopped, or ended by ``error``, which itself is said elsewhere.

    Args:
        alone: Whether it is no trial of a sweep, which goes on with those that were stopped.
    """
    if _is_gone(files.path / FILE_NAME):
        word = "failed" if isinstance(error, Exception) else "stopped"
        return f"{word}; {files.path / FILE_NAME} is gone, without which the run cannot go on"
    if not alone and not isinstance(error, Exception):
        return "stopped; its sweep goes on with it"
    if not isinstance(error, VisrunError):
        return f"{'failed' if isinstance(error, Exception) else 'stopped'}; {onward(files)}"
    changed = f"the same with a change: {repeat_command(files.path)} KEY=VALUE"
    # What the settings are to blame for happens again; a full disk or a drive that is gone can be mended. Data that no
    # epoch was trained on were refused, and there is nothing to go on with.
    mended = isinstance(error, DataError) and files.last.exists()
    lasting = isinstance(error, (Diverged, OutOfMemory, UserError)) and not mended
    return f"failed; {changed}" if lasting else f"failed; {onward(files)}; {changed}"


def onward(files: RunFolder) -> str:
    """By which command a run goes on."""
    return f"go on with: {plugins.command('resume', str(files.path))}"


def _is_gone(file: Path) -> bool:
    """Whether a file is certainly not there: of a drive that does not answer nothing is known."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
