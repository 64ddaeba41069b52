"""The kinds of targets that a record can have, and what readers, batches and augmentation must know of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TargetEntry:
    """What is known of a kind of target.

    Args:
        mixes: Of mixup, cutmix, erase and mosaic, those that leave it true.
        objects: Whether it is objects, which lie in an image and are cut with it.
        painted: Whether it is a plane of ids, as large as the image.
        numbered: Whether such a plane holds the numbers of its objects.
        most: Objects that are found in one image at most; 0 where none are.
        cell: Side in pixels of the training image for one of its masks' cells, which tile the image.
        classes: Whether it has classes that a user can choose among and weigh.
        least_classes: How many of them a training split must show.
        counted: What is counted of each class: images, pixels or objects; "" where there are none.
        by_class: Whether a validation split is cut from each class alike.
        augment: The augmentation that a task begins with whose own file names none; None = that of all.
    """

    mixes: tuple[str, ...]
    objects: bool = False
    painted: bool = False
    numbered: bool = False
    most: int = 0
    cell: int = 1
    classes: bool = True
    least_classes: int = 1
    counted: str
    by_class: bool = True
    augment: str | None = None

    @property
    def planes(self) -> bool:
        """Whether a plane comes with the pixels of each image."""
        return self.painted or self.numbered


# The most to see first: of several tasks that a folder can serve, the first one's labels are shown. What an image is
# mixed with must leave its target true: a value may count what a rectangle would hide, a mask has no half classes,
# whatever is mixed into a good image is a defect, an object that is hidden in part is still there.
TARGETS: dict[str, TargetEntry] = {
    "instances": TargetEntry(mixes=("mosaic",), objects=True, numbered=True, most=100, cell=4, counted="objects"),
    "rotated_boxes": TargetEntry(mixes=("mosaic",), objects=True, most=500, counted="objects"),  # views from above
    "mask": TargetEntry(mixes=("cutmix", "erase"), painted=True, least_classes=2, counted="pixels", by_class=False),
    "boxes": TargetEntry(mixes=("mosaic",), objects=True, most=100, counted="objects"),
    "verdict": TargetEntry(mixes=(), painted=True, classes=False, counted="images"),
    "label": TargetEntry(mixes=("mixup", "cutmix", "erase"), least_classes=2, counted="images"),
    "value": TargetEntry(mixes=("mixup",), classes=False, counted="", by_class=False, augment="flips"),
    "none": TargetEntry(mixes=("erase",), classes=False, counted="", by_class=False),  # of images to predict
}
