"""The dataset layouts."""

from __future__ import annotations

from visrun.tables.entries import ReaderEntry


def _reader(module: str, *targets: str, derived: tuple[str, ...] = ()) -> ReaderEntry:
    place = f"visrun.data.readers.{module}"
    return ReaderEntry(read=f"{place}:read", recognise=f"{place}:recognise", targets=targets, derived=derived)


_BOXES, _TURNED, _OUTLINES = "boxes", "rotated_boxes", "instances"
_SHOWN = ("label", "value", "verdict")  # what objects of any form say of a whole image

READERS: dict[str, ReaderEntry] = {
    "folder": _reader("folder", "label"),
    "csv": _reader("table", "label", "value"),
    "names": _reader("file_names", "label"),
    "masks": _reader("masks", "mask", derived=("verdict",)),
    "coco": _reader("coco", _BOXES, _TURNED, _OUTLINES, derived=("mask", *_SHOWN)),
    "yolo": _reader("yolo", _BOXES, _TURNED, _OUTLINES, derived=("mask", *_SHOWN)),
    "voc": _reader("voc", _BOXES, _TURNED, _OUTLINES, "mask", derived=_SHOWN),
    "dota": _reader("dota", _TURNED, _BOXES, derived=_SHOWN),
    "mvtec": _reader("mvtec", "verdict"),
    "good_bad": _reader("good_bad", "verdict"),
    "good": _reader("good", "verdict"),
    "instances": _reader("instances", _OUTLINES, _BOXES, _TURNED, derived=("mask", *_SHOWN)),
    "labelme": _reader("labelme", _BOXES, _TURNED, _OUTLINES, derived=("mask", *_SHOWN)),
    "cvat": _reader("cvat", _BOXES, _TURNED, _OUTLINES, derived=("mask", *_SHOWN)),
    "createml": _reader("createml", _BOXES, derived=_SHOWN),
    "boxes": _reader("box_tables", _BOXES, derived=_SHOWN),
    "kitti": _reader("kitti", _BOXES, derived=_SHOWN),
    "mot": _reader("mot", _BOXES, derived=_SHOWN),
    "icdar": _reader("icdar", _TURNED, _BOXES, derived=_SHOWN),
    "panoptic": _reader("panoptic", _OUTLINES, _BOXES, _TURNED, derived=("mask", *_SHOWN)),
    "rle": _reader("run_tables", _OUTLINES, _BOXES, _TURNED, derived=("mask", *_SHOWN)),
}
