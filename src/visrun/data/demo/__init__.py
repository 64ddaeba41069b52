"""Small real datasets for trying every task without a network: handwritten digits alone, and on photographed
textures.

The digits are the 1,797 of scikit-learn (8x8 pixels, E. Alpaydin and C. Kaynak, 1998), the textures are brick, grass
and gravel of scikit-image; both ship inside the installed packages. No digit stands in two splits. The same code and
the same packages write the same bytes on every call.

| task                      | layout                     | train/val/test images | to learn                          |
|---------------------------|----------------------------|-----------------------|-----------------------------------|
| classification            | class folders              | 1,797 of 32x32, grey  | the digit                         |
| regression                | CSV image,target           | 400/100/100 of 64x64  | how many digits there are, 0 to 6 |
| segmentation              | images and palette masks   | 210/45/45 of 96x96    | round, straight and curved digits |
| object_detection          | COCO json                  | 210/45/45 of 160x160  | a box around each of these        |
| oriented_object_detection | DOTA labelTxt              | 160/45/45 of 160x160  | a rectangle turned with the digit |
| instance_segmentation     | COCO json with polygons    | 210/45/45 of 160x160  | each digit's outline, holes filled|
| anomaly_detection         | MVTec AD folders           | 200/-/120 of 128x128  | stains, scratches and patches on  |
|                           |                            |                       | brick                             |

Example:
    >>> root = build("classification", Path.home() / ".cache/visrun/demo")  # doctest: +SKIP
"""

from __future__ import annotations

import os
import shutil
import uuid
import zlib
from pathlib import Path

from visrun.build import Ref, load
from visrun.errors import DataError

VERSION = 2  # part of the folder's name: raise it when the generator changes, so that an older copy is not used
SEED = 0

# Names, not functions: a dataset that is already there is found without importing what builds it.
WRITERS: dict[str, Ref] = {
    "classification": "visrun.data.demo.simple:classification",
    "regression": "visrun.data.demo.simple:regression",
    "segmentation": "visrun.data.demo.simple:segmentation",
    "object_detection": "visrun.data.demo.boxes:coco_boxes",
    "oriented_object_detection": "visrun.data.demo.boxes:dota",
    "instance_segmentation": "visrun.data.demo.boxes:coco_polygons",
    "anomaly_detection": "visrun.data.demo.defects:mvtec",
}


def build(task: str, folder: Path) -> Path:
    """The folder of the demo dataset for ``task`` inside ``folder``, written on the first call (a few seconds).

    It appears whole or not at all; two processes may build it at once.

    Raises:
        DataError: For a task without a demo dataset, where an installed package lacks its sample data, or where it
            cannot be written.
    """
    if task not in WRITERS:
        raise DataError(f"data=demo has nothing for task={task}; one of: {', '.join(WRITERS)}")
    final = folder / f"{task}-{VERSION}"
    if final.is_dir():
        return final
    building = folder / f".{final.name}-{uuid.uuid4().hex}"
    try:
        building.mkdir(parents=True)
        studio = load("visrun.data.demo.scenes:studio")(seed=(SEED, zlib.crc32(task.encode())))
        load(WRITERS[task])(building, studio)
        os.rename(building, final)  # noqa: PTH104 (fails where another process was first, on every system)
    except OSError as error:
        if not final.is_dir():
            why = f"the demo cannot be written there ({error.strerror}); set XDG_CACHE_HOME to another folder"
            raise DataError(f"{folder}: {why}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return final
