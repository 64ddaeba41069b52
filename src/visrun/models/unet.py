"""A U-Net on a residual encoder: (B, 3, H, W) -> {"out": (B, K, H, W)}, scores before softmax.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation" (arXiv:1505.04597), with the
contracting path replaced by a ResNet (He et al. 2016, arXiv:1512.03385) or a body of timm's, which may be pretrained.
Feature maps are upsampled to the size of the skip connection, so any H, W will do, odd ones too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model_builder
from torchvision.models.resnet import ResNet

from visrun.models.classifiers import imagenet_weights, normalisation
from visrun.models.heads import begin_rare
from visrun.models.small import initialise
from visrun.models.timm_models import timm_trunk
from visrun.models.weights import Built, Pretrained, choose, load_published
from visrun.tables import TIMM

STRIDES = (2, 4, 8, 16, 32)  # of the encoder's maps
WIDTHS = (256, 128, 64, 32, 16)  # channels of the decoder at 1/16, 1/8, 1/4, 1/2 and 1/1 of the image


class Up(nn.Module):
    """Upsample to the skip connection's size, join it, convolve twice.

    (B, C, h, w) and a skip connection (B, S, H, W) -> (B, channels, H, W); S = 0 at the image's own size.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*_conv(in_channels, channels), *_conv(channels, channels))

    def forward(self, x: Tensor, size: tuple[int, int], skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, size=size, mode="nearest")
        return self.convs(x if skip is None else torch.cat([x, skip], dim=1))


class UNet(nn.Module):
    """The encoder's five feature maps, joined from the coarsest to the finest.

    Args:
        encoder: A ResNet of torchvision, whose pooling and last layer are removed, or what gives the five maps itself,
            the finest first, and has their ``channels``.
        num_outputs: Classes, background included.
        dropout: Probability before the last layer, 0 to 0.9.
    """

    def __init__(self, encoder: Any, *, num_outputs: int, dropout: float) -> None:
        super().__init__()
        if isinstance(encoder, ResNet):
            deepest = encoder.fc.in_features
            finer = [64, deepest // 8, deepest // 4, deepest // 2]
            del encoder.avgpool, encoder.fc
        else:
            *finer, deepest = encoder.channels
        self.encoder = encoder
        skips = (*reversed(finer), 0)
        self.decoder = nn.ModuleList(
            Up(below + skip, width) for below, skip, width in zip((deepest, *WIDTHS), skips, WIDTHS, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(WIDTHS[-1], num_outputs, 1)
        initialise(self.decoder)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        x, *skips = reversed(self.features(images))
        for up, skip in zip(self.decoder, [*skips, None], strict=True):
            target = images if skip is None else skip
            x = up(x, (target.shape[2], target.shape[3]), skip)
        return {"out": self.classifier(self.dropout(x))}

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps (B, C, h, w) at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image, finest first."""
        encoder = self.encoder
        if not isinstance(encoder, ResNet):
            found: list[Tensor] = encoder(images)
            return found
        maps = [encoder.relu(encoder.bn1(encoder.conv1(images)))]
        x = encoder.maxpool(maps[0])
        for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def unet(
    name: str,
    *,
    builder: str = "resnet18",
    num_outputs: int,
    dropout: float,
    pretrained: Pretrained = "auto",
    target: str = "mask",
) -> Built:
    """A U-Net for ``num_outputs`` classes.

    Args:
        name: The model's name; one with ``timm_`` in it has an encoder of timm's.
        builder: torchvision's builder of the encoder, any resnet, resnext or wide_resnet; or a name of timm's.
        num_outputs: Classes, background included.
        dropout: Probability before the last layer, 0 to 0.9.
        pretrained: Whether the encoder begins with weights learned on ImageNet.
        target: ``verdict`` begins with few defects.

    Raises:
        ConfigError: ``pretrained=True`` without weights to be had; timm's network cannot be had, or has no such maps.
    """
    if TIMM in name:
        body = timm_trunk(name, builder=builder, strides=STRIDES, pretrained=pretrained)
    else:
        body = _resnet(name, builder, pretrained)
    module = UNet(body.module, num_outputs=num_outputs, dropout=dropout)
    if target == "verdict":
        begin_rare(module.classifier)
    return body._replace(module=module, head=("decoder", "classifier"))


def _resnet(name: str, builder: str, pretrained: Pretrained) -> Built:
    weights, origin = choose(imagenet_weights(builder), pretrained, name=name)
    build = get_model_builder(builder)
    module = build(weights=None) if weights is None else load_published(build, weights)
    return Built(module, *normalisation(builder, weights), origin=origin)


def _conv(in_channels: int, channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
