from dataclasses import dataclass

import pytest
import torch
from torch import nn

from visrun.device import is_out_of_memory
from visrun.memory import batch_size_that_fits

CPU = torch.device("cpu")


@dataclass
class Batch:
    images: torch.Tensor
    target: torch.Tensor


class Greedy:
    """Runs out of memory above a number of samples."""

    def __init__(self, most):
        self.most, self.tried = most, []

    def losses(self, model, batch):
        self.tried.append(len(batch.images))
        if len(batch.images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"loss": (model(batch.images) - batch.target).square().mean()}


@pytest.mark.parametrize(("most", "expected"), [(100, 16), (16, 16), (15, 8), (3, 2), (1, 1), (0, None)])
def test_it_finds_the_largest_half_that_really_runs(most, expected):
    task, model = Greedy(most), nn.Linear(2, 1)
    batch = Batch(torch.ones(32, 2), torch.ones(32, 1))
    assert batch_size_that_fits(task, model, batch, device=CPU, precision="fp32") == expected
    assert task.tried[-1] == (expected or 1)
    assert all(p.grad is None for p in model.parameters()) or expected is None


def test_other_errors_are_not_taken_for_missing_memory():
    class Broken:
        def losses(self, model, batch):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        batch_size_that_fits(
            Broken(), nn.Linear(2, 1), Batch(torch.ones(4, 2), torch.ones(4, 1)), device=CPU, precision="fp32"
        )


def test_memory_errors_of_both_worlds_are_known():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
