"""Pascal VOC's xml files of labelled boxes, as VOC itself, LabelImg, CVAT and others write them; and HRSC2016's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from visrun.data import files, xmltree
from visrun.data.folder_names import IMAGES, IMAGES_OF_XMLS, VOC_XMLS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import spot_in
from visrun.data.readers import common, hrsc, voc_shapes
from visrun.data.readers.finder import Claim, Finder, usurped
from visrun.data.readers.namesakes import parts_of, strays
from visrun.data.readers.shapes import Shapes, form_of, marks_of
from visrun.data.readers.voc_lists import listed
from visrun.data.readers.voc_shapes import OUTERMOST
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.data.xmltree import Tag
from visrun.errors import DataError
from visrun.text import are, composed, plural

LISTS = ("ImageSets/Main", "ImageSets", "ImageSets/Segmentation")
TURNED = "oriented bounding boxes"  # DIOR-R's, in Annotations/ beside upright ones of the same objects
LOOKED_AT = 10  # files of a folder, to tell whose they are


class Place(NamedTuple):
    """A folder of xml files: the split whose they all are, or ``all`` where lists under ``home`` may say."""

    split: str
    home: Path
    folder: Path


class Parsed(NamedTuple):
    """One xml file."""

    shapes: Shapes
    tag: Tag


def places(root: Path) -> list[Place]:
    """Folders of xml files: by split in either nesting, or for all, in ``root``, a folder in it or its VOCdevkit/."""
    splits = [(split, folder) for split, folder in common.by_split(root)]
    outer = [Place(split, root, place) for split, folder in splits if (place := _beside(folder))]
    if outer:
        return outer
    if not root.is_dir():
        return []
    if not _inside(root) and _side_by_side(root):
        return [Place(ALL, root, root)]
    homes = [root] if _inside(root) else [*files.folders(root), *files.folders(root / "VOCdevkit")]
    found = []
    for home in homes:
        folder = _inside(home)
        if folder is not None:
            inner = [
                Place(split, home, inside)
                for split, inside in common.by_split(folder)
                if files.holds(inside, files.XML)
            ]
            found += inner or [Place(ALL, home, folder)]
    return found


def recognise(root: Path) -> bool:
    """Whether there are folders of xml files of which one at least is not another tool's."""
    return any(
        not all(map(_foreign, islice(files.of_suffix(place.folder, files.XML), LOOKED_AT))) for place in places(root)
    )


def _foreign(path: Path) -> bool:
    head = files.head(path)
    return xmltree.outermost(head).lower() not in ("", OUTERMOST, hrsc.OUTERMOST.lower()) and b"<object" not in head


def read(root: Path) -> Listing:
    """Annotations/NAME.xml with the images in JPEGImages/ or anywhere below ``root``; see `visrun.data.readers.voc`.

    Raises:
        DataError: Where there are none, or those of several years; for broken xml; for training or validation images
            that have none (test images are left out).
    """
    found = places(root)
    homes = list(dict.fromkeys(place.home for place in found))
    if len(homes) != 1:
        choose = " or ".join(map(files.naming, homes))
        raise DataError(f"{root}: several sets, choose one: {choose}" if homes else f"{root}: no Annotations/*.xml")
    known = common.class_names(homes[0], root)
    pictured = [folder for name in IMAGES_OF_XMLS if (folder := common.child(homes[0], [name]))]
    finder = Finder(root, [*pictured, homes[0], homes[0].parent])
    parsed: dict[str, list[tuple[Claim, Parsed]]] = {}
    problems: list[Problem] = []
    unlisted = 0
    stems: set[str] = set()
    for place in found:
        xmls = {common.place(path, place.folder): path for path in _xmls(place.folder)}
        stems |= {composed(path.stem) for path in xmls.values()}
        entries = list(_entries(place, xmls, root))
        wanted = {name: xmls[name] for _, _, name in entries if name in xmls}
        unlisted += len(xmls) - len(wanted)
        contents = mapped(partial(_parsed, root=root), list(wanted.values()), path=lambda path: path)
        content_of = dict(zip(wanted, contents, strict=True))
        for split, where, name in entries:
            rows = parsed.setdefault(split, [])
            if name not in xmls:
                problems.append(Problem(where, f"no {files.shown(place.folder, root)}/{name}.xml"))
                continue
            made = content_of[name]
            image = _image(finder, xmls[name], made.tag, split, home=place.split)
            rows.append((Claim(image, parts_of(f"{name}.xml"), place.split), made))
    parsed = {split: _with_ships_named(rows, homes[0], root) for split, rows in parsed.items()}
    names = known or common.sorted_names(_named(parsed))
    splits, strange = _records(parsed, names, root)
    left = [f"{plural(unlisted, 'xml file')} that no list names {are(unlisted)} left out"] if unlisted else []
    left += _bare(found, root, stems=stems, used={claim.path for rows in parsed.values() for claim, _ in rows})
    return Listing(splits=splits, classes=names, problems=(*problems, *strange), warnings=tuple(left))


def _bare(found: Sequence[Place], root: Path, *, stems: set[str], used: set[Path]) -> tuple[str, ...]:
    """Warnings of images without xml files: of whole folders of test images, and of others beside those that have one.

    Args:
        found: The folders of xml files; root: of the data.
        stems: Those of the xml files; used: the images they took.

    Raises:
        DataError: They are all those of another split.
    """
    rest = {
        image
        for place in found
        for folder, deep in _pictures(place)
        for image in files.images(folder, deep=deep)
        if image not in used and composed(image.stem) not in stems
    }
    warnings = common.left_over("image", rest, root, lacking="an xml file")
    splits = {place.split for place in found}
    if ALL in splits:
        return warnings
    tops = [root, *(folder for name in IMAGES_OF_XMLS if (folder := common.child(found[0].home, [name])))]
    return warnings + common.bare_splits(tops, splits, used, root, mend="add their xml files")


def _pictures(place: Place) -> Iterator[tuple[Path, bool]]:
    """Folders where the images of a folder of xml files lie, and whether those below count: itself, and beside it."""
    yield place.folder, False
    within = place.folder.name.lower() not in VOC_XMLS  # such as annotations/train
    if within and place.home in (place.folder, place.folder.parent):
        return
    top = place.folder.parent.parent if within else place.folder.parent
    for name in IMAGES_OF_XMLS:
        if (beside := common.child(top, [name])) is not None:
            yield (beside / place.folder.name if within else beside), True


def _beside(folder: Path) -> Path | None:
    return folder if files.holds(folder, files.XML, deep=False) else _inside(folder)


def _side_by_side(folder: Path) -> bool:
    """Whether xml files lie right in a folder, beside the images of their names, as LabelImg writes them."""
    stems = {files.folded(path.stem) for path in files.of_suffix(folder, files.XML, deep=False)}
    return bool(stems) and any(files.folded(path.stem) in stems for path in files.images(folder, deep=False))


def _inside(home: Path) -> Path | None:
    folder = common.child(home, VOC_XMLS)
    turned = common.child(folder, [TURNED]) if folder else None
    found = (place for place in (turned, folder) if place is not None and files.holds(place, files.XML))
    return next(found, None)


def _xmls(folder: Path) -> list[Path]:
    return sorted(files.of_suffix(folder, files.XML), key=lambda path: files.natural(common.place(path, folder)))


def _entries(place: Place, xmls: Mapping[str, Path], root: Path) -> Iterator[tuple[str, str, str]]:
    """(split, where, name) of every line of the lists; of every xml file where there is no list."""
    if place.split == ALL:
        for home, lists in product(dict.fromkeys((place.home, root)), LISTS):  # HRSC2016's lie beside its FullDataSet/
            found = list(listed(home, home / lists))
            if found:
                return iter(found)
    return ((place.split, files.shown(path, root), name) for name, path in xmls.items())


def _parsed(path: Path, root: Path) -> Parsed:
    tag = xmltree.read(path)
    parse = hrsc.parse if tag.name == hrsc.OUTERMOST else voc_shapes.parse
    return Parsed(parse(tag, files.shown(path, root)), tag)


def _with_ships_named(rows: list[tuple[Claim, Parsed]], *folders: Path) -> list[tuple[Claim, Parsed]]:
    """HRSC2016's files with names in place of the ids of classes; others as they are."""
    if not any(made.tag.name == hrsc.OUTERMOST for _, made in rows):
        return rows
    shapes = hrsc.named([made.shapes for _, made in rows], *folders)
    return [(claim, made._replace(shapes=one)) for (claim, made), one in zip(rows, shapes, strict=True)]


def _named(parsed: Mapping[str, Sequence[tuple[Claim, Parsed]]]) -> set[str]:
    return {shape.name for rows in parsed.values() for _, made in rows for shape in made.shapes.objects}


def _image(finder: Finder, path: Path, tag: Tag, split: str, *, home: str) -> Path:
    """The image of an xml file: named like it or, where that says nothing, as the xml itself says.

    Args:
        finder: Of images; path: the file; tag: what it holds; split: whose it is.
        home: The split for which its folder is named, which the image's then must not contradict; else ``all``.
    """
    name, folder = tag.get("filename") or hrsc.image_name(tag) or path.stem, tag.get("folder")
    beside = [path.with_suffix(suffix) for suffix in (Path(name).suffix, ".jpg", ".png") if suffix]
    found = next((place for place in beside if files.is_file(place)), None)
    if found:
        return found
    pool = home == ALL
    found = finder.of_stem(path.stem, [*Path(folder).parts, path.stem], split, pool=pool)
    inside = path.relative_to(finder.root).parts if path.is_relative_to(finder.root) else path.parts
    found = found or finder.of_stem(path.stem, [*inside[:-1], path.stem], split, pool=pool)
    found = found or finder.named(f"{folder}/{name}", split, pool=pool) or finder.named(name, split, pool=pool)
    if found and not strays(found, finder.root, (), home):
        return found
    if pool and finder.near:
        return finder.near[0] / name
    return (common.child(path.parent.parent, IMAGES) or path.parent) / Path(name).name


def _records(
    parsed: Mapping[str, Sequence[tuple[Claim, Parsed]]], names: tuple[str, ...], root: Path
) -> tuple[dict[str, list[Record]], list[Problem]]:
    index = {name: i for i, name in enumerate(names)}
    lost = usurped((claim for rows in parsed.values() for claim, _ in rows), root)
    form = form_of([made.shapes for rows in parsed.values() for _, made in rows])
    splits: dict[str, list[Record]] = {}
    problems = []
    for split, rows in parsed.items():
        splits[split] = []
        for claim, (shapes, _) in rows:
            where = shapes.file.rstrip(":")
            strange = next((shape for shape in shapes.objects if shape.name not in index), None)
            if shapes.problems:
                problems += shapes.problems
            elif strange is not None:
                problems.append(Problem(spot_in(shapes.file, strange.spot), common.no_class(strange.name, names)))
            elif claim in lost and files.is_file(claim.path):
                what = f"no image of its own: {files.shown(claim.path, root)} has the name of several xml files"
                problems.append(Problem(where, what))
            else:
                splits[split].append(Record(claim.path, marks_of(shapes, form, index), where))
    return splits, problems
