"""The convolutional body of torchvision's classifiers, giving its feature maps at 1/4, 1/8, 1/16 and 1/32 of the image.

A body is a chain of layers; the map of a stride is what the last layer at that stride gives. So every classifier whose
layers form a chain will do: ResNets, RegNets, and all that keep theirs in ``features``, of channels first or last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import get_model_builder

from visrun.errors import ConfigError
from visrun.models.classifiers import drop_auxiliary, imagenet_weights, init, normalisation
from visrun.models.weights import Built, Pretrained, choose, load_published

PROBE = 64  # side in pixels of the image that tells each layer's stride
ENDS = ("avgpool", "fc", "classifier", "head", "heads")  # of a classifier that keeps its layers at the top


class _Given(NamedTuple):
    """The map that a layer gives, stride 0 where it is none."""

    stride: int
    channels: int
    channels_last: bool = False


class Trunk(nn.Module):
    """(B, 3, H, W) -> the feature maps at ``strides``, finest first; H and W are multiples of the last stride.

    Args:
        layers: A chain of layers.
        strides: Of the maps wanted, ascending.

    ``channels`` holds the number of channels of each map.

    Raises:
        ValueError: The chain has no map at a stride.
    """

    def __init__(self, layers: nn.Module, *, strides: Sequence[int]) -> None:
        super().__init__()
        self.layers = layers
        found = _given(_chain(layers), next(layers.parameters()).device)
        self.taps = [
            max((i for i, known in enumerate(found) if known.stride == stride), default=-1) for stride in strides
        ]
        if -1 in self.taps:
            raise ValueError("no chain of layers that halves the image step by step")
        self.channels = [found[tap].channels for tap in self.taps]
        self._channels_last = {tap for tap in self.taps if found[tap].channels_last}

    def forward(self, images: Tensor) -> list[Tensor]:
        maps, x = [], images
        for i, layer in enumerate(_chain(self.layers)):
            x = layer(x)
            if i in self.taps:
                maps.append(x.permute(0, 3, 1, 2) if i in self._channels_last else x)
            if i == self.taps[-1]:
                break
        return maps


def trunk(name: str, *, builder: str, strides: Sequence[int], pretrained: Pretrained) -> Built:
    """The body of torchvision's classifier ``builder``.

    Args:
        name: The model's name, for messages.
        builder: A name out of ``torchvision.models.list_models(module=torchvision.models)``.
        strides: Of the maps wanted.
        pretrained: Whether to begin with weights learned on ImageNet.

    Raises:
        ConfigError: A network without such maps; ``pretrained=True`` without weights to be had.
    """
    weights, origin = choose(imagenet_weights(builder), pretrained, name=name)
    build = get_model_builder(builder)
    network = build(weights=None, **init(builder)) if weights is None else load_published(build, weights)
    drop_auxiliary(network)
    try:
        module = Trunk(_body(network), strides=strides)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        wanted = ", ".join(f"1/{stride}" for stride in strides)
        raise ConfigError(
            f"model={name}: {builder} has no feature maps at {wanted} of the image: take another"
        ) from error
    return Built(module, *normalisation(builder, weights), origin=origin)


def _body(network: nn.Module) -> nn.Module:
    """What stands before the pooling and the last layers, under the names it has in torchvision."""
    features = getattr(network, "features", None)
    if isinstance(features, nn.Sequential):
        return features
    for name in ENDS:
        if hasattr(network, name):
            delattr(network, name)
    return network


def _chain(layers: nn.Module) -> list[nn.Module]:
    """The layers one by one; of RegNet, whose stages are one of its two parts, the stages."""
    chain = list(layers.children())
    return [part for layer in chain for part in (_chain(layer) if len(chain) < 4 and _nested(layer) else [layer])]


def _nested(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Sequential) and any(isinstance(child, nn.Sequential) for child in layer.children())


@torch.no_grad()
def _given(chain: Sequence[nn.Module], device: torch.device) -> list[_Given]:
    """What each layer gives of a square image."""
    x, found = torch.zeros(1, 3, PROBE, PROBE, device=device), []
    for layer in chain:
        training = layer.training
        x = layer.eval()(x)
        layer.train(training)
        found.append(_of_shape(*x.shape))
    return found


def _of_shape(*shape: int) -> _Given:
    match shape:
        case (_, channels, height, width) if height == width:
            return _Given(PROBE // height, channels)
        case (_, height, width, channels) if height == width:
            return _Given(PROBE // height, channels, channels_last=True)
    return _Given(0, 0)
