"""What the dense detector minimises: class, box and mask of each location that was given an object.

Static shapes on a GPU and nothing read back from it, so that a step can be a CUDA graph; float32 whatever the network
runs in. Legend: B images, M objects, L locations, K classes, N masks learnt in an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.batch import Batch
from visrun.boxes import iou, probiou, xyxy_to_le90
from visrun.data.objects import BOX, ID, IGNORED, LABEL
from visrun.detection.assign import Assigned, assign
from visrun.detection.decode import Output, looks
from visrun.detection.losses import BoxLoss
from visrun.detection.masks import MARGIN, between_cells, logits_of, of_objects, within
from visrun.device import full_precision
from visrun.errors import ConfigError

MaskLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

# Of all parts together. Means over objects are small beside the sums that SGD's usual rate for detectors, 0.005, was
# found for; and Adam, whose steps do not see it, trains better where the limit on the gradient (`run.clip`) binds.
GAIN = 12.0
BOX_GAIN = 2.0  # of a box's loss beside that of its class
BACKGROUND, GAMMA = 0.75, 2.0  # focal weights of background (arXiv 1708.02002), so that much of it counts little
MASKS = 100  # locations of an image whose masks are learnt in a step
# What a plugin's detector is told that gives something else.
CONTRACT = "detectors give: points, classes and boxes as visrun/models/dense.py has them, or an object with losses()"
GOLDEN = (5**0.5 - 1) / 2  # steps of this share of a circle never meet and leave no large gap


def learn(output: Any, batch: Batch, *, chosen: BoxLoss | None, **how: Any) -> dict[str, Tensor]:
    """The named losses of a detector's output.

    Args:
        output: Of a dense detector; or what another one gives in training, which has ``losses(target, masks, loss)``,
            and in evaluation, where it has none.
        batch: Has ``target`` and ``masks``.
        chosen: Of boxes, for a detector with losses of its own; None = all are its own.
        how: As in :func:`losses`.

    Raises:
        ConfigError: A plugin's model gives something else, or its loss not one value for each pair.
    """
    if not isinstance(output, Mapping) and not hasattr(output, "losses"):
        raise ConfigError(f"the model gives {type(output).__name__} in training, not what {CONTRACT}")
    if not isinstance(output, Mapping):
        parts: dict[str, Tensor] = output.losses(batch.target, batch.masks, chosen)
        return parts
    if "points" in output and (lacking := {"classes", "boxes"} - output.keys()):
        raise ConfigError(f"the model's output lacks {' and '.join(sorted(lacking))}, which {CONTRACT}")
    return losses(output, batch.target, batch.masks, **how) if "points" in output else {}


def losses(
    output: Output,
    target: Tensor,
    masks: Tensor,
    *,
    box_loss: BoxLoss,
    mask_loss: MaskLoss | None = None,
    class_weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """``class``, ``box``, with a second look ``coarse`` for the boxes before it, and with a ``mask_loss`` ``mask``.

    Each is a mean over the locations that have an object.

    Args:
        output: Of the network.
        target: (B, M, C) as batches carry it, columns as in :mod:`visrun.data.objects`.
        masks: (B, layers, h, w) numbers of objects; read where the network has prototypes.
        box_loss: (B, L, 4 or 5) boxes found and true -> (B, L).
        mask_loss: (B, N, h, w) logits, true masks, pixels that count -> (B, N).
        class_weight: (K,) weight of each class, or None.
    """
    with full_precision(target.device):
        boxes, truth = looks(output), target[..., BOX]
        found = boxes[-1]
        given = _assigned(output["points"][0].float(), target)
        wanted = truth.gather(1, given.row[..., None].expand(-1, -1, truth.shape[2]))
        wanted = torch.where(given.positive[..., None], wanted, found.detach())
        quality = _quality(found.detach(), wanted, given.positive)
        labels = target[..., LABEL].long().gather(1, given.row)
        count = given.positive.sum().clamp(min=1)
        weight = given.positive.float()
        if class_weight is not None:
            weight = weight * class_weight[labels.clamp(min=0)]
        terms = _class_terms(output["classes"].float(), labels, quality, given, class_weight)
        parts = {"class": terms.sum() / count}
        for name, said in zip(("box", "coarse"), reversed(boxes), strict=False):
            to_learn = torch.where(given.positive[..., None], wanted, said.detach())
            parts[name] = BOX_GAIN * (_of_each(box_loss(said, to_learn), weight) * weight).sum() / count
        if mask_loss is not None:
            parts["mask"] = _mask_loss(output, target, masks, given, wanted, mask_loss)
        return {name: GAIN * part for name, part in parts.items()}


def _of_each(values: Any, pairs: Tensor) -> Tensor:
    """What a loss gives, refused where that is not one value for each of the ``pairs``, as a mean is not."""
    if not isinstance(values, Tensor) or values.shape != pairs.shape:
        given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        wanted = f"one for each pair {tuple(pairs.shape)}, as those of visrun/detection/losses.py do"
        raise ConfigError(f"the loss gives {given}, not {wanted}: leave out its mean")
    return values


def _assigned(points: Tensor, target: Tensor) -> Assigned:
    target = _filled(target)
    boxes, there = target[..., BOX], target[..., LABEL] >= 0
    if boxes.shape[-1] == 4:
        boxes = xyxy_to_le90(boxes)
    ignored = target[..., IGNORED] > 0
    return assign(points, boxes, real=there & ~ignored, ignored=there & ignored)


def _filled(target: Tensor) -> Tensor:
    """The first rows of ``target``, up to the last one that any of its images fills, at least one.

    On the CPU, where each row costs as much as an object; a GPU would have to be waited for.
    """
    if target.device.type != "cpu":
        return target
    filled = (target[..., LABEL] >= 0).any(0).nonzero()
    return target[:, : int(filled.max()) + 1 if len(filled) else 1]


def _quality(found: Tensor, wanted: Tensor, positive: Tensor) -> Tensor:
    """(B, L) how well each location's box fits its object, in [0, 1]; 0 where there is none.

    IoU, and ProbIoU of turned boxes, whose exact IoU costs much for what only ranks detections.
    """
    overlap = iou if found.shape[2] == 4 else probiou
    return torch.where(positive, overlap(found, wanted), 0.0)


def _class_terms(
    logits: Tensor, labels: Tensor, quality: Tensor, given: Assigned, class_weight: Tensor | None
) -> Tensor:
    """(B, L, K) cross-entropy against the quality of the box, which so becomes the score (arXiv 2008.13367, eq. 2).

    Other than there an object counts fully however bad its box still is: early, when boxes are bad, a rare class would
    otherwise not be learnt.
    """
    classes = torch.arange(logits.shape[2], device=logits.device)
    right = given.positive[..., None] & (labels[..., None] == classes)
    goal = torch.where(right, quality[..., None], 0.0)
    terms = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    weight = torch.where(right, 1.0, BACKGROUND * logits.sigmoid() ** GAMMA)
    if class_weight is not None:
        weight = weight * class_weight
    return terms * weight * given.counted[..., None]


def _mask_loss(
    output: Output, target: Tensor, masks: Tensor, given: Assigned, wanted: Tensor, mask_loss: MaskLoss
) -> Tensor:
    """The mean over up to ``MASKS`` locations an image of those with an object that has a mask and a cell in it.

    They are picked at random; in evaluation, where nothing learns, always the same, spread over the image.
    """
    numbers = target[..., ID].gather(1, given.row)
    usable = given.positive & (numbers > 0)
    order = torch.rand_like(numbers) if torch.is_grad_enabled() else _spread(numbers)
    draw = torch.where(usable, order + 1, 0.0)
    draw, chosen = draw.topk(_room(usable), 1)
    used = draw > 0
    coefficients = output["coefficients"]
    coefficients = coefficients.gather(1, chosen[..., None].expand(-1, -1, coefficients.shape[2]))
    logits = logits_of(coefficients, output["prototypes"])
    truth = of_objects(masks, torch.where(used, numbers.gather(1, chosen), 0.0))
    used = used & ~between_cells(truth)
    boxes = wanted.gather(1, chosen[..., None].expand(-1, -1, 4))
    inside = within(boxes, (logits.shape[2], logits.shape[3]), margin=MARGIN) & used[..., None, None]
    return (_of_each(mask_loss(logits, truth.float(), inside), used) * used).sum() / used.sum().clamp(min=1)


def _room(usable: Tensor) -> int:
    """How many masks of an image are learnt: ``MASKS``; on the CPU, where each costs, no more than any image has."""
    most = min(MASKS, usable.shape[1])
    return min(most, max(1, int(usable.sum(1).max()))) if usable.device.type == "cpu" else most


def _spread(rows: Tensor) -> Tensor:
    """Numbers in [0, 1) for (B, L) locations: the largest of any of these rows lie evenly among them."""
    steps = torch.arange(rows.shape[1], device=rows.device, dtype=torch.float64) * GOLDEN
    return steps.remainder(1).to(rows.dtype).expand_as(rows)
