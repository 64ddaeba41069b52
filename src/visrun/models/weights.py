"""Where a model's first weights come from: torchvision's published ones, a file, or chance.

Published weights lie in torch.hub's folder (``TORCH_HOME``); what is missing there is downloaded once, checked by hash
and moved into place whole. Without a network the answer comes within ``TIMEOUT`` seconds.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from threading import Thread
from typing import Any, Literal, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from torch import Tensor, nn

from visrun.checkpoint import reading, unreadable
from visrun.data.look import are_colours
from visrun.errors import ConfigError, first_line
from visrun.run_files import BEST_WEIGHTS, CHECKPOINTS

logger = logging.getLogger(__name__)

Pretrained = bool | Literal["auto"]
Triple = tuple[float, float, float]

MISSED = "random: no pretrained weights"  # begins the origin of a network whose published weights could not be had
TIMEOUT = 5.0  # seconds without an answer after which a server counts as unreachable
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


class Built(NamedTuple):
    """A model that is ready to train.

    Args:
        module: The network, on the CPU, in train mode.
        mean: What to subtract from each channel of an RGB image in [0, 1]; belongs to the weights. Random weights take
            those of the builder's published ones, or ImageNet's, which suit photographs and do no harm elsewhere.
        std: What to divide by then.
        origin: Where the weights come from, for people; "random" or "random: WHY" where nothing was loaded.
        head: Names of the submodules that are new, which ``model.freeze=backbone`` goes on training.
        classes: Those of the run whose weights were loaded, where a file of the same network tells.
    """

    module: nn.Module
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    origin: str = "random"
    head: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def is_random(self) -> bool:
        """Whether nothing was loaded."""
        return self.origin == "random" or self.origin.startswith(("random:", "random;"))  # else a file's name may

    @property
    def missed(self) -> bool:
        """Whether published weights were looked for in vain."""
        return self.origin.startswith(MISSED)

    def begun(self) -> dict[str, Any]:
        """What the first weights have decided, in plain types, for a run that goes on without looking for them."""
        return {"mean": self.mean, "std": self.std, "origin": self.origin, "classes": self.classes}


def choose(candidates: Sequence[Any], pretrained: Pretrained, *, name: str) -> tuple[Any | None, str]:
    """The first of ``candidates`` (best first) that is cached or can be downloaded.

    Returns:
        The published weights to use (a member of torchvision's ``WeightsEnum``), or None; and a line that says why.

    Raises:
        ConfigError: With ``pretrained=True`` when none can be had.
    """
    if pretrained is False:
        return None, "random: model.pretrained=false"
    reason = f"none are published for {name}"
    reachable = True
    for weights in candidates:
        if not (reachable or cached(weights.url).is_file()):
            continue
        try:
            return weights, f"pretrained {weights!r} ({fetch(weights.url)})"
        except (OSError, RuntimeError, HTTPException) as error:
            reachable = False
            reason = f"not in {cached(weights.url).parent} and no download: {getattr(error, 'reason', error)}"
    if pretrained is True:
        raise ConfigError(f"model.pretrained=true: no weights ({reason}); use auto or false, or model.weights=FILE")
    return None, f"{MISSED} ({reason})" if candidates else f"random: {reason}"


def cached(url: str) -> Path:
    """Where torch.hub keeps the file behind ``url``."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def fetch(url: str) -> Literal["cached", "downloaded"]:
    """See that the file behind ``url`` is in torch.hub's folder.

    Raises:
        OSError: No network, an error of the server or of the disk; a server that is silent for TIMEOUT seconds.
        RuntimeError: The file does not have the hash that its name promises.
    """
    path = cached(url)
    if path.is_file():
        return "cached"
    reach(url)
    logger.info("downloading %s to %s", url, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    promised = torch.hub.HASH_REGEX.search(path.name)
    with _socket_timeout(TIMEOUT):
        torch.hub.download_url_to_file(
            url, str(path), promised.group(1) if promised else None, progress=sys.stderr.isatty()
        )
    return "downloaded"


def reach(url: str) -> None:
    """Ask for the header of ``url``; in a thread, because looking up a host name knows no timeout.

    Raises:
        OSError: As :func:`fetch`.
    """
    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT):
                outcome.append(None)
        except Exception as error:  # handed over to the waiting thread
            if isinstance(error, HTTPError):
                error.close()
            outcome.append(error)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    if not outcome:
        raise TimeoutError(f"no answer from {urlparse(url).netloc} within {TIMEOUT:g} s")
    if outcome[0] is not None:
        raise outcome[0]


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """A default timeout for new sockets: torch.hub's download sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def load_published(build: Callable[..., nn.Module], weights: Any, **options: Any) -> nn.Module:
    """Call torchvision's ``build`` with cached ``weights``.

    Raises:
        ConfigError: The cached file cannot be read.
    """
    try:
        return build(weights=weights, progress=False, **options)
    except (RuntimeError, OSError, EOFError, KeyError, UnpicklingError) as error:
        line = first_line(error)
        raise ConfigError(f"{cached(weights.url)}: damaged ({line}); delete it to download it again") from error


def published(builder: str, weights: Any | None, **options: Any) -> nn.Module:
    """torchvision's ``builder`` on a backbone, with ``weights`` in the whole of it, in the backbone alone, or nowhere
    (None).

    Raises:
        ConfigError: As :func:`load_published`.
    """
    from torchvision.models import get_model_builder, get_model_weights

    build = partial(get_model_builder(builder), **options)
    if weights is None:
        return build(weights=None, weights_backbone=None)
    if weights in list(get_model_weights(builder)):
        return load_published(build, weights, weights_backbone=None)

    def with_backbone(*, weights: Any, progress: bool) -> nn.Module:
        return build(weights=None, weights_backbone=weights, progress=progress)

    return load_published(with_backbone, weights)


class Checkpoint(NamedTuple):
    """What a weight file holds: parameters by name and, if written by visrun, the normalisation they expect, the
    network's name and the names of its classes."""

    state: dict[str, Tensor]
    mean: Triple | None
    std: Triple | None
    network: str = ""
    classes: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a state dict (.pt, .pth), a checkpoint that holds one, or the best checkpoint of a run's folder.

    Only tensors and plain types are unpickled, so a file from a stranger cannot run code.

    Raises:
        ConfigError: No such file, not readable, or no tensors in it.
        UserError: Its normalisation is none.
    """
    file = checkpoint_file(path)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # every kind of damage raises another type
        raise ConfigError(f"model.weights={path}: cannot be read: {_why(file, error)}") from error
    state = _state(content)
    if not state:
        raise ConfigError(f"model.weights={path}: holds no state dict (names and tensors): name a file that does")
    portrait = content.get("network")
    network = str(portrait.get("name", "")) if isinstance(portrait, dict) else ""
    known = content.get("task_state")
    classes = known.get("classes") if isinstance(known, dict) else None
    names = tuple(map(str, classes)) if isinstance(classes, (list, tuple)) else ()
    if content.get("mean") is None or content.get("std") is None:
        return Checkpoint(state, None, None, network, names)
    with reading(file):
        mean, std = _triple(content["mean"]), _triple(content["std"])
        if not are_colours(mean, std):
            raise ValueError(f"mean={mean}, std={std}")
    return Checkpoint(state, mean, std, network, names)


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    with file.open("rb") as opened:
        begin = opened.read(8)
    if begin and file.suffix == ".safetensors":
        return first_line(error, most=120)
    return unreadable(begin, error)


def checkpoint_file(path: Path) -> Path:
    """The file that ``path`` means: itself, or the best checkpoint of a run's folder.

    Raises:
        ConfigError: No such file.
    """
    file = path / CHECKPOINTS / BEST_WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"model.weights={path}: {file} does not exist; give a .pt, .pth or .safetensors file, or a run's folder"
        )
    return file


def _state(content: Any) -> dict[str, Tensor]:
    """The tensors by name inside ``content``, without the prefixes that wrappers put before the names."""
    if not isinstance(content, dict):
        return {}
    inner = next((content[key] for key in ("model", "state_dict") if isinstance(content.get(key), dict)), content)
    state = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    for prefix in ("module.", "_orig_mod."):
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _triple(values: Sequence[float] | Tensor) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
