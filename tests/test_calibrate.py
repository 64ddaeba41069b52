import copy
from dataclasses import dataclass
from itertools import count

import pytest
import torch
from torch import nn

from visrun.calibrate import calibrate
from visrun.models.freezing import FixedBatchNorm2d, freeze_all_but

CPU = torch.device("cpu")


@dataclass
class Batch:
    images: torch.Tensor


def measure(model, batches):
    calibrate(model, batches, device=CPU, precision="fp32")


def test_the_statistics_are_the_mean_over_the_batches():
    norm = nn.BatchNorm1d(1)
    model = nn.Sequential(norm)
    norm.running_mean.fill_(100.0)
    measure(model, [Batch(torch.tensor([[0.0], [2.0]])), Batch(torch.tensor([[4.0], [10.0]]))])
    assert norm.running_mean.item() == pytest.approx((1 + 7) / 2)
    assert norm.running_var.item() == pytest.approx((2 + 18) / 2)  # unbiased, as BatchNorm keeps them


def test_nothing_is_read_back_from_the_device(no_waiting):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    batches = [Batch(torch.randn(2, 3, 8, 8)) for _ in range(3)]
    with no_waiting():
        measure(model, batches)


def test_no_batch_leaves_the_statistics_alone():
    norm = nn.BatchNorm1d(1)
    norm.running_mean.fill_(3.0)
    measure(nn.Sequential(norm), [])
    assert norm.running_mean.item() == 3.0


class Glancing(nn.Module):
    """Its head looks at the images that are above 0, as a detector's at what was found."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.BatchNorm1d(1), nn.BatchNorm1d(1)

    def forward(self, images):
        self.body(images)
        return self.head(images[images[:, 0] > 0])


@pytest.mark.parametrize("pattern", ["x-", "-x", "--x-y", "xy", "y-x"])
def test_batches_in_which_a_head_sees_nothing_have_no_part_in_its_statistics(pattern):
    values = {"x": [[1.0], [3.0]], "y": [[4.0], [10.0]], "-": [[-1.0], [-5.0]]}
    model, seen = Glancing(), [values[one] for one in pattern]
    measure(model, [Batch(torch.tensor(one)) for one in seen])
    for norm, given in ((model.body, seen), (model.head, [one for one in seen if one[0][0] > 0])):
        each = torch.tensor(given)
        assert norm.running_mean.item() == pytest.approx(each.mean(1).mean().item())
        assert norm.running_var.item() == pytest.approx(each.var(1).mean().item())
        assert norm.momentum == 0.1 and not norm._forward_pre_hooks


def test_a_head_that_sees_nothing_at_all_keeps_its_statistics():
    model = Glancing()
    model.head.running_mean.fill_(3.0)
    model.head.running_var.fill_(7.0)
    measure(model, [Batch(torch.tensor([[-1.0], [-5.0]]))] * 2)
    assert (model.head.running_mean.item(), model.head.running_var.item()) == (3.0, 7.0)
    assert model.body.running_mean.item() == pytest.approx(-3.0)


@pytest.mark.parametrize(("size", "batches"), [(1, 64), (2, 32), (6, 11), (7, 10), (8, 10), (32, 10)])
def test_ten_batches_are_drawn_and_more_of_few_images(size, batches):
    drawn = count()
    images = (Batch(torch.full((size, 1, 2), float(next(drawn)))) for _ in range(99))
    norm = nn.BatchNorm1d(1)
    measure(norm, images)
    assert next(drawn) == batches
    assert norm.running_mean.item() == pytest.approx((batches - 1) / 2)


def test_a_model_without_batch_norm_draws_none():
    def none():
        raise AssertionError("a batch was drawn")
        yield

    measure(nn.Sequential(nn.LayerNorm(2)), none())


def test_only_the_statistics_change():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.2), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    drawn = torch.get_rng_state()
    measure(model, [Batch(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)))])
    assert model[1].momentum == 0.2
    assert torch.equal(torch.get_rng_state(), drawn)  # no dropout
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_layers_keep_the_statistics_they_came_with():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    freeze_all_but(model, ("1", "2"))
    assert isinstance(model[0], FixedBatchNorm2d)
    measure(model, [Batch(torch.full((2, 3, 4, 4), 5.0))])
    assert model[0].running_mean.tolist() == [0.0, 0.0, 0.0]
    assert model[2].running_mean.tolist() != [0.0, 0.0]


@pytest.mark.parametrize("sides", [1, 2, 3])
def test_frozen_layers_of_any_input_stay_as_they_are(sides):
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[sides - 1]
    model = nn.Sequential(norm(3), norm(3))
    freeze_all_but(model, ("1",))
    given = torch.randn(2, 3, *[4] * sides) * 5 + 3
    assert torch.allclose(model.train()[0](given), given / (1 + model[0].eps) ** 0.5)
    measure(model, [Batch(given)])
    assert model[0].running_mean.tolist() == [0.0] * 3 and not copy.deepcopy(model).train()[0].training
    assert model[1].running_mean.tolist() != [0.0] * 3


def test_evaluation_then_sees_what_training_saw():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4))
    images = torch.randn(16, 3, 12, 12)
    expected = model.train()(images).detach()
    with torch.no_grad():
        far = (model.eval()(images) - expected).abs().max()
    measure(model, [Batch(images)])
    with torch.no_grad():
        near = (model.eval()(images) - expected).abs().max()
    assert near < 0.02 < far


def test_averaged_weights_that_never_trained_are_measured_too():
    model = nn.Sequential(nn.BatchNorm2d(3)).eval().requires_grad_(False)
    measure(model, [Batch(torch.full((2, 3, 4, 4), 5.0))])
    assert model[0].running_mean.tolist() == [5.0, 5.0, 5.0]
