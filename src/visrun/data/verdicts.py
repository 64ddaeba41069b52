"""What is known of an inspected image: whether it is good, which kind of defect it shows, and where.

Batches carry it as a plane of codes, so that image and truth are turned and mirrored together. Imports no torch, since
helper processes paint the planes.

| code      | the pixel                                                                        |
|-----------|----------------------------------------------------------------------------------|
| GOOD      | of a good image                                                                  |
| DEFECT    | of a defect                                                                      |
| SOMEWHERE | of a defective image without a mask: nobody knows whether it is part of a defect |
| BESIDE    | of a defective image, outside of the defect                                      |
| MADE      | of a defect that was made (`visrun.data.defects`)                                |
| 255       | outside of the picture                                                           |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visrun.data.objects import Objects

GOOD, DEFECT, SOMEWHERE, BESIDE, MADE = range(5)
CLASSES = ("good", "defect")
_GOOD = {
    *("good", "ok", "okay", "normal", "defect_free", "no_defect", "no_defects", "non_defective", "nondefective"),
    *("nodefect", "undamaged", "intact", "pass", "passed", "i.o.", "bueno", "buono", "goed"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One image's truth.

    Args:
        kind: ``good``, or the name of the kind of defect.
        masks: The files that mark the defect, see `visrun.data.images.load_flags`; () where there are none.
        outlined: The objects whose outlines mark it instead; None where there are none.
    """

    kind: str
    masks: tuple[Path, ...] = ()
    outlined: Objects | None = None

    @property
    def defective(self) -> bool:
        """Whether the image is not good."""
        return self.kind != CLASSES[0]

    @property
    def marked(self) -> bool:
        """Whether it is known where in the image the defect is."""
        return bool(self.masks) or self.outlined is not None

    def __str__(self) -> str:
        outlined = [] if self.outlined is None else [str(self.outlined)]
        return " ".join([self.kind, *(mask.name for mask in self.masks), *outlined])


def is_good(name: str) -> bool:
    """Whether what is called so, a folder of images or a class, is good: ``ok``, ``No defects``, ``good_images``."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return plain.removesuffix("_images") in _GOOD


def is_defective(target: object) -> bool:
    """Whether an image's target, of any kind, is the verdict that it shows a defect."""
    return isinstance(target, Verdict) and target.defective
