"""Checkpoints that survive a crash in the middle of a write and say so when a byte has changed.

Beside each file stands its SHA-256, because a flipped byte in tensor data loads without an error. Only tensors and
plain types are stored: files load with ``weights_only=True`` and never run code.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from visrun.device import is_out_of_memory
from visrun.errors import UserError, VisrunError, first_line
from visrun.files import write_atomic

ARCHIVE, PICKLE = b"PK", b"\x80"  # begin a file of torch.save, the latter one from before PyTorch 1.6
DIGEST = ".sha256"  # ends the name of the file beside a checkpoint that holds its digest
OTHERWISE = "go on with the version of visrun, of torchvision or of the plugin that wrote it, or train anew"


def save(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` (tensors and plain types) to ``path`` atomically, its digest beside it.

    Raises:
        VisrunError: The disk is full or the folder gone; a checkpoint that stood at ``path`` is still whole.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getbuffer()
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise VisrunError(f"{path}: cannot write ({error.strerror})") from error
    if free < len(data):
        raise VisrunError(f"{path}: disk full, a checkpoint needs {len(data):,} bytes and {free:,} are free")
    digest, file = hashlib.sha256(data).hexdigest(), _digest_file(path)
    # Written before the file and beside the former ones: whichever file a crash or a full disk leaves is known.
    _write_digests(file, [*(_digests(file) or []), digest])
    write_atomic(path, data)
    _write_digests(file, [digest])


def remove(*paths: Path) -> None:
    """Take checkpoints and their digests away, where there are any."""
    for path in paths:
        for file in (path, _digest_file(path)):
            file.unlink(missing_ok=True)


def keep(path: Path, aside: Path) -> None:
    """Let a checkpoint that stands at ``path`` be at ``aside`` too, whatever is saved at ``path`` next; none is copied.

    Raises:
        VisrunError: The folder cannot be written.
    """
    if not path.exists():
        return
    try:
        remove(aside)
        try:
            with suppress(FileNotFoundError):
                os.link(_digest_file(path), _digest_file(aside))
            os.link(path, aside)
        except OSError:  # a file system without hard links
            move(path, aside)
    except OSError as error:
        raise VisrunError(f"{aside}: cannot write ({error.strerror})") from error


def move(path: Path, target: Path) -> None:
    """Put a checkpoint in the place of another, whole at every moment."""
    _digest_file(target).unlink(missing_ok=True)  # which would call the other one damaged
    path.replace(target)
    with suppress(FileNotFoundError):
        _digest_file(path).replace(_digest_file(target))


def load(path: Path, *, instead: str = "use another checkpoint") -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Args:
        instead: What the user can do where it is none that can be used.

    Raises:
        UserError: The file is missing, truncated, no checkpoint, or differs from its digest.
    """
    digest = _digest_file(path)
    before = _digests(digest) or []  # of a run that is still training, which may save while this is read
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the checkpoint ({error.strerror})", instead) from None
    known = _digests(digest)
    if known is not None and hashlib.sha256(data).hexdigest() not in [*before, *known]:
        raise UserError(f"{path}: the file is damaged (its SHA-256 differs from {digest.name})", instead)
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        why = unreadable(data, error)
        raise UserError(f"{path}: not a checkpoint that can be loaded safely ({why})", instead) from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a checkpoint of visrun", instead)
    return state


def unreadable(begin: bytes, error: Exception) -> str:
    """Why torch could not read a file's tensors and plain types; its own words tell how to run a stranger's code.

    Args:
        begin: The file's first bytes.
        error: What torch raised.
    """
    if not begin:
        return "it is empty"
    if not begin.startswith((ARCHIVE, PICKLE)):
        return "it is no file of PyTorch"
    if isinstance(error, UnpicklingError) or begin.startswith(PICKLE):
        return "it holds pickled objects; save the tensors alone, model.state_dict()"
    return "it is damaged or cut short"


def fill(module: nn.Module, weights: Mapping[str, Tensor], *, file: Path) -> None:
    """Give ``module`` the weights that ``file`` holds of it.

    Raises:
        UserError: They are not all those of this network.
    """
    own = module.state_dict()
    same = {name for name in own.keys() & weights.keys() if own[name].shape == weights[name].shape}
    odd = sorted((own.keys() | weights.keys()) - same)
    try:
        if odd:  # some networks take a tensor of another size, such as a memory; tried on a copy
            deepcopy(module).load_state_dict(weights)
    except RuntimeError:
        told = f"{file}: the weights of another network ({len(odd)} of {len(own)} tensors differ, such as {odd[0]})"
        raise UserError(told, OTHERWISE) from None
    module.load_state_dict(weights)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn errors of a missing or mistyped part of the checkpoint ``file`` into one line.

    Raises:
        UserError: Instead of the error that the part led to.
    """
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, VisrunError) or is_out_of_memory(error):
            raise
        told = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{file}: a part is missing or of another kind ({told})", OTHERWISE) from error


def _digests(file: Path) -> list[str] | None:
    """What a file of digests lists, none of them where it cannot be read; None where there is no such file."""
    try:
        return file.read_text(errors="replace").split()
    except FileNotFoundError:
        return None
    except OSError:
        return []


def _write_digests(file: Path, digests: Sequence[str]) -> None:
    write_atomic(file, "\n".join([*digests, ""]).encode())


def _digest_file(path: Path) -> Path:
    return path.with_name(path.name + DIGEST)
