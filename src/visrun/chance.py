"""The generators of a process that layers, losses and plugins draw from: torch's, NumPy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def seed(number: int) -> None:
    """Begin anew everywhere; ``number`` is at least 0."""
    torch.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)


def random_state(device: torch.device) -> dict[str, Any]:
    """Where the generators stand, in tensors and plain types."""
    numpy: Any = np.random.get_state()
    plain = [part.tolist() if isinstance(part, np.ndarray) else part for part in numpy]
    state = {"cpu": torch.get_rng_state(), "numpy": tuple(plain), "python": random.getstate()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Take back what :func:`random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
