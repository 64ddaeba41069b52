"""The Gaussian density of features, by hand, and with fewer samples than features."""

from __future__ import annotations

import pytest
import torch

from visrun.anomaly.density import Density


def squares(roots: torch.Tensor) -> torch.Tensor:
    """The features that have these roots."""
    return roots * roots.abs()


def test_what_counts_are_roots():
    """One image has no spread, so each feature's counts as 1: from the roots (2, 3) it is (1, -3) to (3, 0), (-4, 0) to
    (-2, 3) and (8, 0) to (10, 3)."""
    density = Density(2)
    density.measure(torch.tensor([[4.0, 9.0]]))
    found = density(torch.tensor([[4.0, 9.0], [9.0, 0.0], [-4.0, 9.0], [100.0, 9.0]]))
    assert found.tolist() == pytest.approx([0, 5**0.5, 8**0.5, 32**0.5], rel=1e-5, abs=1e-6)


def test_distance_grows_with_deviations_from_the_mean_in_units_of_the_spread():
    roots = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 10.0]) + 5
    density = Density(2)
    assert density(squares(roots)).abs().max() == 0.0
    density.measure(squares(roots))
    assert float(density(squares(roots)).square().mean()) == pytest.approx(1.0, rel=0.05)  # shrunk a little
    away = density(squares(torch.tensor([[5.0, 5.0], [8.0, 5.0], [5.0, 35.0]])))
    assert away[0] < 0.1
    assert away[1] == pytest.approx(float(away[2]), rel=0.1)  # three deviations each


@pytest.mark.parametrize("count", [1, 3])
def test_few_samples_of_many_features_give_finite_distances(count):
    rows = torch.rand(count, 50)
    density = Density(50)
    density.measure(rows)
    found = density(torch.cat([rows, rows + 1]))
    assert found.isfinite().all()
    assert found[count:].min() > found[:count].max()


def test_it_is_saved_with_the_network():
    density, other = Density(3), Density(3)
    density.measure(torch.rand(20, 3))
    other.load_state_dict(density.state_dict())
    x = torch.rand(4, 3)
    assert torch.equal(density(x), other(x))


def test_what_cancels_in_an_inverse_covariance_is_no_rounding_error():
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(256, 256, generator=generator, dtype=torch.float64)).Q
    spread = torch.arange(1, 257).double().pow(-2)
    roots = ((torch.randn(2000, 256, generator=generator, dtype=torch.float64) * spread) @ turn).float()
    rows = squares(roots)
    density = Density(256)
    density.measure(rows)
    away = rows.double().abs().sqrt() * rows.sign() - density.centre
    exact = torch.einsum("nf,fg,ng->n", away, density.precision.double(), away).div(256).sqrt()
    torch.testing.assert_close(density(rows), exact.float(), rtol=1e-5, atol=0)
