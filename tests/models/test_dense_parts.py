"""Parts of the dense detector: last layers, what a turned box's shape says of its class, where a second look looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from visrun.models.dense_parts import (
    LAST,
    REACH,
    SPOTS,
    FineMap,
    LastConvolution,
    LastLinear,
    Prototypes,
    SecondLook,
    Shape,
    tower,
)


def plain_shape() -> Shape:
    """One that says what it sees: size and elongation, in its units."""
    shape = Shape(2)
    first, last = shape.seen, shape.said
    for values, rows in ((first.weight, [[1, 0], [-1, 0], [0, 1], [0, -1]]), (first.bias, [0]), (last.bias, [0])):
        nn.init.zeros_(values)
        values.data[: len(rows)] = torch.tensor(rows)
    last.weight.data[:, :4] = torch.tensor([[1, -1, 0, 0], [0, 0, 1, -1]])
    return shape


@pytest.mark.parametrize(
    ("width", "height", "size", "length"),
    [(32, 32, 0.0, 0.0), (64, 16, 0.0, 6.931472), (64, 64, 1.386294, 0.0), (48, 32, 0.405465, 2.027326)],
)
def test_what_a_turned_box_says_of_its_class_by_hand(width: int, height: int, size: float, length: float) -> None:
    boxes = torch.tensor([[[7.0, 5.0, width, height, angle] for angle in (-1.5, 0.0, 0.7)]])
    expected = torch.tensor([size, length]).expand(1, 3, 2)
    torch.testing.assert_close(plain_shape()(boxes), expected, atol=1e-5, rtol=1e-5)


def test_boxes_without_size_or_end_have_a_class_too() -> None:
    assert plain_shape()(torch.tensor([[[5.0, 5.0, 0.0, 0.0, 0.0], [5.0, 5.0, 1e30, 0.0, 1.0]]])).isfinite().all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("last", "share", "plain", "shapes"),
    [
        (LastConvolution(4, (1.0, -2.0, 3.0)), LAST, nn.Conv2d(4, 3, 3, padding=1), [(2, 4, 5, 6), (2, 4, 1, 3)]),
        (LastConvolution(4, (1.0, 2.0), share=1.0), 1.0, nn.Conv2d(4, 2, 3, padding=1), [(2, 4, 5, 6), (2, 4, 1, 3)]),
        (LastLinear(4, 3), LAST, nn.Linear(4, 3), [(2, 7, 4)]),
    ],
)
def test_last_layers_answer_as_others_and_learn_from_a_part_of_their_gradient(
    last: nn.Conv2d | nn.Linear,
    share: float,
    plain: nn.Conv2d | nn.Linear,
    shapes: list[tuple[int, ...]],
    precision: torch.dtype,
) -> None:
    assert last.state_dict().keys() == plain.state_dict().keys()
    last.train().load_state_dict(plain.state_dict())
    last.zero_grad()
    plain.zero_grad()
    maps, same = (
        [torch.linspace(-1, 1, math.prod(s)).view(s).to(precision).requires_grad_() for s in shapes] for _ in range(2)
    )

    def answers(maps: list[Tensor]) -> list[Tensor]:
        return last(maps) if isinstance(last, LastConvolution) else [*map(last, maps)]

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        said, expected = answers(maps), [*map(plain, same)]
        sums = [sum(x.float().square().sum() for x in found) for found in (said, expected)]
        last.eval()
        assert [*map(torch.equal, said, expected)] == [True] * len(shapes) == [*map(torch.equal, answers(maps), said)]
    for total in sums:
        total.backward()
    for x, y in zip(maps, same, strict=True):
        torch.testing.assert_close(x.grad, y.grad)
    for name, parameter in last.named_parameters():
        torch.testing.assert_close(parameter.grad, share * plain.get_parameter(name).grad)  # type: ignore[operator]


def test_what_a_last_convolution_says_at_first() -> None:
    last = LastConvolution(2, (1.0, -2.0))
    (said,) = last([torch.randn(1, 2, 3, 3)])
    assert not last.weight.any() and torch.equal(said, torch.tensor([1.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3))


def test_a_last_linear_layer_says_nothing_at_first() -> None:
    assert not LastLinear(2, 3)(torch.randn(5, 2)).any()


SIZE = (48, 96)  # height and width of the image
PLACES = [(40.0, 20.0, 16.0, 8.0, 0.0), (40.0, 24.0, 16.0, 8.0, math.pi / 2), (50.0, 25.0, 20.0, 12.0, -0.6)]


class Coordinates(nn.Module):
    """A map at a quarter of the image's size that says at each pixel where it is: x and y in pixels."""

    def forward(self, fine: Tensor, level: Tensor) -> Tensor:
        y, x = torch.meshgrid(*(torch.arange(n // 4) * 4 + 2.0 for n in SIZE), indexing="ij")
        return torch.stack([x, y])[None].expand(len(fine), -1, -1, -1)


def told(boxes: list[tuple[float, ...]]) -> Tensor:
    """(L, S, 2) x and y of the points at which a second look sees each of these boxes."""
    look = SecondLook(8, 16, num_outputs=1)
    look.map, look.norm, look.said = Coordinates(), nn.Identity(), nn.Identity()
    look.mix = nn.Identity()
    fine, level = torch.zeros(1, 8, 12, 24), torch.zeros(1, 16, 6, 12)
    first, others = look(fine, level, torch.tensor([boxes]))
    return torch.cat([first, others], -1).view(len(boxes), SPOTS**2, 2)


@pytest.mark.parametrize("box", PLACES)
def test_points_lie_as_the_box_does(box: tuple[float, ...]) -> None:
    x, y, width, height, angle = box
    steps = [REACH * (2 * i / (SPOTS - 1) - 1) for i in range(SPOTS)]
    local = [(along * width / 2, across * height / 2) for along in steps for across in steps]
    cos, sin = math.cos(angle), math.sin(angle)
    expected = [[x + cos * along - sin * across, y + sin * along + cos * across] for along, across in local]
    torch.testing.assert_close(told([box])[0], torch.tensor(expected), atol=1e-3, rtol=0)


def test_a_turned_image_looks_the_same_to_a_turned_box() -> None:
    """Of a box turned by half a turn the same points are seen, in the opposite order."""
    x, y, width, height, angle = PLACES[2]
    points = told([PLACES[2], (x, y, width, height, angle + math.pi)])
    torch.testing.assert_close(points[0], points[1].flip(0), atol=1e-3, rtol=0)


def test_beyond_the_image_its_edge_is_seen_and_any_size_is_finite() -> None:
    points = told([(-500.0, 1e6, 10.0, 10.0, 0.3), (40.0, 20.0, 0.0, 0.0, 1.0), (40.0, 20.0, 1e12, 1e12, 1.0)])
    torch.testing.assert_close(points[0], torch.tensor([2.0, 46.0]).expand_as(points[0]))
    torch.testing.assert_close(points[1], torch.tensor([40.0, 20.0]).expand_as(points[1]), atol=1e-3, rtol=0)
    assert points[2].isfinite().all()


def test_a_second_look_at_nothing_begins_without_a_say() -> None:
    look = SecondLook(8, 64, num_outputs=3)
    boxes = torch.tensor([PLACES]).requires_grad_()
    changes, classes = look(torch.randn(1, 8, 12, 24), torch.randn(1, 64, 6, 12), boxes)
    assert changes.shape == (1, 3, 5) and classes.shape == (1, 3, 3)
    assert not changes.any() and not classes.any()
    (changes.sum() + classes.sum()).backward()
    assert boxes.grad is None


@pytest.mark.parametrize("width", [8, 24, 56, 256])
def test_a_pyramid_of_any_width_can_be_looked_at(width: int) -> None:
    look = SecondLook(3, width, num_outputs=1)
    changes, _ = look(torch.randn(1, 3, 12, 24), torch.randn(1, width, 6, 12), torch.tensor([PLACES]))
    assert changes.shape == (1, 3, 5)


@pytest.mark.parametrize("make", [FineMap, partial(Prototypes, hidden=8)])
def test_a_fine_map_has_the_size_of_the_bodys(make: Callable[..., FineMap]) -> None:
    made = make(24, 16, channels=5)
    assert made(torch.randn(2, 24, 12, 20), torch.randn(2, 16, 6, 10)).shape == (2, 5, 12, 20)


def test_a_fine_map_is_the_sum_of_both_by_hand() -> None:
    made = FineMap(1, 1, channels=1)
    for layer, weight in ((made.fine, 2.0), (made.level, 3.0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.zeros_(layer.bias)
    fine, level = torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(made(fine, level), torch.tensor([0.0, 5.0, 13.0, 18.0]).view(1, 1, 1, 4))


def test_a_tower_stays_in_the_precision_that_it_runs_in() -> None:
    module = tower(16, 16)
    for norm in (layer for layer in module if isinstance(layer, nn.GroupNorm)):
        nn.init.normal_(norm.weight, 1.0, 0.2)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        half = module(x)
    assert half.dtype == torch.bfloat16
    assert (half.float() - module(x)).abs().max() < 0.05
    half.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in module.parameters())


@pytest.mark.parametrize("side", [96, 100, 104, 108])
def test_a_fine_map_moves_nothing_where_the_stride_does_not_divide_the_side(side: int) -> None:
    made = FineMap(1, 1, channels=1)
    for layer in (made.fine, made.level):
        nn.init.constant_(layer.weight, float(layer is made.level))
        nn.init.zeros_(layer.bias)
    fine, level = -(-side // 4), -(-side // 8)
    places = ((torch.arange(level) + 0.5) * 8).expand(1, 1, level, -1)
    row = made(torch.zeros(1, 1, fine, fine), places)[0, 0, 0]
    torch.testing.assert_close(row[1:-2], (torch.arange(fine)[1:-2] + 0.5) * 4)
