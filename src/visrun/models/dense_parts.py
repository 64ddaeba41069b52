"""Parts of the dense detector: its pyramid, its towers, and the second look that it takes at turned boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visrun.boxes import turn
from visrun.device import full_precision
from visrun.models.enlarging import enlarged

GROUP = 8  # channels normalised together
DEPTH = 2  # convolutions of a tower
LAST = 0.25  # share of the last layers' gradient that they learn from
SHAPE_WIDTH = 16  # hidden units that see a turned box's size and elongation
USUAL, LEAST = 32.0, 1e-3  # sides in pixels: that of size 0, and what shorter ones count as
SIZE_UNIT, LENGTH_UNIT = 0.5, 0.1  # differences of the logarithms that classes may hang on
STRIDE = 4  # pixels of the image that a cell of a fine map has
SPOTS, REACH = 4, 1.2  # of a second look: points along each side, and the outermost ones' distance in half sides
SEEN = 32  # channels of the map that it looks at, at most: else a quarter of the pyramid's
REFINEMENTS = 5  # numbers that it changes a turned box by
FARTHEST_OUT = 2.0  # half widths of the image beyond which a point may lie anywhere: there is nothing to see


def tower(in_channels: int, width: int) -> nn.Sequential:
    """Convolutions of 3x3, each with GroupNorm and ReLU: (B, in_channels, h, w) -> (B, width, h, w)."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        convolution = nn.Conv2d(width if i else in_channels, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, GroupNorm(width // GROUP, width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class GroupNorm(nn.GroupNorm):
    """PyTorch's, in the precision of its input: autocast would have it read and write float32, for nothing, as its
    means and variances are float32 sums anyway and a convolution follows."""

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x.device):
            return F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def slowed(parameter: Tensor, share: float = LAST) -> Tensor:
    """``parameter`` as it is, of whose gradient a ``share`` arrives.

    Of the gradient's square the few last layers, to which every location adds, would hold four fifths, and its limit
    (``run.clip``) would leave little for all others to learn from. Adam's steps do not see it.
    """
    return parameter if share == 1 else parameter.detach().lerp(parameter, share)


class LastConvolution(nn.Conv2d):
    """A last 3x3 convolution, which all levels share and which says ``begin`` everywhere at first: of each map
    (B, width, h, w) it makes one of (B, len(begin), h, w).

    Args:
        share: Of its gradient that it learns from, see :func:`slowed`.
    """

    def __init__(self, width: int, begin: Sequence[float], *, share: float = LAST) -> None:
        super().__init__(width, len(begin), 3, padding=1)
        self.share = share
        assert self.bias is not None
        nn.init.zeros_(self.weight)
        self.bias.data.copy_(torch.tensor(begin))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:  # type: ignore[override]  # slowed once, not once a level
        weight, bias = (slowed(p.to(maps[0].dtype), self.share) if self.training else p for p in self.parameters())
        return [F.conv2d(x, weight, bias, padding=1) for x in maps]


class LastLinear(nn.Linear):
    """A last linear layer, (..., in_features) -> (..., out_features), which says nothing but zeros at first."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)
        return F.linear(input, slowed(self.weight), slowed(self.bias))


class Pyramid(nn.Module):
    """Feature maps, finest first -> as many of ``width`` channels, each with what the coarser ones know, and ``beyond``
    coarser ones."""

    def __init__(self, in_channels: Sequence[int], width: int, *, beyond: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in in_channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in in_channels)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(beyond))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # made with a bias above

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sums = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for i in reversed(range(len(sums) - 1)):
            sums[i] = sums[i] + F.interpolate(sums[i + 1], size=sums[i].shape[2:], mode="nearest")
        levels = [smooth(x) for smooth, x in zip(self.smooth, sums, strict=True)]
        for down in self.down:
            levels.append(down(F.relu(levels[-1])))
        return levels


class Level(nn.Module):
    """A scale and shifts of one level's own for maps of ``width`` channels, since the shared towers see all alike."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x.float() * self.scale + self.shift


class FineMap(nn.Module):
    """The body's map at 1/4 (B, C, h, w) with what the finest level at 1/8 knows -> (B, channels, h, w).

    Args:
        fine: C.
        width: Channels of the level.
        channels: Of what comes out.
    """

    def __init__(self, fine: int, width: int, *, channels: int) -> None:
        super().__init__()
        self.fine, self.level = nn.Conv2d(fine, channels, 1), nn.Conv2d(width, channels, 1)

    def forward(self, fine: Tensor, level: Tensor) -> Tensor:
        return self.fine(fine) + enlarged(self.level(level), 2, fine.shape[2:])


class Prototypes(FineMap):
    """A fine map of ``hidden`` channels, a multiple of 8, and a tower on it: masks (B, channels, h, w) to mix from."""

    def __init__(self, fine: int, width: int, *, channels: int, hidden: int) -> None:
        super().__init__(fine, width, channels=hidden)
        self.tower, self.last = tower(hidden, hidden), nn.Conv2d(hidden, channels, 1)

    def forward(self, fine: Tensor, level: Tensor) -> Tensor:
        return self.last(self.tower(super().forward(fine, level)))


class Shape(nn.Module):
    """What the size and elongation of each location's turned box say of its class: (B, L, 5) -> (B, L, K).

    Seen from above, classes often follow from these (small and large vehicles, round and elongated cells), and the
    class tower hardly sees them, since sides look different at every angle. Boxes learn nothing from it.
    """

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.seen, self.said = nn.Linear(2, SHAPE_WIDTH), LastLinear(SHAPE_WIDTH, num_outputs)

    def forward(self, boxes: Tensor) -> Tensor:
        sides = (boxes[..., 2:4].detach().clamp(min=LEAST) / USUAL).log()
        longer, shorter = sides.amax(-1), sides.amin(-1)
        size, length = (longer + shorter) / (2 * SIZE_UNIT), (longer - shorter) / (2 * LENGTH_UNIT)
        return self.said(F.relu(self.seen(torch.stack([size, length], -1))))


class SecondLook(nn.Module):
    """What each location says once more of its turned box, from points spread over it: changes of box and classes.

    A location sees what is around it upright and at one scale. The points lie as the box does, a little beyond its
    sides, too, and see every object alike, whichever way it lies and however large or long it is (features aligned with
    boxes: Han et al. 2021, arXiv 2008.09397, section III). Their map is as fine as the one that two-stage detectors
    take for small boxes (Lin et al. 2017, arXiv 1612.03144, section 4.2), and so still has the edges. At first it
    changes nothing, and boxes learn nothing from where it looks.

    Args:
        fine: Channels of the body's map at 1/4.
        width: Channels of the pyramid.
        num_outputs: Classes.
    """

    spots: Tensor

    def __init__(self, fine: int, width: int, *, num_outputs: int) -> None:
        super().__init__()
        seen = min(SEEN, width // 4)
        self.map = FineMap(fine, width, channels=seen)
        self.mix = nn.Linear(SPOTS**2 * seen, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.said = LastLinear(width, REFINEMENTS + num_outputs)
        nn.init.kaiming_normal_(self.mix.weight, mode="fan_in", nonlinearity="relu")
        steps = torch.linspace(-REACH, REACH, SPOTS)
        self.register_buffer("spots", torch.cartesian_prod(steps, steps), persistent=False)

    def forward(self, fine: Tensor, level: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Refinements (B, L, 5) as `visrun.detection.decode.refined` takes them, and what to add to classes (B, L, K).

        Args:
            fine: (B, C, h, w).
            level: The finest of the pyramid.
            boxes: (B, L, 5) of any angle, pixels.
        """
        spots = self._spots(boxes.detach(), fine.shape[2:])
        seen = F.grid_sample(self.map(fine, level).float(), spots, padding_mode="border", align_corners=False)
        said = self.said(F.relu(self.norm(self.mix(seen.permute(0, 2, 3, 1).flatten(2)))))
        return said[..., :REFINEMENTS], said[..., REFINEMENTS:]

    def _spots(self, boxes: Tensor, cells: Sequence[int]) -> Tensor:
        """Where the points lie: (B, L, S, 2), x and y from -1 to 1 across a fine map of so many rows and columns."""
        high, wide = (STRIDE * count for count in cells)
        along, across = (boxes[..., 2:4, None] / 2 * self.spots.T).unbind(-2)
        x, y = turn(along, across, boxes[..., 4:])
        x, y = boxes[..., 0:1] + x, boxes[..., 1:2] + y
        return torch.stack([2 * x / wide - 1, 2 * y / high - 1], -1).clamp(-FARTHEST_OUT, FARTHEST_OUT)
