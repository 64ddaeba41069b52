"""Settings that plugins bring for what else they bring: ``SETTINGS["loss_options.epsilon"] = Setting(1.0, "...")``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visrun.build import Ref, load, reads
from visrun.errors import PLUGIN_HINT, ConfigError


@dataclass(frozen=True)
class Setting:
    """A setting of a plugin's loss, model or augmentation, which is typed, swept, shown and recorded like visrun's own.

    Args:
        default: A number, a text, or true or false, which says what it takes.
        text: What it means, one sentence.
        ge, gt, le, lt: Limits of a number.
        choices: All that a text may be; () = any but none.
        unit: Such as ``pixels``.
    """

    default: float | str
    text: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: Sequence[str] = ()
    unit: str = ""


# The sections that may hold some -> the names by which what they are for asks for something else.
OPEN: dict[str, tuple[str, ...]] = {
    "loss_options": ("weight",),
    "model_options": ("name", "builder", "num_outputs", "dropout", "image_size", "target", "pretrained"),
    "augment": ("mean", "std"),
}
SETTINGS: dict[str, Setting] = {}  # by ``loss_options.NAME`` and the like


def maybe_brought(key: str) -> str:
    """The hint for a key that is no setting, where a plugin may have one of that name; else ""."""
    return PLUGIN_HINT if key.partition(".")[0] in OPEN else ""


def names_in(section: str) -> tuple[str, ...]:
    """The names that plugins' settings have in a section."""
    return tuple(key.partition(".")[2] for key in SETTINGS if key.startswith(f"{section}."))


def asked_by(ref: Ref) -> tuple[str, ...] | None:
    """What a plugin's function asks for by name; None where it cannot be looked at, which stops the run elsewhere."""
    try:
        return reads(load(ref))
    except (ConfigError, ValueError, TypeError):  # the latter two: no signature
        return None
