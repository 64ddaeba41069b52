"""Which losses are held against one another."""

from __future__ import annotations

import pytest

from visrun.config.loss_scales import on_one_scale


@pytest.mark.parametrize(
    ("varied", "task", "same"),
    [
        ((), "classification", True),
        (("learning_rate", "model.name", "model", "batch_size", "augment.mixup"), "classification", True),
        (("learning_rate", "loss"), "classification", False),
        (("loss_options.gamma",), "segmentation", False),
        (("data.class_weights",), "segmentation", False),
        (("data.val_fraction", "model.freeze"), "object_detection", False),
        (("data.val_fraction", "learning_rate"), "object_detection", True),
        (("model.name",), "object_detection", False),
        (("model",), "anomaly_detection", False),
        (("batch_size",), "instance_segmentation", False),
        (("recipe",), "regression", False),
    ],
)
def test_losses_are_held_against_one_another_on_one_scale(varied: tuple[str, ...], task: str, same: bool) -> None:
    assert on_one_scale(varied, task=task) is same
