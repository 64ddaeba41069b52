"""Every kind of image file becomes the same upright RGB uint8; what cannot is refused with a reason."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from visrun.data import images, opening
from visrun.data.images import as_rgb
from visrun.errors import DataError

COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [0, 0, 0], [255, 255, 255]]], np.uint8)
GREYS = np.array([[0, 128, 255], [1, 77, 200]], np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def palette_image() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8))
    image.putpalette([9, 8, 7, 255, 0, 0, 0, 0, 255])
    return image


def cmyk() -> Image.Image:
    # Red is no cyan, full magenta and yellow; half black (128) darkens white to 127.
    ink = np.array([[[0, 255, 255, 0], [0, 0, 0, 128], [0, 0, 0, 0]]], np.uint8)
    return Image.frombytes("CMYK", (3, 1), ink.tobytes())


def with_alpha(colour: list[int], alphas: list[int]) -> Image.Image:
    return Image.fromarray(np.array([[[*colour, a] for a in alphas]], np.uint8))


GOLDEN = {
    "rgb.png": (Image.fromarray(COLOURS), COLOURS),
    "rgb.bmp": (Image.fromarray(COLOURS), COLOURS),
    "rgb.tif": (Image.fromarray(COLOURS), COLOURS),
    "grey.png": (Image.fromarray(GREYS), rgb(GREYS)),
    "palette.png": (
        palette_image(),
        np.array([[[9, 8, 7], [255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0], [9, 8, 7]]], np.uint8),
    ),
    "one_bit.png": (Image.fromarray(GREYS > 100), rgb(np.where(GREYS > 100, 255, 0).astype(np.uint8))),
    "cmyk.tif": (cmyk(), np.array([[[255, 0, 0], [127, 127, 127], [255, 255, 255]]], np.uint8)),
    # over white: 255 * (1 - a) + colour * a
    "rgba.png": (with_alpha([200, 0, 0], [255, 0]), np.array([[[200, 0, 0], [255, 255, 255]]], np.uint8)),
    "grey_alpha.png": (
        Image.fromarray(np.array([[[50, 255], [50, 0]]], np.uint8)),
        np.array([[[50] * 3, [255] * 3]], np.uint8),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_pixels(tmp_path: Path, name: str) -> None:
    image, expected = GOLDEN[name]
    image.save(tmp_path / name)
    loaded = images.load_rgb(tmp_path / name)
    assert loaded.dtype == np.uint8
    assert loaded.flags["C_CONTIGUOUS"]
    assert loaded.flags["WRITEABLE"]
    np.testing.assert_array_equal(loaded, expected)
    assert opening.header(tmp_path / name) == (expected.shape[1], expected.shape[0])


def test_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    palette_image().save(tmp_path / "p.png", transparency=1)
    assert images.load_rgb(tmp_path / "p.png")[0].tolist() == [[9, 8, 7], [255, 255, 255], [0, 0, 255]]


def test_transparent_deep_grey_is_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 300, 4095]], np.uint16)).save(tmp_path / "deep.png", transparency=300)
    assert images.load_rgb(tmp_path / "deep.png")[0].tolist() == [[0] * 3, [255] * 3, [255] * 3]


def test_animated_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (images.load_rgb(tmp_path / "a.gif") == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 32768, 65535], [0, 128, 255]),  # 16 bits: v / 257; 32768 / 257 = 127.5 goes to the even 128
        ([0, 2048, 4095], [0, 128, 255]),  # 12 bits: v / 16.06
        ([0, 100, 255], [0, 100, 255]),  # 8 bits in a 16-bit file
        ([0, 0, 4096], [0, 0, 64]),  # one above 12 bits, so 14: v / 64.2
        ([0, 512, 1023], [0, 128, 255]),  # 10 bits: v / 4.01
        ([0, 0, 0], [0, 0, 0]),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_is_scaled_by_its_true_range(
    tmp_path: Path, values: list[int], expected: list[int], suffix: str
) -> None:
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(np.array([values], np.uint16)).save(path)
    assert images.load_rgb(path)[0].tolist() == [[v] * 3 for v in expected]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_tiff_of_any_mode_is_upright(tmp_path: Path, orientation: int, mode: str) -> None:
    """Uncompressed in one strip, as Pillow writes them and would map them into memory."""
    grey = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) % 251
    image = Image.fromarray(grey if mode == "I;16" else grey.astype(np.uint8)).convert(mode)
    image.getexif()[0x0112] = orientation
    image.save(tmp_path / "turned.tif", exif=image.getexif())
    expected = ImageOps.exif_transpose(image)
    loaded = images.load_rgb(tmp_path / "turned.tif", white=255)
    assert opening.header(tmp_path / "turned.tif") == expected.size
    pixels = np.asarray(expected if mode == "I;16" else expected.convert("RGB"))
    np.testing.assert_array_equal(loaded, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_exif_orientation_agrees_with_pillow(tmp_path: Path, orientation: int, suffix: str) -> None:
    array = np.zeros((16, 24, 3), np.uint8)
    array[:8, :12] = [255, 0, 0]
    array[8:, 12:] = [0, 0, 255]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(array).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(images.load_rgb(path), expected)
    assert opening.header(path) == (expected.shape[1], expected.shape[0])


def test_orientation_six_by_hand(tmp_path: Path) -> None:
    # 6: the file's left column is the picture's top row, from right to left.
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.array([[1, 2], [3, 4], [5, 6]], np.uint8)).save(tmp_path / "t.png", exif=exif)
    assert images.load_rgb(tmp_path / "t.png")[:, :, 0].tolist() == [[5, 3, 1], [6, 4, 2]]
    assert images.load_mask(tmp_path / "t.png").tolist() == [[5, 3, 1], [6, 4, 2]]
    assert opening.header(tmp_path / "t.png") == (3, 2)


@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(
    ("width", "height", "size"), [(1601, 1203, (150, 200)), (801, 400, (200, 401)), (7, 5, (9, 8))]
)
def test_a_jpeg_is_resized_as_a_whole_whatever_its_size(
    tmp_path: Path, width: int, height: int, size: tuple[int, int], turn: int
) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    ramp = Image.fromarray(np.stack([across, down, down], 2).round().astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    ramp.save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    ramp.save(tmp_path / "a.png", exif=exif)
    wanted = size if turn < 5 else size[::-1]
    found, exact = (images.load_rgb(tmp_path / name, size=wanted).astype(int) for name in ("a.jpg", "a.png"))
    assert found.shape == (*wanted, 3)
    assert np.abs(found - exact).max() <= 2


def test_a_large_jpeg_is_decoded_at_a_fraction_but_no_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (800, 400), "gray").save(tmp_path / "big.jpg")
    decoded = []
    monkeypatch.setattr(
        images, "as_rgb", lambda path, image, white: (decoded.append(image.size), as_rgb(path, image, white))[1]
    )
    for size in [(200, 400), (201, 400), (50, 100), (1, 1), None]:
        images.load_rgb(tmp_path / "big.jpg", size=size)
    assert decoded == [(400, 200), (800, 400), (100, 50), (100, 50), (800, 400)]


def grey_png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A grey PNG written by hand, so that its header and its bits are what the test says."""
    size = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    written = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def bomb() -> bytes:
    return grey_png(20000, 20000, 8, b"\0")


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>", "HTML or XML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"some words", "not an image"),
        (b"\x89PNG\r\n\x1a\n\0\0", "cut short or broken"),
        (jpeg()[:30], "(?i)truncated"),
        (bomb(), "decompression bomb"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        opening.header(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_size_just_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (5, 3)).save(tmp_path / "x.png")
    monkeypatch.setattr(opening, "MAX_PIXELS", 15)
    assert opening.header(tmp_path / "x.png") == (5, 3)
    monkeypatch.setattr(opening, "MAX_PIXELS", 14)
    with pytest.raises(DataError, match="5x3 is above the limit of 14 pixels"):
        opening.header(tmp_path / "x.png")


def test_truncated_pixels_pass_the_header_and_fail_the_load(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(jpeg()[:-600])
    assert opening.header(path) == (64, 64)
    with pytest.raises(DataError, match="broken image"):
        images.load_rgb(path)


def test_header_decodes_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (7, 5)).save(tmp_path / "x.png")

    def load(_: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert opening.header(tmp_path / "x.png") == (7, 5)


def test_float_and_wide_integers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.5, 2.0]], np.float32)).save(tmp_path / "f.tif")
    for look in (opening.header, images.load_rgb):
        with pytest.raises(DataError, match="float image"):
            look(tmp_path / "f.tif")
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(DataError, match="integers from 0 to 70000, beyond"):
        images.load_rgb(tmp_path / "i.tif")


IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 255]], np.uint8)


def test_palette_masks_give_indices_not_colours(tmp_path: Path) -> None:
    image = Image.fromarray(IDS)
    image.putpalette([v for i in range(256) for v in (255 - i, i, 0)])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(images.load_mask(tmp_path / "m.png"), IDS)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_bit_depths_keep_the_ids_as_written(tmp_path: Path, bits: int) -> None:
    ids = np.arange(2**bits, dtype=np.uint8)[None]
    packed = np.packbits(np.unpackbits(ids.T, axis=1)[:, 8 - bits :].ravel())
    png = grey_png(ids.shape[1], 1, bits, b"\0" + packed.tobytes())
    (tmp_path / "m.png").write_bytes(png)
    np.testing.assert_array_equal(images.load_mask(tmp_path / "m.png"), ids)


def test_chosen_ids_reorder_and_ignore_the_rest(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / "m.png")
    got = images.load_mask(tmp_path / "m.png", ids=(3, 1))
    assert got.tolist() == [[255, 1, 255, 0], [0, 255, 1, 255]]
    # a class that the files do not have never takes the ignored pixels
    assert (images.chosen_ids((-1, 0)) == np.where(np.arange(256) == 0, 1, 255)).all()


def test_masks_that_are_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="colour mask"):
        images.load_mask(tmp_path / "c.png")
    Image.fromarray(np.array([[0, 256]], np.uint16)).save(tmp_path / "d.png")
    with pytest.raises(DataError, match=r"mask id 256 is above 255; numbers of objects\? then data=instances "):
        images.load_mask(tmp_path / "d.png")


def test_a_large_image_stands_in_memory_once_beside_pillows_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6000, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tracemalloc.start()
    try:
        found = images.load_rgb(tmp_path / "a.png")
        most = tracemalloc.get_traced_memory()[1]  # not what Pillow takes
    finally:
        tracemalloc.stop()
    assert np.array_equal(found, pixels)
    assert most < 1.5 * pixels.nbytes
