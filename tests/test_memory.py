from dataclasses import dataclass

import pytest
import torch
from torch import nn

from visrun.data.batches import NoSteps
from visrun.device import is_out_of_memory
from visrun.errors import OutOfMemory
from visrun.memory import batch_size_that_fits, out_of_memory, without_steps
from visrun.step import Step

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


def step_of(task, model, accumulate=1):
    """Of a run on the CPU."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return Step(task, model, optimizer, device=CPU, accumulate=accumulate, clip=1.0)


@pytest.mark.parametrize(("most", "expected"), [(100, 16), (16, 16), (15, 8), (3, 2), (1, 1), (0, None)])
def test_it_finds_the_largest_half_that_really_runs(most, expected):
    task, model = Greedy(most), nn.Linear(2, 1)
    batch = Batch(torch.ones(32, 2), torch.ones(32, 1))
    assert batch_size_that_fits(step_of(task, model), batch) == expected
    assert task.tried[-4:] == [expected] * 4 if expected else task.tried[-1] == 1  # two steps of two parts
    assert all(p.grad is None for p in model.parameters()) or expected is None


@pytest.mark.parametrize(("held", "expected"), [("momenta", 8), ("gradients", 4)])
def test_what_is_tried_is_a_step_of_a_run_that_has_begun(held, expected):
    """Beside the first pass of a run there are neither momenta nor gradients of a part before."""
    model = nn.Linear(2, 1)
    step = step_of(None, model)

    class Heavy:
        def losses(self, model, batch):
            beside = {"momenta": 8 * bool(step.optimizer.state), "gradients": 12 * (model.weight.grad is not None)}
            if len(batch.images) + beside[held] > 16:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return {"loss": (model(batch.images) - batch.target).square().mean()}

    step.task = Heavy()
    assert batch_size_that_fits(step, Batch(torch.ones(32, 2), torch.ones(32, 1))) == expected


class Train:
    """One step of ``accumulate`` parts of ``batch_size`` samples."""

    def __init__(self, batch_size, accumulate):
        self.batch_size = batch_size * accumulate

    def __len__(self):
        return 1

    def epoch(self, epoch):
        yield Batch(torch.ones(self.batch_size, 2), torch.ones(self.batch_size, 1))


@pytest.mark.parametrize(
    ("size", "of", "most", "advice"),
    [
        (8, 4, 100, "batch_size=4 fits (run.accumulate=8 keeps the effective batch)"),
        (8, 4, 3, "batch_size=2 fits (run.accumulate=16 keeps the effective batch)"),
        (7, 4, 100, "batch_size=3 fits (run.accumulate=9 makes the effective batch 27)"),
        (5, 1, 1, "batch_size=1 fits (run.accumulate=5 keeps the effective batch)"),
        (4, 1, 0, "no smaller batch fits: use a smaller data.image_size or model"),
        (1, 2, 9, "no smaller batch fits: use a smaller data.image_size or model"),
    ],
)
def test_the_advice_is_a_size_that_was_tried_and_what_it_makes_of_the_batch(size, of, most, advice):
    task = Greedy(most)
    error = out_of_memory(step_of(task, nn.Linear(2, 1), of), Train(size, of), kept=0)
    start = f"batch_size={size}: out of memory on cpu"
    assert str(error) in (f"{start}; {advice}", f"{start}, {advice}")
    assert all(tried < size for tried in task.tried)


@pytest.mark.parametrize(("most", "train"), [(4, Train(8, 1)), (0, Train(8, 1)), (4, NoSteps())])
def test_images_that_take_much_of_the_memory_are_told(most, train):
    lines = [
        str(out_of_memory(step_of(Greedy(most), nn.Linear(2, 1)), train, kept=kept))
        for kept in (999_999_999, 12_340_000_000)
    ]
    assert lines[1] == f"{lines[0]}; the dataset's images take 12.3 GB there, with data.cache=ram none"


def test_one_sample_that_batch_norm_refuses_does_not_fit():
    task, model = Greedy(1), nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    error = out_of_memory(step_of(task, model), Train(4, 1), kept=0)
    assert task.tried == [2, 1]
    assert str(error) == (
        "batch_size=4: out of memory on cpu, no smaller batch fits: use a smaller data.image_size or model"
    )


class Unmade(Train):
    """Batches that cannot be made."""

    def __init__(self, error):
        super().__init__(4, 2)
        self.error = error

    def epoch(self, epoch):
        raise self.error
        yield


def test_a_batch_that_does_not_fit_by_itself_is_told_as_that():
    train = Unmade(torch.OutOfMemoryError("CUDA out of memory"))
    error = out_of_memory(step_of(Greedy(9), nn.Linear(2, 1), 2), train, kept=0)
    assert str(error) == (
        "batch_size=4: out of memory on cpu for its images alone: use a smaller batch_size or data.image_size"
    )
    with pytest.raises(RuntimeError, match="a fault"):
        out_of_memory(step_of(Greedy(9), nn.Linear(2, 1), 2), Unmade(RuntimeError("a fault")), kept=0)


def test_memory_that_runs_out_where_no_step_runs_is_told_as_that():
    with pytest.raises(OutOfMemory) as caught, without_steps(CPU, "the evaluation", "use less"):
        raise RuntimeError("CUDA error: out of memory")
    assert str(caught.value) == "out of memory on cpu in the evaluation: use less"
    with pytest.raises(RuntimeError, match="a fault"), without_steps(CPU, "the evaluation", "use less"):
        raise RuntimeError("a fault")


def test_other_errors_are_not_taken_for_missing_memory():
    class Broken:
        def losses(self, model, batch):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        batch_size_that_fits(step_of(Broken(), nn.Linear(2, 1)), Batch(torch.ones(4, 2), torch.ones(4, 1)))


def test_memory_errors_of_both_worlds_are_known():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    cudnn = "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_{}_ALLOCATION_FAILED"
    assert all(is_out_of_memory(RuntimeError(cudnn.format(where))) for where in ("HOST", "DEVICE"))
    assert is_out_of_memory(RuntimeError("FIND was unable to find an engine to execute this computation"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
