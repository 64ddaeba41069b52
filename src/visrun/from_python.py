"""What a run that Python starts needs, since its process goes on: words, a folder, no other run, all as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import numpy as np
import torch

from visrun.allocator import give_back
from visrun.config.overrides import hydra_words, run_dir
from visrun.errors import ConfigError, VisrunError
from visrun.preflight import require_free
from visrun.tracking.client import undone

_RUNNING = Lock()


def named_folder(overrides: Sequence[str]) -> Path | None:
    """The folder that ``hydra.run.dir`` names, the one word of Hydra's that is read without Hydra.

    Raises:
        ConfigError: No list of texts, a flag, another word of Hydra's, or a folder that cannot be taken.
    """
    several = isinstance(overrides, Sequence) and not isinstance(overrides, str)
    if not several or not all(isinstance(word, str) for word in overrides):
        raise ConfigError('train takes a list of texts, as in train(["task=regression", "max_epochs=5"])')
    flags = [word for word in overrides if word.startswith("-")]
    if flags:
        raise ConfigError([f"{word}: flags are not taken from Python; write key=value" for word in flags])
    own = hydra_words(overrides)
    unread = [word for word in own if run_dir([word]) is None]
    if unread:
        raise ConfigError(
            [f"{word}: not read from Python; of Hydra's words hydra.run.dir=FOLDER alone is" for word in unread]
        )
    folder = run_dir(own[-1:])
    if folder is not None:
        require_free(folder)
    return folder


@contextmanager
def single_run() -> Iterator[None]:
    """One run at a time, since all share torch's generator and the log, with gradients and float32, whatever its caller
    has. Torch's and MLflow's switches are put back, its current GPU, and the CPU's generators of torch, Python and
    NumPy, from which a search around the run may draw.

    Raises:
        VisrunError: Another run is under way in this process.
    """
    if not _RUNNING.acquire(blocking=False):
        raise VisrunError(
            "another run is under way in this process; wait for its end, or train in a process of its own"
        )
    deterministic, cudnn = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    quickest, repeatable, precision = cudnn.benchmark, cudnn.deterministic, None
    with suppress(RuntimeError):  # torch does not say it to a user who has set it for each backend
        precision = torch.get_float32_matmul_precision()
    device = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    dtype = torch.get_default_dtype()
    python, numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        torch.set_default_dtype(torch.float32)
        with undone(), torch.inference_mode(False), torch.enable_grad():  # whatever a notebook has set for itself
            yield
    finally:
        give_back()
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(of_torch)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        cudnn.benchmark, cudnn.deterministic = quickest, repeatable
        if precision is not None:
            torch.set_float32_matmul_precision(precision)
        if torch.cuda.is_initialized():
            with suppress(RuntimeError):  # of a GPU that failed, which is what to tell
                torch.cuda.set_device(device)
        _RUNNING.release()
