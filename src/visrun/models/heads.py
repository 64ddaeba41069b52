"""New heads: the last layer of a network replaced by one with the outputs and the dropout that a run asks for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from visrun.device import full_precision

RARE = 0.02  # share of a heat map that is hot at first
HEAD_STD = 0.01  # small first logits, so that every class starts equally likely whatever the network


class DropLinear(nn.Linear):
    """Dropout (None: it stands elsewhere), then a linear map: (..., in_features) -> (..., out_features).

    It answers in float32, also under autocast, since bfloat16 would round a predicted value to three digits. Its
    parameters are named as a Linear's, so that published and saved weights keep their names.
    """

    def __init__(self, in_features: int, out_features: int, *, dropout: float | None) -> None:
        super().__init__(in_features, out_features)
        self.dropout = nn.Identity() if dropout is None else nn.Dropout(dropout)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        with full_precision(input.device):
            return super().forward(self.dropout(input).float())


def replace_classifier(module: nn.Module, *, num_outputs: int, dropout: float) -> str:
    """Give a classifier a new last layer, in place.

    The head's own dropouts (VGG, EfficientNet, Inception ...) take the value ``dropout``; where none stands right
    before the last layer, one is added there. Dropout and stochastic depth inside the body stay.

    Returns:
        The name of the new layer.
    """
    leaves = [(name, child) for name, child in module.named_modules() if not any(child.children())]
    last = last_layer(module)
    assert last is not None, "torchvision's classifiers end in one"
    at = [name for name, _ in leaves].index(last)
    container = last.partition(".")[0]
    for name, child in leaves:
        if isinstance(child, nn.Dropout) and ("." not in name or name.startswith(container + ".")):
            child.p = dropout
    preceded = at > 0 and isinstance(leaves[at - 1][1], nn.Dropout)
    _put(module, last, _new(leaves[at][1], num_outputs, None if preceded else dropout))
    for name, child in leaves[at + 1 :]:
        if isinstance(child, nn.ReLU):  # SqueezeNet's: it would forbid negative values
            _put(module, name, nn.Identity())
    return last


def replace_layer(module: nn.Module, name: str, *, num_outputs: int) -> None:
    """Replace the linear or 1x1 convolutional layer called ``name`` by one with ``num_outputs`` outputs, in place."""
    _put(module, name, _new(module.get_submodule(name), num_outputs, None))


def begin_rare(layer: nn.Conv2d) -> None:
    """Let a layer of two classes say RARE of the second one everywhere at first, since that one is rare (Lin et al.,
    arXiv 1708.02002, section 4.1)."""
    nn.init.normal_(layer.weight, std=HEAD_STD)
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.0, math.log(RARE / (1 - RARE))]))


def last_layer(module: nn.Module) -> str | None:
    """The name of the last linear or convolutional layer, in the order in which the module lists them; None of none."""
    names = [name for name, child in module.named_modules() if isinstance(child, (nn.Linear, nn.Conv2d))]
    return names[-1] if names else None


def _new(old: nn.Module, num_outputs: int, dropout: float | None) -> nn.Module:
    """A layer like ``old`` with other outputs, behind a dropout unless that is None."""
    layer: nn.Linear | nn.Conv2d
    if isinstance(old, nn.Conv2d):
        layer = nn.Conv2d(old.in_channels, num_outputs, kernel_size=1)
    else:
        assert isinstance(old, nn.Linear)
        layer = DropLinear(old.in_features, num_outputs, dropout=dropout)
    nn.init.normal_(layer.weight, std=HEAD_STD)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _put(module: nn.Module, name: str, child: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, child)
