"""A network whose output is none that its task takes is found out when it is built; looking changes nothing."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from visrun import tables
from visrun.models import create
from visrun.models.probe import output_problem

IMAGE, PIXEL, VERDICT = ("image",), ("pixel",), ("image", "pixel", "score")


def flat(outputs: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, outputs)]


class Says(nn.Module):
    """Answers as ``say`` does."""

    def __init__(self, say: object) -> None:
        super().__init__()
        self.say = say

    def forward(self, images: Tensor) -> object:
        return self.say(images)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("module", "outputs", "told"),
    [
        (nn.Sequential(*flat(3)), IMAGE, ""),
        (nn.Sequential(*flat(2)), IMAGE, "gives (B, 2), not (B, 3)"),
        (nn.Sequential(*flat(4)), IMAGE, "gives (B, 4), not (B, 3)"),
        (nn.Sequential(*flat(1), nn.Flatten(0)), IMAGE, "gives (B), not (B, 3)"),
        (Says(lambda _: None), IMAGE, "gives NoneType, not (B, 3)"),
        (Says(lambda x: {"out": x[:, :, 0, 0]}), IMAGE, "gives dict, not (B, 3)"),
        (nn.Conv2d(3, 3, 3, padding=1), PIXEL, ""),
        (Says(lambda x: {"out": x, "aux": x}), PIXEL, ""),
        (Says(lambda x: {"mask": x}), PIXEL, "gives dict, not (B, 3, 16, 24)"),
        (nn.Conv2d(3, 3, 3, padding=1, stride=2), PIXEL, "gives (B, 3, 8, 12), not (B, 3, 16, 24)"),
        (nn.Conv2d(3, 5, 3, padding=1), VERDICT, "gives (B, 5, 16, 24), not (B, 3) or (B, 3, 16, 24)"),
        (Says(lambda x: {"score": x[:, 0, 0, 0], "out": x[:, 0]}), VERDICT, ""),
        (Says(lambda x: x.sum().item()), IMAGE, ""),  # cannot be run without numbers
    ],
)
def test_another_output_is_told(module: nn.Module, outputs: tuple[str, ...], told: str) -> None:
    assert output_problem(module, outputs=outputs, num_outputs=3, image_size=(16, 24)) == told


class Remembers(nn.Module):
    """Draws random numbers, in evaluation too, and keeps what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head, self.seen = nn.BatchNorm2d(3), nn.Linear(3, 3), list[Tensor]()

    def forward(self, images: Tensor) -> Tensor:
        torch.rand(4)
        self.seen.append(images)
        out: Tensor = self.head(nn.functional.dropout(self.norm(images).mean((2, 3))))
        return out


def test_looking_changes_neither_the_network_nor_the_random_numbers() -> None:
    module = Remembers()
    state, drawn = deepcopy(module.state_dict()), torch.get_rng_state()
    assert output_problem(module, outputs=IMAGE, num_outputs=2, image_size=(8, 8)) == "gives (B, 3), not (B, 2)"
    assert torch.equal(torch.get_rng_state(), drawn)
    assert module.training and not module.seen
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(
    "name", ["small_resnet", "swin_t", "vit_b_16", "small_unet", "unet", "lraspp", "deeplabv3", "deeplabv3_resnet50"]
)
def test_shipped_networks_are_as_their_tasks_need_them(name: str) -> None:
    task = tables.TASKS[tables.MODELS[name].tasks[0]]
    module = create(name, num_outputs=3, image_size=64, pretrained=False, target=task.target).module
    for num_outputs in (3, 4):
        problem = output_problem(module, outputs=task.outputs, num_outputs=num_outputs, image_size=(64, 64))
        assert bool(problem) == (num_outputs == 4)
