"""What a run asks of this machine, looked at before anything is written: folders, data, device, weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from visrun.config import plugins
from visrun.config.settings import Settings
from visrun.data.files import require_root
from visrun.errors import ConfigError, complaints
from visrun.record.run_folder import writer_of
from visrun.run_files import FILE_NAME
from visrun.tables import TIMM, model_entry, torchvision_builders
from visrun.tracking import require_address


def require(settings: Settings) -> None:
    """Refuse a run that cannot begin here. Loads torch only where the answer needs it.

    Published weights that ``model.pretrained=true`` insists on are downloaded now, where they are not cached.

    Raises:
        ConfigError: A store of runs, a device, a cache or weights that are not to be had; all at once.
        DataError: There is nothing at ``data.root``.
    """
    if settings.data.place is not None:
        require_root(settings.data.place)
    looks = (_tracking, _device, _networks, _weights)
    problems = [line for look in looks for line in complaints(partial(look, settings))]
    if problems:
        raise ConfigError(problems)


def require_free(folder: Path) -> None:
    """Refuse a ``hydra.run.dir`` of the user's that is no folder, or whose run a new one would write over.

    Raises:
        ConfigError: It is a file or lies below one, or it holds a run, or its name is no text.
    """
    require_text("hydra.run.dir=", folder, "name another one")
    if (writer := writer_of(folder)) is not None:
        raise ConfigError(f"hydra.run.dir={folder}: {writer} is writing a run there; name another folder")
    if (folder / FILE_NAME).exists():
        again = plugins.command("resume", str(folder))
        raise ConfigError(f"hydra.run.dir={folder}: holds a run already; name another folder, or {again}")
    there = next((path for path in (folder, *folder.parents) if path.exists() or path.is_symlink()), Path())
    if not there.is_dir():
        raise ConfigError(f"hydra.run.dir={folder}: {there} is no folder; name another one")


def make(key: str, folder: Path) -> Path | None:
    """Make a folder that the user named by ``key``, and see that it takes files; it where it is new, else None.

    Raises:
        ConfigError: It cannot be made or written.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder if new else None
    except OSError as error:
        raise ConfigError(f"{key}={folder}: cannot be written ({error.strerror}); name another one") from None


def require_text(what: str, folder: Path, otherwise: str) -> None:
    """Refuse a folder that Hydra cannot write into its record of the run.

    Raises:
        ConfigError: Its name is no UTF-8; the line begins with ``what`` and ends with ``otherwise``.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{what}{folder}: the name is not UTF-8; {otherwise}") from None


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
        from visrun.models.timm_models import timm_with

        timm_with(settings.model.name, wanted)


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
