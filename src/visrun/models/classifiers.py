"""Every classifier of torchvision, with a new head: (B, 3, H, W) -> (B, num_outputs)."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import get_model_builder, get_model_weights

from visrun.models.fitting import resize_positions
from visrun.models.heads import replace_classifier
from visrun.models.scored import scored
from visrun.models.weights import IMAGENET_MEAN, IMAGENET_STD, Built, Pretrained, Triple, choose, load_published

HALF: Triple = (0.5, 0.5, 0.5)
# Whose weights want (x - 0.5) / 0.5, and whose modules would convert from ImageNet's: it is done once, at the input.
CONVERTING = ("inception_v3", "googlenet")


def classifier(
    name: str,
    *,
    builder: str,
    num_outputs: int,
    dropout: float,
    image_size: tuple[int, int],
    pretrained: Pretrained = "auto",
    target: str = "label",
) -> Built:
    """torchvision's ``builder`` with a new last layer. Auxiliary classifiers (Inception, GoogLeNet) are left out.

    Args:
        name: The model's name, for messages.
        builder: A name out of ``torchvision.models.list_models(module=torchvision.models)``.
        num_outputs: Classes or regression targets.
        dropout: Probability in the head, 0 to 0.9.
        image_size: (height, width) in pixels. ViT and MaxViT are built for this one size, which must be square.
        pretrained: Whether to begin with weights learned on ImageNet.
        target: ``verdict`` gives the network that `visrun.models.scored` describes.

    Raises:
        ConfigError: ``pretrained=True`` without weights to be had.
    """
    weights, origin = choose(imagenet_weights(builder), pretrained, name=name)
    options = _options(builder, image_size)
    if weights is None:
        module = get_model_builder(builder)(weights=None, **options, **init(builder))
        built = Built(module, *normalisation(builder, None))
    else:
        built = _pretrained(builder, weights, options)
    drop_auxiliary(built.module)
    head = replace_classifier(built.module, num_outputs=num_outputs, dropout=dropout)
    built = built._replace(origin=origin, head=(head,))
    return scored(built) if target == "verdict" else built


def imagenet_weights(builder: str) -> list[Any]:
    """torchvision's best weights for ``builder``, then its first ones, which may be cached where the best are not."""
    known = get_model_weights(builder)
    names = dict.fromkeys((known.DEFAULT.name, "IMAGENET1K_V1")) if len(known) else {}
    return [known[name] for name in names if name in known.__members__]


def normalisation(builder: str, weights: Any | None) -> tuple[Triple, Triple]:
    """(mean, std) per channel that ``weights`` were trained with; without any, those of the first that are published,
    since a file that does not tell its own holds those."""
    if builder in CONVERTING:
        return HALF, HALF
    known = next(iter([weights] if weights is not None else imagenet_weights(builder)), None)
    if known is None:
        return IMAGENET_MEAN, IMAGENET_STD
    transforms = known.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _pretrained(builder: str, weights: Any, options: dict[str, Any]) -> Built:
    """The network with ``weights``; one of fixed size is loaded at the weights' size and carried over."""
    build = get_model_builder(builder)
    module: Any = load_published(build, weights)
    if builder in CONVERTING:
        module.transform_input = False
    if options:
        sized = build(weights=None, **options)
        sized.load_state_dict(resize_positions(module.state_dict(), sized))
        module = sized
    return Built(module, *normalisation(builder, weights))


def _options(builder: str, image_size: tuple[int, int]) -> dict[str, Any]:
    """The arguments of a builder of fixed size."""
    if builder.startswith("vit_"):
        return {"image_size": image_size[0]}
    return {"input_size": image_size} if builder.startswith("maxvit_") else {}


def init(builder: str) -> dict[str, bool]:
    """Inception's builders ask to be told that they shall initialise."""
    return {"init_weights": True} if builder in CONVERTING else {}


def drop_auxiliary(module: nn.Module) -> None:
    """Take out the extra classifiers in the middle, so that training and evaluation give one tensor."""
    for name, off in (("aux_logits", False), ("AuxLogits", None), ("aux1", None), ("aux2", None)):
        if hasattr(module, name):
            setattr(module, name, off)
