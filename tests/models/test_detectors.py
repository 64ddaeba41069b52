"""torchvision's detectors: one step and one look on tiny images, weights, losses, float32 under autocast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torchvision.models import detection as theirs
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, ResNet

from visrun.boxes import canonical, rotated_iou
from visrun.build import load, narrow
from visrun.detection import losses
from visrun.models import create, detectors
from visrun.models.detectors import AsIs, Detector, Pending, detection_weights, measured_by
from visrun.models.freezing import FixedBatchNorm2d
from visrun.models.weights import Built, cached
from visrun.tables import MODELS, TASKS

SIDE = 96
CASES = [
    (name, task, TASKS[task].target)
    for name, entry in MODELS.items()
    if str(entry.build).startswith("visrun.models.detectors:")
    for task in entry.tasks
]
HEAVY = pytest.mark.slow


def scene(target: str) -> tuple[Tensor, Tensor]:
    """Two images: objects of two classes, an ignored one and one without an area; and none."""
    boxes = [[20.0, 30, 60, 70], [50.0, 10, 90, 40], [5.0, 5, 20, 20], [40.0, 40, 40, 60]]
    if target == "rotated_boxes":
        boxes = [[40.0, 50, 44, 30, 0.4], [70.0, 25, 40, 20, -1.0], [12.0, 12, 15, 12, 0.0], [40.0, 50, 20, 0, 0.0]]
    rows = torch.full((2, 6, 3 + len(boxes[0])), -1.0)
    for i, (box, label, ignored) in enumerate(zip(boxes, (2, 0, 1, 1), (0, 0, 1, 0), strict=True)):
        rows[0, i] = torch.tensor([label, ignored, i + 1, *box])
    masks = torch.zeros(2, 2, SIDE // 4, SIDE // 4, dtype=torch.int16)
    masks[0, 0, 8:17, 5:15] = 1
    masks[0, 1, 3:10, 13:22] = 2
    return rows, masks


def small(name: str, target: str) -> Built:
    """A network of random weights with few proposals and detections, if it has proposals."""
    torch.manual_seed(0)
    built = create(name, num_outputs=3, image_size=SIDE, pretrained=False, target=target)
    if hasattr(built.module.network, "rpn"):
        built.module.network.rpn._post_nms_top_n = {"training": 6, "testing": 6}
        built.module.network.roi_heads.detections_per_img = 3
    return built


@HEAVY
@pytest.mark.parametrize(("name", "task", "target"), CASES)
def test_one_step_and_one_look(name: str, task: str, target: str) -> None:
    built = small(name, target)
    rows, masks = scene(target)
    images = torch.randn(2, 3, SIDE, SIDE)
    parts = built.module(images).losses(rows, masks, load(TASKS[task].losses["default"]))
    torch.stack(list(parts.values())).sum().backward()
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in parts.values())
    assert all(torch.isfinite(p.grad).all() for p in built.module.parameters() if p.grad is not None)
    with torch.no_grad():
        found = built.module.eval()(images)
    width = 5 if target == "rotated_boxes" else 4
    assert found["boxes"].shape == (2, detectors.MOST, width)
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert found["labels"].dtype == torch.int64
    assert set(found["labels"].unique().tolist()) <= {-1, 0, 1, 2}
    assert ((found["labels"] < 0) == (found["scores"] == 0)).all()
    if target == "instances":
        assert found["masks"].shape == (2, detectors.MOST, SIDE // 4, SIDE // 4)
        assert found["masks"].dtype == torch.uint8
    for head in built.head:
        built.module.get_submodule(head)


def thin(*, weights: None, progress: bool, **options: Any) -> nn.Module:
    """Stands for torchvision's ResNet-50."""
    return ResNet(BasicBlock, [1, 1, 1, 1], **options)


def heard(module: Any) -> list[Tensor]:
    """What its body and its last layers will say from now on."""
    said: list[Tensor] = []
    for part in ("backbone", *module.family.last):
        module.network.get_submodule(part).register_forward_hook(lambda _, __, out: said.extend(tree_leaves(out)))
    return said


@HEAVY
@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet", "retinanet", "fcos", "ssdlite", "maskrcnn"])
def test_under_autocast_gradients_are_finite_boxes_and_losses_float32(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network of each family, on a thin body: bfloat16 takes a CPU some twenty times as long."""
    for family in (theirs.faster_rcnn, theirs.mask_rcnn, theirs.retinanet, theirs.fcos):
        monkeypatch.setattr(family, "resnet50", thin)
    module = small(name, "instances" if name == "maskrcnn" else "boxes").module
    rows, masks = torch.full((2, 2, 7), -1.0), torch.zeros(2, 1, 8, 8, dtype=torch.int16)
    rows[0, 0] = torch.tensor([2.0, 0, 1, 4, 8, 28, 24])
    masks[0, 0, 2:6, 1:7] = 1
    images, said = torch.randn(2, 3, 128, 128), heard(module)  # of one pixel, bfloat16 leaves P7's gradient to chance
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = module(images).losses(rows, masks)
    torch.stack(list(parts.values())).sum().backward()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = module.eval()(images[:1])
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in parts.values())
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert {value.dtype for value in said} == {torch.float32}


class Steady(nn.Module):
    """Stands for a network of torchvision that always finds the same."""

    def __init__(self, found: list[dict[str, Tensor]]) -> None:
        super().__init__()
        self.backbone, self.last, self.found = nn.Identity(), nn.Identity(), found
        self.told: Any = None

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        self.told = targets
        if targets is not None:
            return {"loss": images.sum() * 0}
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        return self.transform.postprocess([dict(one) for one in self.found], sizes, sizes)


FAMILY = detectors.Family(1, (), (), ("last",))


def test_what_it_found_in_the_contracts_words() -> None:
    masks = torch.ones(2, 1, 28, 28)
    found = {
        "boxes": torch.tensor([[8.0, 8, 24, 16], [0.0, 0, 32, 32]]),
        "scores": torch.tensor([0.9, 0.6]),
        "labels": torch.tensor([3, 1]),
        "masks": masks,
    }
    nothing = {name: values[:0] for name, values in found.items()}
    said = Detector(Steady([found, nothing]), FAMILY, target="instances").eval()(torch.zeros(2, 3, 64, 64))
    assert said["labels"][0, :3].tolist() == [2, 0, -1]
    assert (said["labels"][1] == -1).all()
    assert (said["masks"][0, 0, 2:4, 2:6] == 255).all()
    assert said["masks"][0, 0].sum() == 255 * 8


def test_a_turned_box_is_the_rectangle_around_its_mask() -> None:
    from visrun.detection.masks import filled

    true = torch.tensor([[40.0, 40.0, 40.0, 16.0, 0.6]])
    drawn = filled(true, (80, 80)).float()[:, None]
    found = {
        "boxes": torch.tensor([[0.0, 0.0, 80.0, 80.0], [0.0, 0.0, 9.0, 9.0]]),
        "scores": torch.tensor([0.9, 0.8]),
        "labels": torch.tensor([1, 1]),
        "masks": torch.cat([drawn, torch.zeros_like(drawn)]),
    }
    said = Detector(Steady([found]), FAMILY, target="rotated_boxes").eval()(torch.zeros(1, 3, 80, 80))
    assert (said["labels"] >= 0).sum() == 1  # an empty mask has no box
    box = said["boxes"][0, :1]
    assert torch.equal(box, canonical(box))
    assert rotated_iou(box, true).item() > 0.85


@pytest.mark.parametrize("target", ["boxes", "rotated_boxes", "instances"])
def test_what_it_is_told(target: str) -> None:
    rows, masks = scene(target)
    network = Steady([])
    detector = Detector(network, FAMILY, target=target)
    pending = detector(torch.zeros(2, 3, SIDE, SIDE))
    assert isinstance(pending, Pending)
    pending.losses(rows, masks)
    first, second = network.told
    assert first["labels"].tolist() == [3, 1]  # the ignored one and the one without an area are left out
    assert first["boxes"].shape == (2, 4) and second["boxes"].shape == (0, 4)
    assert (first["boxes"] >= 0).all() and (first["boxes"] <= SIDE).all()
    if target != "boxes":
        assert first["masks"].shape == (2, SIDE, SIDE) and second["masks"].shape == (0, SIDE, SIDE)
        assert first["masks"].dtype == torch.uint8
        assert first["masks"].sum((1, 2)).float().tolist() == pytest.approx(
            [44 * 30, 40 * 20] if target == "rotated_boxes" else [16 * 90, 16 * 63], rel=0.03
        )


def test_an_object_between_the_masks_cells_does_not_teach_an_empty_mask() -> None:
    """One between the cells, and one without a number, as all beyond those that masks have room for."""
    rows, masks = scene("instances")
    rows[0, 2:4] = torch.tensor([[1.0, 0, 3, 71, 72, 74, 75], [0.0, 0, 0, 80, 80, 90, 84]])
    network = Steady([])
    Detector(network, FAMILY, target="instances")(torch.zeros(2, 3, SIDE, SIDE)).losses(rows, masks)
    told = network.told[0]["masks"]
    assert told.flatten(1).sum(1).tolist() == [16 * 90, 16 * 63, 9, 40]
    assert told[2, 72:75, 71:74].all() and told[3, 80:84, 80:90].all()


@HEAVY
@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_a_chosen_loss_measures_the_boxes(name: str) -> None:
    module, (rows, masks) = small(name, "boxes").module, scene("boxes")
    images = torch.randn(2, 3, SIDE, SIDE)
    heard = []

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        heard.append((prediction, target))
        return losses.diou(prediction, target)

    pending = module(images)
    with torch.no_grad():
        own, chosen = pending.losses(rows, masks), pending.losses(rows, masks, loss)
    assert own.keys() == chosen.keys()
    torch.testing.assert_close(own["classification"], chosen["classification"])
    expected = torch.cat([losses.diou(p, t) for p, t in heard]).mean()
    assert chosen["bbox_regression"].item() == pytest.approx(expected.item(), rel=1e-4)
    true = rows[0, :2, 3:].tolist()
    assert all(target.tolist()[0] in true for _, target in heard)
    torch.testing.assert_close(pending.losses(rows, masks), own)  # nothing is left behind
    if name == "fcos":  # whose own loss is GIoU
        same = pending.losses(rows, masks, losses.giou)
        torch.testing.assert_close(same["bbox_regression"], own["bbox_regression"], rtol=1e-3, atol=1e-4)


def default(prediction: Tensor, target: Tensor) -> Tensor:
    """A plugin's, of the name that a loss of visrun has."""
    return losses.giou(prediction, target)


OWN = [None, losses.default, losses.default_mask, losses.default_rotated, losses.bce_mask]


@pytest.mark.parametrize(
    ("loss", "stays"),
    [*((loss, True) for loss in OWN), (narrow(losses.default, {"beta": 1.0}), True), (default, False)],
)
def test_its_own_loss_stays(loss: Any, stays: bool) -> None:
    network = nn.Module()
    network.head = nn.Module()
    network.head.compute_loss = own = lambda: None  # type: ignore[assignment]
    with measured_by(network, loss):
        assert (network.head.compute_loss is own) == stays


@pytest.mark.parametrize(
    ("name", "task", "loss"),
    [
        ("fasterrcnn", "object_detection", "giou"),
        ("ssdlite", "object_detection", "ciou"),
        ("maskrcnn", "instance_segmentation", "dice"),
        ("maskrcnn_v2", "oriented_object_detection", "rotated_iou"),
    ],
)
def test_a_loss_that_it_cannot_honour_is_refused_by_name(name: str, task: str, loss: str) -> None:
    from visrun.config.compose import resolve
    from visrun.errors import ConfigError

    with pytest.raises(ConfigError, match=f"loss={loss}: this model takes default"):
        resolve([f"task={task}", f"model={name}", f"loss={loss}"])


def test_anchors_follow_the_training_size() -> None:
    def sizes(side: int) -> Any:
        built = create("fasterrcnn_mobilenet", num_outputs=2, image_size=side, pretrained=False, target="boxes")
        return built.module.network.rpn.anchor_generator.sizes

    assert sizes(800)[0] == pytest.approx((32, 64, 128, 256, 512))
    assert sizes(400)[0] == pytest.approx((16, 32, 64, 128, 256))


def test_images_pass_as_they_are() -> None:
    images = torch.randn(2, 3, 40, 56)
    listed, targets = AsIs(4)(images, "kept")
    assert listed.tensors is images
    assert listed.image_sizes == [(40, 56)] * 2
    assert targets == "kept"


def test_weights_are_looked_for_on_the_whole_first() -> None:
    names = [str(weights) for weights in detection_weights("retinanet_resnet50_fpn_v2")]
    assert names[0] == "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"
    assert names[1:] == ["ResNet50_Weights.IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V1"]
    assert [str(w) for w in detection_weights("fasterrcnn_mobilenet_v3_large_fpn")][1:][0].startswith("MobileNet_V3")
    assert len(detection_weights("ssdlite320_mobilenet_v3_large")) == 1


@HEAVY
def test_published_weights_leave_the_classes_new(hub: Path) -> None:
    published = theirs.SSDLite320_MobileNet_V3_Large_Weights.COCO_V1
    whole = theirs.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    hub.mkdir(parents=True)
    torch.save(whole.state_dict(), cached(published.url))
    built = create("ssdlite", num_outputs=90, image_size=320, target="boxes")
    assert built.origin.startswith("pretrained SSDLite320")
    assert built.mean == built.std == (0.5, 0.5, 0.5)
    mine, other = built.module.network.state_dict(), whole.state_dict()
    same = {name for name, value in mine.items() if torch.equal(value, other[name])}
    assert "head.classification_head.module_list.0.1.weight" not in same  # though it would fit
    assert "head.regression_head.module_list.0.1.weight" in same
    norms = [m for m in built.module.network.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(isinstance(norm, FixedBatchNorm2d) for norm in norms)
    plain = create("ssdlite", num_outputs=90, image_size=320, target="boxes", pretrained=False)
    assert plain.module.load_state_dict(built.module.state_dict())  # a trained one is built without weights


@HEAVY
def test_weights_of_a_file_keep_their_statistics_as_published_ones_do(tmp_path: Path) -> None:
    torch.save(get_model("mobilenet_v3_large").state_dict(), tmp_path / "body.pt")
    how: dict[str, Any] = {"num_outputs": 2, "image_size": SIDE, "target": "boxes", "pretrained": False}
    for weights, fixed in ((tmp_path / "body.pt", True), (None, False)):
        built = create("fasterrcnn_mobilenet", weights=weights, **how)
        norms = [one for one in built.module.network.backbone.modules() if isinstance(one, nn.BatchNorm2d)]
        assert norms and all(isinstance(one, FixedBatchNorm2d) == fixed for one in norms)


def test_deep_copies_keep_float32() -> None:
    from copy import deepcopy

    copied = deepcopy(small("ssdlite", "boxes").module).eval()
    said = heard(copied)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert copied(torch.randn(1, 3, SIDE, SIDE))["boxes"].dtype == torch.float32
    assert {value.dtype for value in said} == {torch.float32}
