"""From what the model saw back to the file's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.data.cache import Images
from visrun.data.geometry import centred
from visrun.data.ids import IGNORE
from visrun.data.look import Look
from visrun.data.tiles import NO_BORDERS, Borders, borders


@dataclass(frozen=True)
class Place:
    """Where a file's picture lies in the training image of an evaluation.

    Args:
        box: Its left, top, right and bottom edge, in pixels of the training image; beyond it where only a part of the
            file was seen.
        size: (height, width) of the file's upright picture.
        borders: Of a tile, in pixels of the file, as `visrun.data.tiles.borders` has them.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    borders: Borders = NO_BORDERS

    @property
    def scale(self) -> float:
        """Pixels of the file for one of the training image."""
        left, top, right, bottom = self.box
        return (self.size[0] + self.size[1]) / (right - left + bottom - top)

    def points(self, points: Tensor) -> Tensor:
        """(..., 2) xy of the training image in the file's pixels, which may lie outside the picture."""
        left, top, right, bottom = self.box
        origin, extent = points.new_tensor([left, top]), points.new_tensor([right - left, bottom - top])
        return (points - origin) / extent * points.new_tensor([self.size[1], self.size[0]])

    def back(self, mask: Tensor) -> Tensor:
        """A map (H, W) uint8 over the training image as one (h, w) over the file; 255 where nothing was seen."""
        left, top, right, bottom = self.box
        rows = _looked_up(self.size[0], top, bottom, mask.device)
        columns = _looked_up(self.size[1], left, right, mask.device)
        seen = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
        found = mask[rows.clamp(0, mask.shape[0] - 1)][:, columns.clamp(0, mask.shape[1] - 1)]
        return torch.where(seen, found, torch.full_like(found, IGNORE))

    def back_maps(self, maps: Tensor) -> Tensor:
        """Maps (n, H, W) float32 over the training image as (n, h, w) over the file, bilinear; 0 where nothing was
        seen."""
        left, top, right, bottom = self.box
        rows = _centres(self.size[0], top, bottom, maps.device) / maps.shape[1] * 2 - 1
        columns = _centres(self.size[1], left, right, maps.device) / maps.shape[2] * 2 - 1
        y, x = torch.meshgrid(rows.float(), columns.float(), indexing="ij")
        seen = (x.abs() <= 1) & (y.abs() <= 1)
        grid = torch.stack([x, y], -1)[None]
        found = F.grid_sample(maps[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
        return found * seen


@dataclass(frozen=True)
class Scene:
    """What is known of one picture beside its pixels.

    Args:
        image: The number of the file: the tiles of one file share it.
        place: Where the file's picture lies in the training image.
        truth: What is labelled in the whole file, in its pixels; or its verdict.
    """

    image: int
    place: Place
    truth: Any


def places(images: Images, look: Look) -> list[Place]:
    """The place of every usable picture of ``images`` in its training image."""
    height, width = look.image_size
    kept, windows = images.sizes.astype(np.float64), images.windows.astype(np.float64)
    view = centred(kept, look.image_size, look.fit)
    scale = np.array([width, height]) / view.extent
    begin = -(view.centre - view.extent / 2) * scale
    of_file = kept[:, ::-1] * scale / (windows[:, 2:] - windows[:, :2])  # training pixels for one of the file
    wholes = images.wholes
    low = begin - windows[:, :2] * of_file
    high = low + wholes[:, ::-1] * of_file
    rows = zip(np.concatenate([low, high], 1).tolist(), wholes.tolist(), images.windows.tolist(), strict=True)
    return [
        Place((left, top, right, bottom), (h, w), borders(tuple(window), (w, h)))
        for (left, top, right, bottom), (h, w), window in rows
    ]


def scenes(images: Images, truths: Sequence[Any], look: Look) -> list[Scene]:
    """The scene of every usable picture; pictures of the same file share its number.

    Args:
        truths: What is labelled in the file of each usable picture.
    """
    numbers = {path: number for number, path in enumerate(dict.fromkeys(images.paths))}
    found = zip(images.paths, places(images, look), truths, strict=True)
    return [Scene(numbers[path], place, truth) for path, place, truth in found]


def _looked_up(count: int, begin: float, end: float, device: torch.device) -> Tensor:
    """For each of ``count`` pixels spread over [begin, end), the pixel of the training image under its centre."""
    return _centres(count, begin, end, device).floor().long()


def _centres(count: int, begin: float, end: float, device: torch.device) -> Tensor:
    """(count,) float64: the centres of pixels spread over [begin, end)."""
    return centre_of(torch.arange(count, device=device), count, begin, end)


def centre_of(pixels: Tensor, count: int, begin: float, end: float) -> Tensor:
    """Where the centres of some of ``count`` pixels spread over [begin, end) lie, float64."""
    return begin + (pixels.double() + 0.5) / count * (end - begin)
