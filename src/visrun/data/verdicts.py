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

GOOD, DEFECT, SOMEWHERE, BESIDE, MADE = range(5)
CLASSES = ("good", "defect")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One image's truth.

    Args:
        kind: ``good``, or the name of the kind of defect.
        masks: The files that mark the defect, see `visrun.data.images.load_flags`; () where there are none.
    """

    kind: str
    masks: tuple[Path, ...] = ()

    @property
    def defective(self) -> bool:
        """Whether the image is not good."""
        return self.kind != CLASSES[0]

    def __str__(self) -> str:
        return " ".join([self.kind, *(mask.name for mask in self.masks)])


def is_defective(target: object) -> bool:
    """Whether an image's target, of any kind, is the verdict that it shows a defect."""
    return isinstance(target, Verdict) and target.defective
