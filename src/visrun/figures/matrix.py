"""A confusion matrix as a table of numbers, of any number of classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visrun.files import update


def as_csv(matrix: Any, classes: Sequence[str], path: Path) -> None:
    """Write the counts, a row for each true class and a column for each predicted one.

    Args:
        matrix: (K, K) counts.
        classes: The K names.

    Raises:
        VisrunError: The file cannot be written.
    """
    page = io.StringIO()
    rows = csv.writer(page, lineterminator="\n")
    rows.writerow(["true \\ predicted", *classes])
    rows.writerows([name, *map(int, counts)] for name, counts in zip(classes, np.asarray(matrix), strict=True))
    update(path, page.getvalue().encode("utf-8", "backslashreplace"))
