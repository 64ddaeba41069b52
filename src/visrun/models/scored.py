"""An image classifier that tells good from defective twice: by its logits, and by the density of its features."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from visrun.anomaly.density import Density
from visrun.models.heads import DropLinear
from visrun.models.weights import Built


class Scored(nn.Module):
    """(B, 3, H, W) -> {"out": logits (B, K), "deviation": distance from good images (B,)}.

    Args:
        network: A classifier.
        head: The name of its last layer, linear or a 1x1 convolution before the pooling; it is taken out of it.
    """

    def __init__(self, network: nn.Module, head: str) -> None:
        super().__init__()
        last = network.get_submodule(head)
        parent, _, attribute = head.rpartition(".")
        setattr(network.get_submodule(parent), attribute, nn.Identity())
        self.network = network
        self.head = last if isinstance(last, nn.Linear) else _linear(last)
        self.density = Density(self.head.in_features)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.network(images).flatten(1)
        return {"out": self.head(features), "deviation": self.density(features)}

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor]) -> None:
        """Measure the density of good images with the weights as they stand, in eval mode.

        Args:
            batches: (B, 3, H, W) each, of good training images as evaluation sees them.
        """
        self.density.measure(torch.cat([self.network(images).flatten(1).float() for images in batches]))


def scored(built: Built) -> Built:
    """The same with a classifier's two ways of scoring."""
    (head,) = built.head
    return built._replace(module=Scored(built.module, head), head=("head", "density"))


def _linear(convolution: nn.Module) -> nn.Linear:
    """A convolution of single pixels that is averaged afterwards, as the linear map of the average that it is."""
    assert isinstance(convolution, nn.Conv2d)
    layer = DropLinear(convolution.in_channels, convolution.out_channels, dropout=None)
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.flatten(1))
    nn.init.zeros_(layer.bias)
    return layer
