"""What a run asks of this machine, looked at before anything is written: task, data folder, device, weights."""

from __future__ import annotations

from pathlib import Path

from visrun.config.settings import Settings
from visrun.data.files import require_root
from visrun.errors import ConfigError
from visrun.tables import TIMM, model_entry, torchvision_builders
from visrun.tracking import require_address


def require(settings: Settings) -> None:
    """Refuse a run that cannot begin here. Loads torch only where the answer needs it.

    Published weights that ``model.pretrained=true`` insists on are downloaded now, where they are not cached.

    Raises:
        ConfigError: A store of runs, a device, a cache or weights that are not to be had; all at once.
        DataError: There is nothing at ``data.root``.
    """
    if settings.data.name != "demo" and settings.data.root is not None:
        require_root(Path(settings.data.root))
    problems: list[str] = []
    for look in (_tracking, _device, _networks, _weights):
        try:
            look(settings)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def _tracking(settings: Settings) -> None:
    require_address(settings.tracking.name, settings.tracking.uri)


def _device(settings: Settings) -> None:
    if settings.run.device in ("auto", "cpu") and settings.data.cache != "gpu":
        return  # every machine has them
    from visrun.data.places import candidates
    from visrun.device import choose_device

    candidates(settings.data.cache, choose_device(settings.run.device))


def _networks(settings: Settings) -> None:
    """A network that only timm may have."""
    entry, backbone = model_entry(settings.model.name), settings.model_options.backbone
    wanted = entry.builder if TIMM in settings.model.name else ""
    if "backbone" in entry.options and torchvision_builders().get(backbone) != "classification":
        wanted = backbone
    if wanted:
        from visrun.models.timm_models import require_timm

        require_timm(settings.model.name, wanted)


def _weights(settings: Settings) -> None:
    model = settings.model
    if model.weights is not None:
        from visrun.models.weights import checkpoint_file

        checkpoint_file(Path(model.weights))
    elif model.pretrained is True:
        from visrun.models.classifiers import imagenet_weights
        from visrun.models.detectors import detection_weights
        from visrun.models.segmenters import segmentation_weights
        from visrun.models.weights import choose

        builder = model_entry(model.name).builder
        published = {
            "classification": imagenet_weights,
            "segmentation": segmentation_weights,
            "detection": detection_weights,
        }
        kind = torchvision_builders().get(builder)
        if kind is not None:  # a plugin's model answers for itself when it is built
            choose(published[kind](builder), True, name=model.name)
