"""Swept words as distributions, and those in words again; what words become which stands in test_space.py."""

from __future__ import annotations

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from visrun.sweep.dimensions import readable


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (FloatDistribution(0.0, 0.5), "0.0 to 0.5"),
        (FloatDistribution(0.0, 0.5, step=0.1), "0.0 to 0.5, step 0.1"),
        (IntDistribution(1, 9), "1 to 9"),
        (IntDistribution(16, 256, step=16), "16 to 256, step 16"),
        (IntDistribution(1, 64, log=True), "1 to 64, log"),
        (CategoricalDistribution(["null", "[10,20]", True, 3]), "null, [10,20], true, 3"),
    ],
)
def test_ranges_are_readable(distribution: BaseDistribution, text: str) -> None:
    assert readable(distribution) == text
