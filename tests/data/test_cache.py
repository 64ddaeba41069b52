"""The cache gives the files' pixels wherever they lie, finds broken ones, and never mixes up contents."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from visrun.data import cache, contents, decoding, places, stream, threads
from visrun.data.cache import Keep
from visrun.data.look import Look
from visrun.errors import ConfigError, DataError

RAM = {"cache": "ram"}


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch, tmp_path):
    """Nothing left open by another test, and a user's cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    cache._OPEN.clear()
    yield
    cache._OPEN.clear()


def picture(path: Path, size: tuple[int, int], seed: int = 0) -> Path:
    """Smooth colours, (width, height)."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def paths(tmp_path):
    sizes = [(40, 30), (90, 60), (60, 90), (20, 16), (400, 300)]
    return [picture(tmp_path / f"{i} (ü).png", size, i) for i, size in enumerate(sizes)]


def look(image_size=(24, 32), fit="crop") -> Look:
    return Look(image_size=image_size, fit=fit, mean=(0.5,) * 3, std=(0.5,) * 3)


def open_images(paths, *, image_size=(24, 32), fit="crop", masks=None, mask_ids=(), progress=None, **keep):
    source = contents.describe(paths, look(image_size, fit), masks=masks, mask_ids=mask_ids)
    return cache.open_images(source, Keep(**keep), progress=progress)


def take(images, positions):
    """Pixels (B, Hc, Wc, 3), sizes (B, 2) and masks (B, L, Hc, Wc) or None, on the device they are kept on."""
    order = positions.numpy()[None]
    device = torch.device("cpu") if images.pixels is None else images.pixels.device
    pixels, masks = next(images.batches(order, device))
    return pixels, torch.from_numpy(images.sizes[order[0]]).to(device), masks


def as_kept(path: Path, size: tuple[int, int]) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.resize(size[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("place", ["ram", "disk", "stream"])
def test_every_place_gives_the_pixels_of_the_files(paths, place):
    opened = open_images(paths, cache=place)
    assert opened.place == place
    pixels, sizes, masks = take(opened, torch.tensor([4, 0, 2, 2]))
    assert masks is None
    assert pixels.dtype == torch.uint8
    for row, (i, (h, w)) in zip(pixels, zip([4, 0, 2, 2], sizes.tolist(), strict=True), strict=True):
        assert np.array_equal(row[:h, :w].numpy(), as_kept(paths[i], (h, w)))
        assert (row[:, w:] == row[:, w - 1 : w]).all()  # the edge goes on to the end of the canvas
        assert (row[h:] == row[h - 1 : h]).all()


def test_sizes_keep_aspect_and_margin(paths):
    opened = open_images(paths, **RAM)
    # 24 x 32 and margin 1.5: a crop of the training aspect keeps 36 x 48 pixels where the picture has them
    assert opened.sizes.tolist() == [[30, 40], [36, 54], [72, 48], [16, 20], [36, 48]]
    assert opened.source.canvas == (72, 54)
    assert opened.nbytes == 5 * 72 * 54 * 3
    assert opened.pixels is not None
    assert opened.pixels.numel() == opened.nbytes


def test_masks_stay_class_ids(tmp_path, paths):
    masks = []
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            ids = np.full(image.size[::-1], 10 * i, np.uint8)
        ids[: len(ids) // 2] = 200
        Image.fromarray(ids).save(tmp_path / f"m{i}.png")
        masks.append(tmp_path / f"m{i}.png")
    opened = open_images(paths, masks=masks, **RAM)
    _, sizes, ids = take(opened, torch.arange(5))
    for i, (h, w) in enumerate(sizes.tolist()):
        assert set(ids[i, 0, :h, :w].unique().tolist()) == {200, 10 * i}
        assert (ids[i, 0, h:] == 255).all()
        assert (ids[i, 0, :, w:] == 255).all()
    mapped = take(open_images(paths, masks=masks, mask_ids=(200, 10), **RAM), torch.tensor([1, 2]))[2]
    assert set(mapped[0].unique().tolist()) == {0, 1, 255}
    assert set(mapped[1].unique().tolist()) == {0, 255}


def test_exif_orientation_is_applied(tmp_path):
    path = picture(tmp_path / "a.jpg", (60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: seen, it is 40 wide and 60 high
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif, quality=95)
    opened = open_images([path], image_size=(60, 40), fit="letterbox", cache="ram")
    assert opened.sizes.tolist() == [[60, 40]]
    with Image.open(path) as image:
        seen = np.array(image.rotate(-90, expand=True))
    assert np.array_equal(take(opened, torch.tensor([0]))[0][0].numpy(), seen)


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_the_second_opening_decodes_nothing(paths, place, monkeypatch):
    first = open_images(paths, cache=place)
    if place == "disk":
        cache._OPEN.clear()  # as a later process would find it
    monkeypatch.setattr(decoding, "load_rgb", None)
    again = open_images(paths, cache=place)
    assert not first.reused
    assert again.reused
    assert torch.equal(take(first, torch.arange(5))[0], take(again, torch.arange(5))[0])


def test_the_key_follows_content_and_size(paths):
    def key(files=paths, image_size=(24, 32), fit="crop", masks=None, windows=None):
        return contents.key(contents.describe(files, look(image_size, fit), masks=masks, windows=windows))

    before = key()
    assert before == key()
    others = [key(paths[:-1]), key(paths[::-1]), key(image_size=(32, 32)), key(fit="letterbox"), key(masks=paths)]
    others.append(key(windows=[(0, 0, 5, 5), *[None] * 4]))
    stat = paths[0].stat()
    os.utime(paths[0], ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    others.append(key())
    assert len({before, *others}) == 8


def test_a_changed_file_is_decoded_again(paths):
    before = take(open_images(paths, **RAM), torch.tensor([0]))[0]
    picture(paths[0], (40, 30), seed=99)
    assert not torch.equal(before, take(open_images(paths, **RAM), torch.tensor([0]))[0])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_truncated_files_are_listed(paths, place):
    for path in paths[1:4]:
        truncate(path)
    with pytest.raises(DataError) as caught:
        open_images(paths, cache=place)
    text = str(caught.value)
    assert text.startswith("3 of 5 images cannot be decoded:")
    assert all(str(path) in text for path in paths[1:4])
    assert str(paths[0]) not in text
    assert "data.on_bad=skip" in text


def test_at_most_twenty_are_listed(tmp_path):
    paths = [picture(tmp_path / f"{i}.png", (40, 30), i) for i in range(25)]
    for path in paths:
        truncate(path)
    with pytest.raises(DataError) as caught:
        open_images(paths, **RAM)
    assert str(caught.value).count(".png") == 20
    assert "... and 5 more" in str(caught.value)


@pytest.mark.parametrize("place", ["ram", "disk", "stream"])
def test_skipping_says_which_remain(paths, place):
    truncate(paths[1])
    for _ in range(2):  # built, then found
        opened = open_images(paths, cache=place, on_bad="skip")
        assert opened.kept.tolist() == [0, 2, 3, 4]
        assert opened.paths == (paths[0], *paths[2:])
        assert len(opened.bad) == 1
        assert str(paths[1]) in opened.bad[0]
        pixels, sizes, _ = take(opened, torch.tensor([1]))
        h, w = sizes[0].tolist()
        assert np.array_equal(pixels[0, :h, :w].numpy(), as_kept(paths[2], (h, w)))


def test_skipping_most_is_refused(paths):
    for path in paths[:3]:
        truncate(path)
    with pytest.raises(DataError, match="too many to skip"):
        open_images(paths, on_bad="skip", **RAM)


@pytest.mark.parametrize("size", [(24, 32), (23, 31)])
def test_pixels_that_are_kept_are_moved_as_they_are_by_eight_bytes_or_one(paths, size):
    opened = open_images(paths, image_size=size, **RAM)
    assert (opened.pixels[0].numel() % 8 == 0) == (size == (24, 32))
    (pixels, masks), _ = opened.batches(np.array([[2, 0, 2], [1, 1, 3]]), torch.device("cpu"))
    assert torch.equal(pixels, opened.pixels[[2, 0, 2]]) and masks is None


def test_streaming_names_the_broken_file(paths):
    truncate(paths[2])
    opened = open_images(paths, cache="stream")
    order = np.array([[0, 1], [3, 4], [1, 2]])
    made = opened.batches(order, torch.device("cpu"))
    assert next(made)[0].shape[0] == 2
    with pytest.raises(DataError, match=paths[2].name.split(" ")[0]):
        list(made)


def test_streaming_gives_up_on_a_hung_disk(paths, monkeypatch):
    monkeypatch.setattr(threads, "TIMEOUT", 0.02)
    monkeypatch.setattr(decoding, "load_rgb", lambda *_, **__: time.sleep(0.5))
    opened = open_images(paths, cache="stream")
    with pytest.raises(DataError, match=r"0 \(ü\).png: not read in time"):
        next(opened.batches(np.array([[0, 1]]), torch.device("cpu")))


@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_filling_gives_up_on_a_hung_disk(paths, monkeypatch, on_bad):
    monkeypatch.setattr(threads, "TIMEOUT", 0.02)
    monkeypatch.setattr(decoding, "load_rgb", lambda *_, **__: time.sleep(0.5))
    with pytest.raises(DataError, match=r"^[^\n]*0 \(ü\).png: not read in time: is a network drive gone\?$"):
        open_images(paths, on_bad=on_bad, **RAM)
    assert not cache._OPEN


def test_a_stuck_read_does_not_keep_the_process(paths):
    code = f"""
import time
from pathlib import Path
from visrun.data import cache, contents, decoding, threads
from visrun.data.look import Look
threads.TIMEOUT = 0.05
decoding.load_rgb = lambda *_, **__: time.sleep(600)
look = Look(image_size=(24, 32), fit="crop", mean=(0.5,) * 3, std=(0.5,) * 3)
cache.open_images(contents.describe([Path({str(paths[0])!r})], look), cache.Keep(cache="ram"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "not read in time" in done.stderr


# Helper processes


@pytest.fixture
def helped(monkeypatch):
    """Every file is decoded by a helper process, also on few cores and for few files."""
    monkeypatch.setattr(stream, "THREADS_ENOUGH", 0)
    monkeypatch.setattr(stream, "HELPERS_PAY", 0)


@pytest.mark.usefixtures("helped")
def test_helpers_decode_what_threads_decode(paths, tmp_path, monkeypatch):
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((30, 40), 3, np.uint8)).save(mask)
    truncate(paths[3])
    options = {"cache": "ram", "workers": 2, "on_bad": "skip"}
    for masks, files in ((None, paths), ([mask], paths[:1])):
        there = open_images(files, masks=masks, **options)
        cache._OPEN.clear()
        with monkeypatch.context() as patch:
            patch.setattr(stream, "THREADS_ENOUGH", 4)
            here = open_images(files, masks=masks, **options)
        cache._OPEN.clear()
        every = torch.arange(len(here))
        assert there.bad == here.bad
        assert torch.equal(take(there, every)[0], take(here, every)[0])
        assert masks is None or torch.equal(take(there, every)[2], take(here, every)[2])


def test_a_killed_helper_is_an_error_that_names_the_file(paths):
    helper = decoding.Helper((72, 54))
    room = np.empty((72, 54, 3), np.uint8)
    job = decoding.Job(paths[0], None, (), (30, 40), (0, 0, 40, 30), (30, 40))
    helper.decode(job, room, None, 60)
    helper.process.kill()
    with pytest.raises(DataError, match=r"0 \(ü\).png: the process decoding it ended \(killed by SIGKILL"):
        helper.decode(job, room, None, 60)
    helper.close()


def test_a_hung_helper_is_an_error_that_names_the_file(paths):
    helper = decoding.Helper((72, 54))
    room = np.empty((72, 54, 3), np.uint8)
    job = decoding.Job(paths[0], None, (), (30, 40), (0, 0, 40, 30), (30, 40))
    helper.decode(job, room, None, 60)
    helper.process.send_signal(signal.SIGSTOP)  # as one that waits for a drive
    with pytest.raises(stream.Late, match=r"0 \(ü\).png: not read within 0 s"):
        helper.decode(job, room, None, 0.2)
    helper.close()
    assert helper.process.poll() is not None


def decode(pool, row):
    """Picture ``row`` by a pool's only thread."""
    batch = stream.blank(pool.source, 1)
    threads.awaited(pool.start(np.array([row]), batch)[0], pool.source.paths[row])
    return batch[0][0]


@pytest.fixture
def pool(paths, helped):
    with stream.Pool(contents.describe(paths, look()), 1) as pool:
        yield pool


def test_after_a_picture_that_came_too_late_each_has_its_own_pixels(pool, paths, monkeypatch):
    decode(pool, 3)
    (helper,) = pool.helpers.values()
    helper.process.send_signal(signal.SIGSTOP)  # as one that waits for a drive
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    with pytest.raises(stream.Late, match=r"1 \(ü\).png: not read within 0 s"):
        decode(pool, 1)
    monkeypatch.setattr(threads, "TIMEOUT", 30)
    helper.process.send_signal(signal.SIGCONT)  # the drive comes back: who still reads answers
    for row in (2, 0):
        h, w = pool.source.sizes[row].tolist()
        assert np.array_equal(decode(pool, row)[:h, :w].numpy(), as_kept(paths[row], (h, w)))


def test_a_dead_helper_costs_no_picture(pool, paths):
    first = decode(pool, 0)
    (helper,) = pool.helpers.values()
    helper.process.kill()
    h, w = pool.source.sizes[1].tolist()
    assert np.array_equal(decode(pool, 1)[:h, :w].numpy(), as_kept(paths[1], (h, w)))
    assert list(pool.helpers.values()) != [helper]
    assert torch.equal(decode(pool, 0), first)


def test_a_picture_that_ends_each_helper_is_told_and_costs_no_other(pool, paths, monkeypatch):
    first, real = decode(pool, 0), decoding.Helper.decode

    def ending(self, job, *rooms):
        if job.image == paths[1]:
            self.process.kill()
        real(self, job, *rooms)

    monkeypatch.setattr(decoding.Helper, "decode", ending)
    with pytest.raises(DataError, match="the process decoding it ended"):
        decode(pool, 1)
    assert torch.equal(decode(pool, 0), first)


def test_a_pool_that_is_left_starts_no_other_helper(pool):
    decode(pool, 0)
    (helper,) = pool.helpers.values()
    helper.process.kill()
    pool.left = True
    with pytest.raises(DataError, match="the process decoding it ended"):
        decode(pool, 1)
    assert not pool.helpers


def test_closing_a_helper_that_cannot_be_killed_does_not_wait_for_it(monkeypatch):
    monkeypatch.setattr(decoding, "GRACE", 0.01)
    helper = decoding.Helper((8, 8))
    with monkeypatch.context() as patch:
        patch.setattr(helper.process, "kill", lambda: helper.process.send_signal(signal.SIGSTOP))
        helper.close()
    assert helper.process.poll() is None
    helper.process.kill()
    helper.process.communicate()


def test_helpers_ignore_ctrl_c_and_end_with_the_pipe(paths):
    helper = decoding.Helper((72, 54))
    room = np.empty((72, 54, 3), np.uint8)
    job = decoding.Job(paths[0], None, (), (30, 40), (0, 0, 40, 30), (30, 40))
    helper.decode(job, room, None, 60)
    helper.process.send_signal(signal.SIGINT)
    helper.decode(job, room, None, 60)
    assert helper.process.stdin is not None
    helper.process.stdin.close()
    assert helper.process.wait(10) == 0
    helper.process.stdout.close()


def test_helpers_import_no_torch():
    code = "import sys, visrun.data.decoding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_leaving_a_stream_early_stops_decoding(paths, monkeypatch):
    seen = []
    load = decoding.load_rgb
    monkeypatch.setattr(decoding, "load_rgb", lambda path, **how: (seen.append(path), load(path, **how))[1])
    opened = open_images(paths, cache="stream", workers=1)
    made = opened.batches(np.zeros((500, 2), np.int64), torch.device("cpu"))
    next(made)
    made.close()
    assert len(seen) <= 2 * (stream.AHEAD + 2)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [({"cores": 4}, 3), ({"cores": 1}, 1), ({"cores": 99}, 16), ({"cores": 4, "workers": 5}, 5), ({}, 7)],
)
def test_as_many_threads_decode_as_there_are_cores_to_use_but_one(paths, monkeypatch, keep, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert open_images(paths, cache="stream", **keep).workers == expected


def test_progress_ends_at_the_total(paths):
    seen: list[tuple[int, int]] = []
    open_images(paths, progress=lambda done, total: seen.append((done, total)), **RAM)
    assert seen[-1] == (5, 5)


def test_deep_grey_is_scaled_as_the_look_says_and_kept_apart_by_that(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((30, 40), 2048, np.uint16)).save(path)
    whites = {None: 128, 4095: 128, 16383: 32, 1023: 255}
    sources = [contents.describe([path], replace(look(), white=white)) for white in whites]
    for source, expected in zip(sources, whites.values(), strict=True):
        pixels, _, _ = take(cache.open_images(source, Keep(cache="ram")), torch.tensor([0]))
        assert (pixels == expected).all()
    assert len({contents.key(source) for source in sources}) == len(whites)


@pytest.mark.parametrize("chunk", [4, 64])
def test_the_tiles_of_one_file_decode_it_once(tmp_path, monkeypatch, chunk):
    files, decoded = [picture(tmp_path / f"{i}.png", (64, 48), i) for i in range(5)], []
    windows = [(x, y, x + 16, y + 16) for y in (0, 16, 32) for x in (0, 16, 32, 48)]
    real = decoding.load_rgb
    monkeypatch.setattr(decoding, "load_rgb", lambda path, **how: (decoded.append(path), real(path, **how))[1])
    several = [(path, window) for path in files for window in windows]
    source = contents.describe([path for path, _ in several], look((16, 16)), windows=[window for _, window in several])
    monkeypatch.setattr(cache, "CHUNK", chunk)
    pixels, _, _ = take(cache.open_images(source, Keep(cache="ram", workers=3)), torch.arange(len(several)))
    for (path, (left, top, right, bottom)), found in zip(several, pixels, strict=True):
        assert (found[:16, :16].numpy() == real(path)[top:bottom, left:right]).all()
    assert sorted(decoded) == files


def test_few_large_files_lie_in_memory_at_once(tmp_path, monkeypatch):
    files = [picture(tmp_path / f"{i}.png", (64, 48), i) for i in range(6)]
    windows = [(0, 0, 16, 16), (16, 0, 32, 16)]
    several = [(path, window) for path in files for window in windows]
    source = contents.describe([path for path, _ in several], look((16, 16)), windows=[window for _, window in several])
    batch = stream.blank(source, len(several))
    for room, expected in ((64 * 48 * 2.5, 2), (1, 1), (64 * 48 * 100, 3)):
        monkeypatch.setattr(stream, "MOST_WHOLE", int(room))
        with stream.Pool(source, 3) as pool:
            for future, (path, _) in zip(pool.start(np.arange(len(several)), batch), several, strict=True):
                threads.awaited(future, path)
            assert len(pool.cutters) == expected


def test_the_tiles_of_a_file_that_stand_apart_in_a_batch_decode_it_once(tmp_path, monkeypatch):
    files, decoded = [picture(tmp_path / f"{i}.png", (64, 48), i) for i in range(3)], []
    real = decoding.load_rgb
    monkeypatch.setattr(decoding, "load_rgb", lambda path, **how: (decoded.append(path), real(path, **how))[1])
    several = [(path, (x, 0, x + 16, 16)) for path in files for x in (0, 16, 32)]
    source = contents.describe([path for path, _ in several], look((16, 16)), windows=[window for _, window in several])
    shuffled = np.random.default_rng(0).permutation(len(several))
    (pixels,) = (pixels for pixels, _ in stream.decoded(source, [shuffled], workers=1))
    assert sorted(decoded) == files
    for row, found in zip(shuffled, pixels, strict=True):
        path, (left, top, right, bottom) = several[row]
        assert (found[:16, :16].numpy() == real(path)[top:bottom, left:right]).all()


# Places


@pytest.mark.parametrize(
    ("cache_gb", "existing", "expected"),
    [(1.0, False, "ram"), (1e-9, False, "stream"), (1e-9, True, "disk"), (None, False, "ram")],
)
def test_auto_takes_the_first_that_fits(tmp_path, cache_gb, existing, expected):
    folder = tmp_path / "images" / "key"
    if existing:
        folder.mkdir(parents=True)
        (folder / places.ABOUT).write_text("{}")
    device = torch.device("cpu")
    assert cache.choose(1000, Keep(cache_gb=cache_gb), folder=folder, device=device) == expected


def test_auto_leaves_half_of_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "room", lambda place, *_: {"ram": 100, "disk": 1000}[place])
    monkeypatch.setattr(cache, "_taken", lambda _: 0)  # other tests' sets
    chosen = [
        cache.choose(need, Keep(), folder=tmp_path / "k", device=torch.device("cpu")) for need in (50, 51, 500, 501)
    ]
    assert chosen == ["ram", "disk", "disk", "stream"]


@pytest.mark.parametrize(("place", "most"), [("auto", 20), ("ram", 60)])
def test_the_share_of_what_is_free_holds_for_all_sets_together(tmp_path, monkeypatch, place, most):
    monkeypatch.setattr(places, "room", lambda *_: 100 - 30)
    monkeypatch.setattr(cache, "_taken", lambda _: 30)
    here = {"keep": Keep(cache=place), "folder": tmp_path / "k", "device": torch.device("cpu")}
    assert cache.choose(most, **here) == "ram"
    if place == "auto":
        assert cache.choose(most + 1, **here) == "stream"
    else:
        with pytest.raises(ConfigError, match=r"data.cache=ram: the images need .* are free there"):
            cache.choose(most + 1, **here)


def test_a_disk_without_any_room_is_called_full(tmp_path, monkeypatch):
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: Mock(free=0))
    with pytest.raises(ConfigError, match=f"^data.cache=disk: {tmp_path} cannot be written or is full: use"):
        cache.choose(1, Keep(cache="disk"), folder=tmp_path / "k", device=torch.device("cpu"))


@pytest.fixture
def taken_meanwhile(monkeypatch):
    """Memory that is free when it is asked how much there is, and another process' when it is to be taken."""
    monkeypatch.setattr(places, "room", lambda *_: 10**9)

    def empty(*args, real=torch.empty, **options):
        if "device" in options:  # which the arrays that are kept have, and batches on the host have not
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*args, **options)

    monkeypatch.setattr(torch, "empty", empty)


@pytest.mark.usefixtures("taken_meanwhile")
def test_auto_goes_on_to_the_next_place_where_another_process_was_quicker(paths):
    opened = open_images(paths, cache="auto")
    assert opened.place == "disk"
    assert torch.equal(take(opened, torch.tensor([0]))[0][0, :30, :40], torch.from_numpy(as_kept(paths[0], (30, 40))))


@pytest.mark.usefixtures("taken_meanwhile")
def test_a_place_by_name_that_another_process_fills_is_one_line(paths):
    with pytest.raises(
        ConfigError, match=r"^data.cache=ram: out of memory for the images' 0.00 GB: use data.cache=auto"
    ):
        open_images(paths, cache="ram")


def test_a_full_process_memory_makes_room(paths, monkeypatch, tmp_path):
    open_images(paths, **RAM)
    assert cache._OPEN
    monkeypatch.setattr(places, "room", lambda *_: 1 if cache._OPEN else 10**9)
    chosen = cache.choose(10**6, Keep(), folder=tmp_path / "k", device=torch.device("cpu"))
    assert chosen == "ram"


def test_the_budget_holds_for_all_sets_together(paths):
    budget = {"cache": "auto"}
    gb = 1.5 * 5 * 72 * 54 * 3 / 1e9  # of the pictures once and a half
    train = open_images(paths, cache_gb=gb, **budget)
    assert [train.place, open_images(paths[::-1], cache_gb=gb, **budget).place] == ["ram", "disk"]
    assert open_images(paths, cache_gb=gb, **budget).reused  # the first is still open
    with pytest.raises(ConfigError, match=r"0\.00 GB are left of data\.cache_gb=8\.748e-05"):
        open_images(paths[::-1], cache_gb=gb, **RAM)


def test_sets_that_nobody_uses_make_room_in_the_budget(paths):
    gb = 1.5 * 5 * 72 * 54 * 3 / 1e9
    used = [open_images(paths, cache_gb=gb, **RAM)]
    used.append(used)  # a finished run's objects hold one another
    del used
    assert open_images(paths[::-1], cache_gb=gb, **RAM).place == "ram"
    assert len(cache._OPEN) == 1


def test_a_set_in_use_stays_open_when_another_finds_no_room(paths, monkeypatch):
    used = open_images(paths, **RAM)
    open_images(paths[:2], **RAM)
    monkeypatch.setattr(places, "room", lambda *_: 0)
    assert open_images(paths[::-1], cache="auto").place == "stream"
    assert [images.source for images in cache._OPEN.values()] == [used.source]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": "gpu"}, "data.cache=gpu: this run trains on cpu"),
        ({"cache": "tape"}, "data.cache=tape: must be one of auto, gpu, ram, disk, stream"),
        ({"cache": "ram", "cache_gb": 1e-6}, "data.cache=ram: the images need 0.00 GB"),
    ],
)
def test_impossible_places_are_refused(paths, options, message):
    with pytest.raises(ConfigError, match=message):
        open_images(paths, **options)


def test_a_failed_build_leaves_nothing_behind(paths, tmp_path):
    def stop(*_args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_images(paths, cache="disk", cache_dir=tmp_path, progress=stop)
    assert list((tmp_path / "images").iterdir()) == []


def test_an_unwritable_cache_folder_is_one_line(paths, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises((DataError, ConfigError), match="file"):
        open_images(paths, cache="disk", cache_gb=1, cache_dir=tmp_path / "file")


def test_two_builders_of_one_entry_agree(tmp_path):
    folder = tmp_path / ("0" * 64)

    def make(value):
        def fill(arrays):
            if value == 1:
                places.write(folder, [(4,)], make(2))  # another run finishes first
            arrays[0].fill_(value)
            return {}

        return fill

    places.write(folder, [(4,)], make(1))
    found = places.read(folder, [(4,)])
    assert found is not None
    assert found[0][0].tolist() == [2, 2, 2, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


BEGIN = """
import os, sys, time
from pathlib import Path
from visrun.data import places
folder = Path(sys.argv[1])
with places.alone(folder, lambda: None):
    print("begun", flush=True)
    input()
    places.write(folder, [(4,)], lambda arrays: dict(filled=float(arrays[0].fill_(7).sum())))
"""


def test_runs_that_begin_together_build_an_entry_once(tmp_path):
    folder, waits = tmp_path / ("0" * 64), []
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "begun\n"

        def wait():
            waits.append(places.read(folder, [(4,)]))
            if len(waits) == 2:
                print(file=other.stdin, flush=True)

        with places.alone(folder, wait):
            found = places.read(folder, [(4,)])
        assert len(waits) >= 2 and waits[0] is None and found[0][0].tolist() == [7, 7, 7, 7]
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


def test_where_the_disk_fills_auto_goes_on_without_a_cache(paths, tmp_path, monkeypatch):
    known = places.candidates
    monkeypatch.setattr(places, "candidates", lambda *given: tuple(p for p in known(*given) if p != "ram"))
    monkeypatch.setattr(os, "posix_fallocate", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    good = take(open_images(paths, cache="stream"), torch.arange(5))[0]
    opened = open_images(paths, cache="auto", cache_dir=tmp_path)
    assert opened.place == "stream" and torch.equal(take(opened, torch.arange(5))[0], good)
    with pytest.raises(DataError, match="is the disk full"):
        open_images(paths, cache="disk", cache_dir=tmp_path)


def test_arrays_lie_on_the_disk_where_room_cannot_be_taken_before(paths, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")  # as on macOS
    good = take(open_images(paths, cache="stream"), torch.arange(5))[0]
    opened = open_images(paths, cache="disk", cache_dir=tmp_path)
    assert opened.place == "disk" and torch.equal(take(opened, torch.arange(5))[0], good)


def test_a_file_that_was_replaced_by_one_of_another_size_is_not_stretched(paths):
    opened = open_images(paths, cache="stream")
    Image.new("RGB", (9, 7)).save(paths[1])
    with pytest.raises(DataError, match=rf"{re.escape(str(paths[1]))}: of another size than when"):
        take(opened, torch.arange(5))


@pytest.mark.parametrize("damage", ["about", "array", "short"])
def test_an_entry_that_cannot_be_read_is_built_again(paths, damage):
    options = {"cache": "disk"}
    good = take(open_images(paths, **options), torch.arange(5))[0]
    (folder,) = places.entries(None).iterdir()
    if damage == "about":
        (folder / places.ABOUT).write_text("")
    elif damage == "array":
        (folder / "0.u8").unlink()
    else:
        os.truncate(folder / "0.u8", 10)
    for reused in (False, True):
        cache._OPEN.clear()  # as a later process would find it
        opened = open_images(paths, **options)
        assert opened.reused == reused
        assert torch.equal(take(opened, torch.arange(5))[0], good)
    assert list(places.entries(None).iterdir()) == [folder]


def test_an_entry_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []

    def fsync(fd):
        synced.append(os.fstat(fd).st_ino)
        assert not (tmp_path / "key").exists()

    monkeypatch.setattr(os, "fsync", fsync)
    places.write(tmp_path / "key", [(4,), None, (2,)], lambda _: {})
    assert sorted(synced) == sorted(file.stat().st_ino for file in (tmp_path / "key").iterdir())
    assert len(synced) == 3


BUILD = """
import os, signal, sys
from pathlib import Path
from visrun.data import places
places.write(Path(sys.argv[1]), [(4,)], lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_what_a_killed_build_leaves_is_deleted_by_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path / "a")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(places.UNFINISHED)
    foreign = tmp_path / f"{places.UNFINISHED}elsewhere-1"
    for age in (0, 2 * places.ABANDONED):
        foreign.mkdir(exist_ok=True)
        os.utime(foreign, (time.time() - age,) * 2)

        def beside(_arrays, age=age):
            assert foreign.exists() == (age == 0)  # another machine's build may be alive
            places.write(tmp_path / f"b{age}", [(4,)], lambda _: {})  # and does not touch one that is being made
            return {}

        places.write(tmp_path / f"c{age}", [(4,)], beside)
    assert not [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(places.UNFINISHED)]
