"""``model.weights=FILE or RUN``: what loads, what is skipped, what is refused."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

from visrun import checkpoint
from visrun.errors import ConfigError, UserError
from visrun.models import create
from visrun.models.fitting import fit, inside, resize_positions
from visrun.models.small import small_resnet
from visrun.models.weights import IMAGENET_MEAN, read_checkpoint


def save(content: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def trained(num_outputs: int = 10) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return small_resnet(num_outputs=num_outputs, dropout=0.0).state_dict()


def load(path: Path, num_outputs: int = 10, name: str = "small_resnet") -> Any:
    return create(name, num_outputs=num_outputs, image_size=32, weights=path)


def test_a_state_dict_comes_back_whole(tmp_path: Path) -> None:
    state = trained()
    built = load(save(state, tmp_path / "net.pt"))
    assert all(torch.equal(value, state[name]) for name, value in built.module.state_dict().items())
    assert built.origin == f"{tmp_path / 'net.pt'}: {len(state)} of {len(state)} tensors"
    assert built.mean == IMAGENET_MEAN


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_wrapped_state_dicts_are_unwrapped(tmp_path: Path, prefix: str, key: str) -> None:
    state = trained()
    wrapped = {"epoch": 3, key: {prefix + name: value for name, value in state.items()}}
    built = load(save(wrapped, tmp_path / "net.pth"))
    assert torch.equal(built.module.state_dict()["fc.weight"], state["fc.weight"])


def test_a_runs_folder_means_its_best_checkpoint_with_its_normalisation(tmp_path: Path) -> None:
    content = {"model": trained(), "mean": [0.1, 0.2, 0.3], "std": torch.tensor([0.5, 0.25, 1.0])}
    save(content, tmp_path / "checkpoints" / "best.pt")
    built = load(tmp_path)
    assert (built.mean, built.std) == ((0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    assert built.origin.startswith(f"{tmp_path}: ")


def test_another_head_stays_new_and_is_named(tmp_path: Path) -> None:
    state = trained(num_outputs=10)
    built = load(save(state, tmp_path / "net.pt"), num_outputs=3)
    assert built.origin.endswith("; new: fc.weight, fc.bias")
    assert torch.equal(built.module.state_dict()["stem.0.weight"], state["stem.0.weight"])
    assert built.module(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = save(torchvision.models.resnet18().state_dict(), tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=r"fits 0 of the \d+ tensors .*stem\.0\.weight is not in the file"):
        load(path)
    path = save({"model": torchvision.models.resnet18().state_dict(), "network": {"name": "resnet18"}}, path)
    with pytest.raises(
        ConfigError, match=r"of another architecture \(.*\): choose that as the model; its run had model=resnet18$"
    ):
        load(path)


def test_a_file_with_other_shapes_in_the_body_is_refused(tmp_path: Path) -> None:
    path = save(torchvision.models.resnet50().state_dict(), tmp_path / "net.pt")
    expected = r"layer1\.0\.conv1\.weight is \(64, 64, 1, 1\) in the file, \(64, 64, 3, 3\) in the model"
    with pytest.raises(UserError, match=expected) as caught:
        load(path, name="resnet18")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "builder", "theirs", "ours"),
    [
        ("unet", "resnet18", "layer1.0.conv1.weight", "encoder.layer1.0.conv1.weight"),
        ("fcn_resnet50", "resnet50", "layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"),
        ("lraspp", "mobilenet_v3_large", "features.0.0.weight", "backbone.0.0.weight"),
    ],
)
def test_a_classifiers_weights_find_the_backbone(
    tmp_path: Path, name: str, builder: str, theirs: str, ours: str
) -> None:
    state = torchvision.models.get_model(builder).state_dict()
    built = load(save(state, tmp_path / "net.pt"), name=name)
    assert torch.equal(built.module.state_dict()[ours], state[theirs])


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('code of a stranger ran')",))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"not a checkpoint", "it is no file of PyTorch"),
        (b"PK\x03\x04 half a file", "it is damaged or cut short"),
        (pickle.dumps(Trap()), "it holds pickled objects; save the tensors alone, model.state_dict()"),
        (pickle.dumps({"model": Trap()}), "it holds pickled objects; save the tensors alone, model.state_dict()"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value) == f"model.weights={file}: cannot be read: {told}"
    with pytest.raises(UserError) as caught_too:
        checkpoint.load(file)
    line = f"{file}: not a checkpoint that can be loaded safely ({told}); use another checkpoint"
    assert str(caught_too.value) == line


def test_a_whole_model_is_refused_with_what_to_save(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=r"it holds pickled objects; save the tensors alone, model\.state_dict\(\)$"):
        load(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, torch.zeros(3), [torch.zeros(3)], {"model": {"lr": 0.1}}])
def test_a_file_without_parameters_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ConfigError, match=r"holds no state dict .*: name a file that does$"):
        load(save(content, tmp_path / "net.pt"))


@pytest.mark.parametrize(
    "std", ["abc", 5, [0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.5, math.nan], torch.zeros(2, 2)], ids=str
)
def test_a_normalisation_that_is_none_is_refused(tmp_path: Path, std: Any) -> None:
    path = save({**trained(), "mean": [0.5, 0.5, 0.5], "std": std}, tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"net\.pt: a part is missing or of another kind \("):
        load(path)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"does not exist; give a \.pt, \.pth or \.safetensors file, or a run's folder"
    ):
        load(tmp_path / name)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = save(trained(), tmp_path / "net.pt")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="cannot be read: it is damaged or cut short"):
        read_checkpoint(path)


def vit(image_size: int) -> VisionTransformer:
    return VisionTransformer(image_size, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=2)


def test_positions_of_a_vit_are_resized_and_the_class_token_kept(tmp_path: Path) -> None:
    """Positions that grow linearly along the grid's rows still do so, from the same first to the same last row."""
    small, large = vit(32), vit(64)
    rows = torch.arange(4.0).repeat_interleave(4)[:, None].expand(16, 8)
    state = small.state_dict()
    state["encoder.pos_embedding"] = torch.cat([torch.full((1, 8), 9.0), rows])[None]
    assert "tensors" in fit(large, state, head=("heads.head",), path=tmp_path)
    found = large.encoder.pos_embedding[0]
    assert found.shape == (65, 8)
    assert torch.equal(found[0], torch.full((8,), 9.0))
    grid = found[1:].reshape(8, 8, 8)
    assert torch.allclose(grid[0], torch.zeros(8, 8), atol=1e-6)
    assert torch.allclose(grid[7], torch.full((8, 8), 3.0), atol=1e-6)


def test_positions_of_the_same_size_and_other_networks_are_left_alone() -> None:
    state = vit(32).state_dict()
    assert torch.equal(resize_positions(state, vit(32))["encoder.pos_embedding"], state["encoder.pos_embedding"])
    assert resize_positions(state, nn.Linear(1, 1)) is state


def test_inside_compares_whole_names() -> None:
    assert inside("fc", ("fc",))
    assert inside("fc.weight", ("fc",))
    assert not inside("fc2.weight", ("fc",))
    assert not inside("fc", ())


def test_torchvision_is_not_loaded_for_networks_that_have_nothing_of_it() -> None:
    """It has torch._dynamo and sympy with it: more than all else that a prediction loads."""
    code = (
        "import sys, visrun.predictor; from visrun.models import create; from visrun.models.fitting import fit\n"
        "built = create('small_resnet', num_outputs=2, image_size=16)\n"
        "fit(built.module, built.module.state_dict(), head=built.head, path='net.pt')\n"
        "print([name for name in ('torchvision', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
