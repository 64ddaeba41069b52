"""PatchCore: patches of good images are remembered, and what is far from all of them is a defect (Roth et al.,
"Towards total recall in industrial anomaly detection", arXiv 2106.08265). Nothing is trained by gradient.

Legend: B images, D channels of the maps together, h x w the finest map, M remembered patches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visrun.anomaly.coreset import CANDIDATES, coreset, drawn
from visrun.data.rendering import seen
from visrun.device import full_precision
from visrun.models.enlarging import enlarged
from visrun.models.freezing import freeze_all_but
from visrun.models.timm_models import timm_trunk
from visrun.models.trunks import trunk
from visrun.models.weights import Built, Pretrained
from visrun.tables import torchvision_builders

NEIGHBOURHOOD = 3  # patches whose features are averaged, along a side (section 3.1)
REMEMBERED = 5_000  # patches at most, so that looking them up stays quick
BLUR = 4.0  # standard deviation in pixels of the heat map's smoothing (section 3.3)
SEED = 0
BY_PRODUCT = "use_mm_for_euclid_dist"  # distances from one product of matrices: quick, and ONNX has no other way


class PatchCore(nn.Module):
    """(B, 3, H, W) -> {"out": heat (B, H, W), "score": (B,)}, both distances; 0 before :meth:`settle`.

    Patches beyond the picture, in the padding, are neither remembered nor scored.

    Args:
        backbone: Gives feature maps, the finest first; it stays as it is.
        channels: Of these maps.
        strides: Of these maps, in pixels, each a multiple of the first.
        share: Of the good patches that is remembered, in (0, 1], at most REMEMBERED.
        neighbours: Remembered patches by which the score of an image is weighed; 1 = not at all.
    """

    memory: Tensor

    def __init__(
        self, backbone: nn.Module, *, channels: Sequence[int], strides: Sequence[int], share: float, neighbours: int
    ) -> None:
        super().__init__()
        self.backbone, self.strides = backbone, tuple(strides)
        self.share, self.neighbours, self.remembered = share, neighbours, ""
        self.register_buffer("memory", torch.zeros(1, sum(channels)))
        freeze_all_but(self, ())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.patches(images)
        with full_precision(images.device):
            return self._measured(features, _shown(images, features.shape[2:]), images.shape[2:])

    def _measured(self, features: Tensor, shown: Tensor, size: Sequence[int]) -> dict[str, Tensor]:
        n, _, high, wide = features.shape
        rows = features.flatten(2).transpose(1, 2)
        found = [torch.cdist(one, self.memory, compute_mode=BY_PRODUCT).min(1) for one in rows]
        distance = torch.stack([one.values for one in found]) * shown.flatten(1)
        nearest = torch.stack([one.indices for one in found])
        both = torch.stack([distance.view(n, high, wide), shown], 1)
        heat, weight = _blurred(enlarged(both, self.strides[0], size)).unbind(1)
        return {"out": heat / weight.clamp_min(1e-6), "score": self._scores(rows, distance, nearest)}

    def patches(self, images: Tensor) -> Tensor:
        """(B, D, h, w) float32: the maps, each averaged over neighbourhoods, the coarser ones enlarged."""
        maps = [F.avg_pool2d(x.float(), NEIGHBOURHOOD, stride=1, padding=1) for x in self.backbone(images)]
        first, size = self.strides[0], maps[0].shape[2:]
        return torch.cat([enlarged(x, own // first, size) for x, own in zip(maps, self.strides, strict=True)], 1)

    def _scores(self, rows: Tensor, distance: Tensor, nearest: Tensor) -> Tensor:
        """The distance of the farthest patch, weighed down where the patches around its nearest one are as far, for
        then it is an unusual good one (equation 7)."""
        worst, at = distance.max(1)
        if min(self.neighbours, len(self.memory)) < 2:
            return worst
        patch = rows.gather(1, at[:, None, None].expand(-1, -1, rows.shape[2]))  # (B, 1, D)
        mine = self.memory[nearest.gather(1, at[:, None])[:, 0]]
        apart = torch.cdist(mine, self.memory, compute_mode=BY_PRODUCT)
        around = apart.topk(min(self.neighbours, len(self.memory)), largest=False).indices
        away = torch.linalg.vector_norm(self.memory[around] - patch, dim=2)  # (B, neighbours), the nearest itself first
        return (1 - away.softmax(1)[:, 0]) * worst

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor]) -> None:
        """Remember the patches of good images, a coreset of them, in eval mode.

        Args:
            batches: (B, 3, H, W) each, of good training images as evaluation sees them.
        """
        generator = torch.Generator().manual_seed(SEED)
        rows, total = drawn(map(self._of_pictures, batches), generator=generator)
        wanted = max(1, round(self.share * total))
        count = min(wanted, REMEMBERED)
        self.remembered = _told(count, total, share=self.share, wanted=wanted)
        with full_precision(rows.device):
            self.memory = rows[coreset(rows, count, generator=generator)].clone()

    def _of_pictures(self, images: Tensor) -> Tensor:
        """(n, D) the patches of (B, 3, H, W) that show the pictures."""
        features = self.patches(images)
        shown = _shown(images, features.shape[2:]) > 0
        return features.permute(0, 2, 3, 1)[shown]

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """A memory may have any number of patches."""
        saved = state.get(f"{prefix}memory")
        if saved is not None and saved.shape[1:] == self.memory.shape[1:]:
            self.memory = self.memory.new_empty(saved.shape)
        super()._load_from_state_dict(state, prefix, *args)


def patchcore(
    name: str,
    *,
    backbone: str,
    strides: Sequence[int],
    coreset: float,
    neighbours: int,
    pretrained: Pretrained = "auto",
) -> Built:
    """PatchCore on the body of a classifier.

    Args:
        name: The model's name, for messages.
        backbone: A classifier of torchvision, else of timm.
        strides: Of its feature maps that are used.
        coreset: Share of the patches that is remembered, in (0, 1].
        neighbours: As :class:`PatchCore` takes them.
        pretrained: Whether the backbone has weights learned on ImageNet; without any, its features say little.

    Raises:
        ConfigError: A network that is not known, or without such maps; ``pretrained=True`` without weights to be had.
    """
    known = torchvision_builders().get(backbone) == "classification"
    body = (trunk if known else timm_trunk)(name, builder=backbone, strides=strides, pretrained=pretrained)
    channels: list[int] = body.module.channels  # type: ignore[assignment]
    module = PatchCore(body.module, channels=channels, strides=strides, share=coreset, neighbours=neighbours)
    return body._replace(module=module, head=("memory",))


def _told(count: int, total: int, *, share: float, wanted: int) -> str:
    """``remembered: 5,000 of 80,000 patches of good images (...)``, with what kept it from its share."""
    limits = [f"model_options.coreset={share:g} asks for {wanted:,}, {REMEMBERED:,} at most"] if count < wanted else []
    limits += [f"chosen among {CANDIDATES:,} drawn by chance"] if total > CANDIDATES else []
    return f"remembered: {count:,} of {total:,} patches of good images" + (f" ({'; '.join(limits)})" if limits else "")


def _shown(images: Tensor, size: Sequence[int]) -> Tensor:
    """(B, h, w) float32: 1 for the patches at least half of which lie in the pictures of (B, 3, H, W), else 0; of a
    picture that is thinner than that, for those that lie in it most."""
    share = F.adaptive_avg_pool2d(seen(images)[:, None].float(), (size[0], size[1]))[:, 0]
    return (share >= share.amax((1, 2), keepdim=True).clamp(max=0.5)).float()


def _blurred(maps: Tensor) -> Tensor:
    """(B, C, H, W) smoothed by a Gaussian of BLUR pixels."""
    reach = math.ceil(3 * BLUR)
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (at / BLUR) ** 2)
    weights = (weights / weights.sum()).view(1, 1, 1, -1)
    padded = F.pad(maps.float(), [reach] * 4, mode="replicate").flatten(0, 1)[:, None]
    return F.conv2d(F.conv2d(padded, weights), weights.transpose(2, 3)).view(maps.shape)
