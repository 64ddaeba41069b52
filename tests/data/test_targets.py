import pytest
import torch

from visrun.data.targets import class_weights, target_tensor
from visrun.errors import ConfigError


def test_labels_values_and_masks():
    assert target_tensor([2, 0], kind="label", num_classes=3, multilabel=False).tolist() == [2, 0]
    several = target_tensor([(0, 2), ()], kind="label", num_classes=3, multilabel=True)
    assert several.tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert target_tensor([(1.5,), (-2.0,)], kind="value", num_classes=0, multilabel=False).tolist() == [[1.5], [-2.0]]
    assert target_tensor(["a.png"], kind="mask", num_classes=2, multilabel=False) is None


def test_balanced_weights_let_every_class_weigh_alike_and_unseen_ones_nothing():
    weights = class_weights("balanced", [10, 30, 0], "abc")
    assert weights.tolist() == pytest.approx([40 / 30, 40 / 90, 0.0])
    assert (weights * torch.tensor([10.0, 30.0, 0.0]))[:2].tolist() == pytest.approx([40 / 3, 40 / 3])


def test_given_weights_must_be_one_a_class():
    assert class_weights("none", [1, 2], "ab") is None
    assert class_weights([1, 0.5], [1, 2], "ab").tolist() == [1.0, 0.5]
    with pytest.raises(ConfigError, match="3 numbers, but there are 2 classes"):
        class_weights([1, 2, 3], [1, 2], "ab")
