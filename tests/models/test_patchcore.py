"""PatchCore: what it remembers, what is far from it, and how its memory is saved."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visrun.errors import ConfigError
from visrun.models import Settling, create
from visrun.models.patchcore import PatchCore

OPTIONS = {"backbone": "resnet18", "strides": [8, 16], "coreset": 0.1, "neighbours": 3}


class Pixels(nn.Module):
    """Two maps of averages over 4 and 8 pixels."""

    def forward(self, images):
        return [nn.functional.avg_pool2d(images, side) for side in (4, 8)]


def core(share=1.0, neighbours=1):
    return PatchCore(Pixels(), channels=[3, 3], strides=[4, 8], share=share, neighbours=neighbours).eval()


def test_what_was_seen_is_near_and_a_stain_is_far_where_it_is():
    module = core()
    good = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    module.settle([good[:2], good[2:]])
    assert module.memory.shape == (4 * 16 * 16, 6)
    assert module(good)["score"].max() < 1e-2
    stained = good[:1].clone()
    stained[:, :, 16:32, 40:56] += 5
    found = module(stained)
    assert found["out"].shape == (1, 64, 64)
    assert found["score"] > 3
    at = divmod(int(found["out"][0].argmax()), 64)
    assert 16 <= at[0] < 32 and 40 <= at[1] < 56
    assert found["out"][0, :8, :16].max() < 0.1


def test_the_score_is_weighed_down_where_the_neighbours_are_as_far():
    module = core(neighbours=3)
    module.memory = torch.zeros(3, 6)
    images = torch.ones(1, 3, 32, 32)
    plain = core()
    plain.memory = module.memory
    assert module(images)["score"] == pytest.approx(float(plain(images)["score"]) * (1 - 1 / 3), rel=1e-4)


def test_a_share_is_remembered(monkeypatch):
    module = core(share=0.1)
    assert not module.remembered
    module.settle([torch.rand(2, 3, 64, 64)])
    assert len(module.memory) == 51
    assert module.remembered == "remembered: 51 of 512 patches of good images"
    for name in ("visrun.models.patchcore", "visrun.anomaly.coreset"):
        monkeypatch.setattr(f"{name}.CANDIDATES", 300)
    monkeypatch.setattr("visrun.models.patchcore.REMEMBERED", 40)
    module.settle([torch.rand(2, 3, 64, 64)])
    limits = "model_options.coreset=0.1 asks for 51, 40 at most; chosen among 300 drawn by chance"
    assert module.remembered == f"remembered: 40 of 512 patches of good images ({limits})"
    again = core(share=0.1)
    torch.manual_seed(1)
    again.settle([torch.zeros(1, 3, 16, 16)])
    assert len(again.memory) == 2


def padded(images):
    """Below their upper halves nothing but padding."""
    return torch.where(torch.arange(images.shape[2])[:, None] < images.shape[2] // 2, images, 0.0)


def test_padding_is_neither_remembered_nor_scored():
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) + 1
    module = core()
    module.settle([images])
    whole, half = module(images), module(padded(images))
    assert half["score"].max() < 0.3  # the outermost patches average in what lies beside them; of padding it is 3
    assert half["out"].isfinite().all() and half["out"].max() < 0.3
    assert torch.allclose(half["out"][:, :12], whole["out"][:, :12], atol=2e-3)
    module.settle([padded(images)])
    assert module.memory.shape == (2 * 8 * 16, 6) and (module.memory > 0).all()


def strip(images, height):
    """Nothing but padding beside ``height`` rows in the middle."""
    middle = (torch.arange(images.shape[2]) - (images.shape[2] - 1) / 2).abs() < height / 2
    return torch.where(middle[:, None], images, 0.0)


@pytest.mark.parametrize("height", [2, 4, 6])
def test_a_picture_thinner_than_half_a_patch_is_seen(height):
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) + 1
    module = core()
    module.settle([strip(images, height)])
    assert module.memory.shape == (4 * 2 * 16, 6) and (module.memory > 0).all()
    stained = images.clone()
    stained[:, :, :, 40:48] += 5
    good, bad = module(strip(images, height)), module(strip(stained, height))
    assert good["score"].max() < 1e-2 and bad["score"].min() > 0.1
    assert bad["out"].isfinite().all()


class Places(nn.Module):
    """Two maps of where each of their cells lies in the image, x in pixels; 4 and 8 pixels a cell."""

    def forward(self, images):
        wide = images.shape[3]
        rows = [torch.arange(-(-wide // side)) * side + side / 2 for side in (4, 8)]
        return [row.expand(len(images), 1, len(row), -1) for row in rows]


@pytest.mark.parametrize("side", [64, 68, 70, 76])
def test_maps_of_several_strides_lie_over_one_another(side):
    module = PatchCore(Places(), channels=[1, 1], strides=[4, 8], share=1.0, neighbours=1)
    first, second = module.patches(torch.zeros(1, 3, side, side))[0]
    assert torch.allclose(first[4:-5, 4:-5], second[4:-5, 4:-5], atol=1e-4)


def test_heat_is_exact_under_autocast():
    images, module = torch.rand(2, 3, 64, 64), core()
    module.settle([images])
    found = module(images + 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = core()
        again.settle([images])
        cast = again(images + 1)
    assert cast["out"].dtype == torch.float32
    assert torch.equal(again.memory, module.memory) and torch.equal(cast["out"], found["out"])


def test_the_same_images_are_remembered_alike():
    images, first, second = torch.rand(2, 3, 64, 64), core(share=0.2), core(share=0.2)
    first.settle([images])
    second.settle([images])
    assert torch.equal(first.memory, second.memory)


def test_nothing_of_it_learns_and_its_memory_is_saved():
    built = create("patchcore", num_outputs=2, image_size=64, pretrained=False, target="verdict", options=OPTIONS)
    module = built.module.train()
    assert isinstance(module, Settling)
    assert not any(p.requires_grad for p in module.parameters())
    before = {name: value.clone() for name, value in module.state_dict().items() if name != "memory"}
    images = torch.rand(2, 3, 64, 64)
    module.settle([images])
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    other = create("patchcore", num_outputs=2, image_size=64, pretrained=False, target="verdict", options=OPTIONS)
    other.module.load_state_dict(after)
    assert torch.equal(other.module.eval()(images)["score"], module.eval()(images)["score"])


def test_a_backbone_that_nobody_knows_is_one_line():
    with pytest.raises(ConfigError, match="resnet81") as caught:
        create("patchcore", num_outputs=2, image_size=64, pretrained=False, options={**OPTIONS, "backbone": "resnet81"})
    assert len(caught.value.problems) == 1
