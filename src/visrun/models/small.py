"""Small networks for tiny images (digits, icons, crops of 16 to 96 pixels): one classifies, one segments.

He et al. 2016, "Deep residual learning for image recognition" (arXiv:1512.03385), with three stages of basic blocks.
The last BatchNorm of a block begins at one, not at zero as in Goyal et al. 2017 (arXiv:1706.02677, section 5.1): so few
blocks train well without, and few steps are too few to grow from nothing. The segmenter adds its encoder's features to
its decoder's, as LinkNet does (Chaurasia and Culurciello 2017, arXiv:1707.03718), up to the full resolution, for
strokes a few pixels wide.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visrun.models.heads import DropLinear, begin_rare
from visrun.models.scored import Scored

WIDTHS = (32, 64, 128)
STROKES = 16  # channels at full resolution


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (B, C, H, W) -> (B, channels, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.bn1(self.conv1(x)))
        return torch.relu_(self.bn2(self.conv2(y)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """(B, 3, H, W) -> (B, num_outputs), for any H, W >= 8."""

    def __init__(self, *, num_outputs: int, dropout: float) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.stem = convolution(3, first, stride=2)
        self.body = nn.Sequential(
            Block(first, first, stride=1), Block(first, second, stride=2), Block(second, third, stride=2)
        )
        self.fc = DropLinear(third, num_outputs, dropout=dropout)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x)).mean(dim=(2, 3)))


def small_resnet(*, num_outputs: int, dropout: float, target: str = "label") -> nn.Module:
    """The network with random weights; none are published.

    Args:
        num_outputs: Classes or regression targets.
        dropout: Probability before the last layer, 0 to 0.9.
        target: ``verdict`` gives the network that `visrun.models.scored` describes.
    """
    module = SmallResNet(num_outputs=num_outputs, dropout=dropout)
    return Scored(module, "fc") if target == "verdict" else module


class SmallUNet(nn.Module):
    """(B, 3, H, W) -> {"out": (B, num_outputs, H, W)}, for any H, W >= 8."""

    def __init__(self, *, num_outputs: int, dropout: float) -> None:
        super().__init__()
        widths = (STROKES, *WIDTHS)
        self.stem = convolution(3, STROKES)
        self.down = nn.ModuleList(Block(a, b, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in reversed(list(pairwise(widths))))
        self.smooth = nn.ModuleList(convolution(width, width) for width in reversed(widths[:-1]))
        self.drop = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(STROKES, num_outputs, 1)
        initialise(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(skips[-1]))
        y = skips.pop()
        for up, smooth in zip(self.up, self.smooth, strict=True):
            skip = skips.pop()
            y = smooth(F.interpolate(up(y), size=skip.shape[2:], mode="nearest") + skip)
        return {"out": self.classifier(self.drop(y))}


def small_unet(*, num_outputs: int, dropout: float, target: str = "mask") -> SmallUNet:
    """The segmenter with random weights; none are published.

    Args:
        num_outputs: Classes.
        dropout: Probability of dropping a channel before the last layer, 0 to 0.9.
        target: ``verdict`` begins with few defects.
    """
    module = SmallUNet(num_outputs=num_outputs, dropout=dropout)
    if target == "verdict":
        begin_rare(module.classifier)
    return module


def convolution(in_channels: int, channels: int, *, stride: int = 1) -> nn.Sequential:
    """3x3, with BatchNorm and ReLU: (B, in_channels, H, W) -> (B, channels, ceil(H / stride), ceil(W / stride))."""
    layer = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def initialise(network: nn.Module) -> None:
    """Give convolutions before ReLU their first weights (He et al. 2015, arXiv 1502.01852), in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
