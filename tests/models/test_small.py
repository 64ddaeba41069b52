from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils import shuffle
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from visrun.models.heads import DropLinear
from visrun.models.small import Block, small_resnet, small_unet


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (33, 47)])
@pytest.mark.parametrize("training", [True, False])
def test_shapes(size: tuple[int, int], training: bool) -> None:
    module = small_resnet(num_outputs=10, dropout=0.2).train(training)
    images = torch.zeros(2, 3, *size).contiguous(memory_format=torch.channels_last)
    assert module(images).shape == (2, 10)


@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (8, 2), (16, 1), (16, 2)])
def test_a_block_is_torchvisions(channels: int, stride: int) -> None:
    block = Block(8, channels, stride=stride)
    shortcut = None if isinstance(block.shortcut, nn.Identity) else block.shortcut
    reference = BasicBlock(8, channels, stride=stride, downsample=shortcut)
    reference.load_state_dict({name.replace("shortcut", "downsample"): x for name, x in block.state_dict().items()})
    x = torch.randn(4, 8, 7, 6)
    torch.testing.assert_close(block(x), reference(x))


@pytest.mark.parametrize("network", [small_resnet, small_unet])
def test_every_layer_learns_from_the_first_step_on(network: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)
    module = network(num_outputs=3, dropout=0.0)
    found = module(torch.randn(2, 3, 32, 32))
    logits = found["out"] if isinstance(found, dict) else found
    logits.square().mean().backward()
    assert [name for name, parameter in module.named_parameters() if not parameter.grad.any()] == []


def test_feature_maps_stay_channels_last() -> None:
    module = small_resnet(num_outputs=10, dropout=0.0).to(memory_format=torch.channels_last)
    maps = module.body(module.stem(torch.zeros(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)))
    assert maps.shape == (2, 128, 4, 4)
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_dropout_is_the_value() -> None:
    module = small_resnet(num_outputs=10, dropout=0.7)
    assert [child.p for child in module.modules() if isinstance(child, nn.Dropout)] == [0.7]


def test_the_head_answers_in_full_precision_under_autocast() -> None:
    head = DropLinear(8, 2, dropout=0.0)
    x = torch.randn(4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        seen = head(x)
    assert seen.dtype == torch.float32
    assert torch.equal(seen, head(x))


def test_it_learns_digits() -> None:
    """Six passes over 640 digits are enough to tell 320 others apart, more than nine times out of ten."""
    torch.manual_seed(0)
    pixels, digits = shuffle(*load_digits(return_X_y=True), random_state=0)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    images = F.interpolate(images[:960], size=32, mode="bilinear").expand(-1, 3, -1, -1) - 0.5
    labels = torch.tensor(digits[:960])
    module = small_resnet(num_outputs=10, dropout=0.0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.002)
    for _ in range(6):
        for x, y in zip(images[:640].split(32), labels[:640].split(32), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(module(x), y).backward()
            optimizer.step()
    with torch.no_grad():
        found = module.eval()(images[640:]).argmax(dim=1)
    assert (found == labels[640:]).float().mean() > 0.9


@pytest.mark.parametrize("size", [(8, 8), (96, 96), (33, 47)])
def test_the_segmenter_answers_at_the_images_size(size: tuple[int, int]) -> None:
    images = torch.zeros(2, 3, *size).contiguous(memory_format=torch.channels_last)
    assert small_unet(num_outputs=4, dropout=0.2)(images)["out"].shape == (2, 4, *size)


def test_the_segmenter_outlines_a_bright_square() -> None:
    """Thirty steps are enough to tell a square from noise, to the pixel but for a few."""
    torch.manual_seed(0)
    images, masks = torch.randn(8, 3, 24, 24) * 0.1, torch.zeros(8, 24, 24, dtype=torch.int64)
    for i in range(8):
        images[i, :, i : i + 9, 5:14] += 1.0
        masks[i, i : i + 9, 5:14] = 1
    module = small_unet(num_outputs=2, dropout=0.0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(module(images)["out"], masks).backward()
        optimizer.step()
    assert (module(images)["out"].argmax(1) == masks).float().mean() > 0.98
