"""What was found in a dataset, in words: one line a split, by kind of target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from visrun.data.geometry import centred
from visrun.data.objects import MOST_MASKED, Objects
from visrun.data.outlines import Floats, Window
from visrun.data.recognise import choices
from visrun.data.verdicts import is_defective
from visrun.errors import DataError
from visrun.tables import TARGETS, finding
from visrun.text import plural, some

if TYPE_CHECKING:
    from visrun.data.look import Look
    from visrun.data.records import Dataset

MOST_NAMED = 20  # classes of a line
WILD = 10  # how many times as far from the median as most values lie apart a value is from which it is said
TINY = 8  # pixels of the training image under which most objects are hardly found: one step of the finest of usual maps
UNEVEN = 10  # how many times the images of one class those of another are from which it is said


def describe(dataset: Dataset, *, learns: bool = True) -> str:
    """Layout, images per split, and what they are labelled with: images, pixels or objects of each class, or values.

    Args:
        learns: Whether the model learns by gradient steps; else it remembers good images.
    """
    total = sum(map(len, dataset.splits.values()))
    kind = plural(len(dataset.classes), "class") if dataset.classes else f"target {some(dataset.targets, MOST_NAMED)}"
    if len(dataset.classes) == 1:
        kind = f"class {dataset.classes[0]}"
    also = f" ({choices(dataset.others, 'and')} would fit, too)" if dataset.others else ""
    kind += " (multi-label)" if dataset.multilabel else ""
    lines = [f"{dataset.layout}: {plural(total, 'image')} in {dataset.root}, {kind}{also}"]
    line = LINES.get(dataset.kind, _images)
    for name, rows in dataset.splits.items():
        lines.append(f"  {name:<6}{len(rows):>8,} images  {line(dataset, name)}".rstrip())
    if dataset.kind == "verdict":
        lines += _mode(dataset, learns)
    if dataset.kind == "label" and (task := finding(dataset.layout)):
        lines.append(f"  an image's label is what its objects are; task={task} finds the objects")
    if dataset.white:
        lines.append(f"  16-bit grey: 0 to {dataset.white:,} is black to white, in every image")
    if dataset.skipped:
        lines.append(f"  left out: {plural(len(dataset.skipped), 'unusable entry')}")
    return "\n".join(lines)


def crowded(dataset: Dataset, windows: Callable[[tuple[int, int]], list[Window]]) -> list[str]:
    """A line where images show more objects at once than can be found, or in train than masks have numbers for.

    Args:
        windows: The parts in which an image of (width, height) is looked at.
    """
    entry = TARGETS[dataset.kind]
    limits = [(entry.most, "found", tuple(dataset.splits))] if entry.objects else []
    limits += [(MOST_MASKED, "learnt", ("train",))] if entry.numbered else []
    lines = []
    for most, what, splits in limits:
        above = {name: _above(dataset, name, windows, most=most, ignored=what == "learnt") for name in splits}
        told = [f"{n:,} of {plural(len(dataset.splits[name]), 'image')} in {name}" for name, n in above.items() if n]
        if told:
            lines.append(
                f"{' and '.join(told)} show more than {most} objects at once, and no more of each are {what}: cut them "
                "with data.tile=N into tiles that show fewer"
            )
    return lines


def _above(
    dataset: Dataset, split: str, windows: Callable[[tuple[int, int]], list[Window]], *, most: int, ignored: bool
) -> int:
    """How many images of a split show more than ``most`` objects at once, with or without those to be ignored."""
    count = 0
    for row in dataset.splits.get(split, ()):
        if len(row.target) > most:
            parts = [row.target.within(window) for window in windows(dataset.sizes[row.image])]
            count += any(int((~part.ignored | ignored).sum()) > most for part in parts)
    return count


def vanishing(dataset: Dataset, look: Look) -> list[str]:
    """A line where objects of train are too small in the training image to be learnt, or most of them to be found.

    Raises:
        DataError: All are too small.
    """
    from visrun.data import boxing  # and with it torch, which nothing else here needs

    rows = dataset.splits.get("train", ()) if TARGETS[dataset.kind].objects else ()
    real = [row.target.pick(~row.target.ignored) for row in rows]
    if not any(map(len, real)):
        return []
    parts = [look.windows(dataset.sizes[row.image])[0] for row in rows]  # those of one image are of one size
    sizes = np.array([(bottom - top, right - left) for left, top, right, bottom in parts], np.float64)
    scale = look.image_size[1] / centred(sizes, look.image_size, look.fit).extent[:, 0]
    sides = boxing.narrowest(real, dataset.kind) * np.repeat(scale, list(map(len, real)))
    high, wide = look.image_size
    count, middle = int((sides < boxing.SMALLEST).sum()), float(np.median(sides))
    lost = f"{count:,} of {len(sides):,} objects in train are under {boxing.SMALLEST:g} pixel"
    tiny = f"half of the objects in train are under {middle:.3g} pixels"
    shown = f"in training images of {wide} x {high}"
    mend = "take a larger data.image_size, or cut images with a smaller data.tile=N"
    if count == len(sides):
        raise DataError(f"{dataset.root}: {lost} {shown} and are not learnt: {mend}")
    hardly = middle < TINY and bool(scale.min() < 1)
    if count:
        return [f"{lost} {shown} and are not learnt{f', {tiny}' if hardly else ''}: {mend}"]
    return [f"{tiny} {shown}, of which few are found: {mend}"] if hardly else []


def unmarked(dataset: Dataset, model: str) -> list[str]:
    """A line on the labelled defects in train from which a model that learns from pixels, ``model``, cannot learn."""
    defects = [row.target for row in dataset.splits.get("train", ()) if is_defective(row.target)]
    bare = sum(not verdict.marked for verdict in defects)
    told = f"{bare:,} of {len(defects):,} labelled defects in train have no mask: model={model} learns from pixels"
    return [f"{told} and passes them over; add masks, or choose a classifier"] if bare else []


def uneven(dataset: Dataset) -> list[str]:
    """A line where train has many more images of one class than of another, and each image has one."""
    counts = dataset.counts.get("train", ()) if dataset.kind == "label" and not dataset.multilabel else ()
    several = sorted((count, name) for count, name in zip(counts, dataset.classes, strict=False) if count)
    if not several or several[-1][0] < UNEVEN * several[0][0]:
        return []
    (few, rare), (many, common) = several[0], several[-1]
    return [
        f"train has {many / few:.0f} times as many images of {common} as of {rare}: data.class_weights=balanced weighs "
        "classes alike, and run.monitor=f1 judges epochs by all of them alike"
    ]


def wild(dataset: Dataset) -> list[str]:
    """A line on each target of which train has values far beyond all that is usual, as by a decimal point that is lost.

    What is usual are the middle nine tenths: a standard deviation is mostly the wild values' own. Where the quartiles
    are equal nothing is said: it is by them that losses against outliers see targets.
    """
    lines = []
    rows = dataset.splits.get("train", ()) if dataset.kind == "value" else ()
    for name, values in zip(dataset.targets, np.array([row.target for row in rows], np.float64).T, strict=False):
        low, quarter, middle, three, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        far = values[np.abs(values - middle) > WILD * (high - low)]
        if len(far) and quarter < three:
            told = f"{len(far):,} of {len(values):,} values of {name} in train, such as {far[0]:.4g}"
            usual = f"nine in ten are {low:.4g} to {high:.4g}"
            lines.append(f"{told}, lie far from all others, of which {usual}: mend them, or take loss=huber")
    return lines


def _values(dataset: Dataset, split: str) -> str:
    columns = zip(*(record.target for record in dataset.splits[split]), strict=True)
    spans = zip(dataset.targets, columns, strict=True)
    return some((f"{n} {min(v):.4g} to {max(v):.4g}, mean {sum(v) / len(v):.4g}" for n, v in spans), MOST_NAMED)


def _pixels(dataset: Dataset, split: str) -> str:
    counts = dataset.counts[split]
    whole = max(1, sum(counts))
    pairs = list(zip(dataset.classes, counts, strict=True))
    if len(pairs) > MOST_NAMED:  # not all can be shown: those that are there
        pairs.sort(key=lambda pair: not pair[1])
    return some((f"{n}: {'<0.1%' if 0 < c < 0.0005 * whole else f'{c / whole:.1%}'}" for n, c in pairs), MOST_NAMED)


def _images(dataset: Dataset, split: str) -> str:
    counts = dataset.counts[split]
    if len(counts) > MOST_NAMED or (len(set(counts)) == 1 and len(counts) > 1):
        span = f"{min(counts):,} to {max(counts):,}" if len(set(counts)) > 1 else f"{counts[0]:,}"
        return f"{span} per class"
    return some((f"{n}: {c:,}" for n, c in zip(dataset.classes, counts, strict=True)), MOST_NAMED)


def _objects(dataset: Dataset, split: str) -> str:
    several = [record.target for record in dataset.splits[split]]
    parts = [_images(dataset, split)]
    ignored = sum(objects.num_ignored() for objects in several)
    empty = sum(not len(objects) for objects in several)
    parts += [f"{ignored:,} ignored"] if ignored else []
    parts += [f"{plural(empty, 'image')} without objects"] if empty else []
    sides = sides_of(several)
    if len(sides):
        low, middle, high = np.quantile(sides, [0.0, 0.5, 1.0])
        parts.append(f"sides {low:.3g} to {high:.3g} pixels, median {middle:.3g}")
    return "; ".join(parts)


def _verdicts(dataset: Dataset, split: str) -> str:
    rows = [record.target for record in dataset.splits[split]]
    kinds = Counter(row.kind for row in rows)
    masks = sum(row.marked for row in rows)
    parts = [some((f"{kind}: {n:,}" for kind, n in kinds.items()), MOST_NAMED)]
    return "; ".join([*parts, *([f"{masks:,} with a mask"] if masks else [])])


def _mode(dataset: Dataset, learns: bool) -> list[str]:
    """What is learnt from, as it follows from the folder; nothing for a dataset that is only measured on."""
    if not {"train", "val"} <= dataset.defects.keys():
        return []
    known = dataset.defects["train"]
    how = (
        f"supervised: {plural(known, 'labelled defect')} in train, and synthetic ones beside them"
        if known
        else "self-supervised: only good images in train, synthetic defects are made on them"
    )
    if not learns:
        how = "good images of train are remembered" + (f", its {known:,} defective ones are not used" if known else "")
    lines = [f"  mode: {how}"]
    if not dataset.defects.get("val"):
        lines.append("  val: no defects to validate on, so synthetic ones: the names of its metrics say so")
    return lines


def sides_of(several: list[Objects]) -> Floats:
    """(N,) pixels: the root of the area of the box of every object that is not ignored."""
    boxes = np.concatenate([objects.boxes[~objects.ignored] for objects in several]) if several else np.zeros((0, 4))
    return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


LINES: dict[str, Callable[[Dataset, str], str]] = {
    "label": _images,
    "value": _values,
    "mask": _pixels,
    "verdict": _verdicts,
    "boxes": _objects,
    "rotated_boxes": _objects,
    "instances": _objects,
}
