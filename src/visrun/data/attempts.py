"""Images of which some may be broken, decoded as they are asked for: a batch goes on without those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from visrun.data import stream
from visrun.data.cache import Images, Keep, open_images
from visrun.data.stream import Canvases, Source
from visrun.errors import DataError


@dataclass(frozen=True, eq=False)
class Attempts(Images):
    """Streamed images without masks.

    Args:
        faults: The number of each picture that could not be decoded, once its batch has come -> what is wrong with its
            file. Its pixels in that batch are anything.
    """

    faults: dict[int, DataError] = field(default_factory=dict)

    def batches(self, order: NDArray[np.int64], device: torch.device) -> Iterator[Canvases]:
        """As `Images.batches`; one lasts until the next.

        Raises:
            Late: A file that did not come in time, so the others on its drive would not, either.
        """
        for _, (pixels, _), failures in stream.attempted(self.source, order, workers=self.workers):
            self.faults.update({number: DataError(why) for number, why in failures.items()})
            yield stream.sent(pixels, device), None


def attempts(source: Source) -> Attempts:
    """The pictures of ``source``."""
    return Attempts(**vars(open_images(source, Keep(cache="stream"))))
