"""Defects made on good images, in whole batches on the training device: what a self-supervised run learns to find.

Three kinds, one drawn for each sample that gets one:

- a patch: a rectangle of the image pasted elsewhere in it, its colours changed a little (CutPaste, Li et al.,
  arXiv 2104.04015, section 2.1);
- a scar: the same with a long thin rectangle, turned (there, section 2.2);
- a texture: another image of the batch or the image itself, turned and recoloured, blended in where Perlin noise is
  high (DRAEM, Zavrtanik et al., arXiv 2108.07610, section 3.3).

Defects lie in the samples' own pictures, not in the padding beside them. One that can hardly be seen is no defect: the
sample stays good then; for validation it is made stronger, or larger, instead.

Legend: B samples, H x W training image; lengths are shares of sqrt(H W), so that a square stays one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visrun.data.ids import IGNORE
from visrun.data.stream import sent
from visrun.data.verdicts import GOOD, MADE, Verdict

HALF = 0.5  # of a batch stays good, as far as the labelled defects allow
LEAST = 0.1  # probability of a made defect on a good image, however many defects are labelled
PATCH_AREA, PATCH_ASPECT = (0.02, 0.15), math.log(3.3)
SCAR_WIDTH, SCAR_LENGTH = (0.01, 0.06), (0.06, 0.25)
CELLS = (2.0, 8.0)  # of Perlin noise along a side
LATTICE = 10  # gradients along a side: cells, a shift of one, and the end
HIGH = (0.35, 0.7)  # of the noise's peak: what lies above is replaced
OPACITY = (0.3, 1.0)  # of a texture
VISIBLE = 0.15  # mean change of a normalised pixel inside a defect below which it counts as invisible
PLAIN = 0.16  # to what a fainter one is made stronger for validation
FAINTEST = 0.001  # change from which that can be done
SMALLEST = 4  # pixels of a defect for validation; one of fewer gives way to a rectangle
MIDDLE = 0.6  # of both sides of the picture, about its middle: that rectangle
PARAMETERS = 13  # columns of the table that goes to the device


def chances(verdicts: Sequence[Verdict], *, training: bool, unmarked: bool = True) -> NDArray[np.float64]:
    """(N,) the probability with which each picture is given a defect.

    In training labelled defects count towards the half of what is learnt that is defective; those without masks are in
    neither half unless something is learnt from the ``unmarked``. For validation the pictures stand twice in a row,
    ``verdicts`` holding both: the second time with a defect.
    """
    defective = np.array([verdict.defective for verdict in verdicts], bool)
    if not training:
        return (np.arange(len(defective)) >= len(defective) // 2).astype(np.float64)
    learnt = defective if unmarked else np.array([verdict.marked for verdict in verdicts], bool)
    counted = learnt | ~defective
    share = learnt[counted].mean() if counted.any() else 0.0
    wanted = (HALF - share) / (1 - share) if share < HALF else 0.0
    return np.where(defective, 0.0, max(LEAST, wanted))


def spoil(
    images: Tensor,
    target: Tensor,
    chosen: NDArray[np.bool_],
    rngs: Sequence[np.random.Generator],
    *,
    fixed: bool = False,
) -> tuple[Tensor, Tensor]:
    """Give the ``chosen`` samples a defect each.

    Args:
        images: (B, 3, H, W) float32, normalised.
        target: (B, H, W) int64, codes of `visrun.data.verdicts`; a defect's pixels become MADE, those beyond the
            picture stay as they are.
        chosen: (B,), on the host.
        rngs: Give everything random: one for all samples, or one for each.
        fixed: For validation: nothing of other samples is pasted in, and a defect that could hardly be seen is made
            stronger, so that with an ``rng`` of its own a sample always has the same.
    """
    n, _, high, wide = images.shape
    draws = zip(*(_drawn(rng, n // len(rngs)) for rng in rngs), strict=True)
    kind, table, step, swapped, noise = (np.concatenate(part) for part in draws)
    other = (kind == 2) & (swapped < 0.5) & (not fixed)  # half of the textures come from another sample
    whose = (np.arange(n) + np.where(other, step, 0)) % n
    gradients = sent(torch.from_numpy(noise.astype(np.float32)), images.device)
    places = torch.from_numpy(np.stack([kind, whose, chosen.astype(np.int64)], 1))
    kinds, source, wanted = sent(places, images.device).unbind(1)
    picture = target != IGNORE
    room = _room(picture)
    numbers = _shapes(kinds, sent(torch.from_numpy(table), images.device), room).float()
    where = torch.where((kinds == 2)[:, None, None], _blots(gradients, numbers, picture), _box(numbers, (high, wide)))
    if fixed:
        tiny = (where & picture).sum((1, 2), keepdim=True) < SMALLEST
        where = torch.where(tiny, _box(_middle(room), (high, wide)), where)
    pasted = _pasted(images.index_select(0, source), numbers)
    changed = torch.lerp(images, pasted, numbers[:, 8, None, None, None])
    where &= (target == GOOD) & (wanted > 0)[:, None, None]
    change = ((changed - images).abs().mean(1) * where).sum((1, 2)) / where.sum((1, 2)).clamp_min(1)
    if fixed:
        stronger = (PLAIN / change.clamp_min(FAINTEST)).clamp_min(1)
        changed, change = torch.lerp(images, changed, stronger[:, None, None, None]), change * stronger
    where &= (change > VISIBLE)[:, None, None]
    return torch.where(where[:, None], changed, images), torch.where(where, MADE, target)


def _drawn(rng: np.random.Generator, n: int) -> tuple[NDArray[Any], ...]:
    """Of n samples (n, ...): kind of the defect, its numbers, how far off another sample is, whether its pixels come
    from there, and directions of Perlin noise."""
    kind, numbers = rng.integers(3, size=n), rng.random((n, PARAMETERS))
    return kind, numbers, rng.integers(1, max(n, 2), size=n), rng.random(n), rng.random((n, LATTICE, LATTICE))


def _room(picture: Tensor) -> Tensor:
    """(B, 4) float64 left, top, width and height of the pictures, from (B, H, W) bool where they are."""
    unit = math.sqrt(picture.shape[1] * picture.shape[2])
    ends = []
    for crossed in (1, 2):
        line = picture.any(crossed).double()  # argmax takes no bool
        first, last = line.argmax(1), line.shape[1] - line.flip(1).argmax(1)
        ends.append((first.double() / unit, (last - first).double() / unit))
    (left, wide), (top, high) = ends
    return torch.stack([left, top, wide, high], 1)


def _middle(room: Tensor) -> Tensor:
    """(B, 5), as :func:`_box` takes them: rectangles about the middle of the pictures."""
    corner, sides = room.split(2, 1)
    return torch.cat([MIDDLE / 2 * sides, torch.zeros_like(sides[:, :1]), corner + sides / 2], 1).float()


def _shapes(kind: Tensor, draws: Tensor, room: Tensor) -> Tensor:
    """(B, 13): half width and half height of the box, its turn, its centre (2), where its pixels come from (2) and how
    they are turned there, opacity, gain, shifts of the colours (3); of textures the first seven have other uses.

    Of Perlin noise they are cells along a side (0), share of the peak (1), and shift in cells (3 and 4).

    Args:
        kind: (B,); draws: (B, 13) in [0, 1); room: (B, 4), in which boxes and what they show have their centres.
    """
    corner, sides = room.split(2, 1)
    scar, texture = (kind == 1)[:, None], (kind == 2)[:, None]
    area, aspect = _between(draws[:, 0], PATCH_AREA), ((2 * draws[:, 1] - 1) * PATCH_ASPECT).exp()
    half = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1) / 2
    thin = torch.stack([_between(draws[:, 0], SCAR_WIDTH), _between(draws[:, 1], SCAR_LENGTH)], 1) / 2
    half = torch.minimum(torch.where(scar, thin, half), 0.45 * sides)
    turn = torch.where(scar, math.pi * draws[:, 2:3], 0.0)
    margin = torch.where(scar, 0.1 * sides, half)
    centre = corner + margin + draws[:, 3:5] * (sides - 2 * margin)
    origin = corner + margin + draws[:, 5:7] * (sides - 2 * margin)
    noise = torch.stack([_between(draws[:, 0], CELLS), _between(draws[:, 1], HIGH)], 1)
    strong = torch.full_like(draws[:, :1], 0.3).masked_fill(texture, 1.0)
    return torch.cat(
        [
            torch.where(texture, noise, half),
            turn,
            torch.where(texture, draws[:, 3:5], centre),
            origin,
            torch.where(texture, 2 * math.pi * draws[:, 7:8], turn),
            torch.where(texture, _between(draws[:, 8:9], OPACITY), 1.0),
            1 + strong * (draws[:, 9:10] - 0.5),
            strong * (2 * draws[:, 10:13] - 1),
        ],
        1,
    )


def _between(draws: Tensor, ends: tuple[float, float]) -> Tensor:
    return ends[0] + draws * (ends[1] - ends[0])


def _axes(size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """(1, 1, W) x and (1, H, 1) y of the pixels' centres."""
    unit = math.sqrt(size[0] * size[1])
    y, x = ((torch.arange(n, device=device, dtype=torch.float32) + 0.5) / unit for n in size)
    return x[None, None, :], y[None, :, None]


def _box(numbers: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W) bool: inside the turned rectangle."""
    x, y = _axes(size, numbers.device)
    half_wide, half_high, turn, left, top = (numbers[:, i, None, None] for i in range(5))
    dx, dy = x - left, y - top
    across, down = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    return (across.abs() < half_wide) & (down.abs() < half_high)


def _blots(gradients: Tensor, numbers: Tensor, picture: Tensor) -> Tensor:
    """(B, H, W) bool: where Perlin noise (Perlin 2002, "Improving noise", in two dimensions) is high.

    Args:
        gradients: (B, LATTICE, LATTICE) in [0, 1): their directions as shares of a turn.
        picture: (B, H, W) bool, in which its peak is looked for.
    """
    n, high, wide = picture.shape
    x, y = ((a / side) for a, side in zip(_axes((high, wide), numbers.device), _whole((high, wide)), strict=True))
    cells, level, shift_x, shift_y = (numbers[:, i, None, None] for i in (0, 1, 3, 4))
    x, y = (x * cells + shift_x).expand(n, high, wide), (y * cells + shift_y).expand(n, high, wide)
    column, row = x.floor(), y.floor()
    across, down = x - column, y - row
    flat, corner = gradients.flatten(1) * (2 * math.pi), (row * LATTICE + column).long().flatten(1)

    def part(right: int, low: int) -> Tensor:
        angle = flat.gather(1, corner + low * LATTICE + right).view(n, high, wide)
        return angle.cos() * (across - right) + angle.sin() * (down - low)

    fade_x, fade_y = (t**3 * (t * (6 * t - 15) + 10) for t in (across, down))
    noise = torch.lerp(torch.lerp(part(0, 0), part(1, 0), fade_x), torch.lerp(part(0, 1), part(1, 1), fade_x), fade_y)
    return noise > level * noise.masked_fill(~picture, -math.inf).amax((1, 2), keepdim=True)


def _whole(size: tuple[int, int]) -> tuple[float, float]:
    """Width and height of the training image."""
    unit = math.sqrt(size[0] * size[1])
    return size[1] / unit, size[0] / unit


def _pasted(images: Tensor, numbers: Tensor) -> Tensor:
    """What is laid over: the images moved from the origin to the centre, turned about it, and recoloured."""
    size = images.shape[2], images.shape[3]
    x, y = _axes(size, images.device)
    left, top, from_left, from_top, turn = (numbers[:, i, None, None] for i in range(3, 8))
    dx, dy = x - left, y - top
    grid_x = from_left + dx * turn.cos() + dy * turn.sin()
    grid_y = from_top + dy * turn.cos() - dx * turn.sin()
    wide, high = _whole(size)
    grid = torch.stack([2 * grid_x / wide - 1, 2 * grid_y / high - 1], -1)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return moved * numbers[:, 9, None, None, None] + numbers[:, 10:13, None, None]
