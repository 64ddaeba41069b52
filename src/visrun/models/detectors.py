"""torchvision's detectors under the dense one's contract: batches in, losses or predictions out.

Batches are sized and normalised already, so torchvision's own transform is left out; its anchors, made for images of
800 pixels, follow the training size. Boxes are float32 whatever the network runs in: bf16 keeps 8 bits, in which 1010.3
is 1012. Training loops over images and reads counts back from the device, so a step is no CUDA graph.

Ignored objects are left out of what is learnt; to find one counts as finding background.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from visrun.boxes import le90_to_xyxy, masks_to_le90
from visrun.build import function_of
from visrun.data.objects import BOX, ID, IGNORED, LABEL, MASK_STRIDE
from visrun.detection import losses
from visrun.detection.decode import MOST
from visrun.detection.losses import BoxLoss
from visrun.detection.masks import as_bytes, enlarged, filled, of_objects, pasted
from visrun.detection.results import padded
from visrun.models.classifiers import HALF, imagenet_weights
from visrun.models.fitting import inside
from visrun.models.freezing import fix_norms
from visrun.models.weights import Built, Pretrained, choose, published

LEAST = 0.05  # score of a detection
USUAL = 800  # side in pixels of the images that the anchors were made for
# Losses that a network has by itself.
OWN = (losses.default, losses.default_mask, losses.default_rotated, losses.bce_mask)


@dataclass(frozen=True)
class Family:
    """What differs between kinds of detectors.

    Args:
        first: Label of the first class: 1 where 0 is background.
        classes: Layers that are new where the classes are.
        head: All that is no backbone; ``backbone.fpn`` belongs to it.
        last: Layers whose outputs become boxes and scores.
    """

    first: int
    classes: tuple[str, ...]
    head: tuple[str, ...]
    last: tuple[str, ...]


_BOX, _MASK = "roi_heads.box_predictor", "roi_heads.mask_predictor"
_LOGITS = "head.classification_head.cls_logits"
FAMILIES = {  # the beginning of a builder's name -> its family
    "fasterrcnn": Family(1, (_BOX,), ("rpn", "roi_heads", "backbone.fpn"), ("rpn.head", _BOX)),
    "maskrcnn": Family(1, (_BOX, _MASK), ("rpn", "roi_heads", "backbone.fpn"), ("rpn.head", _BOX, _MASK)),
    "retinanet": Family(0, (_LOGITS,), ("head", "backbone.fpn"), ("head",)),
    "fcos": Family(0, (_LOGITS,), ("head", "backbone.fpn"), ("head",)),
    "ssdlite320": Family(1, ("head.classification_head",), ("head", "backbone.extra"), ("head",)),
}


class AsIs(nn.Module):
    """Stands for torchvision's transform: images (B, 3, H, W) are ready, and so are detections but for their masks.

    Args:
        stride: Pixels of the image for one of a mask.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor, targets: Any = None) -> tuple[ImageList, Any]:
        return ImageList(images, [(images.shape[2], images.shape[3])] * len(images)), targets

    def postprocess(
        self, found: list[dict[str, Tensor]], sizes: list[tuple[int, int]], _: Any
    ) -> list[dict[str, Tensor]]:
        """Masks (n, 1, 28, 28) of the boxes become (n, H / stride, W / stride) of the image."""
        for one, (height, width) in zip(found, sizes, strict=False):
            if "masks" in one:
                page = (height // self.stride, width // self.stride)
                one["masks"] = pasted(one["masks"][:, 0], one["boxes"] / self.stride, page)
        return found


class Detector(nn.Module):
    """One of torchvision's detectors.

    In training a batch (B, 3, H, W) gives a :class:`Pending`, in evaluation a prediction of ``MOST`` rows an image. For
    rotated boxes a network with masks learns those of the boxes, and the smallest rectangle around each mask found is
    its box.

    Args:
        network: torchvision's.
        family: Its kind.
        target: boxes, rotated_boxes or instances.
    """

    def __init__(self, network: nn.Module, family: Family, *, target: str) -> None:
        super().__init__()
        self.network: Any = network
        self.family, self.target = family, target
        network.transform = AsIs(1 if target == "rotated_boxes" else MASK_STRIDE)
        for name in ("backbone", *family.last):
            network.get_submodule(name).register_forward_hook(_as_float)

    def forward(self, images: Tensor) -> Pending | dict[str, Tensor]:
        if self.training:
            return Pending(self, images)
        found = self.network(images)
        return padded([self._said(one) for one in found], MOST)

    def keep_statistics(self) -> None:
        """Let every BatchNorm of the backbone stay as it is."""
        fix_norms(self.network.backbone)

    def _said(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        """One image's detections in the contract's words."""
        said = {"boxes": found["boxes"].float(), "scores": found["scores"].float()}
        said["labels"] = found["labels"] - self.family.first
        if self.target == "instances":
            said["masks"] = as_bytes(found["masks"])
        if self.target == "rotated_boxes":
            said["boxes"] = masks_to_le90(found["masks"] >= 0.5)
            there = said["boxes"][:, 2] > 0  # an empty mask has no box
            said = {name: values[there] for name, values in said.items()}
        return said


@dataclass(frozen=True)
class Pending:
    """A batch of images that waits for its target, since these networks learn only when they are told it."""

    detector: Detector
    images: Tensor

    def losses(self, target: Tensor, masks: Tensor, loss: BoxLoss | None = None) -> dict[str, Tensor]:
        """The network's own parts, scalars.

        Args:
            target: (B, M, C) as batches carry it.
            masks: (B, layers, h, w) numbers of objects; read for instances.
            loss: Of boxes, (n, 4) and (n, 4) -> (n,), in place of the own one where the network can honour it; None or
                a default takes the own.
        """
        network = self.detector.network
        truth = [self._truth(rows, layers) for rows, layers in zip(target, masks, strict=True)]
        with measured_by(network, loss):
            parts: dict[str, Tensor] = network(self.images, truth)
        return parts

    def _truth(self, rows: Tensor, layers: Tensor) -> dict[str, Tensor]:
        """One image's objects in torchvision's words."""
        height, width = self.images.shape[2], self.images.shape[3]
        turned = self.detector.target == "rotated_boxes"
        boxes = le90_to_xyxy(rows[:, BOX]) if turned else rows[:, BOX]
        limits = boxes.new_tensor([width, height, width, height])
        boxes = torch.minimum(boxes.clamp(min=0), limits)
        usable = (rows[:, LABEL] >= 0) & (rows[:, IGNORED] <= 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        rows = rows[usable]
        truth = {"boxes": boxes[usable], "labels": rows[:, LABEL].long() + self.detector.family.first}
        if turned:
            truth["masks"] = filled(rows[:, BOX], (height, width)).to(torch.uint8)
        elif self.detector.target == "instances":
            small = of_objects(layers[None], rows[None, :, ID])[0]
            truth["masks"] = enlarged(small, truth["boxes"]).to(torch.uint8)
        return truth


@contextmanager
def measured_by(network: Any, loss: BoxLoss | None) -> Iterator[None]:
    """Within, the boxes of a RetinaNet or FCOS are measured by ``loss``, unless that is the network's own."""
    if loss is None or function_of(loss) in OWN or not hasattr(getattr(network, "head", None), "compute_loss"):
        yield
        return
    own = network.head.compute_loss

    def compute(targets: Any, outputs: Any, anchors: Any, matched: Any) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = own(targets, outputs, anchors, matched)
        return parts | {"bbox_regression": _box_loss(network, loss, targets, outputs, anchors, matched)}

    network.head.compute_loss = compute
    try:
        yield
    finally:
        del network.head.compute_loss


def _box_loss(network: Any, loss: BoxLoss, targets: Any, outputs: Any, anchors: Any, matched: Any) -> Tensor:
    """The mean of ``loss`` over all anchors with an object."""
    coder = network.box_coder
    decode = coder.decode_single if hasattr(coder, "decode_single") else coder.decode
    total, count = outputs["bbox_regression"].sum() * 0, 0
    for target, numbers, anchor, index in zip(targets, outputs["bbox_regression"], anchors, matched, strict=True):
        some = torch.where(index >= 0)[0]
        if len(some):
            total = total + loss(decode(numbers[some], anchor[some]), target["boxes"][index[some]]).sum()
            count += len(some)
    return total / max(1, count)


def detector(
    name: str,
    *,
    builder: str,
    num_outputs: int,
    image_size: tuple[int, int],
    target: str = "boxes",
    pretrained: Pretrained = "auto",
) -> Built:
    """torchvision's ``builder`` (fasterrcnn_*, maskrcnn_*, retinanet_*, fcos_* or ssdlite320_*).

    Args:
        name: The model's name, for messages.
        builder: A name out of ``torchvision.models.list_models(module=torchvision.models.detection)``.
        num_outputs: Classes, background not among them.
        image_size: (height, width) in pixels, which the anchors follow.
        target: boxes, rotated_boxes or instances; the latter two need a maskrcnn.
        pretrained: Whether to begin with weights learned on COCO or, where only those can be had, with a backbone
            learned on ImageNet. A backbone that comes with weights keeps the statistics of its BatchNorm.

    Raises:
        ConfigError: ``pretrained=True`` without weights to be had.
    """
    weights, origin = choose(detection_weights(builder), pretrained, name=name)
    family = FAMILIES[builder.partition("_")[0]]
    network: Any = published(builder, None, num_classes=num_outputs + family.first)
    if weights is not None:
        state = published(builder, weights).state_dict()
        network.load_state_dict({k: v for k, v in state.items() if not inside(k, family.classes)}, strict=False)
    _scale_anchors(network, min(image_size) / USUAL)
    if hasattr(network, "score_thresh"):
        network.score_thresh = min(network.score_thresh, LEAST)
    module = Detector(network, family, target=target)
    if weights is not None:
        module.keep_statistics()
    built = Built(module, origin=origin, head=tuple(f"network.{part}" for part in family.head))
    return built._replace(mean=HALF, std=HALF) if builder.startswith("ssdlite") else built


def detection_weights(builder: str) -> list[Any]:
    """torchvision's weights for the whole of ``builder``, then those for its backbone alone."""
    if builder.startswith("ssdlite"):  # its backbone is cut down where it begins with ImageNet's weights
        return list(get_model_weights(builder))
    backbone = builder.partition("_")[2].removesuffix("_v2").removesuffix("_fpn")
    return [*get_model_weights(builder), *imagenet_weights(backbone)]


def _scale_anchors(network: Any, scale: float) -> None:
    """Resize the anchors of a network that has any; FCOS has strides instead, SSD shares of the image."""
    owner = network.rpn if hasattr(network, "rpn") else network
    anchors = owner.anchor_generator
    if isinstance(anchors, AnchorGenerator) and anchors.num_anchors_per_location()[0] > 1:
        sizes = tuple(tuple(size * scale for size in level) for level in anchors.sizes)
        owner.anchor_generator = AnchorGenerator(sizes, anchors.aspect_ratios)


def _as_float(module: nn.Module, args: Any, output: Any) -> Any:
    """A forward hook: the output's tensors, however nested, in float32."""
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return type(output)((name, _as_float(module, args, value)) for name, value in output.items())
    return type(output)(_as_float(module, args, value) for value in output)
