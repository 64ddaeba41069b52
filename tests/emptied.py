"""Images on which nothing is labelled."""

from __future__ import annotations

import numpy as np

from visrun.data.objects import Objects


def nothing(*, quads: bool = False, outlines: bool = False) -> Objects:
    """The objects of an image that shows none."""
    return Objects(
        np.zeros(0, np.int64),
        np.zeros((0, 4)),
        np.zeros(0, bool),
        np.zeros((0, 4, 2)) if quads else None,
        () if outlines else None,
    )
