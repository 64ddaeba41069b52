"""What a run is assembled from: which steps are tried as a CUDA graph, which losses weigh classes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock
from urllib.error import URLError

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from visrun import models, parts
from visrun.advice import MOST_OF_FEW, tell_of_scratch, warn_of_few_steps
from visrun.config.compose import resolve
from visrun.data.listing import Record
from visrun.data.records import Dataset
from visrun.errors import ConfigError, OutOfMemory
from visrun.feeding import read_dataset
from visrun.tables import MODELS, TASKS


@pytest.mark.parametrize(
    ("words", "graph", "refused"),
    [
        ([], True, ""),
        (["run.graph=false"], False, ""),
        (["run.deterministic=true"], False, "run.deterministic=true"),
        (["run.deterministic=true", "run.graph=true"], True, ""),
        (["task=object_detection"], True, ""),
        (
            ["task=object_detection", "model=fcos"],
            False,
            "the shapes within a step of model=fcos follow from the images",
        ),
        (
            ["task=instance_segmentation", "model=maskrcnn"],
            False,
            "the shapes within a step of model=maskrcnn follow from the images",
        ),
        (["task=object_detection", "model=fcos", "run.graph=true"], True, ""),
        (["task=anomaly_detection", "model=patchcore", "run.deterministic=true"], True, ""),  # which has no steps
    ],
)
def test_a_graph_is_tried_where_steps_have_static_shapes(
    words: list[str], graph: bool, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Mock()
    monkeypatch.setattr(parts, "Step", step)
    built = SimpleNamespace(module=torch.nn.Linear(1, 1))
    parts.build_step(resolve(words), Mock(), built, torch.device("cpu"), "fp32", steps_per_epoch=1)  # type: ignore[arg-type]
    assert (step.call_args.kwargs["graph"], step.call_args.kwargs["refused"]) == (graph, refused)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["run.graph=true"],
            "run.graph=true is not read: there are CUDA graphs on a GPU alone, and this run is on cpu",
        ),
        (["run.graph=auto"], ""),
        (
            ["data.val_fraction=0.5", "data.root=own"],
            "data.val_fraction=0.5 is not read: the dataset has a val split of its own; data.fold=1/5 makes another",
        ),
        (["data.val_fraction=0.5", "data.root=own", "data.fold=1/2"], ""),  # told when it was composed
        (["data.val_fraction=0.5", "data.root=own/train"], ""),
        (["data.root=own"], ""),
    ],
)
def test_a_typed_value_that_data_or_device_leave_unread_is_warned_of(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path / "own")
    resolved, screen = resolve(["model=small_resnet", "max_epochs=9", *words]), Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen)
    assert [call.args[0] for call in screen.warn.call_args_list if "not read" in call.args[0]] == [told] * bool(told)


@pytest.mark.parametrize(
    ("words", "begun", "warned"),
    [
        (["model=resnet18"], False, True),
        (["model=resnet18"], True, False),  # it goes on with its own weights
        (["model=resnet18", "model.pretrained=false"], False, False),
        (["model=resnet18", "model.weights=net.pt"], False, False),
        (["model=small_resnet"], False, False),  # none are published
    ],
)
def test_published_weights_that_cannot_be_had_are_warned_of(
    words: list[str], begun: bool, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("visrun.models.weights.urlopen", Mock(side_effect=URLError("no route to host")))
    torch.save(models.create("resnet18", num_outputs=2, image_size=32, pretrained=False).module.state_dict(), "net.pt")
    resolved, screen = resolve([*words, "data.cache=stream", "run.device=cpu"]), Mock()
    origin = "random: no pretrained weights (no route to host)"
    former = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "origin": origin, "classes": ()} if begun else None
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen, begun=former)
    told = [call.args[0] for call in screen.warn.call_args_list]
    assert (
        told
        == [
            "model.pretrained=auto: no weights were to be had, so model=resnet18 starts from random ones; "
            "model.weights=FILE gives it others, and model.pretrained=false says that these are meant"
        ]
        * warned
    )


def plain(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(prediction, target)


class Learnt(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.scale * plain(prediction, target)


@pytest.mark.parametrize(
    ("loss", "weights", "told"),
    [
        ("learnt", "none", "loss=learnt: has parameters, which nothing would train: let the model have them"),
        ("module", "none", ""),
        ("fixed", "none", ""),
        ("plain", "balanced", "loss=plain weighs all classes alike"),
        ("focal", "balanced", ""),
        ("plain", "none", ""),
    ],
)
def test_a_loss_that_weighs_nothing_or_learns_itself_is_refused(
    loss: str, weights: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {"plain": plain, "learnt": Learnt(), "module": torch.nn.CrossEntropyLoss()}
    losses["fixed"] = Learnt().requires_grad_(False)
    for name, function in losses.items():
        monkeypatch.setitem(TASKS["classification"].losses, name, function)
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


@pytest.mark.parametrize("part", ["configure", "build_task", "place", "build_step"])
@pytest.mark.parametrize(
    ("device", "advice"),
    [("cuda:0", "see nvidia-smi for what else is there, or take another run.device"), ("cpu", "free some")],
)
def test_a_device_that_is_full_already_is_one_line(
    part: str, device: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = resolve(["model=small_resnet", "data.cache=stream"])
    dataset = read_dataset(resolved.settings, Mock())
    monkeypatch.setattr(parts, "choose_device", lambda _: torch.device(device))
    for name in ("configure", "build_task", "build_network", "look_of", "reference_of", "place", "build_step"):
        monkeypatch.setattr(parts, name, MagicMock())
    monkeypatch.setattr(parts, "choose_precision", lambda *_: "fp32")
    monkeypatch.setattr(parts, "_introduce", Mock())
    monkeypatch.setattr(parts, "build_loaders", lambda *_, **__: (MagicMock(), {}))
    monkeypatch.setattr(parts, part, Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory. Tried")))
    with pytest.raises(OutOfMemory) as caught:
        parts.build(resolved, dataset, Mock(), alone=False)
    assert str(caught.value) == f"out of memory on {device} in setting the run up: {advice}"


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


def write_own(root: Path) -> None:
    """Six images of two classes in each of train and val."""
    for split in ("train", "val"):
        for name in ("light", "dark"):
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(3):
                Image.new("RGB", (16, 16), (200 if name == "light" else 20, 30 * i, 9)).save(
                    root / split / name / f"{i}.png"
                )


def told_of_steps(root: Path, *words: str, alone: bool = True) -> list[str]:
    """The warnings of few steps of a run on six images of two classes."""
    write_own(root)
    usual = [f"data.root={root}", "model=small_resnet", "run.device=cpu", "data.cache=stream"]
    typed = {word.partition("=")[0]: word for word in [*usual, *words]}
    resolved, screen = resolve(list(typed.values())), Mock()
    parts.build(resolved, read_dataset(resolved.settings, Mock()), screen, alone=alone)
    return [call.args[0] for call in screen.warn.call_args_list if " in all, " in call.args[0]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            [],
            "1 step an epoch and 50 in all, {few}: try max_epochs=300, early_stopping_patience=0 or model.weights=FILE",
        ),
        (
            ["model=resnet18", "model.pretrained=false", "early_stopping_patience=0", "batch_size=2"],
            "3 steps an epoch and 150 in all, {few}: try max_epochs=100, model.pretrained=true or model.weights=FILE",
        ),
        (
            ["batch_size=2", "run.accumulate=2", "early_stopping_patience=0"],
            "2 steps an epoch and 100 in all, {few}: try max_epochs=150 or model.weights=FILE",
        ),
    ],
    ids=["small", "pretrained", "accumulate"],
)
def test_few_steps_from_random_weights_are_warned_of(words: list[str], told: str, tmp_path: Path) -> None:
    few = told.format(few="which are few to learn from random weights")
    assert told_of_steps(tmp_path, *words) == [f"6 training images give {few}"]


@pytest.mark.parametrize(
    "words",
    [
        ["batch_size=1", "augment=none"],  # 300 steps
        ["max_epochs=2"],
        ["run.max_time=1m"],
        ["recipe=quick"],
        ["data=demo", "data.root=null", "batch_size=256", "data.train_fraction=0.1"],
        ["model.weights=net.pt"],
    ],
    ids=str,
)
def test_few_steps_are_no_news_where_they_are_meant_or_enough(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(models.create("small_resnet", num_outputs=2, image_size=32).module.state_dict(), "net.pt")
    assert told_of_steps(tmp_path / "photos", *words) == []


def test_a_sweeps_trial_says_nothing_of_few_steps(tmp_path: Path) -> None:
    assert told_of_steps(tmp_path, alone=False) == []


@pytest.mark.parametrize(
    ("images", "words", "named"),
    [
        (24, [], "batch_size=4 (300 steps), max_epochs=300"),
        (40, [], "batch_size=4 (500 steps), max_epochs=150"),
        (41, [], "batch_size=8 (300 steps), max_epochs=150"),
        (20, [], "max_epochs=300"),
        (48, ["run.accumulate=2"], "batch_size=4 (300 steps), max_epochs=300"),
        (48, ["batch_size=4", "run.accumulate=4"], "max_epochs=100"),
    ],
)
def test_the_largest_batch_that_gives_enough_steps_is_named(images: int, words: list[str], named: str) -> None:
    resolved, screen = resolve(["data.root=photos", "model=small_resnet", *words]), Mock()
    size = resolved.hyperparameters.batch_size * resolved.settings.run.accumulate
    train: Any = Mock(images=range(images), __len__=lambda _: -(-images // size))
    warn_of_few_steps(resolved, train, screen)
    assert f"try {named}, early_stopping_patience=0 or model.weights=FILE" in screen.warn.call_args.args[0]


def said_of_scratch(*words: str, images: int = 100) -> list[str]:
    resolved, screen = resolve([*words]), Mock()
    tell_of_scratch(resolved, Mock(images=range(images)), screen)
    return [call.args[0] for call in screen.say.call_args_list]


@pytest.mark.parametrize(("task", "recipe"), [(name, entry.scratch) for name, entry in TASKS.items() if entry.scratch])
def test_few_images_of_objects_and_random_weights_name_a_recipe_that_is_there(task: str, recipe: str) -> None:
    (line,) = said_of_scratch(f"task={task}", "data.root=photos", images=MOST_OF_FEW)
    assert said_of_scratch(f"task={task}", "data.root=photos", images=MOST_OF_FEW + 1) == []
    assert f": recipe={recipe} learns more" in line
    assert resolve([f"task={task}", f"recipe={recipe}"]).hyperparameters.optimizer == "adamw"


@pytest.mark.parametrize(
    "words",
    [
        ["task=object_detection", "data.root=photos", "recipe=quick"],
        ["task=object_detection", "data.root=photos", "learning_rate=0.01"],
        ["task=object_detection", "data.root=photos", "optimizer=adamw"],
        ["task=object_detection", "data.root=photos", "model=fcos"],  # with which nothing was measured
        ["task=object_detection"],  # the built-in pictures
        ["task=segmentation", "data.root=photos"],
    ],
    ids=str,
)
def test_no_recipe_is_named_to_who_has_chosen_or_where_none_was_measured(words: list[str]) -> None:
    assert said_of_scratch(*words) == []


def test_images_on_the_gpu_are_counted_and_no_others() -> None:
    loaders = {
        place: SimpleNamespace(images=SimpleNamespace(place=place, nbytes=nbytes))
        for place, nbytes in {"gpu": 5, "ram": 70, "disk": 900, "stream": 1000}.items()
    }
    assert parts.Parts.kept.fget(SimpleNamespace(loaders=loaders)) == 5  # type: ignore[attr-defined]
