"""What a process draws, begun anew and taken up again."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from visrun import chance, checkpoint

CPU = torch.device("cpu")


def drawn() -> list[float]:
    """Of each generator uniform numbers, and normal ones, of which some keep every second."""
    torchs = [*torch.rand(3).tolist(), *torch.randn(1).tolist()]
    return [*torchs, *np.random.rand(3), np.random.randn(), random.random(), random.gauss()]


@pytest.mark.parametrize("number", [0, 7, (2**32 - 1) * 1_000_003 + 99])
def test_a_seed_begins_anew_everywhere(number: int) -> None:
    chance.seed(number)
    first = drawn()
    assert drawn() != first
    chance.seed(number)
    assert drawn() == first
    chance.seed(number + 1)
    assert not set(drawn()) & set(first)


def test_a_state_in_a_checkpoint_goes_on_where_it_stood(tmp_path: Path) -> None:
    chance.seed(0)
    drawn()
    checkpoint.save({"random": chance.random_state(CPU)}, tmp_path / "last.pt")
    expected = [drawn(), drawn()]
    chance.set_random_state(checkpoint.load(tmp_path / "last.pt")["random"], CPU)
    assert [drawn(), drawn()] == expected
