"""Where YOLO's label files lie: in the folders of labels beside those of images, or beside the images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES, YOLO_LABELS
from visrun.data.readers import common, yolo_lines
from visrun.text import composed


class Labels:
    """Finds the label files of images: at their places in the folders of labels, or beside them.

    Args:
        folders: To each folder of images that of its labels, where these are known.
    """

    def __init__(self, folders: Mapping[Path, Path]) -> None:
        self.folders, self._tops = folders, {*folders.values()}
        self._texts: dict[Path, dict[str, Path]] = {}  # of each folder looked into, by stem
        self._homes: dict[Path, set[Path]] = defaultdict(set)  # of each such folder those of images
        self._places: dict[Path, list[Path]] = {}  # of each folder of images
        self._found: set[Path] = set()
        for home, labels in folders.items():
            self._homes[labels].add(home)

    def of(self, image: Path) -> Path | None:
        """The label file of an image."""
        parent = image.parent
        if parent not in self._places:
            self._places[parent] = self._beside(image)
        found = (self._inside(place).get(composed(image.stem)) for place in self._places[parent])
        label = next((path for path in found if path), None)
        if label is not None:
            self._found.add(label)
        return label

    def _beside(self, image: Path) -> list[Path]:
        """The folders in which label files of images beside this one may lie."""
        home = next((folder for folder in image.parents if folder in self.folders), None)
        if home is not None:
            return [self.folders[home] / image.relative_to(home).parent]
        places = [place.parent for place in (in_labels(image), image) if place is not None]
        for place in places:
            self._homes[place].add(image.parent)
        return places

    def _inside(self, folder: Path) -> dict[str, Path]:
        if folder not in self._texts:
            texts = sorted(files.of_suffix(folder, files.TEXT, deep=False))  # .TXT before .txt, which stays
            self._texts[folder] = {common.place(path, folder): path for path in texts}
        return self._texts[folder]

    def respelt(self, bare: Sequence[Path]) -> dict[Path, Path]:
        """The label files of images for which `of` found none, once all others have theirs: see `common.respelt`."""
        images = ((str(place / image.stem), image) for image in bare for place in self._places[image.parent])
        texts = (self._inside(place).values() for place in {place for i in bare for place in self._places[i.parent]})
        rest = (path for several in texts for path in several if path not in self._found)
        found = dict(common.respelt(images, ((str(path.with_suffix("")), path) for path in rest)))
        self._found.update(found.values())
        return found

    def further_up(self, bare: Sequence[Path]) -> dict[Path, Path]:
        """The label files of images in subfolders that those of their labels lack, once all others have theirs."""
        found = {}
        for image in bare:
            stem = composed(image.stem)
            folders = (outer for place in self._places[image.parent] for outer in self._outer(place))
            texts = (path for folder in folders if (path := self._inside(folder).get(stem)) and path not in self._found)
            if label := next(texts, None):
                found[image] = label
        self._found.update(found.values())
        return found

    def _outer(self, place: Path) -> Iterator[Path]:
        """The folders around one of label files that may hold them, too: up to the folder of all labels."""
        top = next((p for p in (place, *place.parents) if p in self._tops or p.name.lower() in YOLO_LABELS), place)
        while place != top:
            place = place.parent
            yield place

    def strangers(self) -> Iterator[Path]:
        """Label files that belong to no image, in the folders of labels and those that were looked into."""
        deep = bool(self.folders)
        for folder, homes in self._homes.items():
            rest = [path for path in files.of_suffix(folder, files.TEXT, deep=deep) if path not in self._found]
            images = ((image, home) for home in homes if rest for image in files.images(home, deep=deep))
            known = {common.place(image, home) for image, home in images}
            for path in rest:
                if common.place(path, folder) not in known and yolo_lines.is_label(path):
                    yield path


def in_labels(image: Path) -> Path | None:
    """``.../labels/x.txt`` for ``.../images/x.jpg``: the last folder of that name counts."""
    parts = image.with_suffix(".txt").parts
    place = next((i for i in range(len(parts) - 2, 0, -1) if parts[i].lower() in IMAGES), None)
    return None if place is None else Path(*parts[:place], "labels", *parts[place + 1 :])
