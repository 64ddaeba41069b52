"""What the dense detector minimises: parts, empty images, weights, and that a CUDA graph could hold it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.build import load
from visrun.data.objects import MASK_STRIDE
from visrun.detection import losses as choices
from visrun.detection import objective
from visrun.detection.decode import boxes_of, detections
from visrun.detection.objective import BOX_GAIN, GAIN, learn, losses
from visrun.errors import ConfigError
from visrun.models.dense import small_detector
from visrun.tables import TASKS

SIDE = 64
KINDS = {
    "boxes": "object_detection",
    "rotated_boxes": "oriented_object_detection",
    "instances": "instance_segmentation",
}


def target_of(kind: str, *objects: list[float], rows: int = 4) -> Tensor:
    """(1, rows, C) of objects (label, ignored, number, box)."""
    target = torch.full((1, rows, 8 if kind == "rotated_boxes" else 7), -1.0)
    for row, numbers in enumerate(objects):
        target[0, row] = torch.tensor(numbers)
    return target


def scene(kind: str) -> tuple[Tensor, Tensor]:
    """Two images, the second without objects; and masks of the first one's."""
    shapes = ([10.0, 12, 40, 36], [36.0, 30, 60, 62])
    if kind == "rotated_boxes":
        shapes = ([25.0, 24, 30, 16, 0.4], [48.0, 46, 32, 20, -0.8])
    first = target_of(kind, [1, 0, 1, *shapes[0]], [0, 0, 2, *shapes[1]])
    masks = torch.zeros(2, 2, SIDE // MASK_STRIDE, SIDE // MASK_STRIDE, dtype=torch.int16)
    masks[0, 0, 3:9, 3:10] = 1
    masks[0, 1, 8:15, 9:15] = 2
    return torch.cat([first, target_of(kind)]), masks


def network(kind: str, *, classes: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)
    return small_detector(num_outputs=classes, target=kind).module


def how(kind: str, name: str = "default") -> dict[str, Any]:
    chosen = load(TASKS[KINDS[kind]].losses[name])
    return {"box_loss": choices.giou, "mask_loss": chosen} if kind == "instances" else {"box_loss": chosen}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, task in KINDS.items() for name in TASKS[task].losses]
)
def test_every_loss_of_every_task_has_finite_gradients(kind: str, name: str) -> None:
    module, (target, masks) = network(kind), scene(kind)
    parts = losses(module(torch.randn(2, 3, SIDE, SIDE)), target, masks, **how(kind, name))
    more = {"boxes": [], "rotated_boxes": ["coarse"], "instances": ["mask"]}
    assert list(parts) == ["class", "box", *more[kind]]
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert all(value.item() > 0 for value in parts.values())
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert len(gradients) == len(list(module.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_objects_teach_background_only(kind: str) -> None:
    module = network(kind)
    target = torch.cat([target_of(kind), target_of(kind)])
    parts = losses(module(torch.randn(2, 3, SIDE, SIDE)), target, scene(kind)[1], **how(kind))
    assert parts["class"].item() > 0
    assert all(value.item() == 0 for name, value in parts.items() if name != "class")
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filled", [[], [0], [5, 2]])
def test_rows_that_no_image_of_the_batch_fills_cost_nothing(
    kind: str, filled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses are those of all rows, to the bit."""
    seen, real, cut = [], objective.assign, objective._filled

    def counted(points: Tensor, boxes: Tensor, **how: Tensor) -> Any:
        seen.append(boxes.shape[1])
        return real(points, boxes, **how)

    monkeypatch.setattr(objective, "assign", counted)
    target = target_of(kind, rows=300).repeat(2, 1, 1)
    for image, row in enumerate(filled):
        target[image, row] = scene(kind)[0][0, image]
    output, told = network(kind)(torch.randn(2, 3, SIDE, SIDE)), []
    for chosen in (cut, lambda whole: whole):
        monkeypatch.setattr(objective, "_filled", chosen)
        torch.manual_seed(1)
        told.append({name: part.item() for name, part in losses(output, target, scene(kind)[1], **how(kind)).items()})
    assert told[0] == told[1] and seen == [max([0, *filled]) + 1, 300]


@pytest.mark.parametrize("usable", [[], [3], [0, 1, 2, 9]])
def test_masks_that_no_image_of_the_batch_has_cost_nothing(usable: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many are learnt as the image has that has most; the loss is that of all places, to the bit or nearly so."""
    there = torch.zeros(2, 12, dtype=torch.bool)
    there[1, usable] = True
    assert objective._room(there) == max(1, len(usable))
    assert objective._room(torch.ones(1, 500, dtype=torch.bool)) == objective.MASKS
    output, real, seen = network("instances")(torch.randn(2, 3, SIDE, SIDE)), objective._room, []
    for chosen in (real, lambda usable: min(objective.MASKS, usable.shape[1])):
        monkeypatch.setattr(objective, "_room", chosen)
        torch.manual_seed(1)
        seen.append(losses(output, *scene("instances"), **how("instances"))["mask"])
    torch.testing.assert_close(*seen, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [0.0, 1e-3, 1e5])
def test_objects_of_any_size_have_finite_losses(kind: str, side: float) -> None:
    shape = [30.0, 30.0, side, side, 0.3] if kind == "rotated_boxes" else [30.0, 30.0, 30.0 + side, 30.0 + side]
    module = network(kind)
    parts = losses(
        module(torch.randn(1, 3, SIDE, SIDE)), target_of(kind, [0, 0, 1, *shape]), scene(kind)[1][:1], **how(kind)
    )
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert all(torch.isfinite(value) for value in parts.values())
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def said(*, logit: float, raw: float = 1.0) -> dict[str, Tensor]:
    """An output that says the same at all of 8 x 8, 4 x 4 and 2 x 2 locations, of two classes."""
    from visrun.models.dense import points_of

    points = points_of([(8, 8), (4, 4), (2, 2)], (8, 16, 32), torch.device("cpu"))
    count = len(points)
    return {
        "points": points[None],
        "classes": torch.full((1, count, 2), logit),
        "boxes": torch.full((1, count, 4), raw),
    }


def test_classes_by_hand() -> None:
    """One object that nine locations learn; its quality is the IoU of what they say."""
    output = said(logit=-1.0)
    target = target_of("boxes", [1, 0, 0, 4.0, 4.0, 52.0, 52.0])
    parts = losses(output, target, torch.zeros(1, 0), box_loss=choices.giou)
    chosen = (output["points"][0, :, 2] == 8) & ((output["points"][0, :, :2] - 28).abs() <= 8).all(1)
    assert chosen.sum() == 9
    boxes = boxes_of(output)[0]
    from torchvision.ops import box_iou, generalized_box_iou

    truth = target[0, :1, 3:]
    quality = box_iou(boxes, truth)[:, 0]
    p = torch.tensor(-1.0).sigmoid()
    background = 0.75 * p**2 * F.softplus(torch.tensor(-1.0))
    learnt = sum(F.binary_cross_entropy_with_logits(torch.tensor(-1.0), q) for q in quality[chosen])
    others = 2 * len(boxes) - 9
    assert parts["class"].item() == pytest.approx((GAIN * (learnt + others * background) / 9).item(), rel=1e-4)
    expected = GAIN * BOX_GAIN * (1 - generalized_box_iou(boxes[chosen], truth)).mean()
    assert parts["box"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_both_looks_are_learnt_each_by_its_own_boxes() -> None:
    """What one says wrong does not count for the other; at first, both say the same."""
    module, (target, masks) = network("rotated_boxes").eval(), scene("rotated_boxes")
    output = module(torch.randn(2, 3, SIDE, SIDE))
    before = losses(output, target, masks, **how("rotated_boxes"))
    assert before["box"].item() == pytest.approx(before["coarse"].item(), rel=1e-6)
    output["refinements"] = output["refinements"] + 0.3
    after = losses(output, target, masks, **how("rotated_boxes"))
    assert after["coarse"].item() == before["coarse"].item()
    assert after["box"].item() != pytest.approx(before["box"].item(), rel=1e-3)


def test_locations_in_ignored_objects_do_not_count() -> None:
    nothing = target_of("boxes")
    everywhere = target_of("boxes", [0, 1, 0, -10.0, -10.0, 80.0, 80.0])
    some = losses(said(logit=0.0), nothing, torch.zeros(1, 0), box_loss=choices.giou)
    none = losses(said(logit=0.0), everywhere, torch.zeros(1, 0), box_loss=choices.giou)
    assert some["class"].item() > 0
    assert none["class"].item() == 0


def test_class_weights_scale_the_classes() -> None:
    target = target_of("boxes", [1, 0, 0, 4.0, 4.0, 52.0, 52.0])
    plain = losses(said(logit=0.0), target, torch.zeros(1, 0), box_loss=choices.giou)
    weighted = losses(
        said(logit=0.0), target, torch.zeros(1, 0), box_loss=choices.giou, class_weight=torch.tensor([0.0, 3.0])
    )
    assert weighted["box"].item() == pytest.approx(3 * plain["box"].item(), rel=1e-5)
    assert weighted["class"].item() != pytest.approx(plain["class"].item(), rel=0.01)


def test_masks_of_unmasked_objects_are_not_learnt() -> None:
    module, (target, masks) = network("instances"), scene("instances")
    target[..., 2] = 0
    parts = losses(module(torch.randn(2, 3, SIDE, SIDE)), target, masks, **how("instances"))
    assert parts["mask"].item() == 0


def test_an_object_that_no_cell_shows_does_not_teach_an_empty_mask() -> None:
    """The loss is that of the other one alone, and of none where no cell shows either."""
    module, (target, masks) = network("instances"), scene("instances")
    output, alone = module(torch.randn(2, 3, SIDE, SIDE)), target.clone()
    alone[0, 1, 2] = 0
    parts = [losses(output, target, masks * (masks == 1), **how("instances"))["mask"]]
    parts += [losses(output, alone, masks, **how("instances"))["mask"]]
    assert parts[0].item() == pytest.approx(parts[1].item(), rel=1e-6) and parts[0].item() > 0
    assert losses(output, target, masks * 0, **how("instances"))["mask"].item() == 0


def test_in_evaluation_the_loss_of_masks_is_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more locations with masks than are looked at; they are spread over all."""
    monkeypatch.setattr(objective, "MASKS", 3)
    module, (target, masks) = network("instances"), scene("instances")
    output = {name: value.detach() for name, value in module(torch.randn(2, 3, SIDE, SIDE)).items()}
    output["coefficients"] = torch.randn_like(output["coefficients"])
    with torch.no_grad():
        same = {losses(output, target, masks, **how("instances"))["mask"].item() for _ in range(5)}
    drawn = {losses(output, target, masks, **how("instances"))["mask"].item() for _ in range(5)}
    assert len(same) == 1 and len(drawn) > 1
    chosen = objective._spread(torch.zeros(1, 1000))[0].topk(10).indices.sort().values
    assert chosen.diff().min() >= 50 and chosen.diff().max() <= 150


def test_bf16_gives_float32_losses_near_those_of_float32() -> None:
    module, (target, masks) = network("instances"), scene("instances")
    images = torch.randn(2, 3, SIDE, SIDE)
    torch.manual_seed(1)
    plain = losses(module(images), target, masks, **how("instances"))
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(images)
        half = losses(output, target, masks, **how("instances"))
        assert detections(output, (SIDE, SIDE))["boxes"].dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in half.values())
    assert {name: value.item() for name, value in half.items()} == pytest.approx(
        {name: value.item() for name, value in plain.items()}, rel=0.05
    )


def test_other_detectors_are_told_the_target_and_have_no_loss_in_evaluation() -> None:
    heard: list[Any] = []

    class Pending:
        def losses(self, *words: Any) -> dict[str, Tensor]:
            heard.extend(words)
            return {"own": torch.ones(())}

    batch = SimpleNamespace(target=torch.zeros(1, 2, 7), masks=torch.zeros(1, 0))
    parts = learn(Pending(), batch, chosen=choices.ciou, box_loss=choices.ciou)
    assert list(parts) == ["own"]
    assert heard[0] is batch.target and heard[1] is batch.masks and heard[2] is choices.ciou
    assert learn({"scores": torch.zeros(1, 2)}, batch, chosen=None, box_loss=choices.ciou) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_images_are_learnt(kind: str) -> None:
    """Coloured rectangles on grey: after some steps each is found, with its class."""
    module, (target, masks) = network(kind), scene(kind)
    torch.manual_seed(0)
    images = 0.1 * torch.randn(2, 3, SIDE, SIDE)
    images[0, 0, 12:36, 10:40] += 2
    images[0, 2, 30:62, 36:60] += 2
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    for _ in range(60):
        parts = losses(module(images), target, masks, **how(kind))
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
    found = detections(module.eval()(images), (SIDE, SIDE))
    assert sorted(found["labels"][0, :2].tolist()) == [0, 1]
    assert (found["scores"][0, :2] > 0.5).all()
    assert (found["scores"][0, 2:] < 0.35).all() and (found["scores"][1] < 0.2).all()
    order = found["labels"][0, :2].argsort(descending=True)
    torch.testing.assert_close(found["boxes"][0, :2][order][:, :4], target[0, :2, 3:7], atol=3.5, rtol=0)
    if kind == "instances":
        mine = found["masks"][0, :2][order] > 127
        true = torch.stack([(masks[0] == k).any(0) for k in (1, 2)])
        assert ((mine & true).sum((1, 2)) / (mine | true).sum((1, 2)) > 0.8).all()


def test_a_loss_of_boxes_that_is_no_value_a_pair_is_one_line() -> None:
    target, masks = scene("boxes")
    output = network("boxes")(torch.zeros(2, 3, SIDE, SIDE))
    pairs = rf"one for each pair \({len(target)}, \d+\)"
    for given, told in (
        (lambda found, _: found.mean(), rf"the loss gives \(\), not {pairs}"),
        (lambda found, _: found, rf"the loss gives \(2, \d+, 4\), not {pairs}"),
        (lambda *_: None, rf"the loss gives NoneType, not {pairs}"),
    ):
        with pytest.raises(ConfigError, match=told):
            losses(output, target, masks, box_loss=given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (torch.zeros(2, 3), "the model gives Tensor in training, not what detectors give: points, classes and boxes"),
        (None, "the model gives NoneType in training"),
        ({"points": torch.zeros(1, 3)}, "the model's output lacks boxes and classes, which detectors give: "),
    ],
)
def test_a_network_that_is_no_detector_is_one_line(output: Any, told: str) -> None:
    target, masks = scene("boxes")
    batch = SimpleNamespace(target=target, masks=masks)
    with pytest.raises(ConfigError, match=told):
        learn(output, batch, chosen=None, box_loss=choices.giou)  # type: ignore[arg-type]
