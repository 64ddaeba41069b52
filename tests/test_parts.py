"""What a run is assembled from: which steps are tried as a CUDA graph, which losses weigh classes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from visrun import models, parts
from visrun.config.compose import resolve
from visrun.data.records import Dataset, Record
from visrun.errors import ConfigError
from visrun.feeding import read_dataset
from visrun.tables import MODELS, TASKS


@pytest.mark.parametrize(
    ("words", "graph"),
    [
        ([], True),
        (["run.graph=false"], False),
        (["run.deterministic=true"], False),
        (["run.deterministic=true", "run.graph=true"], True),
        (["task=object_detection"], True),
        (["task=object_detection", "model=fcos"], False),
        (["task=instance_segmentation", "model=maskrcnn"], False),
        (["task=object_detection", "model=fcos", "run.graph=true"], True),
    ],
)
def test_a_graph_is_tried_where_steps_have_static_shapes(
    words: list[str], graph: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Mock()
    monkeypatch.setattr(parts, "Step", step)
    built = SimpleNamespace(module=torch.nn.Linear(1, 1))
    parts.build_step(resolve(words), Mock(), built, torch.device("cpu"), "fp32", steps_per_epoch=1)  # type: ignore[arg-type]
    assert step.call_args.kwargs["graph"] is graph


def plain(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(prediction, target)


def greedy(prediction: Tensor, target: Tensor, gamma: float, scale: float, *, bound: float) -> Tensor:
    raise AssertionError


@pytest.mark.parametrize(
    ("loss", "weights", "told"),
    [
        ("plain", "balanced", "loss=plain weighs all classes alike"),
        ("focal", "balanced", ""),
        ("plain", "none", ""),
        ("greedy", "none", "loss=greedy: its function asks for scale, bound, which nothing gives; give a default"),
    ],
)
def test_a_loss_that_does_not_read_weights_or_asks_for_what_nothing_gives_is_refused(
    loss: str, weights: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in (plain, greedy):
        monkeypatch.setitem(TASKS["classification"].losses, function.__name__, function)
    resolved = resolve([f"loss={loss}", f"data.class_weights={weights}"])
    rows = (Record(Path("a.png"), 0, ""), Record(Path("b.png"), 1, ""))
    counts = {"train": (1, 3)}
    dataset = Dataset(
        root=Path(), layout="folder", splits={"train": rows}, classes=("a", "b"), targets=(), sizes={}, counts=counts
    )
    with pytest.raises(ConfigError, match=told) if told else nullcontext():
        parts.build_task(resolved, dataset, torch.device("cpu"))


def test_masks_of_predictions_have_the_ids_of_the_dataset() -> None:
    dataset = Dataset(
        root=Path(),
        layout="masks",
        kind="mask",
        splits={"train": (Record(Path("a.png"), Path("b.png"), "a.png"),)},
        classes=("class_7", "class_26"),
        targets=(),
        sizes={},
        mask_ids=(7, 26),
        counts={"train": (3, 1)},
    )
    task = parts.build_task(resolve(["task=segmentation"]), dataset, torch.device("cpu"))
    assert task.state() == {"classes": ["class_7", "class_26"], "ids": [7, 26]}


def test_a_network_of_other_outputs_is_refused_before_the_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fewer(num_outputs: int) -> torch.nn.Module:
        layers = torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, num_outputs - 1)
        return torch.nn.Sequential(*layers)

    monkeypatch.setitem(MODELS, "fewer", replace(MODELS["small_resnet"], build=fewer))
    resolved = resolve(["model=fewer", "run.device=cpu"])
    dataset = read_dataset(resolved.settings, Mock())
    monkeypatch.setattr(parts, "build_loaders", Mock(side_effect=AssertionError))
    told = r"model=fewer: gives \(B, 9\), not \(B, 10\), which task=classification needs"
    with pytest.raises(ConfigError, match=told):
        parts.build(resolved, dataset, Mock())


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["model.freeze=backbone"], True),
        (["model.freeze=backbone", "model.weights=net.pt"], False),
        ([], False),
    ],
)
def test_freezing_random_weights_is_warned_of(
    words: list[str], warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = resolve(["model=small_resnet", "data.cache=stream", "run.device=cpu", *words])
    torch.save(models.create("small_resnet", num_outputs=2, image_size=32).module.state_dict(), "net.pt")
    screen = Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen)
    told = [call.args[0] for call in screen.warn.call_args_list]
    assert any(line.startswith("model.freeze=backbone freezes random weights") for line in told) == warned


@pytest.mark.parametrize(
    ("former", "told"),
    [
        ("0123456789", ""),
        ("0123456798", "number 9 was 9 and is 8 here"),
        ("012", ""),
    ],
)
def test_a_last_layer_of_other_classes_is_warned_of(
    former: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = resolve(["model=small_resnet", "data.cache=stream", "run.device=cpu", "model.weights=run.pt"])
    state = models.create("small_resnet", num_outputs=len(former), image_size=32).module.state_dict()
    known = {"task_state": {"classes": list(former)}, "network": {"name": "small_resnet"}}
    torch.save({"model": state, **known}, "run.pt")
    screen = Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen)
    lines = [call.args[0] for call in screen.warn.call_args_list]
    begin = f"model.weights={tmp_path / 'run.pt'}: its classes are taken by their places, and others are there: "
    assert [line for line in lines if "its classes" in line] == ([begin + told] if told else [])


def test_a_memory_of_random_features_is_warned_of() -> None:
    words = ["task=anomaly_detection", "model=patchcore", "model_options.backbone=resnet18", "model.pretrained=false"]
    resolved, screen = resolve([*words, "data.cache=stream", "run.device=cpu"]), Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen)
    (told,) = (call.args[0] for call in screen.warn.call_args_list)
    assert told.startswith("model=patchcore compares features of random weights")


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["recipe=fine_tune"], True),
        (["recipe=fine_tune", "model.pretrained=false"], True),
        (["recipe=fine_tune", "model.weights=net.pt"], False),
        (["recipe=fine_tune", "learning_rate=0.001"], False),
        (["recipe=fine_tune", "optimizer=sgd"], False),  # with a learning rate of its own
        (["recipe=from_scratch"], False),
        (["learning_rate=0.0001"], False),
    ],
)
def test_a_recipe_for_pretrained_weights_on_random_ones_is_warned_of(
    words: list[str], warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(models.create("small_resnet", num_outputs=2, image_size=32).module.state_dict(), "net.pt")
    resolved, screen = resolve(["model=small_resnet", "data.cache=stream", "run.device=cpu", *words]), Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen)
    told = [call.args[0] for call in screen.warn.call_args_list]
    assert told == (
        [
            "recipe=fine_tune: its learning_rate=0.0001 is meant for pretrained weights, and these are random; give "
            "model.weights=FILE, or model.pretrained=true where they can be had, or leave the recipe out"
        ]
        if warned
        else []
    )


def test_images_on_the_gpu_are_counted_and_no_others() -> None:
    loaders = {
        place: SimpleNamespace(images=SimpleNamespace(place=place, nbytes=nbytes))
        for place, nbytes in {"gpu": 5, "ram": 70, "disk": 900, "stream": 1000}.items()
    }
    assert parts.Parts.kept.fget(SimpleNamespace(loaders=loaders)) == 5  # type: ignore[attr-defined]
