"""torchvision's segmentation networks, with new last layers.

(B, 3, H, W) -> {"out": (B, K, H, W), "aux": (B, K, H, W)}, scores before softmax at the input's size. The auxiliary
head of DeepLabV3 and FCN is always there, so that a network has the same parameters whatever it began with; LR-ASPP has
none. In train mode DeepLabV3 needs batches of at least two (its image pooling feeds 1x1 maps to BatchNorm).
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import get_model_weights

from visrun.models.classifiers import imagenet_weights, normalisation
from visrun.models.heads import replace_layer
from visrun.models.weights import Built, Pretrained, choose, published

LRASPP = "lraspp_mobilenet_v3_large"


def segmenter(name: str, *, builder: str, num_outputs: int, dropout: float, pretrained: Pretrained = "auto") -> Built:
    """torchvision's ``builder`` (fcn_*, deeplabv3_* or lraspp_*) for ``num_outputs`` classes.

    Args:
        name: The model's name, for messages.
        builder: A name out of ``torchvision.models.list_models(module=torchvision.models.segmentation)``.
        num_outputs: Classes, background included.
        dropout: Probability in the heads of FCN and DeepLabV3, 0 to 0.9; LR-ASPP's head has none.
        pretrained: Whether to begin with weights learned on COCO or, where only those can be had, with a backbone
            learned on ImageNet.

    Raises:
        ConfigError: ``pretrained=True`` without weights to be had.
    """
    weights, origin = choose(segmentation_weights(builder), pretrained, name=name)
    options = {} if builder == LRASPP else {"aux_loss": True}
    module = published(builder, weights, **options)
    lasts = ("low_classifier", "high_classifier") if builder == LRASPP else ("4",)
    heads = ("classifier",) if builder == LRASPP else ("classifier", "aux_classifier")
    for head in heads:
        for last in lasts:
            replace_layer(module, f"{head}.{last}", num_outputs=num_outputs)
        for child in module.get_submodule(head).modules():
            if isinstance(child, nn.Dropout):
                child.p = dropout
    return Built(module, *normalisation(builder, weights), origin=origin, head=heads)


def segmentation_weights(builder: str) -> list[Any]:
    """torchvision's weights for the whole of ``builder``, then those for its backbone alone."""
    return [*get_model_weights(builder), *imagenet_weights(builder.partition("_")[2])]
