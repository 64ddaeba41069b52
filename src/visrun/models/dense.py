"""A detector whose every step has the same shapes: class, box, angle and mask at each location of a feature pyramid.

After FCOS (Tian et al. 2019, arXiv 1904.01355) on a feature pyramid (Lin et al. 2017, arXiv 1612.03144): two towers
that all levels share, one for classes and one for everything that has a place. Turned boxes get a second look, at
points that lie as they do, and their shape counts for their class. GroupNorm in the towers (Wu & He 2018, arXiv
1803.08494), since the levels' statistics differ and batches are small. The last layers begin at zero, so that at first
every location says the same: hardly an object, and a box four strides wide. They learn from a part of their gradient.

(B, 3, H, W) -> a dict of tensors for L locations, the same in training and evaluation; H and W are best multiples of
32, since the last locations may lie beyond the edge otherwise, and of instances multiples of 4:
    points        (B, L, 3)  x, y and stride of each location, pixels
    classes       (B, L, K)  logits
    boxes         (B, L, 4)  logarithms of the distances to the four sides in strides, float32; of rotated boxes
                  (B, L, 3)  the centre's offset in strides and the logarithm of half the mean side
    stretches     (B, L, 4)  rotated boxes: a vector to twice the angle, as long as the logarithm of long by mean side,
                             and one to four times the angle, of any length
    refinements   (B, L, 5)  rotated boxes: what the second look changes of them
    coefficients  (B, L, P)  instances: the location's weights of the prototypes
    prototypes    (B, P, H / 4, W / 4)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from visrun.detection.decode import coarse_boxes, refined
from visrun.models.dense_parts import GROUP, LastConvolution, Level, Prototypes, Pyramid, SecondLook, Shape, tower
from visrun.models.small import Block, convolution, initialise
from visrun.models.timm_models import timm_trunk
from visrun.models.trunks import Trunk, trunk
from visrun.models.weights import Built, Pretrained
from visrun.tables import TIMM

FINEST = 8  # stride in pixels of the finest level; masks take in the body's map at half of it
LEVELS = 3  # of the pyramid that the body has maps for
BEYOND = 2  # levels that are coarser than the body's coarsest map: P6 and P7
WIDEST = 256  # channels of the pyramid and the towers, at most: else a quarter of the body's deepest map
PRIOR = 0.01  # probability of an object that a location begins with (arXiv 1708.02002, section 4.1)
BEGIN = math.log(2.0)  # logarithm of the strides from a location to each side of its box at first
UPRIGHT, TURNED = (BEGIN,) * 4, (0.0, 0.0, BEGIN)
STRETCH = (0.1, 0.0, 1.0, 0.0)  # upright at first, a little longer than high: no length has no slope to learn from
PROTOTYPES, PROTOTYPE_WIDTH = 32, 64  # and the channels they are made in, at most: else half the pyramid's
SMALL_WIDTHS, SMALL_WIDTH = (16, 32, 64, 128, 128), 64


class DenseDetector(nn.Module):
    """The network; what goes in and comes out stands at the top of this module.

    Args:
        body: Gives maps at strides 8, 16 and 32; at 4 too, unless for upright boxes.
        num_outputs: Classes.
        target: boxes, rotated_boxes or instances.
        width: Channels of the pyramid and the towers, a multiple of 8.
        beyond: Levels that are coarser than the body's coarsest map.
    """

    def __init__(self, body: Trunk, *, num_outputs: int, target: str, width: int, beyond: int) -> None:
        super().__init__()
        self.backbone = body
        fine, *channels = (0, *body.channels) if target == "boxes" else body.channels
        self.pyramid = Pyramid(channels, width, beyond=beyond)
        self.strides = [FINEST * 2**i for i in range(len(channels) + beyond)]
        self.class_tower, self.place_tower = (tower(width, width) for _ in range(2))
        begin = TURNED if target == "rotated_boxes" else UPRIGHT
        self.levels = nn.ModuleList(Level(len(begin)) for _ in self.strides)
        self.classes = LastConvolution(width, [-math.log(1 / PRIOR - 1)] * num_outputs)
        self.boxes = LastConvolution(width, begin)
        self.stretches = self.second_look = self.shape = self.coefficients = self.prototypes = None
        if target == "rotated_boxes":
            self.stretches = LastConvolution(width, STRETCH)
            self.second_look = SecondLook(fine, width, num_outputs=num_outputs)
            self.shape = Shape(num_outputs)
        if target == "instances":
            self.coefficients = LastConvolution(width, [0.0] * PROTOTYPES, share=1.0)  # with less, masks are worse
            hidden = min(PROTOTYPE_WIDTH, max(GROUP, width // 2 // GROUP * GROUP))
            self.prototypes = Prototypes(fine, width, channels=PROTOTYPES, hidden=hidden)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.backbone(images)
        fine = maps.pop(0) if len(maps) > LEVELS else None
        levels = self.pyramid(maps)
        said = self._said(levels)
        output = {name: torch.cat([*map(_rows, maps)], 1) for name, maps in said.items()}
        where = points_of([(x.shape[2], x.shape[3]) for x in levels], self.strides, images.device)
        output["points"] = where.expand(images.shape[0], -1, -1)  # len() would fix the number of images in a trace
        if self.second_look is not None and self.shape is not None:
            coarse = coarse_boxes(output).detach()
            output["refinements"], classes = self.second_look(fine, levels[0], coarse)
            output["classes"] = (
                output["classes"] + classes + self.shape(refined(coarse, output["refinements"].detach()))
            )
        if self.prototypes is not None:
            output["prototypes"] = self.prototypes(fine, levels[0])
        return output

    def _said(self, levels: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        """What the towers say of each level."""
        kinds, places = [*map(self.class_tower, levels)], [*map(self.place_tower, levels)]
        boxes = [level(x) for level, x in zip(self.levels, self.boxes(places), strict=True)]
        said = {"classes": self.classes(kinds), "boxes": boxes}
        if self.stretches is not None:
            said["stretches"] = self.stretches(places)
        if self.coefficients is not None:
            said["coefficients"] = self.coefficients(places)
        return said


def dense(
    name: str, *, builder: str, num_outputs: int, target: str = "boxes", pretrained: Pretrained = "auto"
) -> Built:
    """The detector on the body of the classifier ``builder``.

    Args:
        name: The model's name; one with ``timm_`` in it has a body of timm's.
        builder: A name out of ``torchvision.models.list_models(module=torchvision.models)``, or ``timm.list_models()``.
        num_outputs: Classes.
        target: boxes, rotated_boxes or instances.
        pretrained: Whether the body begins with weights learned on ImageNet.

    Raises:
        ConfigError: A classifier without feature maps; ``pretrained=True`` without weights to be had.
    """
    make = timm_trunk if TIMM in name else trunk
    body = make(name, builder=builder, strides=_strides(target), pretrained=pretrained)
    network: Any = body.module
    width = min(WIDEST, network.channels[-1] // 4 // GROUP * GROUP)
    module = DenseDetector(network, num_outputs=num_outputs, target=target, width=width, beyond=BEYOND)
    return body._replace(module=module, head=_heads(module))


def small_detector(*, num_outputs: int, target: str = "boxes") -> Built:
    """A detector for images of 100 to 300 pixels, with random weights; none are published.

    Args:
        num_outputs: Classes.
        target: boxes, rotated_boxes or instances.
    """
    first, *widths = SMALL_WIDTHS
    blocks = [Block(a, b, stride=2) for a, b in zip(SMALL_WIDTHS, widths, strict=False)]
    body = Trunk(nn.Sequential(convolution(3, first, stride=2), *blocks), strides=_strides(target))
    initialise(body)
    module = DenseDetector(body, num_outputs=num_outputs, target=target, width=SMALL_WIDTH, beyond=0)
    return Built(module, origin="random: no weights are published for small_detector", head=_heads(module))


def _strides(target: str) -> tuple[int, ...]:
    """Of the body's maps that are needed."""
    strides = tuple(FINEST * 2**i for i in range(LEVELS))
    return strides if target == "boxes" else (FINEST // 2, *strides)


def _heads(module: nn.Module) -> tuple[str, ...]:
    return tuple(name for name, _ in module.named_children() if name != "backbone")


def _rows(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def points_of(sizes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device) -> Tensor:
    """(L, 3) float32 x, y and stride of all locations of levels of these (height, width), row by row."""
    levels = []
    for size, stride in zip(sizes, strides, strict=True):
        y, x = (((torch.arange(n, device=device) + 0.5) * stride) for n in size)
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        levels.append(torch.stack([columns, rows, torch.full_like(rows, stride)], -1).flatten(0, 1))
    return torch.cat(levels)
