"""Batches of files of which some are broken, on pictures of one colour."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from visrun.data import threads
from visrun.data.attempts import Attempts, attempts
from visrun.data.batches import Batches, Targets
from visrun.data.contents import describe
from visrun.data.decoding import Job, Late
from visrun.data.look import Look

LOOK = Look(image_size=(4, 4), fit="crop", mean=(0.5,) * 3, std=(0.5,) * 3)
N = 16


def opened(folder: Path, broken: tuple[int, ...] = ()) -> Attempts:
    for i in range(N):
        Image.new("RGB", (4, 4), (10 * i, 0, 0)).save(folder / f"{i:02}.png")
    paths = sorted(folder.iterdir())
    source = describe(paths, LOOK)
    for i in broken:
        paths[i].write_bytes(paths[i].read_bytes()[:43])
    return attempts(source)


@pytest.mark.parametrize("broken", [(), (0,), (2, 3, 4), (13, 14, 15), tuple(range(N))])
def test_a_batch_goes_on_without_what_is_broken(tmp_path: Path, broken: tuple[int, ...]) -> None:
    images = opened(tmp_path, broken)
    loader = Batches(images, Targets("none"), LOOK, batch_size=4)
    red = list[int]()
    for batch in loader.epoch(0):
        red += [round(float(image[0, 0, 0] * 127.5 + 127.5)) for image in batch.images]
        assert sorted(images.faults) == [i for i in broken if i < len(red)]
    assert [value for i, value in enumerate(red) if i not in broken] == [10 * i for i in range(N) if i not in broken]
    for i, fault in images.faults.items():
        assert str(fault).startswith(f"{images.paths[i]}: broken image")
        assert "data.on_bad" not in str(fault)  # whoever predicts has no such option


def test_a_drive_that_is_gone_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = opened(tmp_path)
    monkeypatch.setattr(threads, "TIMEOUT", 0.1)
    decode = Job.decode

    def hanging(job: Job, *into: object) -> None:
        if job.image.name == "09.png":
            time.sleep(1)
        decode(job, *into)  # type: ignore[arg-type]

    monkeypatch.setattr(Job, "decode", hanging)
    with pytest.raises(Late, match=r"09\.png: not read in time"):
        list(Batches(images, Targets("none"), LOOK, batch_size=4).epoch(0))
