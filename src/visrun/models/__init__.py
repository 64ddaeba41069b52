"""Networks by name. ``create`` is the one way in:

built = create("resnet18", num_outputs=10, image_size=224, dropout=0.2)
built.module(images)  # (B, 3, 224, 224), normalised by built.mean and built.std -> (B, 10)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from visrun.build import call, load, reads, require_filled
from visrun.errors import ConfigError
from visrun.models.fitting import fit
from visrun.models.freezing import freeze_all_but
from visrun.models.heads import last_layer
from visrun.models.weights import Built, Pretrained, read_checkpoint
from visrun.tables import MODELS, model_entry

__all__ = ["Built", "Keeping", "Pretrained", "Settling", "create"]

MOMENTUM = 0.1  # the least share of a new batch in BatchNorm's running averages


@runtime_checkable
class Keeping(Protocol):
    """A model that keeps the statistics of weights that it begins with."""

    def keep_statistics(self) -> None:
        """Let the normalisation layers of the body stay as they are."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A model that measures something on good training images, with its weights as they stand."""

    def settle(self, batches: Iterable[Tensor]) -> None:
        """Measure it, before an evaluation; ``batches`` (B, 3, H, W) are images as evaluation sees them."""
        ...


def create(
    name: str,
    *,
    num_outputs: int,
    image_size: int | tuple[int, int],
    dropout: float = 0.0,
    pretrained: Pretrained = "auto",
    weights: Path | None = None,
    freeze: Literal["none", "backbone"] = "none",
    begun: Mapping[str, Any] | None = None,
    target: str = "label",
    options: Mapping[str, Any] | None = None,
) -> Built:
    """Build a network and give it its first weights; random ones come from torch's global generator.

    Classifiers map (B, 3, H, W) to (B, num_outputs), for verdicts as `visrun.models.scored` says; segmentation networks
    to {"out": (B, num_outputs, H, W)}, some with "aux" like it. Weights and ``freeze`` change no shape and no name.

    Args:
        name: An entry of ``visrun.tables.MODELS``, whose builder returns a ``Built`` or just a module, or the name of a
            builder of torchvision.
        num_outputs: Classes or regression targets, at least 1.
        image_size: Side or (height, width) in pixels.
        dropout: Probability in the head, 0 to 0.9, where the head has one.
        pretrained: True takes published weights or fails, False starts from random, "auto" takes what can be had.
        weights: A weight file or a run's folder; goes before ``pretrained``.
        freeze: "backbone" trains the new head only.
        begun: ``Built.begun`` of a run that goes on, whose own weights are loaded later.
        target: What a record's target is (:class:`visrun.tables.TaskEntry`), which tells a network its heads.
        options: More arguments by name, for builders that take them.

    Raises:
        ConfigError: Unknown model, an image size it cannot take, weights that cannot be had, read or fitted, a builder
            that asks for what nothing gives or gives no network, a network whose state is not tensors alone.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    entry = model_entry(name)
    if problem := entry.size_problem(name, (height, width), target=target):
        raise ConfigError(problem)
    values = {
        "name": name,
        "builder": entry.builder,
        "num_outputs": num_outputs,
        "dropout": dropout,
        "image_size": (height, width),
        "target": target,
        **(options or {}),
        "pretrained": False if weights is not None else pretrained,
    }
    built = _built(load(entry.build), values)
    _require_tensors(built.module, name)
    _quicken(built.module)
    if weights is not None:
        built = _from_file(built, weights, name=name)
    built = built._replace(**(begun or {}))
    if isinstance(built.module, Keeping) and (weights is not None or (begun is not None and not built.is_random)):
        built.module.keep_statistics()  # a builder does so itself for weights that it has loaded
    return _frozen(built, told=begun is not None) if freeze == "backbone" else built


def _frozen(built: Built, *, told: bool) -> Built:
    """Let the head alone learn, and say so in the origin unless it is ``told`` there."""
    freeze_all_but(built.module, built.head)
    return built if told else built._replace(origin=f"{built.origin}; all but {', '.join(built.head)} frozen")


def _built(builder: Any, values: dict[str, Any]) -> Built:
    """Call a builder; a bare module has random weights, and its last layer is its head."""
    name = values["name"]
    require_filled(f"model={name}", builder, values)
    made = call(builder, values)
    if isinstance(made, Built):
        return made
    if not isinstance(made, nn.Module):
        raise ConfigError(f"model={name}: its builder gives {type(made).__name__}, not a torch.nn.Module")
    if values["pretrained"] is True and "pretrained" not in reads(builder):
        raise ConfigError(f"model.pretrained=true: no weights are published for {name}; use auto or false")
    head = last_layer(made)
    if head is None:
        raise ConfigError(
            f"model={name}: has no linear or convolutional layer as its head; let its builder give a "
            "visrun.models.Built that names one"
        )
    return Built(made, origin=f"random: no weights are published for {name}", head=(head,))


def _require_tensors(module: nn.Module, name: str) -> None:
    """Refuse a network with more to keep than tensors (``get_extra_state``), which no checkpoint would give back, or
    with tensors that have no shape yet."""
    for key, value in module.state_dict().items():
        if is_lazy(value):
            raise ConfigError(f"model={name}: {key} is of a lazy layer: let its builder run a batch through it")
        if not isinstance(value, Tensor):
            raise ConfigError(f"model={name}: {key} of its state is {type(value).__name__}, not a tensor: use a buffer")


def _from_file(built: Built, path: Path, *, name: str) -> Built:
    """Load a weight file and take over the normalisation it names."""
    checkpoint = read_checkpoint(path)
    try:
        loaded = fit(built.module, checkpoint.state, head=built.head, path=path)
    except ConfigError as error:
        if checkpoint.network in ("", name):
            raise
        key = "model" if checkpoint.network in MODELS else "model.name"
        raise ConfigError(f"{error}; its run had {key}={checkpoint.network}") from None
    mean, std = checkpoint.mean or built.mean, checkpoint.std or built.std
    classes = checkpoint.classes if checkpoint.network == name else ()
    return built._replace(mean=mean, std=std, origin=f"{path}: {loaded}", classes=classes)


def _quicken(module: nn.Module) -> None:
    """Let BatchNorm's running averages follow within some ten steps. MobileNet's (0.01) and MNASNet's (0.0003) momenta
    belong to runs of 100,000 steps; here they would still evaluate with the statistics they began with."""
    for child in module.modules():
        if isinstance(child, _BatchNorm) and child.momentum is not None:
            child.momentum = max(child.momentum, MOMENTUM)
