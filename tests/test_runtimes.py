"""When an exported program answers as PyTorch does: values, places and the order of what is found."""

from __future__ import annotations

import math

import pytest
import torch

from visrun.errors import VisrunError
from visrun.runtimes import differences, told

FOUND = {
    "boxes": torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5, 6]]]),
    "scores": torch.tensor([[0.5, 0.5 - 1e-8, 0.1]]),
    "labels": torch.tensor([[0, 1, 1]]),
}
HEAT = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
CLASSES = (HEAT * 5).long()


def swapped(name: str) -> dict[str, torch.Tensor]:
    return {name: FOUND[name][:, [1, 0, 2]]}


def test_ties_may_be_decided_otherwise() -> None:
    every = swapped("boxes") | swapped("scores") | swapped("labels")
    assert told(differences(FOUND, every)) == "largest difference 0"
    apart, _ = differences(FOUND, FOUND | {"scores": FOUND["scores"] + 1e-4})["scores"]
    assert apart.max().item() == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("name", ["boxes", "labels"])
def test_what_belongs_to_another_score_is_another_answer(name: str) -> None:
    other = {**FOUND, **swapped(name), "scores": torch.tensor([[0.5, 0.3, 0.1]])}
    with pytest.raises(VisrunError, match=r"^the exported program gives another "):
        differences({**FOUND, "scores": other["scores"]}, other)


@pytest.mark.parametrize(
    "other",
    [HEAT.flip(2), HEAT.transpose(1, 2), HEAT.flip(0), HEAT * 1.01 + 0.01, HEAT * torch.nan],
    ids=["mirrored", "transposed", "another image's", "larger", "nan"],
)
def test_a_map_must_have_its_values_in_their_places(other: torch.Tensor) -> None:
    assert told(differences({"heat": HEAT}, {"heat": HEAT + 1e-6})) == "largest difference 1e-06"
    with pytest.raises(VisrunError, match=r"^the exported program gives another heat than PyTorch; choose another"):
        differences({"heat": HEAT}, {"heat": other})


def test_probabilities_must_be_those_of_their_classes() -> None:
    with pytest.raises(VisrunError, match="another probabilities"):
        differences({"probabilities": torch.tensor([[0.9, 0.1]])}, {"probabilities": torch.tensor([[0.1, 0.9]])})


def test_class_ids_are_told_by_how_many_differ() -> None:
    few = CLASSES.clone()
    few[0, 0, 0] += 3
    assert told(differences({"mask": CLASSES}, {"mask": CLASSES})) == "no difference"
    assert told(differences({"mask": CLASSES}, {"mask": few})) == "0.0078 of mask differ"  # 1 of 128
    with pytest.raises(VisrunError, match="another mask"):
        differences({"mask": CLASSES}, {"mask": CLASSES.flip(2)})


def test_what_is_no_number_in_both_is_the_same() -> None:
    odd = torch.tensor([[math.nan, math.inf, -math.inf, 1.0]])
    assert told(differences({"value": odd}, {"value": odd.clone()})) == "largest difference 0"
    with pytest.raises(VisrunError, match="another value"):
        differences({"value": odd}, {"value": odd.nan_to_num(0.0)})


def test_nothing_found_is_no_difference() -> None:
    none = {"boxes": torch.zeros(2, 0, 4), "scores": torch.zeros(2, 0)}
    assert told(differences(none, none)) == "no difference"
