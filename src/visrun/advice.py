"""What is said of the weights that a run begins with, where they hardly suit what it learns."""

from __future__ import annotations

from collections.abc import Sequence

from visrun.config.compose import Resolved
from visrun.config.fields import show
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.tables import model_entry

FINE_TUNE = "fine_tune"  # the recipe whose learning rate is one for pretrained weights


def warn_of_random(resolved: Resolved, origin: str, screen: Screen) -> None:
    """Say where features stay those of random weights, or are trained in steps that only suit others."""
    settings, facts = resolved.settings, model_entry(resolved.settings.model.name)
    if not origin.startswith("random"):
        return
    remedy = "give model.weights=FILE, or model.pretrained=true where they can be had"
    if not facts.gradient:
        what = f"model={settings.model.name} compares features of random weights, which say little of an image"
    elif settings.model.freeze == "backbone":
        what = "model.freeze=backbone freezes random weights, on which a head learns next to nothing"
    elif settings.recipe == FINE_TUNE and resolved.sources["learning_rate"] == "file":
        rate = show(resolved.hyperparameters.learning_rate)
        what = f"recipe={FINE_TUNE}: its learning_rate={rate} is meant for pretrained weights, and these are random"
        remedy += ", or leave the recipe out"
    else:
        return
    screen.warn(f"{what}; {remedy}")


def warn_of_classes(settings: Settings, former: Sequence[str], classes: Sequence[str], screen: Screen) -> None:
    """Say where a last layer that fits by its size begins with other classes."""
    if len(former) != len(classes):  # a new layer
        return
    for number, (before, now) in enumerate(zip(former, classes, strict=True), start=1):
        if before != now:
            screen.warn(
                f"model.weights={settings.model.weights}: its classes are taken by their places, and others are there: "
                f"number {number} was {before} and is {now} here"
            )
            return
