from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from visrun.models import create
from visrun.models.unet import UNet

AUXILIARY = {"lraspp": False, "deeplabv3": True, "deeplabv3_resnet50": True, "fcn_resnet50": True, "unet": False}


@pytest.mark.parametrize("name", AUXILIARY)
@pytest.mark.parametrize("training", [True, False])
def test_scores_have_the_size_of_the_image(name: str, training: bool) -> None:
    module = create(name, num_outputs=5, image_size=64, pretrained=False).module.train(training)
    with torch.no_grad():
        scores = module(torch.zeros(2, 3, 67, 45).contiguous(memory_format=torch.channels_last))
    assert {key: value.shape for key, value in scores.items()} == dict.fromkeys(
        ("out", "aux") if AUXILIARY[name] else ("out",), (2, 5, 67, 45)
    )


@pytest.mark.parametrize(("name", "places"), [("lraspp", 0), ("deeplabv3", 2), ("fcn_resnet50", 2), ("unet", 1)])
def test_every_dropout_takes_the_value(name: str, places: int) -> None:
    module = create(name, num_outputs=2, image_size=64, dropout=0.4, pretrained=False).module
    assert [child.p for child in module.modules() if isinstance(child, nn.Dropout)] == [0.4] * places


def test_a_resnet101_backbone_is_reached_by_torchvisions_name() -> None:
    built = create("fcn_resnet101", num_outputs=2, image_size=64, pretrained=False)
    assert len(built.module.get_submodule("backbone.layer3")) == 23


def test_deeplab_cannot_train_on_one_image() -> None:
    module = create("deeplabv3", num_outputs=2, image_size=64, pretrained=False).module
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module.train()(torch.zeros(1, 3, 64, 64))
    assert module.eval()(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 2, 64, 64)


@pytest.mark.parametrize("size", [(1, 1), (33, 7), (64, 96)])
def test_unet_takes_any_size(size: tuple[int, int]) -> None:
    module = create("unet", num_outputs=3, image_size=64, pretrained=False).module.eval()
    with torch.no_grad():
        assert module(torch.zeros(1, 3, *size))["out"].shape == (1, 3, *size)


def test_unet_features_halve_five_times() -> None:
    module = create("unet", num_outputs=3, image_size=64, pretrained=False).module
    assert isinstance(module, UNet)
    shapes = [tuple(maps.shape[1:]) for maps in module.features(torch.zeros(2, 3, 64, 32))]
    assert shapes == [(64, 32, 16), (64, 16, 8), (128, 8, 4), (256, 4, 2), (512, 2, 1)]


def test_every_skip_connection_of_the_unet_counts() -> None:
    torch.manual_seed(0)
    module = create("unet", num_outputs=2, image_size=64, pretrained=False).module.eval()
    assert isinstance(module, UNet)
    images = torch.randn(1, 3, 64, 64)
    whole = module(images)["out"]
    features = module.features
    for level in range(5):

        def without(x: Tensor, level: int = level) -> list[Tensor]:
            return [maps * (i != level) for i, maps in enumerate(features(x))]

        module.features = without  # type: ignore[method-assign]
        assert not torch.allclose(module(images)["out"], whole)


@pytest.mark.parametrize("name", ["lraspp", "deeplabv3", "unet"])
def test_the_loss_reaches_every_parameter(name: str) -> None:
    module = create(name, num_outputs=2, image_size=64, pretrained=False).module.train()
    scores = module(torch.randn(2, 3, 64, 64))
    sum(value.square().mean() for value in scores.values()).backward()
    assert [key for key, parameter in module.named_parameters() if parameter.grad is None] == []
