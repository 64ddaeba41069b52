"""Batches: order and pixels are a function of (seed, epoch, step); shapes are fixed; targets follow their images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visrun.data import batches, boxing, cache, contents
from visrun.data.augment import Augment
from visrun.data.batches import Batch, Batches, Targets, Vary
from visrun.data.cache import Keep
from visrun.data.defects import spoil
from visrun.data.look import Look
from visrun.data.objects import LABEL, Objects
from visrun.errors import ConfigError, DataError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = (16, 24)
LIVELY = Augment(
    crop_scale=(0.3, 1.0), hflip=True, vflip=True, rotate=30, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1
)
STRONG = Augment(crop_scale=(0.3, 1.0), rotate=30, saturation=0.3, mixup=0.4, cutmix=1.0, erase=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten images of several sizes and their masks; image i has the grey level 20 i, its mask the id i."""
    where = tmp_path_factory.mktemp("images")
    for i in range(10):
        size = (20 + 3 * i, 40 - 2 * i)
        Image.new("RGB", size, (20 * i,) * 3).save(where / f"{i}.png")
        Image.new("L", size, i).save(where / f"{i}_mask.png")
    return where


@pytest.fixture(scope="module")
def opened(folder):
    def open_(n=10, fit="crop", masks=False, place="ram", device="cpu", **options):
        paths = [folder / f"{i}.png" for i in range(n)]
        ids = [folder / f"{i}_mask.png" for i in range(n)] if masks else None
        source = contents.describe(paths, look(fit), masks=ids)
        return cache.open_images(source, Keep(cache=place, **options), device=device)

    return open_


def look(fit="crop"):
    return Look(image_size=SIZE, fit=fit, mean=MEAN, std=STD)


def make(
    images, *, kind="label", rows=None, num_classes=10, chances=None, fit="crop", batch_size=4, device="cpu", **vary
):
    if rows is None and kind == "label":
        rows = torch.arange(len(images))
    targets = Targets(kind, rows, num_classes=num_classes, chances=chances)
    vary = Vary(**{"training": True} | vary)
    return Batches(images, targets, look(fit), vary, batch_size=batch_size, device=device)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("images", "target", "index", "valid"))


# Order


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 10), size=st.integers(1, 12), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_training_batches_are_full_and_show_every_image(opened, n, size, seed, epoch):
    made = make(opened(n), batch_size=size, seed=seed)
    assert len(made) == -(-n // size)
    shown = [made.indices(epoch, step) for step in range(len(made))]
    assert all(len(batch) == size for batch in shown)
    flat = [i for batch in shown for i in batch]
    assert set(flat) == set(range(n))
    assert flat[n:] == flat[: len(flat) - n][-len(flat[n:]) :] or flat == [flat[i % n] for i in range(len(flat))]


def test_a_set_smaller_than_a_batch_gives_one_full_step(opened):
    (batch,) = make(opened(3), batch_size=8).epoch(0)
    assert batch.images.shape == (8, 3, *SIZE)
    first = batch.index[:3].tolist()
    assert sorted(first) == [0, 1, 2]
    assert batch.index.tolist() == (first * 3)[:8]
    assert batch.valid.all()


def test_epochs_and_seeds_differ_and_repeat(opened):
    images = opened()
    orders = [tuple(make(images, seed=seed, batch_size=10).indices(epoch, 0)) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len(set(orders)) == 6
    assert make(images, batch_size=10).indices(2, 0) == list(orders[2])


def test_evaluation_goes_in_order_and_marks_repeats(opened):
    made = list(make(opened(), training=False).epoch(0))
    assert [batch.index.tolist() for batch in made] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert torch.cat([batch.valid for batch in made]).tolist() == [True] * 10 + [False] * 2
    assert torch.cat([batch.target for batch in made])[:10].tolist() == list(range(10))


@pytest.mark.parametrize("size", [1, 3, 10])
def test_a_made_defect_of_evaluation_belongs_to_its_picture(opened, size):
    def spoiled(size):
        target, chances = torch.zeros(10, SIZE[0], SIZE[1], dtype=torch.int64), np.ones(10)
        loader = make(opened(), rows=target, batch_size=size, training=False, spoil=spoil, chances=chances)
        found = [batch for epoch in (0, 1) for batch in loader.epoch(epoch)]
        return {
            (i, int(k)): (one.images[j], one.target[j]) for i, one in enumerate(found) for j, k in enumerate(one.index)
        }

    alone, together = spoiled(10), spoiled(size)
    by_picture = {k: value for (_, k), value in alone.items()}
    assert len(by_picture) == 10
    for (_, k), (image, target) in together.items():
        assert torch.equal(image, by_picture[k][0]) and torch.equal(target, by_picture[k][1])


def test_evaluation_does_not_change_from_epoch_to_epoch(opened):
    made = make(opened(), training=False)
    assert all(same(one, other) for one, other in zip(made.epoch(0), made.epoch(7), strict=True))


def test_files_are_those_of_the_step(opened, folder):
    made = make(opened())
    assert made.files(1, 2) == [folder / f"{i}.png" for i in made.indices(1, 2)]
    assert [batch.index.tolist() for batch in made.epoch(1)][2] == made.indices(1, 2)


# Going on


@pytest.mark.parametrize("how", [None, LIVELY, STRONG], ids=["plain", "lively", "strong"])
@pytest.mark.parametrize("place", ["ram", "disk", "stream"])
def test_going_on_from_any_step_is_bitwise_the_same(opened, how, place, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "PLANNED", 3)  # so that steps are planned in several groups
    images = opened(place=place, cache_dir=tmp_path)
    made = make(images, augment=how, batch_size=2)
    full = list(made.epoch(3))
    assert len(full) == 5
    for start in range(6):
        rest = list(make(images, augment=how, batch_size=2).epoch(3, start=start))
        assert len(rest) == 5 - start
        assert all(same(one, other) for one, other in zip(full[start:], rest, strict=True))


@pytest.mark.parametrize("place", ["disk", "stream"])
def test_every_place_gives_the_same_batches(opened, place, tmp_path):
    there = make(opened(place=place, cache_dir=tmp_path), augment=STRONG).epoch(0)
    assert all(same(one, other) for one, other in zip(there, make(opened(), augment=STRONG).epoch(0), strict=True))


def test_pixels_change_with_the_epoch(opened):
    made = make(opened(1), augment=LIVELY, batch_size=4)
    first, second = next(made.epoch(0)).images, next(made.epoch(1)).images
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])  # repeats in a batch are varied, too


# Pixels and targets


@pytest.mark.parametrize("how", [None, LIVELY, STRONG], ids=["plain", "lively", "strong"])
def test_images_are_channels_last_of_32_bits(opened, how):
    for batch in make(opened(), augment=how).epoch(0):
        assert batch.images.dtype == torch.float32
        assert batch.images.shape == (4, 3, *SIZE)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.images.isfinite().all()


def test_targets_and_pixels_belong_to_their_index(opened):
    values = torch.arange(10.0)[:, None] * 2
    how = Augment(crop_scale=(0.3, 1.0), hflip=True, rotate=30)
    for batch in make(opened(), kind="value", rows=values, augment=how).epoch(0):
        assert torch.equal(batch.target, values[batch.index])
        level = batch.images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
        grey = batch.index.float().view(-1, 1, 1, 1) * 20 / 255
        torch.testing.assert_close(level, grey.expand_as(level), atol=1e-4, rtol=0)


@pytest.mark.parametrize("fit", ["crop", "letterbox", "zoom"])
def test_masks_belong_to_their_index(opened, fit):
    made = make(opened(fit=fit, masks=True), kind="mask", fit=fit, augment=LIVELY)
    for batch in made.epoch(0):
        assert batch.target.dtype == torch.int64
        assert batch.target.shape == (4, *SIZE)
        for i, ids in zip(batch.index.tolist(), batch.target, strict=True):
            assert set(ids.unique().tolist()) - {255} == {i}
        assert fit != "crop" or (batch.target != 255).all()


def test_mixed_labels_are_soft_and_sum_to_one(opened):
    names = set()
    for epoch in range(4):
        for batch in make(opened(), augment=STRONG).epoch(epoch):
            assert batch.target.shape == (4, 10)
            torch.testing.assert_close(batch.target.sum(1), torch.ones(4))
            partner = batch.index.roll(1)
            rest = batch.target.clone()
            rest[torch.arange(4), batch.index] = 0
            rest[torch.arange(4), partner] = 0
            assert not rest.any()
            names.add(bool((batch.target > 0).sum(1).max() > 1))
    assert True in names


def test_several_labels_pass_and_mix(opened):
    several = (torch.rand(10, 5) > 0.5).float()
    for batch in make(opened(), rows=several, num_classes=5).epoch(0):
        assert torch.equal(batch.target, several[batch.index])
    for batch in make(opened(), rows=several, num_classes=5, augment=Augment(mixup=1.0)).epoch(0):
        one, other = several[batch.index], several[batch.index.roll(1)]
        assert (batch.target <= torch.maximum(one, other) + 1e-6).all()
        assert (batch.target >= torch.minimum(one, other) - 1e-6).all()


def test_mixup_of_values_mixes_as_the_pixels(opened):
    """Grey level is 20 times the value in every image, so it is in every mixture."""
    values = torch.arange(10.0)[:, None]
    for batch in make(opened(), kind="value", rows=values, augment=Augment(mixup=1.0)).epoch(0):
        level = batch.images[:, 0] * STD[0] + MEAN[0]
        torch.testing.assert_close(level.mean((1, 2)) * 255 / 20, batch.target[:, 0], atol=1e-3, rtol=0)


def test_cutmix_of_masks_moves_ids_with_their_pixels(opened):
    made = make(opened(masks=True), kind="mask", augment=Augment(cutmix=1.0))
    moved = 0
    for batch in made.epoch(0):
        level = (batch.images[:, 0] * STD[0] + MEAN[0]) * 255 / 20
        torch.testing.assert_close(level, batch.target.float(), atol=1e-3, rtol=0)
        moved += int((batch.target != batch.index.view(-1, 1, 1)).sum())
    assert moved


@pytest.mark.parametrize(
    ("kind", "how", "name"),
    [
        ("value", Augment(cutmix=1.0), "cutmix"),
        ("value", Augment(erase=0.1), "erase"),
        ("mask", Augment(mixup=0.2), "mixup"),
    ],
)
def test_what_a_target_cannot_take_is_refused(opened, kind, how, name):
    with pytest.raises(ConfigError, match=f"augment.{name}: "):
        make(opened(masks=kind == "mask"), kind=kind, rows=torch.zeros(10, 1), augment=how)


@pytest.mark.parametrize(("n", "mosaics"), [(boxing.MOST // 4, True), (boxing.MOST // 4 + 1, False)])
def test_no_object_is_lost_in_a_mosaic(opened, n, mosaics):
    """Of n small objects over all of each picture: where four pictures have more than a target holds, one is shown."""
    images, places = opened(fit="zoom"), np.random.default_rng(0).random((n, 2))
    listed = []
    for height, width in images.sizes.tolist():
        low = places * (width - 2, height - 2)
        listed.append(Objects(np.zeros(n, int), np.concatenate([low, low + 2], 1), np.zeros(n, bool)))
    windows = np.array([(0, 0, w, h) for h, w in images.sizes])
    targets = boxing.table(listed, windows, images.sizes, wholes=images.sizes, kind="boxes")
    made = make(images, kind="boxes", rows=targets, fit="zoom", augment=Augment(mosaic=1.0))
    held = torch.stack([(batch.target[..., LABEL] >= 0).sum(1) for batch in made.epoch(0)])
    assert (held == n).all() != mosaics


def test_an_empty_split_is_refused(opened):
    with pytest.raises(DataError, match="no usable image"):
        make(opened(0), rows=torch.zeros(0, dtype=torch.int64))


def test_skipped_files_are_out_of_the_count(folder, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes((folder / "3.png").read_bytes()[:60])
    paths = [folder / "0.png", broken, folder / "5.png"]
    images = cache.open_images(contents.describe(paths, look()), Keep(cache="ram", on_bad="skip"))
    labels = torch.tensor([0, 9, 5])[torch.from_numpy(images.kept)]
    (batch,) = make(images, rows=labels, training=False, batch_size=2).epoch(0)
    assert batch.target.tolist() == [0, 5]
    assert make(images, rows=labels, training=False, batch_size=2).files(0, 0) == [paths[0], paths[2]]


def test_without_targets_the_images_still_come(opened):
    made = list(make(opened(), kind="none", training=False).epoch(0))
    assert made[0].target.shape == (4, 0)


def test_evaluation_is_the_antialiased_picture(tmp_path):
    """A letterboxed photograph whose long side is the training width comes through as Pillow shrinks it."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    source = Image.fromarray(pixels).resize((240, 160), Image.Resampling.BICUBIC)
    source.save(tmp_path / "a.png")
    images = cache.open_images(contents.describe([tmp_path / "a.png"], look("letterbox")), Keep(cache="ram"))
    (batch,) = make(images, rows=torch.tensor([0]), fit="letterbox", training=False, batch_size=1).epoch(0)
    seen = (batch.images[0] * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255
    reference = np.array(source.resize((24, 16), Image.Resampling.BILINEAR), np.float32)
    np.testing.assert_allclose(seen.permute(1, 2, 0).numpy(), reference, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("place", ["gpu", "ram", "disk", "stream"])
def test_a_gpu_sees_what_a_cpu_sees(opened, place, tmp_path):
    there = make(opened(place=place, device="cuda", cache_dir=tmp_path), augment=STRONG, device="cuda").epoch(0)
    for one, other in zip(there, make(opened(), augment=STRONG).epoch(0), strict=True):
        torch.testing.assert_close(one.images.cpu(), other.images, atol=1e-3, rtol=0)
        torch.testing.assert_close(one.target.cpu(), other.target)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_waits_for_the_gpu(opened):
    made = make(opened(place="gpu", device="cuda"), augment=STRONG, device="cuda")
    list(made.epoch(0))
    torch.cuda.set_sync_debug_mode("error")
    try:
        list(made.epoch(1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
