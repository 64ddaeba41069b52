"""Networks of timm (the extra ``visrun[timm]``): classifiers, and bodies under a U-Net, a detector or PatchCore."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from visrun.errors import ConfigError, first_line
from visrun.models.heads import replace_layer
from visrun.models.scored import scored
from visrun.models.weights import MISSED, Built, Pretrained, reach
from visrun.near import did_you_mean

HUB = "https://huggingface.co"
MISSING = "this needs timm: pip install timm"


def timm_classifier(
    name: str,
    *,
    builder: str,
    num_outputs: int,
    dropout: float,
    image_size: tuple[int, int],
    pretrained: Pretrained = "auto",
    target: str = "label",
) -> Built:
    """timm's ``builder`` with a new last layer: (B, 3, H, W) -> (B, num_outputs).

    Args:
        name: The model's name, for messages.
        builder: A name that ``timm.list_models()`` gives, with or without the tag of its weights.
        num_outputs: Classes or regression targets.
        dropout: Probability before the last layer, 0 to 0.9.
        image_size: (height, width) in pixels; networks of fixed size are built for it.
        pretrained: Whether to begin with published weights.
        target: ``verdict`` gives the network that `visrun.models.scored` describes.

    Raises:
        ConfigError: No timm, no such model, an image size it cannot take; ``pretrained=True`` without weights.
    """
    sized = {"img_size": image_size} if _config(name, builder).get("fixed_input_size") else {}
    built = _created(name, builder, pretrained, num_classes=num_outputs, drop_rate=dropout, **sized)
    head = _config(name, builder).get("classifier")
    if not isinstance(head, str):
        raise ConfigError(
            f"model.name={name}: a network with {len(head or ())} last layers: choose one with a single one"
        )
    replace_layer(built.module, head, num_outputs=num_outputs)
    built = built._replace(head=(head,))
    return scored(built) if target == "verdict" else built


class TimmTrunk(nn.Module):
    """(B, 3, H, W) -> the feature maps at ``strides``, finest first; as `visrun.models.trunks.Trunk`."""

    def __init__(self, layers: nn.Module, *, channels: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.channels = layers, list(channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.layers(images))


def timm_trunk(name: str, *, builder: str, strides: Sequence[int], pretrained: Pretrained) -> Built:
    """The body of timm's ``builder``; arguments and errors are those of :func:`visrun.models.trunks.trunk`."""
    timm = timm_with(name, builder)
    try:
        info = timm.create_model(builder, features_only=True).feature_info
        found = list(info.reduction())
        wanted = [len(found) - 1 - found[::-1].index(stride) for stride in strides]
        built = _created(name, builder, pretrained, features_only=True, out_indices=wanted)
        module = TimmTrunk(built.module, channels=[info.channels()[i] for i in wanted])
        with torch.no_grad():
            sides = [x.shape[2:] for x in module.eval()(torch.zeros(1, 3, 64, 64))]
    except (AttributeError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"model={name}: {builder} has no feature maps at strides {list(strides)}: take another"
        ) from error
    if [tuple(side) for side in sides] != [(64 // stride, 64 // stride) for stride in strides]:
        raise ConfigError(f"model={name}: the feature maps of {builder} do not have channels first: take another")
    return built._replace(module=module.train())


def timm_with(name: str, builder: str) -> Any:
    """The package timm, which has ``builder``.

    Raises:
        ConfigError: It is not installed, or has no such model.
    """
    if find_spec("timm") is None:
        raise ConfigError(f"model={name}: {MISSING}")
    import timm

    if not timm.is_model(builder):
        hint = did_you_mean(builder, timm.list_models()) or "; timm.list_models() names all"
        raise ConfigError(f"model={name}: {builder} is neither torchvision's nor timm's{hint}")
    return timm


def _config(name: str, builder: str) -> dict[str, Any]:
    """What timm says of a model and its weights."""
    config = timm_with(name, builder).get_pretrained_cfg(builder)
    found: dict[str, Any] = config.to_dict() if config is not None else {}
    return found


def _created(name: str, builder: str, pretrained: Pretrained, **options: Any) -> Built:
    """The network with published weights where they are wanted and to be had, and their normalisation."""
    timm, config = timm_with(name, builder), _config(name, builder)
    module, origin = None, "random: model.pretrained=false"
    if pretrained is not False:
        try:
            _at_hand(config)
            module, origin = timm.create_model(builder, pretrained=True, **options), f"pretrained timm {builder}"
        except Exception as error:  # of the hub's client, whichever it uses: there is no network, or no such file
            reason = first_line(error)
            if pretrained is True:
                raise ConfigError(
                    f"model.pretrained=true: no weights for {name} ({reason}); use auto or false"
                ) from error
            origin = f"{MISSED} ({reason})"
    if module is None:
        module = timm.create_model(builder, pretrained=False, **options)
    mean, std = config.get("mean"), config.get("std")
    return Built(module, origin=origin, **({"mean": tuple(mean), "std": tuple(std)} if mean and std else {}))


def _at_hand(config: dict[str, Any]) -> None:
    """Raise at once where weights are neither cached nor within reach: the hub's client would try for a minute."""
    from huggingface_hub import try_to_load_from_cache

    repository = config.get("hf_hub_id")
    if not repository:
        raise OSError("none are published")
    files = ("model.safetensors", "pytorch_model.bin")
    if not any(isinstance(try_to_load_from_cache(repository, file), str) for file in files):
        reach(f"{HUB}/{repository}")
