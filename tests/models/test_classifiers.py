"""Every classifier of torchvision. On the meta device a data-dependent shape or ``.item()`` raises: what passes there
has static shapes, as a CUDA graph needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from visrun.errors import ConfigError
from visrun.models import create
from visrun.models.classifiers import imagenet_weights
from visrun.models.heads import DropLinear, last_layer

BUILDERS = torchvision.models.list_models(module=torchvision.models)
FIXED = ("vit_", "maxvit_")


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_gets_a_new_head(
    builder: str, on_meta: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 224 if builder.startswith(FIXED) else 96
    built = on_meta(lambda: create(builder, num_outputs=3, dropout=0.3, image_size=size, pretrained=False))
    monkeypatch.setattr(nn.BatchNorm2d, "forward", lambda _, maps: maps)  # on meta the slowest part, the same in all
    assert built.module(torch.empty(2, 3, size, size, device="meta")).shape == (2, 3)
    assert built.head == (last_layer(built.module),)
    dropouts = [child.p for child in built.module.modules() if isinstance(child, nn.Dropout) and child.p]
    assert dropouts and set(dropouts) == {0.3}


@pytest.mark.parametrize("builder", ["alexnet", "densenet121", "inception_v3", "resnet18", "squeezenet1_1", "swin_t"])
def test_parameters_keep_the_names_of_torchvision(builder: str, on_meta: Callable[..., Any]) -> None:
    built = on_meta(lambda: create(builder, num_outputs=7, dropout=0.3, image_size=96, pretrained=False))
    options = {"init_weights": False} if builder == "inception_v3" else {}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(builder, **options).state_dict()
    assert list(built.module.state_dict()) == [name for name in theirs if not name.startswith("AuxLogits")]
    for name, value in built.module.state_dict().items():
        assert value.shape[1:] == theirs[name].shape[1:]
        assert value.shape[:1] == ((7,) if name.startswith(built.head[0] + ".") else theirs[name].shape[:1])


def test_dropout_acts_in_train_mode_only_and_keeps_the_mean() -> None:
    head = DropLinear(20_000, 1, dropout=0.5)
    nn.init.ones_(head.weight)
    nn.init.zeros_(head.bias)
    x = torch.ones(1, 20_000)
    torch.manual_seed(0)
    assert head.train()(x).item() == pytest.approx(20_000, rel=0.05)
    assert head(x).item() != 20_000
    assert head.eval()(x).item() == 20_000


@pytest.mark.parametrize("builder", ["squeezenet1_1", "mobilenet_v3_small", "resnet18"])
def test_classes_start_equally_likely_and_outputs_have_both_signs(builder: str) -> None:
    torch.manual_seed(0)
    module = create(builder, num_outputs=4, image_size=64, pretrained=False).module.eval()
    with torch.no_grad():
        scores = module(torch.randn(8, 3, 64, 64))
    assert nn.functional.cross_entropy(scores, torch.arange(8) % 4).item() == pytest.approx(math.log(4), abs=0.3)
    assert scores.min() < 0 < scores.max()


@pytest.mark.parametrize(
    ("builder", "size"), [("vit_b_16", 64), ("vit_h_14", 28), ("maxvit_t", 448), ("swin_v2_t", 64)]
)
def test_image_sizes_that_transformers_take(builder: str, size: int, on_meta: Callable[..., Any]) -> None:
    built = on_meta(lambda: create(builder, num_outputs=3, image_size=size, pretrained=False))
    assert built.module(torch.empty(2, 3, size, size, device="meta")).shape == (2, 3)


@pytest.mark.parametrize(
    ("builder", "size", "expected"),
    [
        ("vit_b_16", 100, r"data.image_size=100: model=vit_b_16 takes square images of a multiple of 16"),
        ("vit_b_16", (64, 32), r"\[64,32\]"),
        ("maxvit_t", 256, "multiple of 224"),
        ("alexnet", 32, "at least 63 pixels"),
        ("inception_v3", (96, 64), "at least 75 pixels"),
    ],
)
def test_image_sizes_that_are_refused(builder: str, size: int | tuple[int, int], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        create(builder, num_outputs=3, image_size=size, pretrained=False)


def test_smallest_image_of_alexnet_works_and_a_smaller_one_would_not() -> None:
    module = create("alexnet", num_outputs=3, image_size=63, pretrained=False).module
    assert module(torch.zeros(2, 3, 63, 63)).shape == (2, 3)
    with pytest.raises(RuntimeError):
        module(torch.zeros(2, 3, 62, 62))


def test_running_averages_follow_quickly_whatever_the_family() -> None:
    for builder in ("mnasnet0_5", "mobilenet_v3_small", "resnet18"):
        module = create(builder, num_outputs=3, image_size=64, pretrained=False).module
        assert {child.momentum for child in module.modules() if isinstance(child, nn.BatchNorm2d)} == {0.1}


def test_best_weights_come_first_and_the_first_ones_second() -> None:
    assert [weights.name for weights in imagenet_weights("resnet50")] == ["IMAGENET1K_V2", "IMAGENET1K_V1"]
    assert [weights.name for weights in imagenet_weights("resnet18")] == ["IMAGENET1K_V1"]
