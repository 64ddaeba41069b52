"""HRSC2016's xml files of ships (Liu et al., ICPRAM 2017), which lie and are listed as Pascal VOC's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from visrun.data import files, xmltree
from visrun.data.listing import Problem
from visrun.data.readers.common import size_in
from visrun.data.readers.shapes import Shape, Shapes, turned_box, upright
from visrun.data.xmltree import Tag
from visrun.numbers import number_in
from visrun.text import composed

OUTERMOST = "HRSC_Image"  # tag of its files
SIDES = ("box_xmin", "box_ymin", "box_xmax", "box_ymax")
AROUND = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")  # the angle in radians, clockwise as drawn
NAMES = "sysdata.xml"


def parse(tag: Tag, shown: str) -> Shapes:
    """What a file, ``shown`` so, holds, the classes by their ids; of what is wrong the first alone."""
    found = Shapes(f"{shown}:", size=size_in(tag.get("Img_SizeWidth"), tag.get("Img_SizeHeight")))
    for item in (item for several in tag.all("HRSC_Objects") for item in several.all("HRSC_Object")):
        try:
            found.objects.append(_shape(item))
        except ValueError as error:
            found.problems.append(Problem(f"{shown}:{item.line}", str(error)))
            break
    return found


def image_name(tag: Tag) -> str:
    """The name of the image's file; "" in an xml file of others."""
    name, suffix = tag.get("Img_FileName"), tag.get("Img_FileFmt")
    return f"{name}.{suffix}" if name and suffix else ""


def _shape(item: Tag) -> Shape:
    try:
        numbers = [number_in(item.get(name)) for name in AROUND]
    except ValueError:
        raise ValueError(f"an object without the numbers {', '.join(AROUND)}") from None
    quad = turned_box(numbers, AROUND[-1])
    if not item.get("Class_ID"):
        raise ValueError("an object without a Class_ID")
    difficult = files.flag(item.get("difficult") or "0")
    if difficult is None:
        raise ValueError(f"difficult {item.get('difficult')[:60]!r} is neither 0 nor 1")
    box = upright(map(item.get, SIDES), quad)
    return Shape(item.line, item.get("Class_ID"), box, quad=quad, ignored=difficult)


def named(every: Sequence[Shapes], *folders: Path) -> list[Shapes]:
    """The objects with the English names that the sysdata.xml in the first of these folders gives to their ids.

    Raises:
        DataError: It is broken.
    """
    file = next((found for folder in folders if (found := files.named(folder, NAMES))), None)
    names = _names(file) if file else {}
    renamed = [[replace(shape, name=names.get(shape.name, shape.name)) for shape in one.objects] for one in every]
    return [replace(one, objects=objects) for one, objects in zip(every, renamed, strict=True)]


def _names(file: Path) -> dict[str, str]:
    """Name by id: without the picture in signs, as in "Car carrier([]==[])", that stands behind some."""
    classes = [item for several in xmltree.read(file).all("HRSC_Classes") for item in several.all("HRSC_Class")]
    whole = {item.get("Class_ID"): composed(item.get("Class_EngName")) for item in classes}
    bare = {id_: name.partition("(")[0].strip() or name for id_, name in whole.items()}
    return {id_: name for id_, name in (bare if len({*bare.values()}) == len(bare) else whole).items() if name}
