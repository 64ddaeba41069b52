"""What a name that nothing here has was meant to be."""

from __future__ import annotations

import pytest

from visrun.config.choices import known
from visrun.near import did_you_mean, near


def test_near_knows_initials_leaves_and_misspellings() -> None:
    keys = ["batch_size", "data.root", "learning_rate", "weight_decay"]
    assert near("wd", keys) == " (did you mean weight_decay?)"
    assert near("root", keys) == " (did you mean data.root?)"
    assert near("batchsize", keys) == " (did you mean batch_size?)"
    assert near("qqqq", keys) == ""
    assert near("hydra.run.dir", keys) == ", but Hydra's: type hydra.run.dir=VALUE"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("embed", ""),
        ("extras", ""),
        ("model.net.lin1_size", ""),
        ("opt", " (did you mean optimizer?)"),
        ("step", " (did you mean milestones?)"),
        ("val_size", " (did you mean data.val_fraction?)"),
        ("cls", "; the task is task=classification; the parts of a detector's loss have fixed weights"),
        ("data.pin_memory", "; data.cache keeps decoded images, on the device if they fit"),
        ("seeed", " (did you mean seed?)"),
        ("modle.name", " (did you mean model.name?)"),
    ],
)
def test_what_is_spelt_a_little_alike_is_not_what_was_meant(word: str, told: str) -> None:
    assert near(word, known()) == told


def test_a_name_that_is_near_is_named() -> None:
    assert did_you_mean("lerning_rate", ["learning_rate", "loss"]) == " (did you mean learning_rate?)"
    assert did_you_mean("x", ["learning_rate"]) == ""


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("AdamW", ["adam", "adamw", "sgd"], "adamw"),
        ("SGD", ["adam", "adamw", "sgd"], "sgd"),
        ("cats", ["Cat", "Dog"], "Cat"),
        ("obb", ["object_detection", "oriented_object_detection"], "oriented_object_detection"),
        ("CE", ["bce", "cross_entropy"], "cross_entropy"),
        ("ce", ["focal", "dice_loss"], None),  # what it is elsewhere is none of these, and no spelling is near
        ("tune", ["default", "wide"], None),  # a command is no name
    ],
)
def test_capitals_do_not_count_and_other_tools_words_go_first(name: str, names: list[str], near: str | None) -> None:
    assert did_you_mean(name, names) == (f" (did you mean {near}?)" if near else "")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet", "resnet18"),  # what is to be had here goes first, by name and by spelling
        ("yolo", "fcos with task=b"),
        ("Unet", "unet with task=b"),
        ("unett", "unet with task=b"),
        ("oriented_rcnn", "task=oriented_object_detection model=maskrcnn"),
        ("qqqq", None),
    ],
)
def test_a_name_that_is_known_elsewhere_is_told_with_its_place(name: str, told: str | None) -> None:
    elsewhere = {"unet": "unet with task=b", "dense_resnet18": "fcos with task=b", "maskrcnn": "maskrcnn with task=b"}
    assert did_you_mean(name, ["resnet18", "swin_t"], elsewhere) == (f" (did you mean {told}?)" if told else "")
