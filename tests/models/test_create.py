"""Every model of the table through ``create``; plugins; freezing."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from visrun import tables
from visrun.detection.decode import report
from visrun.errors import ConfigError
from visrun.models import Built, create
from visrun.models.freezing import FixedBatchNorm2d
from visrun.tables.models import OBJECT_TASKS

PIXELS = "segmentation"
OBJECTS = [name for name, entry in tables.MODELS.items() if set(entry.tasks) <= set(OBJECT_TASKS)]
FREEZABLE = ["small_resnet", "mobilenet_v3_small", "convnext_tiny", "lraspp", "deeplabv3", "unet", "small_detector"]


def output(scores: Tensor | dict[str, Tensor]) -> Tensor:
    return scores["out"] if isinstance(scores, dict) else scores


@pytest.mark.parametrize(
    "name", [name for name, entry in tables.MODELS.items() if name not in OBJECTS and entry.gradient]
)
def test_every_model_of_the_table(name: str) -> None:
    built = create(name, num_outputs=3, image_size=64, dropout=0.25, pretrained=False)
    images = torch.zeros(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        scores = output(built.module.to(memory_format=torch.channels_last)(images))
    segments = PIXELS in tables.MODELS[name].tasks
    assert scores.shape == ((2, 3, 64, 64) if segments else (2, 3))
    assert built.origin.startswith("random")
    assert built.head
    for head in built.head:
        built.module.get_submodule(head)


@pytest.mark.parametrize("name", [name for name, entry in tables.MODELS.items() if entry.parameters])
def test_the_size_in_the_table_is_the_models(name: str, on_meta: Any) -> None:
    entry = tables.MODELS[name]
    outputs = 80 if name in OBJECTS else 21 if PIXELS in entry.tasks else 1000
    side, target = entry.image_size or 224, tables.TASKS[entry.tasks[0]].target

    def make() -> Built:
        return create(name, num_outputs=outputs, image_size=side, pretrained=False, target=target)

    tried = name == "ssdlite" or "dense" in str(entry.build)  # which look at their own maps while they are built
    module = (make() if tried else on_meta(make)).module
    millions = sum(parameter.numel() for parameter in module.parameters()) / 1e6
    assert millions == pytest.approx(entry.parameters, rel=0.05, abs=0.2)


def test_an_unknown_model_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="resnet18"):
        create("resnt18", num_outputs=2, image_size=64)


def test_the_same_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(create("small_resnet", num_outputs=2, image_size=32).module.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("origin", ["random: none are published", "w.pt: 300 of 300 tensors"])
def test_of_a_run_that_goes_on_the_whole_head_learns_as_it_did(origin: str, on_meta: Any) -> None:
    begun = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "origin": f"{origin}; all but roi_heads frozen", "classes": ()}
    made = on_meta(
        lambda: create(
            "fasterrcnn_v2",
            num_outputs=2,
            image_size=64,
            pretrained=False,
            freeze="backbone",
            begun=begun,
            target="boxes",
        )
    )
    learning = {name for name, p in made.module.named_parameters() if p.requires_grad}
    inside = {n for n, _ in made.module.named_parameters() if any(f"{n}.".startswith(f"{h}.") for h in made.head)}
    assert learning == inside and any("fpn" in name for name in learning)
    assert made.begun() == begun


class Counting(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"seen": 3}


@pytest.mark.parametrize(
    ("builder", "told"),
    [
        (lambda num_outputs: None, "model=mine: its builder gives NoneType, not a torch.nn.Module"),
        (lambda num_outputs: nn.Flatten(), "model=mine: has no linear or convolutional layer as its head; let its"),
        (lambda depth, width: nn.Linear(1, 1), "model=mine: its function asks for depth, width, which nothing gives"),
        (lambda num_outputs: Counting(2, 2), "model=mine: _extra_state of its state is dict, not a tensor"),
        (
            lambda num_outputs: nn.LazyLinear(2),
            "model=mine: weight is of a lazy layer: let its builder run a batch through it",
        ),
    ],
)
def test_a_plugins_builder_that_makes_no_network_is_one_line(
    builder: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tables.MODELS, "mine", replace(tables.MODELS["small_resnet"], build=builder))
    with pytest.raises(ConfigError) as caught:
        create("mine", num_outputs=2, image_size=16)
    assert str(caught.value).startswith(told) and len(caught.value.problems) == 1


def test_a_plugin_may_return_a_bare_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(num_outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_outputs))

    monkeypatch.setitem(tables.MODELS, "tiny", replace(tables.MODELS["small_resnet"], build=tiny))
    built = create("tiny", num_outputs=2, image_size=16, freeze="backbone")
    assert isinstance(built, Built)
    assert built.origin == "random: no weights are published for tiny; all but 3 frozen"
    assert [name for name, value in built.module.named_parameters() if value.requires_grad] == ["3.weight", "3.bias"]
    with pytest.raises(ConfigError, match=r"model\.pretrained=true: no weights are published for tiny"):
        create("tiny", num_outputs=2, image_size=16, pretrained=True)


@pytest.mark.parametrize("name", FREEZABLE)
def test_freezing_leaves_the_head_to_train(name: str) -> None:
    torch.manual_seed(0)
    built = create(name, num_outputs=2, image_size=64, pretrained=False, freeze="backbone")
    module = built.module.to(memory_format=torch.channels_last)
    before = copy.deepcopy(module.state_dict())
    optimizer = torch.optim.SGD([value for value in module.parameters() if value.requires_grad], lr=0.1)
    for _ in range(2):
        module.train()  # what a training loop does every epoch
        optimizer.zero_grad()
        scores = module(torch.randn(2, 3, 64, 64))
        values = scores.values() if isinstance(scores, dict) else [scores]
        sum((value - 1).square().mean() for value in values).backward()
        optimizer.step()
    changed = {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert all(any(key.startswith(head + ".") for head in built.head) for key in changed)
    assert all(any(key.startswith(head + ".") for key in changed) for head in built.head)


@pytest.mark.parametrize("name", ["small_detector", "maskrcnn"])
def test_a_size_that_masks_do_not_divide_is_one_line(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        create(name, num_outputs=2, image_size=(450, 360), pretrained=False, target="instances")
    assert str(error.value) == (
        f"data.image_size=[450,360]: model={name} takes sides of a multiple of 4 pixels for masks, such as [452,360]"
    )


@pytest.mark.parametrize("target", ["boxes", "rotated_boxes", "instances"])
def test_a_size_that_no_stride_divides_is_taken_as_it_is(target: str) -> None:
    height, width = (100, 132) if target == "instances" else (97, 130)
    module = create("small_detector", num_outputs=2, image_size=(height, width), pretrained=False, target=target).module
    found = report(module.eval(), torch.randn(1, 3, height, width))
    assert target != "instances" or found["masks"].shape[2:] == (25, 33)


def test_freezing_changes_no_name_and_no_output(tmp_path: Path) -> None:
    free = create("mobilenet_v3_small", num_outputs=2, image_size=64, pretrained=False).module
    torch.save(free.state_dict(), tmp_path / "net.pt")
    frozen = create(
        "mobilenet_v3_small", num_outputs=2, image_size=64, weights=tmp_path / "net.pt", freeze="backbone"
    ).module
    assert list(frozen.state_dict()) == list(free.state_dict())
    free.load_state_dict(frozen.state_dict())  # a checkpoint of a frozen run loads anywhere
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(frozen.eval()(images), free.eval()(images))


def test_a_fixed_batchnorm_never_uses_the_batch() -> None:
    norm = FixedBatchNorm2d(2)
    x = torch.randn(4, 2, 3, 3) * 5 + 3
    assert torch.allclose(norm.train()(x), x / (1 + norm.eps) ** 0.5)
    assert not norm.training
    assert not copy.deepcopy(norm).train().training
    assert torch.equal(norm.running_mean, torch.zeros(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(("task", "name"), [("segmentation", "lraspp"), ("anomaly_detection", "unet")])
def test_networks_leave_for_other_programs_and_take_any_batch_there(task: str, name: str) -> None:
    """The small ones leave with all that their tasks make of their answers in test_export.py."""
    target = tables.TASKS[task].target
    module = create(name, num_outputs=2, image_size=64, pretrained=False, target=target).module.eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", max=256)
    program = torch.export.export(module, (images[:2],), dynamic_shapes=({0: batch},)).module()
    with torch.no_grad():
        expected, found = module(images), program(images)
    assert type(found) is type(expected)
    torch.testing.assert_close(found, expected)
