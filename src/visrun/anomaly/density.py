"""How far an image's features lie from those of good images: one Gaussian, as CutPaste scores with (arXiv 2104.04015,
section 2.3; Rippel et al., arXiv 2005.14140), of their roots.

What a ReLU lets through is skewed: of many features most images have little and some a lot, so that a few large ones
would make up the whole distance. Their roots are more like a Gaussian's values (the power transform of Hu et al.,
arXiv 2006.03806)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visrun.device import full_precision


class Density(nn.Module):
    """Features (B, F) -> distance (B,): Mahalanobis' between roots, over the root of F; of good images about 1.

    Before :meth:`measure` every distance is 0.
    """

    centre: Tensor
    precision: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("precision", torch.zeros(features, features))

    def forward(self, features: Tensor) -> Tensor:
        """Computed in float64: large terms cancel in an inverse covariance, and a GPU's products may be in TF32."""
        with full_precision(features.device):
            away = _roots(features) - self.centre
            return ((away @ self.precision.double()) * away).mean(1).clamp_min(0).sqrt().float()

    def measure(self, features: Tensor) -> None:
        """Take centre and covariance from the features (N, F) of good images, N >= 1.

        The covariance is shrunk towards a sphere by as much as Ledoit and Wolf (2004) derive from the data, since N may
        well be smaller than F.
        """
        from sklearn.covariance import ledoit_wolf

        rows = _roots(features.cpu())
        eye = torch.eye(rows.shape[1], dtype=torch.float64)
        covariance = torch.from_numpy(ledoit_wolf(rows.numpy())[0]) if len(rows) > 1 else eye
        covariance = covariance + eye * max(1e-6 * float(covariance.trace()) / len(eye), 1e-12)
        self.centre.copy_(rows.mean(0))
        self.precision.copy_(torch.linalg.inv(covariance))


def _roots(features: Tensor) -> Tensor:
    """In float64, each with its feature's sign."""
    wide = features.double()
    return wide.abs().sqrt() * wide.sign()
