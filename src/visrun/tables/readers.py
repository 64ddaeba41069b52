"""The dataset layouts."""

from __future__ import annotations

from visrun.tables.entries import ReaderEntry


def _reader(module: str, *tasks: str, derived: tuple[str, ...] = ()) -> ReaderEntry:
    place = f"visrun.data.readers.{module}"
    return ReaderEntry(read=f"{place}:read", recognise=f"{place}:recognise", tasks=tasks, derived=derived)


_BOXES, _TURNED, _OUTLINES = "object_detection", "oriented_object_detection", "instance_segmentation"
_SHOWN = ("classification", "regression")  # what objects of any form say of a whole image

READERS: dict[str, ReaderEntry] = {
    "folder": _reader("folder", "classification"),
    "csv": _reader("table", "classification", "regression"),
    "masks": _reader("masks", "segmentation"),
    "coco": _reader("coco", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "yolo": _reader("yolo", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "voc": _reader("voc", _BOXES, _TURNED, _OUTLINES, "segmentation", derived=_SHOWN),
    "dota": _reader("dota", _TURNED, _BOXES, derived=_SHOWN),
    "mvtec": _reader("mvtec", "anomaly_detection"),
    "good_bad": _reader("good_bad", "anomaly_detection"),
    "good": _reader("good", "anomaly_detection"),
    "instances": _reader("instances", _OUTLINES, _BOXES, _TURNED, derived=("segmentation", *_SHOWN)),
    "labelme": _reader("labelme", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "cvat": _reader("cvat", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "createml": _reader("createml", _BOXES, derived=_SHOWN),
    "boxes": _reader("boxes", _BOXES, derived=_SHOWN),
}
