"""Classifiers that score twice: the same logits as without, and a density of their features."""

from __future__ import annotations

import pytest
import torch

from visrun.models import Settling, create


@pytest.mark.parametrize("name", ["small_resnet", "resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_every_kind_of_head_is_taken_out_whole(name):
    torch.manual_seed(0)
    built = create(name, num_outputs=2, image_size=64, pretrained=False, target="verdict")
    module = built.module.eval()
    images = torch.randn(3, 3, 64, 64)
    output = module(images)
    assert output["out"].shape == (3, 2) and output["out"].dtype == torch.float32
    assert output["deviation"].tolist() == [0, 0, 0]
    assert isinstance(module, Settling)
    module.train()
    module.settle([images[:2], images[2:]])
    assert module.training
    found = module.eval()(images)["deviation"]
    assert found.shape == (3,) and found.isfinite().all() and (found > 0).all()


def test_the_logits_are_those_of_the_classifier():
    torch.manual_seed(0)
    plain = create("resnet18", num_outputs=2, image_size=64, pretrained=False).module.eval()
    torch.manual_seed(0)
    scored = create("resnet18", num_outputs=2, image_size=64, pretrained=False, target="verdict").module.eval()
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(scored(images)["out"], plain(images), atol=1e-6)


def test_weights_of_a_classifier_find_their_place(tmp_path):
    plain = create("resnet18", num_outputs=5, image_size=64, pretrained=False).module
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    built = create("resnet18", num_outputs=2, image_size=64, weights=tmp_path / "w.pt", target="verdict")
    assert torch.equal(built.module.network.conv1.weight, plain.conv1.weight)
    assert "120 of " in built.origin


def test_a_frozen_body_leaves_the_head_to_learn():
    module = create(
        "resnet18", num_outputs=2, image_size=64, pretrained=False, target="verdict", freeze="backbone"
    ).module
    assert [name for name, p in module.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


@pytest.mark.parametrize("name", ["unet", "small_unet"])
def test_a_heat_map_begins_cold(name):
    module = create(name, num_outputs=2, image_size=64, pretrained=False, target="verdict").module.eval()
    heat = module(torch.randn(2, 3, 64, 64))["out"].softmax(1)[:, 1]
    assert heat.mean() < 0.1
