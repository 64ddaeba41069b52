"""Which settings a loss reads."""

from __future__ import annotations

from visrun.build import Ref, is_own, load, reads, require_filled
from visrun.tables.own import asked_by, names_in
from visrun.tables.tasks import TASKS

# The package's own losses that read settings of the section `loss_options` -> which ones. Their signatures say the
# same, but to look at them would take seconds: torch is imported with them.
LOSS_OPTIONS: dict[Ref, tuple[str, ...]] = {
    "visrun.losses:label_smoothing": ("smoothing",),
    "visrun.losses:focal": ("gamma", "alpha"),
    "visrun.losses:ce_dice": ("dice_weight",),
    "visrun.losses:pixel_focal": ("gamma", "alpha"),
    "visrun.losses:huber": ("delta",),
    "visrun.losses:smooth_l1": ("beta",),
    "visrun.anomaly.losses:focal": ("gamma", "alpha"),
    "visrun.detection.losses:smooth_l1": ("beta",),
    "visrun.detection.losses:smooth_l1_rotated": ("beta",),
    "visrun.detection.losses:focal_mask": ("gamma", "alpha"),
}


def loss_options(ref: Ref) -> tuple[str, ...] | None:
    """The names by which a loss of a task asks for settings of ``loss_options``, others among them.

    A plugin's function says them by its signature; None where it cannot be looked at, which stops the run elsewhere.
    """
    return LOSS_OPTIONS.get(ref, ()) if is_own(ref) else asked_by(ref)


def require_given(name: str, *, task: str) -> None:
    """Refuse a plugin's loss of a task that asks for what nothing gives, or does not take what all losses of it get.

    Raises:
        ConfigError: It names the parameters; or the loss, or the one it is held against, cannot be imported.
    """
    losses = TASKS[task].losses
    if is_own(losses[name]):
        return
    given = {"weight", *names_in("loss_options")}.union(*LOSS_OPTIONS.values())
    usual = load(next(iter(losses.values())))  # the task calls all its losses alike
    require_filled(f"loss={name}", load(losses[name]), given, [one for one in reads(usual) if one not in given])


def losses_by_options() -> dict[str, set[str]]:
    """Loss -> the names by which it asks for settings, whatever the task."""
    found: dict[str, set[str]] = {}
    for entry in TASKS.values():
        for name, ref in entry.losses.items():
            found.setdefault(name, set()).update(loss_options(ref) or ())
    return found
