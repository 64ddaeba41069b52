"""From what the model saw back to the file's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from visrun.data.cache import Images
from visrun.data.geometry import Fit, centred
from visrun.data.images import header

UNSEEN = 255


@dataclass(frozen=True)
class Place:
    """Where a picture lies in the training image of an evaluation.

    Args:
        box: Its left, top, right and bottom edge, in pixels of the training image; beyond it where a crop was taken.
        size: (height, width) of the file's upright picture.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]

    def back(self, mask: Tensor) -> Tensor:
        """A map (H, W) uint8 over the training image as one (h, w) over the file; 255 where nothing was seen."""
        left, top, right, bottom = self.box
        rows = _looked_up(self.size[0], top, bottom, mask.device)
        columns = _looked_up(self.size[1], left, right, mask.device)
        seen = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
        found = mask[rows.clamp(0, mask.shape[0] - 1)][:, columns.clamp(0, mask.shape[1] - 1)]
        return torch.where(seen, found, torch.full_like(found, UNSEEN))


def places(images: Images, image_size: tuple[int, int], fit: Fit) -> list[Place]:
    """The place of every usable image of ``images`` in its training image."""
    kept = images.sizes.astype(np.float64)
    view = centred(kept, image_size, fit)
    scale = np.array([image_size[1], image_size[0]]) / view.extent
    begin = -(view.centre - view.extent / 2) * scale
    end = begin + kept[:, ::-1] * scale
    sizes = [header(path)[::-1] for path in images.paths]
    boxes = np.concatenate([begin, end], 1).tolist()
    return [
        Place((left, top, right, bottom), size) for (left, top, right, bottom), size in zip(boxes, sizes, strict=True)
    ]


def _looked_up(count: int, begin: float, end: float, device: torch.device) -> Tensor:
    """For each of ``count`` pixels spread over [begin, end), the pixel of the training image under its centre."""
    centres = (torch.arange(count, device=device, dtype=torch.float64) + 0.5) / count
    return (begin + centres * (end - begin)).floor().long()
