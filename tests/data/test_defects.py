"""Made defects: where they are is marked, what is not chosen stays, and the same numbers make the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from visrun.data.defects import chances, spoil
from visrun.data.verdicts import GOOD, MADE, Verdict

BATCH, SIDE = 24, 64


@pytest.fixture(scope="module")
def images():
    x = torch.linspace(-2, 2, SIDE)
    waves = torch.stack([torch.sin(k * x)[:, None] + torch.cos((k + 1) * x)[None] for k in range(1, BATCH + 1)])
    return waves[:, None].expand(-1, 3, -1, -1).contiguous()


def made(images, chosen=None, *, seed=0, target=None):
    chosen = np.ones(len(images), bool) if chosen is None else chosen
    target = torch.full((len(images), SIDE, SIDE), GOOD) if target is None else target
    return spoil(images, target, chosen, [np.random.default_rng(seed)])


def test_only_what_is_chosen_changes_and_only_where_it_is_marked(images):
    chosen = np.arange(BATCH) % 2 == 0
    found, target = made(images, chosen)
    marked = target == MADE
    assert not marked[1::2].any()
    assert torch.equal(found[1::2], images[1::2])
    same = ~marked[:, None].expand_as(images)
    assert torch.equal(found[same], images[same])
    assert found.shape == images.shape and target.dtype == torch.int64


def test_most_are_visible_and_of_a_size_that_a_defect_has(images):
    shares = []
    for seed in range(5):
        found, target = made(images, seed=seed)
        marked = (target == MADE).float().mean((1, 2))
        shares += marked[marked > 0].tolist()
        changed = ((found - images).abs().mean(1) * (target == MADE)).sum((1, 2)) / (target == MADE).sum((1, 2))
        assert (changed[marked > 0] > 0.15).all()
    assert len(shares) > 0.9 * 5 * BATCH
    assert max(shares) < 0.6 and 0.01 < np.median(shares) < 0.2


def test_the_same_numbers_make_the_same_defects(images):
    first, again, other = made(images, seed=3), made(images, seed=3), made(images, seed=4)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_beyond_the_picture_nothing_is_made(images):
    target = torch.full((BATCH, SIDE, SIDE), GOOD)
    target[:, :, SIDE // 2 :] = 255
    found, marked = made(images, target=target)
    assert (marked[:, :, SIDE // 2 :] == 255).all()
    assert torch.equal(found[..., SIDE // 2 :], images[..., SIDE // 2 :])


def test_what_cannot_be_seen_is_no_defect():
    flat = torch.zeros(1, 3, SIDE, SIDE)
    found, target = made(flat, np.zeros(1, bool))
    assert (target == GOOD).all() and torch.equal(found, flat)
    counts = [int((made(flat, seed=seed)[1] == MADE).any()) for seed in range(40)]
    assert 0 < sum(counts) < 40  # of a flat image only colours can change, and some hardly do


@pytest.mark.parametrize(("width", "height"), [(96, 32), (33, 47), (8, 8)])
def test_images_of_any_shape(width, height):
    images = torch.randn(3, 3, height, width)
    found, target = spoil(images, torch.full((3, height, width), GOOD), np.ones(3, bool), [np.random.default_rng(0)])
    assert found.shape == images.shape and found.isfinite().all() and target.shape == (3, height, width)


def test_labelled_defects_count_towards_the_half():
    good, bad = Verdict("good"), Verdict("bent")
    assert chances([good] * 4, training=True).tolist() == [0.5] * 4
    found = chances([good] * 3 + [bad], training=True)
    assert found[3] == 0 and found[0] == pytest.approx(1 / 3)  # 1 of 4 and a third of 3 of 4 are half
    assert chances([good, bad, bad], training=True).tolist() == [0.1, 0, 0]
    assert chances([good] * 4, training=False).tolist() == [0, 0, 1, 1]
    assert len(chances([], training=True)) == 0


def test_defects_without_masks_do_not_count_where_nothing_is_learnt_from_them():
    good, bare, marked = Verdict("good"), Verdict("bent"), Verdict("bent", (Path("mask.png"),))
    assert chances([good, bare, bare], training=True, unmarked=False).tolist() == [0.5, 0, 0]
    assert chances([bare, bare], training=True, unmarked=False).tolist() == [0, 0]
    for aside in ([], [bare] * 8):
        found = chances([good, good, good, marked, *aside], training=True, unmarked=False)
        assert found[:4] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    few = chances([good] * 2 + [marked] * 2 + [bare] * 8, training=True, unmarked=False)
    assert few[0] == 0.1


def fixed(images, positions):
    rngs = [np.random.default_rng([0, i]) for i in positions]
    target = torch.full((len(images), SIDE, SIDE), GOOD)
    return spoil(images, target, np.ones(len(images), bool), rngs, fixed=True)


def test_a_fixed_defect_belongs_to_its_picture_whatever_the_batch_holds(images):
    together = fixed(images, range(BATCH))
    for i in range(0, BATCH, 5):
        alone = fixed(images[i : i + 1], [i])
        assert torch.equal(alone[0][0], together[0][i]) and torch.equal(alone[1][0], together[1][i])


@pytest.mark.parametrize("contrast", [0.0, 0.02, 0.3])
def test_a_fixed_defect_is_always_seen(images, contrast):
    plain = 0.4 + contrast * images
    found, target = fixed(plain, range(BATCH))
    marked = target == MADE
    change = ((found - plain).abs().mean(1) * marked).sum((1, 2)) / marked.sum((1, 2))
    assert marked.flatten(1).any(1).all() and (change > 0.15).all()


@pytest.mark.parametrize("size", [(10, 64), (64, 10), (2, 40), (64, 64)], ids=str)
def test_a_defect_lies_in_its_own_picture(images, size):
    high, wide = size
    target = torch.full((BATCH, SIDE, SIDE), 255)
    top, left = (SIDE - high) // 2, (SIDE - wide) // 2
    target[:, top : top + high, left : left + wide] = GOOD
    padded = torch.where(target[:, None] == 255, 0.0, images)
    trained = [(made(padded, seed=seed, target=target)[1] == MADE).flatten(1).any(1) for seed in range(5)]
    rngs = [np.random.default_rng([0, i]) for i in range(BATCH)]
    _, marked = spoil(padded, target, np.ones(BATCH, bool), rngs, fixed=True)
    assert torch.cat(trained).float().mean() > 0.9
    assert ((marked == MADE).sum((1, 2)) >= 4).all() and torch.equal(marked == 255, target == 255)
