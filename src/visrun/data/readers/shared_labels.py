"""Label files of several images, since these have one name but for its end: whose such a file is nobody can say."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from visrun.data import files, lookalikes
from visrun.data.listing import Problem
from visrun.data.threads import mapped
from visrun.errors import DataError


def told(label_of: Mapping[Path, Path | None], base: Path) -> dict[Path, Problem]:
    """What is wrong with images that have one label file, since they have one name, and show different pictures."""
    images_of: dict[Path, list[Path]] = defaultdict(list)
    for image, label in label_of.items():
        if label is not None:
            images_of[label].append(image)
    several = [(label, images) for label, images in images_of.items() if len(images) > 1]
    unlike = mapped(_unlike, [images for _, images in several], path=lambda images: images[0])
    found = {}
    for (label, images), other in zip(several, unlike, strict=True):
        if other is None:
            continue
        for image in images:
            named = images[0].name if image == other else other.name
            what = f"{files.shown(label, base)} is also that of {named}, another picture: rename or remove one"
            found[image] = Problem(files.shown(image, base), what)
    return found


def _unlike(images: Sequence[Path]) -> Path | None:
    """The first image that is another picture than the first of all; None where all are one."""
    with contextlib.suppress(DataError):  # the checks say what is wrong with it
        return next((other for other in images[1:] if not lookalikes.nearly_equal(images[0], other)), None)
    return None
