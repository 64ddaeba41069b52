"""What is known of an image before its pixels are."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visrun.data import labelmap, opening
from visrun.errors import DataError


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("dtype", "brightest"), [(np.uint8, 0), (np.uint16, 200)])
def test_the_largest_value_is_known_of_deep_grey_alone(
    tmp_path: Path, dtype: type[np.generic], brightest: int, suffix: str
) -> None:
    Image.fromarray(np.array([[3, 200, 9]], dtype)).save(tmp_path / f"x.{suffix}")
    assert opening.facts(tmp_path / f"x.{suffix}") == opening.Facts((3, 1), brightest, 1)


@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_pages_are_counted_and_the_first_stays_the_one_that_is_read(tmp_path: Path, suffix: str) -> None:
    pages = [Image.new("L", (4, 3), shade) for shade in (10, 20, 30)]
    pages[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=pages[1:])
    assert opening.facts(tmp_path / f"x.{suffix}").frames == 3
    deep = [Image.fromarray(np.full((2, 2), value, np.uint16)) for value in (300, 4000)]
    deep[0].save(tmp_path / "deep.tif", save_all=True, append_images=deep[1:])
    assert opening.facts(tmp_path / "deep.tif") == opening.Facts((2, 2), 300, 2)


@pytest.mark.parametrize("suffix", ["tif", "gif"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_the_first_page_is_read_though_others_are_cut_short(tmp_path: Path, suffix: str) -> None:
    pages = [Image.effect_noise((64, 64), 50 + i) for i in range(4)]
    pages[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=pages[1:])
    raw = (tmp_path / f"x.{suffix}").read_bytes()
    for cut in range(len(raw) // 2, len(raw) // 2 + 256):  # a GIF's blocks are so long
        (tmp_path / f"x.{suffix}").write_bytes(raw[:cut])
        assert opening.facts(tmp_path / f"x.{suffix}").size == (64, 64)


def tiff(path: Path, bits: int, *, apart: bool) -> Path:
    """A 2 x 1 TIFF of three channels, written by hand (TIFF 6.0): header, one directory of ten entries, pixels."""
    pixels = bytes(6 * bits // 8)
    size, start = len(pixels) // (3 if apart else 1), 8 + 2 + 10 * 12 + 4
    strips = [start + 30 + i * size for i in range(3 if apart else 1)]
    tail = struct.pack("<3H", bits, bits, bits) + struct.pack("<6I", *(strips * 3)[:3], size, size, size)
    several = len(strips)
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, several, start + 6 if apart else strips[0]), (277, 3, 1, 3), (278, 3, 1, 1)]
    entries += [(279, 4, several, start + 18 if apart else size), (284, 3, 1, 2 if apart else 1)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + tail + pixels)
    return path


@pytest.mark.parametrize(("bits", "apart"), [(8, False), (8, True), (16, False)])
def test_a_tiff_of_three_channels_is_read(tmp_path: Path, bits: int, apart: bool) -> None:
    assert opening.header(tiff(tmp_path / "x.tif", bits, apart=apart)) == (2, 1)


def test_deep_channels_one_behind_the_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.tif: 16 bits a channel and the channels apart: save it with them inter"):
        opening.header(tiff(tmp_path / "x.tif", 16, apart=True))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_deep_grey_in_which_0_is_white_is_refused(tmp_path: Path, dtype: type[np.generic]) -> None:
    Image.fromarray(np.array([[3, 200, 9]], dtype)).save(tmp_path / "x.tif", tiffinfo={262: 0})
    refused = pytest.raises(DataError, match=r"x\.tif: 16-bit grey in which 0 is white: save it with 0 as black$")
    with refused if dtype is np.uint16 else nullcontext():
        opening.header(tmp_path / "x.tif")


def test_a_tiff_that_pillow_does_not_know_is_not_called_broken_alone(tmp_path: Path) -> None:
    file = tiff(tmp_path / "x.tif", 8, apart=False)
    file.write_bytes(file.read_bytes().replace(struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 9)))
    with pytest.raises(DataError, match="a TIFF that Pillow does not read: cut short, of more than four channels or"):
        opening.header(file)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (opening.header, "x.png: a pipe or device, not an image: remove it"),
        (lambda path: labelmap.colour_names([path]), ""),
    ],
    ids=["image", "mask"],
)
def test_a_pipe_named_like_an_image_is_not_waited_for(read: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    heard: list[str] = []

    def look() -> None:
        try:
            read(tmp_path / "x.png")
            heard.append("")
        except DataError as error:
            heard.append(str(error).removeprefix(f"{tmp_path}/"))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(60)
    assert heard == [said]
