"""LabelMe's json files (Russell et al., IJCV 2008), one an image, as LabelMe, X-AnyLabeling and others write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from visrun.data import files
from visrun.data.folder_names import IMAGES, LABELME_JSONS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import no_marks
from visrun.data.readers import common, labelme_shapes, shared_labels
from visrun.data.readers.finder import Claim, Finder, usurped
from visrun.data.readers.namesakes import parts_of
from visrun.data.readers.shapes import Shapes, form_of, left_out, marks_of
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import composed

LOOKED_AT = 3  # jsons of a folder likewise
_LOOK = re.compile(rb'"shapes"\s*:\s*\[|"image(Path|Data)"\s*:')


class Place(NamedTuple):
    """A folder of jsons, those of their images (perhaps the same, or one above it), and the split of all."""

    split: str
    images: tuple[Path, ...]
    jsons: Path


class Row(NamedTuple):
    """A json, what it holds and its images: several where they have one name."""

    json: Path
    shapes: Shapes
    images: list[Path]


def recognise(root: Path) -> bool:
    """Whether ``root``, the folders of splits or a folder of labels hold LabelMe's jsons."""
    pairs = (pair for name in LABELME_JSONS for pair in common.pairs(root, [name]))
    return any(_holds(jsons) for _, _, jsons in pairs) or bool(_without_pairs(root))


def read(root: Path) -> Listing:
    """LabelMe: a json an image, beside it or in labels/, annotations/ or json/, split into train/, val/, test/ or not.

    Polygons, circles and masks are outlines, rectangles boxes, oriented rectangles turned boxes; lines and points are
    no objects. Shapes with the same label and group_id are parts of one object. An image without a json shows nothing
    where others have one; a json is refused where two images of its name, of which it names neither, show different
    pictures.

    Raises:
        DataError: Where there are no such jsons, or training or validation images have none at all (test images are
            left out).
    """
    paired, warnings = _paired(root)
    places = paired or _without_pairs(root)
    if not places:
        raise DataError(f"{root}: no LabelMe json: expected NAME.json beside NAME.jpg, or in labels/ or annotations/")
    finder = Finder(root, [])
    found = [_rows(place, root, finder) for place in places]
    rows = [(place, row) for place, (several, *_) in zip(places, found, strict=True) for row in several]
    every = [row.shapes for _, row in rows]
    form = form_of(every)
    names = common.sorted_names({shape.name for shapes in every for shape in shapes.objects})
    splits: dict[str, list[Record]] = {place.split: [] for place in places}
    problems = _fill(splits, rows, {name: i for i, name in enumerate(names)}, form, root)
    used = {image for _, row in rows for image in row.images}
    bare: list[Path] = []
    rest: list[Path] = []
    for place, (_, lone, _, _) in zip(places, found, strict=True):
        inside, outside = _unlabelled(place, lone, used)
        bare, rest = bare + inside, rest + outside
        splits[place.split] += [Record(image, no_marks("", form=form), files.shown(image, root)) for image in inside]
    if not paired and ALL not in splits:
        warnings += common.bare_splits(_tops(root), splits, used, root, mend="add their jsons")
    warnings += (
        *left_out(every),
        *common.left_over("image", bare, root, lacking="a json", fate=common.BLANK),
        *common.left_over("image", rest, root, lacking="a json in their folder"),
    )
    passed = (path for _, _, others, _ in found for path in others)
    warnings += common.left_over("image", passed, root, lacking="a json that names it")
    warnings += common.left_over("foreign json", (path for *_, others in found for path in others), root)
    return Listing(splits=splits, classes=names, problems=tuple(problems), warnings=warnings)


def _tops(root: Path) -> list[Path]:
    images = common.child(root, IMAGES)
    return [root, images] if images else [root]


def _paired(root: Path) -> tuple[list[Place], tuple[str, ...]]:
    """Folders of jsons beside those of images, and warnings of test images without jsons."""
    for name in LABELME_JSONS:
        pairs, warnings = common.labelled_pairs(root, [name], holds=_holds)
        of_jsons: dict[tuple[str, Path], list[Path]] = {}
        for split, images, jsons in pairs:
            of_jsons.setdefault((split, jsons), []).append(images)
        if pairs:
            return [Place(split, tuple(images), jsons) for (split, jsons), images in of_jsons.items()], warnings
    return [], ()


def _without_pairs(root: Path) -> list[Place]:
    """Jsons beside their images, by split or not, or in a folder that has no images/ beside it."""
    parts = [part for top in _tops(root) for part in common.by_split(top)]
    beside = [Place(split, (folder,), folder) for split, folder in parts if any(map(_right_in, _tops(folder)))]
    if beside:
        return beside
    for name in LABELME_JSONS:
        jsons = common.child(root, [name])
        if jsons is not None and _holds(jsons):
            inner = [(split, folder) for split, folder in common.by_split(jsons) if _holds(folder)]
            apart = [Place(split, (root / folder.name,), folder) for split, folder in inner]
            return apart or [Place(ALL, (root,), jsons)]
    return [Place(ALL, (top,), top) for top in filter(_right_in, _tops(root))][:1]


def _holds(folder: Path, *, deep: bool = True) -> bool:
    """Whether LabelMe's are among the first jsons of a folder."""
    return any(map(_is_labelme, islice(files.of_suffix(folder, files.JSON, deep=deep), LOOKED_AT)))


def _right_in(folder: Path) -> bool:
    return _holds(folder, deep=False)


def _is_labelme(file: Path) -> bool:
    return bool(_LOOK.search(files.head(file)))


def _rows(place: Place, root: Path, finder: Finder) -> tuple[list[Row], list[Path], list[Path], list[Path]]:
    """The jsons of a place, the images there of whose names none is, those of whose name one is that names another's
    as its own, and jsons of other kinds."""
    pictures: dict[str, list[Path]] = {}
    for folder in place.images:
        for image in files.images(folder):
            pictures.setdefault(common.place(image, folder), []).append(image)
    jsons = list(files.of_suffix(place.jsons, files.JSON))
    contents = mapped(partial(labelme_shapes.parse, root=root), jsons, path=lambda path: path)
    rows, passed, others = [], [], []
    for path, shapes in zip(jsons, contents, strict=True):
        same = pictures.pop(common.place(path, place.jsons), [])
        if shapes is None and not same:
            others.append(path)
            continue
        if shapes is None:
            where = files.shown(path, root)
            shapes = Shapes(where, problems=[Problem(where, "no LabelMe json: it has no shapes")])
        named = [image for image in same if composed(image.name) == composed(shapes.image)]
        passed += [image for image in same if named and image not in named]
        rows.append(Row(path, shapes, named or same or [_image(path, place, shapes.image, finder)]))
    return rows, [image for several in pictures.values() for image in several], passed, others


def _image(path: Path, place: Place, name: str, finder: Finder) -> Path:
    """The image of a json that has none of its name at its place: elsewhere, or as the json names it; else none."""
    pool = place.split == ALL
    found = finder.of_stem(path.stem, [path.stem], place.split, pool=pool)
    found = found or finder.named(name, place.split, pool=pool)
    suffix = Path(name).suffix if Path(name).suffix.lower() in files.IMAGE_SUFFIXES else ".jpg"
    return found or place.images[0] / path.relative_to(place.jsons).with_suffix(suffix)


def _fill(
    splits: dict[str, list[Record]],
    rows: Sequence[tuple[Place, Row]],
    index: Mapping[str, int],
    form: str,
    root: Path,
) -> list[Problem]:
    """Put the images of jsons into their splits; what is wrong with the others."""
    claims = [
        [Claim(image, parts_of(f"{common.place(row.json, place.jsons)}.json"), place.split) for image in row.images]
        for place, row in rows
    ]
    lost = usurped((claim for several in claims for claim in several), root)
    shared = shared_labels.told({image: row.json for _, row in rows for image in row.images}, root)
    problems: list[Problem] = []
    for (place, row), several in zip(rows, claims, strict=True):
        where = files.shown(row.json, root)
        problems += row.shapes.problems
        for claim in several if not row.shapes.problems else ():
            if claim in lost and files.is_file(claim.path):
                what = f"no image of its own: {files.shown(claim.path, root)} has the name of several jsons"
                problems.append(Problem(where, what))
            elif claim.path in shared:
                problems.append(shared[claim.path])
            else:
                marks = marks_of(row.shapes, form, index)
                splits[place.split].append(Record(claim.path, marks, where))
    return problems


def _unlabelled(place: Place, lone: Sequence[Path], used: set[Path]) -> tuple[list[Path], list[Path]]:
    """Of a place's images without jsons those that show nothing, and those in folders of which no image has one.

    In a folder of images alone all show nothing; where jsons lie among them, folders below may hold other pictures.
    """
    free = [image for image in lone if image not in used]
    if not place.jsons.is_relative_to(place.images[0]):
        return free, []
    homes = {image.parent for image in used}
    return [i for i in free if i.parent in homes], [i for i in free if i.parent not in homes]
