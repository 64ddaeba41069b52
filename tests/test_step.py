from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from visrun import feeding, parts
from visrun.batch import each
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.detection import objective
from visrun.errors import ConfigError
from visrun.step import Ledger, Step
from visrun.tables import TASKS

CPU = torch.device("cpu")


@dataclass
class Batch:
    images: torch.Tensor
    target: torch.Tensor


class Squares:
    """Two named losses over a linear model."""

    def losses(self, model, batch):
        error = model(batch.images) - batch.target
        return {"square": (error**2).mean(), "size": 0.1 * error.abs().mean()}


class Waiting(Squares):
    """Reads a value back, which no capture allows."""

    def losses(self, model, batch):
        found = super().losses(model, batch)
        assert float(found["size"]) >= 0
        return found


def batch_of(n=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(n, 3, generator=generator), torch.randn(n, 1, generator=generator))


def linear():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def make(model, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Step(Squares(), model, optimizer, device=CPU, **options)


def test_a_step_is_plain_gradient_descent_on_the_sum_of_losses():
    model, reference, batch = linear(), linear(), batch_of()
    make(model)(batch)
    sum(Squares().losses(reference, batch).values()).backward()
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs - 0.1 * theirs.grad, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            lambda error: error.flatten(),
            r"the loss mine gives a tensor \(8,\) of float32, not one number: let it take the mean",
        ),
        (lambda error: 0.5, r"the loss mine gives float, not a tensor of one number: leave out item\(\) and float\(\)"),
        (lambda error: None, r"the loss mine gives NoneType, not a tensor of one number: is its return missing\?"),
        (lambda error: error.mean() * 1j, r"the loss mine gives a tensor \(\) of complex64, not one number"),
    ],
)
def test_a_loss_that_is_no_single_number_is_one_line(given, told):
    step, batch = make(linear()), batch_of()
    step.task = SimpleNamespace(losses=lambda model, part: {"mine": given(model(part.images) - part.target)})
    with pytest.raises(ConfigError, match=told):
        step(batch)


def test_a_loss_without_parts_is_one_line():
    step, batch = make(linear()), batch_of()
    step.task = SimpleNamespace(losses=lambda model, part: {})
    with pytest.raises(ConfigError, match="the loss gives a mapping without parts: name one at least"):
        step(batch)


def test_a_loss_without_a_gradient_is_one_line():
    step, batch = make(linear()), batch_of()
    step.task = SimpleNamespace(losses=lambda model, part: {"mine": model(part.images).detach().mean()})
    with pytest.raises(ConfigError, match="the loss has no gradient: let it follow"):
        step(batch)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulating_parts_equals_the_whole_batch(parts):
    whole, parted = linear(), linear()
    make(whole)(batch_of())
    step = make(parted, accumulate=parts)
    step(batch_of())
    for ours, theirs in zip(parted.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    expected = sum(Squares().losses(linear(), batch_of()).values()).item()
    assert step.ledger.means()["loss"] == pytest.approx(expected, abs=1e-6)


def test_clipping_bounds_the_norm_of_all_gradients_together():
    model = linear()
    before = [p.detach().clone() for p in model.parameters()]
    make(model, clip=1e-3)(batch_of())
    moved = torch.cat([(a - b).flatten() for a, b in zip(model.parameters(), before, strict=True)]).norm()
    assert moved.item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_the_ledger_means_each_part_and_their_sum():
    ledger = Ledger(CPU)
    for value in (1.0, 3.0):
        ledger.add({"a": torch.tensor(value), "b": torch.tensor(1.0)}, torch.tensor(value + 1.0), 1.0)
        ledger.close_step()
    assert ledger.means() == {"a": 2.0, "b": 1.0, "loss": 3.0}
    assert ledger.peek() == (4.0, None)
    ledger.reset()
    assert ledger.means() == {"a": 0.0, "b": 0.0, "loss": 0.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_ledger_names_the_first_step_that_was_not_finite(bad):
    ledger = Ledger(CPU)
    for value in (1.0, 2.0, bad, 1.0, bad):
        ledger.add({}, torch.tensor(value), 1.0)
        ledger.close_step()
    assert ledger.peek()[1] == 2


def test_the_ledger_comes_back_exactly():
    ledger, other = Ledger(CPU), Ledger(CPU)
    for value in (0.1, 0.7, 1e-9):
        ledger.add({"a": torch.tensor(value)}, torch.tensor(value), 1.0)
        ledger.close_step()
    other.load_state_dict(ledger.state_dict())
    assert other.means() == ledger.means()


def test_the_evaluated_weights_are_the_average_where_there_is_one():
    model = linear()
    assert make(model).evaluated is model
    step = make(model, ema=0.99)
    step(batch_of())
    assert step.evaluated is not model
    other = make(linear(), ema=0.99)
    other.load_state_dict(step.state_dict())
    assert torch.equal(other.evaluated.weight, step.evaluated.weight)


class Anew(nn.Linear):
    """Assigns its buffer in each step, which a replay would not do."""

    def __init__(self, in_place):
        super().__init__(3, 1)
        self.in_place = in_place
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images):
        if self.in_place:
            self.seen += 1
        else:
            self.seen = self.seen + 1
        return super().forward(images)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_that_makes_buffers_anew_is_not_captured(in_place, monkeypatch):
    stream = Mock()
    for name, stand_in in {"current_stream": lambda device: stream, "stream": lambda side: nullcontext()}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    step = make(Anew(in_place))
    step.graph_wanted, step.side = True, stream
    step(batch_of())
    assert step.graph_wanted == in_place
    assert ("makes buffers of the model anew" in step.graph_note) == (not in_place)


@pytest.mark.parametrize(("device", "said"), [("cuda", True), ("cpu", False)])
def test_a_graph_that_is_not_tried_is_told_with_the_reason_on_a_gpu(device, said, monkeypatch):
    monkeypatch.setattr("visrun.step.Ledger", Mock())
    model = nn.Linear(1, 1)
    step = Step(Mock(), model, Mock(), device=torch.device(device), refused="run.deterministic=true")
    note = "no CUDA graph, every step is launched kernel by kernel: run.deterministic=true"
    assert step.graph_note == (note if said else "")


@pytest.fixture
def broken_capture(monkeypatch):
    """A capture that breaks off, as it does on a GPU: what raised within is the context of what closing it raises."""
    streams, freed, ended, released = [], [], Mock(), Mock()

    @contextmanager
    def broken(graph, pool, stream):
        assert pool == (0, 7)
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture\nmore")

    for name, stand_in in {
        "CUDAGraph": object,
        "current_stream": lambda device: "main",
        "set_stream": streams.append,
        "synchronize": lambda device: None,
        "graph_pool_handle": lambda: (0, 7),
        "graph": broken,
        "empty_cache": lambda: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr("visrun.step.free_generator", freed.append)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", ended, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", released, raising=False)
    return SimpleNamespace(streams=streams, freed=freed, ended=ended, released=released)


@pytest.mark.parametrize(
    ("within", "told"),
    [
        (RuntimeError("operation not permitted when stream is capturing\nmore"), "operation not permitted when"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "CUDA out of memory"),
        (None, "operation failed due to a previous error"),
    ],
)
def test_a_capture_that_fails_says_why_and_leaves_all_as_it_was(within, told, broken_capture, monkeypatch):
    step = make(linear())
    if within:
        monkeypatch.setattr(step, "_train", Mock(side_effect=within))
    assert not step._capture(batch_of())
    assert broken_capture.streams == ["main"] and broken_capture.freed == [CPU]
    assert f"kernel by kernel: {told}" in step.graph_note and "more" not in step.graph_note
    broken_capture.ended.assert_called_once_with(0, (0, 7))
    broken_capture.released.assert_called_once_with(0, (0, 7))


def test_the_allocator_may_have_ended_a_failed_capture_or_know_no_way_to(broken_capture, monkeypatch):
    broken_capture.ended.side_effect = RuntimeError("endAllocatePool: not currently recording to mempool_id")
    assert not make(linear())._capture(batch_of())
    broken_capture.released.assert_not_called()  # which the graph does itself; twice is an error that ends the process
    monkeypatch.delattr(torch._C, "_cuda_endAllocateToPool")
    assert not make(linear())._capture(batch_of())


SMALL = {
    "classification": ["model=small_resnet", "data.image_size=16"],
    "anomaly_detection": ["model=small_unet", "data.image_size=32"],
    "regression": ["model=small_resnet", "data.image_size=32"],
    "segmentation": ["model=small_unet", "data.image_size=32"],
}
STEPS = [(task, loss) for task, entry in TASKS.items() for loss in entry.losses]


def small(task, loss, *, device):
    """The parts of a run on the demo, its model in training mode."""
    resolved, screen = resolve(words(task, loss, device)), Screen()
    made = parts.build(resolved, feeding.read_dataset(resolved.settings, screen), screen)
    made.step.model.train()
    return made


def words(task, loss, device):
    model = SMALL.get(task, ["model=small_detector", "data.image_size=64"])
    usual = ["optimizer=sgd", "batch_size=4", "tracking=none", "model.pretrained=false", "run.ema=0.9"]
    return [f"task={task}", f"loss={loss}", f"run.device={device}", *usual, *model]


# torch's "meta" device holds shapes alone: reading a value back raises there, and so does a shape that depends on one
META = torch.device("meta")


class NoTensorOfTheHost(TorchDispatchMode):
    """Refuses to compute on the device with a tensor of the host's. Single numbers go along with a kernel's launch."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        every = [x for x in tree_leaves((args, kwargs, found)) if isinstance(x, torch.Tensor)]
        from_host = any(x.device == CPU and x.ndim for x in every)
        assert not (from_host and any(x.device == META for x in every)), f"{function} copies from the host"
        return found


class NoValueOfTheHost(TorchFunctionMode):
    """Refuses to make a tensor on the device out of values, be it an index: each is a copy that waits."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.device == META:
            index = args[1] if function is torch.Tensor.__getitem__ else ()
            assert function not in COPYING and list not in map(type, index if isinstance(index, tuple) else [index])
        return found


COPYING = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}


@contextmanager
def nothing_from_the_host():
    with NoValueOfTheHost(), NoTensorOfTheHost():
        yield


@pytest.mark.parametrize("task", TASKS)
def test_a_step_has_static_shapes_and_all_it_needs_on_the_device(task):
    losses = TASKS[task].losses
    made = small(task, next(iter(losses)), device="cpu")
    batch = each(next(made.loaders["train"].epoch(0)), lambda tensor: tensor.to(META))
    model = made.built.module.to(META)
    for loss in losses:
        objective = parts.build_task(resolve(words(task, loss, "cpu")), made.dataset, CPU)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
        step = Step(objective, model, optimizer, device=META, accumulate=2, ema=0.9)
        step(batch)  # which makes what is made once, such as the momentum
        with nothing_from_the_host():
            step(batch)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x[:, torch.tensor([0])],
        lambda x: x[:, [0]],
        lambda x: x + torch.tensor([1.0], device=META),
        lambda x: x.new_tensor(1.0),
        lambda x: x + torch.ones(1).to(META),
        lambda x: x[x > 0],
        lambda x: float(x.sum()),
    ],
    ids=[
        "a host's index",
        "a list as index",
        "a list as tensor",
        "a new tensor",
        "a copy",
        "a dynamic shape",
        "a value read back",
    ],
)
def test_what_no_capture_allows_is_found_without_a_gpu(wrong):
    with nothing_from_the_host(), pytest.raises((AssertionError, RuntimeError)):
        wrong(torch.empty(2, 3, device=META))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("task", "loss"), STEPS)
def test_a_gpu_captures_every_step(task, loss):
    made = small(task, loss, device="cuda:0")
    for _, batch in zip(range(5), made.loaders["train"].epoch(0), strict=False):
        made.step(batch)
    assert made.step.graph is not None, made.step.graph_refused


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_on_after_a_capture_that_failed():
    device = torch.device("cuda", 0)
    model = nn.Sequential(linear(), nn.Dropout(0.5)).to(device)
    step = Step(Waiting(), model, torch.optim.SGD(model.parameters(), lr=0.1), device=device, graph=True)
    for seed in range(6):
        batch = batch_of(seed=seed)
        step(Batch(batch.images.to(device), batch.target.to(device)))
    assert step.graph is None and step.graph_refused
    torch.rand(3, device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"accumulate": 2}, {"ema": 0.9}])
def test_a_captured_step_equals_an_eager_one(options):
    device = torch.device("cuda", 0)
    models = [linear().to(device) for _ in range(2)]
    for model, graph in zip(models, (True, False), strict=True):
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=torch.tensor(1e-2, device=device), capturable=True, fused=True
        )
        step = Step(Squares(), model, optimizer, device=device, graph=graph, **options)
        for seed in range(8):
            batch = batch_of(seed=seed)
            step(Batch(batch.images.to(device), batch.target.to(device)))
        assert (step.graph is not None) == graph, step.graph_refused
    for ours, theirs in zip(*(model.parameters() for model in models), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(("task", "loss"), STEPS)
def test_no_step_waits_for_the_device(task, loss, no_waiting, monkeypatch):
    """From the forward pass to the average, as a CUDA graph holds it.

    What a CPU does alone is left out: Adam's own counting, and that what no image fills is cut.
    """
    monkeypatch.setattr(objective, "_filled", lambda target: target)
    monkeypatch.setattr(objective, "_room", lambda usable: min(objective.MASKS, usable.shape[1]))
    made = small(task, loss, device="cpu")
    batch = next(iter(made.loaders["train"].epoch(0)))
    made.step(batch)  # makes what is made once
    with no_waiting():
        made.step(batch)


def test_the_watch_would_see_a_wait(no_waiting):
    for wait in (
        lambda: torch.ones(3)[torch.tensor([True, False, True])],
        lambda: float(torch.ones(())),
        lambda: torch.ones(3)[torch.ones(3, dtype=torch.bool)],
        lambda: torch.tensor([1.0, 2.0]),
        lambda: torch.ones(3, 2, requires_grad=True).prod(1).sum().backward(),
    ):
        with pytest.raises(AssertionError), no_waiting():
            wait()
