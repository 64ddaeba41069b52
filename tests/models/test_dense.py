"""The dense detector: what it gives, how it begins, and which bodies it takes; test_export.py hands it over."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from visrun.boxes import xyxy_to_cxcywh
from visrun.detection.decode import boxes_of, coarse_boxes
from visrun.errors import ConfigError
from visrun.models import create
from visrun.models.dense import PRIOR, PROTOTYPES, DenseDetector, dense, points_of, small_detector
from visrun.models.trunks import Trunk
from visrun.models.weights import cached

TARGETS = {
    "boxes": {"classes", "boxes", "points"},
    "rotated_boxes": {"classes", "boxes", "points", "stretches", "refinements"},
    "instances": {"classes", "boxes", "points", "coefficients", "prototypes"},
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_output_is_the_same_in_training_and_evaluation(target: str) -> None:
    module = small_detector(num_outputs=3, target=target).module
    images = torch.randn(2, 3, 64, 96)
    count = 8 * 12 + 4 * 6 + 2 * 3
    for training in (True, False):
        output = module.train(training)(images)
        assert set(output) == TARGETS[target]
        assert output["classes"].shape == (2, count, 3)
        assert output["boxes"].shape == (2, count, 3 if target == "rotated_boxes" else 4)
        assert output["points"].shape == (2, count, 3)
    if target == "instances":
        assert output["coefficients"].shape == (2, count, PROTOTYPES)
        assert output["prototypes"].shape == (2, PROTOTYPES, 16, 24)


@pytest.mark.parametrize(("width", "hidden"), [(8, 8), (24, 8), (64, 32), (128, 64), (256, 64)])
def test_prototypes_are_made_in_half_the_channels_of_the_pyramid(width: int, hidden: int) -> None:
    body = small_detector(num_outputs=2, target="instances").module.backbone
    module = DenseDetector(body, num_outputs=2, target="instances", width=width, beyond=0)
    assert module.prototypes is not None and module.prototypes.last.in_channels == hidden
    assert module(torch.randn(1, 3, 64, 64))["prototypes"].shape == (1, PROTOTYPES, 16, 16)


def test_points_are_the_centres_of_their_cells() -> None:
    found = points_of([(1, 2), (1, 1)], (8, 16), torch.device("cpu"))
    assert found.tolist() == [[4.0, 4.0, 8.0], [12.0, 4.0, 8.0], [8.0, 8.0, 16.0]]


@pytest.mark.parametrize("target", TARGETS)
def test_at_first_every_location_says_the_same(target: str) -> None:
    output = small_detector(num_outputs=2, target=target).module.eval()(torch.randn(1, 3, 64, 64))
    torch.testing.assert_close(output["classes"].sigmoid(), torch.full_like(output["classes"], PRIOR))
    points, boxes = output["points"], boxes_of(output)
    centred = boxes if target == "rotated_boxes" else xyxy_to_cxcywh(boxes)
    torch.testing.assert_close(centred[..., :2], points[..., :2], atol=1e-4, rtol=0)
    torch.testing.assert_close(centred[..., 2] * centred[..., 3], (4 * points[..., 2]) ** 2)


def test_boxes_learn_nothing_from_the_class_that_their_shape_says() -> None:
    module = small_detector(num_outputs=2, target="rotated_boxes").module
    nn.init.normal_(module.shape.said.weight)
    before = module(torch.zeros(1, 3, 64, 64))["classes"]
    module.stretches.bias.data += 1
    output = module(torch.zeros(1, 3, 64, 64))
    assert not torch.allclose(output["classes"], before)
    output["classes"].sum().backward()
    assert module.shape.seen.weight.grad.abs().sum() > 0
    assert module.stretches.bias.grad is None


@pytest.mark.parametrize("target", ["boxes", "instances"])
def test_upright_boxes_are_looked_at_once_and_say_nothing_of_their_class(target: str) -> None:
    module = small_detector(num_outputs=2, target=target).module
    assert module.shape is None and module.second_look is None


def test_a_second_look_is_not_asked_before_it_has_learnt_and_then_counts() -> None:
    module = small_detector(num_outputs=2, target="rotated_boxes").module.eval()
    images = torch.randn(1, 3, 64, 64)
    before = module(images)
    assert not before["refinements"].any()
    torch.testing.assert_close(boxes_of(before), coarse_boxes(before))
    module.second_look.said.bias.data += 0.5
    after = module(images)
    torch.testing.assert_close(coarse_boxes(after), coarse_boxes(before))
    torch.testing.assert_close(after["refinements"], torch.full_like(after["refinements"], 0.5))
    torch.testing.assert_close(after["classes"], before["classes"] + 0.5)


def test_boxes_learn_nothing_from_where_the_second_look_looks() -> None:
    module = small_detector(num_outputs=2, target="rotated_boxes").module
    nn.init.normal_(module.second_look.said.weight)
    module(torch.randn(1, 3, 64, 64))["refinements"].sum().backward()
    assert module.second_look.mix.weight.grad.abs().sum() > 0
    assert module.boxes.weight.grad is None and module.stretches.weight.grad is None


def test_boxes_are_float32_also_under_autocast() -> None:
    module = small_detector(num_outputs=2, target="instances").module
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(torch.randn(1, 3, 64, 64))
    assert output["boxes"].dtype == output["points"].dtype == torch.float32
    assert output["classes"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    "builder",
    [
        "resnet18",
        "mobilenet_v3_large",
        "efficientnet_b0",
        "regnet_y_400mf",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "swin_t",
    ],
)
def test_bodies_of_torchvision(builder: str) -> None:
    built = dense(f"dense_{builder}", builder=builder, num_outputs=2, target="instances", pretrained=False)
    body = built.module.backbone
    assert isinstance(body, Trunk)
    maps = body.eval()(torch.randn(1, 3, 96, 64))
    assert [(x.shape[2], x.shape[3]) for x in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]
    assert [x.shape[1] for x in maps] == body.channels
    assert built.origin == "random: model.pretrained=false"
    assert "backbone" not in built.head


@pytest.mark.parametrize("builder", ["squeezenet1_0", "vit_b_32"])
def test_a_body_without_maps_is_refused(builder: str) -> None:
    with pytest.raises(ConfigError, match=f"model=dense_{builder}: {builder} has no feature maps .*: take another$"):
        dense(f"dense_{builder}", builder=builder, num_outputs=2, pretrained=False)


def test_channels_come_first_where_a_map_is_as_high_and_wide_as_it_has_channels() -> None:
    """Swin's first map of a 384 px image is (96, 96, 96): no shape tells which of them are the channels."""
    body = Trunk(torchvision.models.swin_t().features, strides=(4,)).eval()
    images = torch.randn(1, 3, 384, 384)
    with torch.no_grad():
        expected = body.layers[1](body.layers[0](images)).permute(0, 3, 1, 2)
        torch.testing.assert_close(body(images)[0], expected)


def test_any_body_can_be_named() -> None:
    assert isinstance(create("dense_mnasnet0_5", num_outputs=2, image_size=64, pretrained=False).module, DenseDetector)


def test_weights_of_a_classifier_become_the_body(tmp_path: Path) -> None:
    classifier = torchvision.models.resnet18()
    torch.save(classifier.state_dict(), tmp_path / "resnet18.pt")
    built = create("dense_resnet18", num_outputs=2, image_size=64, weights=tmp_path / "resnet18.pt", target="boxes")
    body = built.module.backbone.layers
    assert torch.equal(body.layer3[0].conv1.weight, classifier.layer3[0].conv1.weight)
    assert torch.equal(body.bn1.running_mean, classifier.bn1.running_mean)
    assert " of " in built.origin


def test_weights_of_a_run_with_other_classes(tmp_path: Path) -> None:
    former = small_detector(num_outputs=5).module
    torch.save(former.state_dict(), tmp_path / "best.pt")
    built = create("small_detector", num_outputs=2, image_size=64, weights=tmp_path / "best.pt", target="boxes")
    assert torch.equal(built.module.place_tower[0].weight, former.place_tower[0].weight)
    assert built.module.classes.out_channels == 2


def test_published_weights_are_those_of_the_body(hub: Path) -> None:
    published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    classifier = torchvision.models.resnet18()
    hub.mkdir(parents=True)
    torch.save(classifier.state_dict(), cached(published.url))
    built = create("dense_resnet18", num_outputs=2, image_size=64, target="boxes")
    assert built.origin == "pretrained ResNet18_Weights.IMAGENET1K_V1 (cached)"
    assert torch.equal(built.module.backbone.layers.conv1.weight, classifier.conv1.weight)


def test_the_body_of_a_frozen_detector_does_not_learn() -> None:
    built = create("small_detector", num_outputs=2, image_size=64, freeze="backbone", target="boxes")
    learns = {name for name, p in built.module.named_parameters() if p.requires_grad}
    assert learns
    assert not any(name.startswith("backbone.") for name in learns)


def test_the_same_seed_gives_the_same_detector() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(small_detector(num_outputs=2).module.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("target", TARGETS)
def test_every_parameter_learns(target: str) -> None:
    module = small_detector(num_outputs=2, target=target).module
    said = [] if module.shape is None else [module.shape.said, module.second_look.said]
    for layer in (module.classes, module.boxes, module.stretches, module.coefficients, *said):
        if layer is not None:
            nn.init.normal_(layer.weight)  # at zero they keep what is below from learning in the first step
    output = module(torch.randn(2, 3, 64, 64))
    torch.stack([value.square().mean() for name, value in output.items() if name != "points"]).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    heads = [p for name, p in module.named_parameters() if not name.startswith("backbone.")]
    assert all(p.grad.abs().sum() > 0 for p in heads)  # type: ignore[union-attr]
