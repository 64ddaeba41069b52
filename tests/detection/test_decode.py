"""From raw numbers to boxes and detections, against loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms as theirs

from visrun.boxes import canonical, le90_to_quads, nms, rotated_iou, rotated_nms
from visrun.detection import decode
from visrun.detection.decode import boxes_of, candidates, coarse_boxes, detections, refined, report, stretched

SIZE = (64, 96)


def output(
    *, classes: int = 3, images: int = 2, turned: bool = False, masks: bool = False, seed: int = 0
) -> dict[str, Tensor]:
    """Of a network with 60 locations."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(images, *shape, generator=generator)

    points = torch.rand(60, 2, generator=generator) * torch.tensor([96.0, 64.0])
    raw = {"points": torch.cat([points, torch.full((60, 1), 8.0)], 1).expand(images, -1, -1)}
    raw |= {"classes": noise(60, classes), "boxes": noise(60, 3 if turned else 4) * 0.5}
    raw |= {"stretches": noise(60, 4)} if turned else {}
    raw |= {"coefficients": noise(60, 5), "prototypes": noise(5, 16, 24)} if masks else {}
    return raw


def single(raw: list[float], stretch: list[float] | None = None) -> Tensor:
    """The box that the location (20, 30) of stride 8 means."""
    said = {"points": torch.tensor([[[20.0, 30.0, 8.0]]]), "boxes": torch.tensor([[raw]])}
    return boxes_of(said if stretch is None else said | {"stretches": torch.tensor([[stretch]])})[0, 0]


def test_distances_are_powers_of_e_in_strides() -> None:
    half, two = math.log(0.5), math.log(2)
    torch.testing.assert_close(single([0.0, half, two, 0.0]), torch.tensor([12.0, 26.0, 36.0, 38.0]))


def test_a_turned_box_has_an_offset_a_mean_side_and_a_stretch() -> None:
    """Two strides of half side is 32 pixels of mean side; twice as long as that, a quarter turned, is 64 x 16."""
    box = single([0.5, -1.0, math.log(2)], [-math.log(2), 0.0, 0.0, 0.0])
    torch.testing.assert_close(box[:4], torch.tensor([24.0, 22.0, 64.0, 16.0]))
    assert abs(box[4].item()) == pytest.approx(math.pi / 2, abs=1e-5)
    round_ = single([0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(round_[:4], torch.tensor([20.0, 30.0, 16.0, 16.0]), atol=1e-3, rtol=0)


def test_a_stretch_points_to_twice_the_angle() -> None:
    """With nothing said of squares."""
    vectors = [[3.0, 0.0], [0.0, 2.0], [-1.0, -1e-9], [0.0, 0.0], [0.0, -1.0]]
    raw = torch.tensor([[*vector, 0.0, 0.0] for vector in vectors], requires_grad=True)
    longer, angle = stretched(raw)
    assert longer[:, 0].tolist() == pytest.approx([math.exp(3), math.exp(2), math.e, 1.0, math.e], rel=1e-5)
    wrong = angle[:, 0] - torch.tensor([0.0, math.pi / 4, math.pi / 2, 0.0, -math.pi / 4])
    assert [math.remainder(value, math.pi) for value in wrong.tolist()] == pytest.approx([0.0] * 5, abs=1e-6)
    (longer + angle).sum().backward()
    assert torch.isfinite(raw.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1e-22, 1e-22), (0.1, 0.0, -0.25, 1e-9)])
def test_what_says_nothing_of_the_angle_has_no_slope_from_it(raw: tuple[float, ...]) -> None:
    """In the last, both vectors contradict each other."""
    numbers = torch.tensor(raw, requires_grad=True)
    stretched(numbers)[1].backward()
    assert not numbers.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("degrees", [0.0, 20.0, 44.0, -44.0, 80.0])
def test_a_square_has_an_angle_up_to_quarter_turns(degrees: float) -> None:
    four = 4 * math.radians(degrees)
    longer, angle = stretched(torch.tensor([0.0, 0.0, 3 * math.cos(four), 3 * math.sin(four)]))
    assert longer.item() == 1
    assert math.remainder(angle.item() - math.radians(degrees), math.pi / 2) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_what_is_said_of_squares_does_not_turn_what_is_long(degrees: int) -> None:
    """A stretch of 1 counts 25 times as much; where both agree, the angle is theirs."""
    angle = math.radians(degrees)
    long = [math.cos(2 * angle), math.sin(2 * angle)]
    for square, most in (([-math.cos(4 * angle), math.sin(4 * angle)], 0.011), (None, 1e-5)):
        said = square or [math.cos(4 * angle), math.sin(4 * angle)]
        longer, found = stretched(torch.tensor([*long, *said]))
        assert abs(math.remainder(found.item() - angle, math.pi)) <= most
        assert longer.item() == pytest.approx(math.e, rel=1e-3)


@pytest.mark.parametrize("square", [[0.0, 0.0], [1.0, 0.0], [-0.3, 0.4]])
@pytest.mark.parametrize("length", [1e-4, 0.1, 0.7])
def test_boxes_do_not_jump_wherever_they_turn(length: float, square: list[float]) -> None:
    """Along half a turn in small steps, neighbours have near corners: no edge of an angle, no change of sides."""
    turns = torch.linspace(0, math.pi, 2001)
    stretch = length * torch.stack([(2 * turns).cos(), (2 * turns).sin()], 1)
    raw = torch.cat([stretch, torch.tensor(square).expand(2001, 2)], 1)
    said = {"points": torch.tensor([20.0, 30.0, 8.0]).expand(1, 2001, 3), "boxes": torch.zeros(1, 2001, 3)}
    corners = le90_to_quads(canonical(boxes_of(said | {"stretches": raw[None]})))[0].view(-1, 4, 2)
    step = torch.cdist(corners[:-1], corners[1:]).amin(2).amax(1)
    assert step.max() < 0.1 * 16


@pytest.mark.parametrize(
    ("angle", "raw", "expected"),
    [
        (0.0, [0.0, 0.0, 0.0, 0.0, 0.0], [20.0, 30.0, 16.0, 8.0, 0.0]),
        (0.0, [0.25, -0.5, math.log(2), math.log(0.5), 0.3], [24.0, 26.0, 32.0, 4.0, 0.3]),
        (math.pi / 2, [0.25, -0.5, 0.0, 0.0, -0.1], [24.0, 34.0, 16.0, 8.0, math.pi / 2 - 0.1]),
        (0.0, [1e9, 0.0, -1e9, 1e9, 1e9], [52.0, 30.0, 16 * math.exp(-2), 8 * math.exp(2), 2.0]),
    ],
)
def test_a_box_is_refined_along_its_own_sides(angle: float, raw: list[float], expected: list[float]) -> None:
    found = refined(torch.tensor([20.0, 30.0, 16.0, 8.0, angle]), torch.tensor(raw))
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=1e-5)


def test_a_box_without_a_size_can_grow() -> None:
    found = refined(torch.tensor([20.0, 30.0, 0.0, 1e-8, 0.0]), torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([21.0, 30.0, math.e, 1.0, 0.0]))


def test_only_the_second_look_learns_from_refined_boxes() -> None:
    made = output(turned=True)
    said = {name: values.requires_grad_() for name, values in (made | {"stretches": made["stretches"] / 10}).items()}
    changes = torch.zeros(2, 60, 5, requires_grad=True)
    torch.testing.assert_close(boxes_of(said | {"refinements": changes}), coarse_boxes(said))
    boxes_of(said | {"refinements": changes}).sum().backward()
    assert changes.grad is not None and changes.grad.any()
    assert said["boxes"].grad is None and said["stretches"].grad is None


@pytest.mark.parametrize("turned", [False, True])
def test_huge_numbers_stay_finite(turned: bool) -> None:
    raw = torch.full((1, 1, 3 if turned else 4), 1e4, requires_grad=True)
    stretches = torch.full((1, 1, 4), -1e4, requires_grad=True)
    said = {"points": torch.tensor([[[20.0, 30.0, 8.0]]]), "boxes": raw}
    boxes = boxes_of(said | ({"stretches": stretches} if turned else {}))
    boxes.sum().backward()
    assert torch.isfinite(boxes).all() and torch.isfinite(raw.grad).all()  # type: ignore[arg-type]
    assert not turned or torch.isfinite(stretches.grad).all()  # type: ignore[arg-type]


def loop(raw: dict[str, Tensor], i: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and labels of image ``i`` by torchvision's suppression, a class at a time."""
    boxes, scores = boxes_of(raw)[i], raw["classes"][i].sigmoid()
    order = scores.flatten().argsort(descending=True, stable=True)[: decode.CANDIDATES]
    location, label = order // scores.shape[1], order % scores.shape[1]
    boxes, scores = boxes[location], scores.flatten()[order]
    boxes = torch.stack([boxes[:, k].clamp(0, SIZE[1] if k % 2 == 0 else SIZE[0]) for k in range(4)], 1)
    kept = [torch.where(label == k)[0][theirs(boxes[label == k], scores[label == k], decode.SAME)] for k in range(3)]
    keep = torch.cat(kept)
    keep = keep[scores[keep].argsort(descending=True)][:most]
    return boxes[keep], scores[keep], label[keep]


def test_detections_agree_with_a_loop() -> None:
    raw = output()
    found = detections(raw, SIZE)
    assert found["boxes"].shape == (2, decode.MOST, 4)
    for i in range(2):
        boxes, scores, labels = loop(raw, i, decode.MOST)
        count = int((found["labels"][i] >= 0).sum())
        assert count == len(labels)
        torch.testing.assert_close(found["boxes"][i, :count], boxes)
        torch.testing.assert_close(found["scores"][i, :count], scores)
        assert found["labels"][i, :count].tolist() == labels.tolist()
        assert not found["scores"][i, count:].any()


def test_turned_detections_are_canonical_and_no_two_of_a_class_are_one() -> None:
    found = detections(output(turned=True), SIZE)
    real = found["labels"] >= 0
    boxes = found["boxes"][real]
    torch.testing.assert_close(canonical(boxes), boxes)
    for i in range(2):
        b, k = found["boxes"][i][real[i]], found["labels"][i][real[i]]
        overlap = rotated_iou(b[:, None], b) * (k[:, None] == k)
        assert overlap.triu(1).max() <= decode.SAME_ROTATED
    assert (found["scores"].diff(dim=1) <= 0).all()


@pytest.mark.parametrize(("turned", "objects"), [(False, 100), (True, 200)])
def test_of_a_crowded_image_every_object_is_found(turned: bool, objects: int) -> None:
    """Nine locations find each exactly, those of some surer than those of others; ten find nothing."""
    across = torch.arange(20.0)
    centres = 32 * torch.cartesian_prod(across, across)[:objects] + 20
    around = 8 * torch.cartesian_prod(*[torch.arange(-1.0, 2)] * 2)
    points = torch.cat([(centres[:, None] + around).flatten(0, 1), torch.full((10, 2), 300.0)])
    shift = torch.cat([(-around).repeat(objects, 1), torch.zeros(10, 2)])
    half = math.log(2)  # a side of 32 pixels
    raw = torch.cat([shift / 8, torch.full((len(points), 1), half)], 1)
    if not turned:
        raw = torch.cat([16.0 - shift, 16.0 + shift], 1).div(8).log()
    logits = torch.cat([torch.linspace(3, 0, objects).repeat_interleave(9), torch.full((10,), -9.0)])
    said = {"points": torch.cat([points, torch.full((len(points), 1), 8.0)], 1)[None], "boxes": raw[None]}
    said |= {"classes": logits[None, :, None]} | ({"stretches": torch.zeros(1, len(points), 4)} if turned else {})
    found = detections(said, (680, 680))
    assert int((found["labels"] >= 0).sum()) == objects


def test_masks_come_with_their_boxes() -> None:
    raw = output(masks=True)
    found = detections(raw, SIZE)
    assert found["masks"].shape == (2, decode.MOST, 16, 24)
    assert found["masks"].dtype == torch.uint8
    assert not found["masks"][found["labels"] < 0].any()
    boxes, masks = found["boxes"][0], found["masks"][0]
    best = raw["classes"][0].flatten().argmax() // 3
    logits = (raw["coefficients"][0, best][:, None, None] * raw["prototypes"][0]).sum(0)
    x, y = torch.arange(24) * 4 + 2, torch.arange(16) * 4 + 2
    inside = ((x > boxes[0, 0]) & (x < boxes[0, 2]))[None] & ((y > boxes[0, 1]) & (y < boxes[0, 3]))[:, None]
    expected = (255 * logits.sigmoid()).round() * inside
    torch.testing.assert_close(masks[0].float(), expected, atol=1.0, rtol=0)


def test_nothing_is_reported_of_hopeless_scores() -> None:
    raw = output()
    found = detections(raw | {"classes": torch.full_like(raw["classes"], -20.0)}, SIZE)
    assert (found["labels"] == -1).all()
    assert not found["scores"].any()


def test_fewer_candidates_than_rows_and_one_class() -> None:
    raw = {name: values[:, :2] for name, values in output(classes=1).items()}
    found = detections(raw, SIZE)
    assert found["boxes"].shape[1] == 2


@pytest.mark.parametrize("turned", [False, True])
def test_autocast_changes_nothing(turned: bool) -> None:
    raw = output(turned=turned, masks=not turned)
    plain = detections(raw, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = detections(raw, SIZE)
    assert cast["boxes"].dtype == torch.float32
    assert all(torch.equal(plain[name], cast[name]) for name in plain)
    half = detections({name: v if name == "points" else v.bfloat16() for name, v in raw.items()}, SIZE)
    assert half["boxes"].dtype == half["scores"].dtype == torch.float32


def test_what_is_decoded_already_is_passed_on() -> None:
    done = {"boxes": torch.zeros(1, 2, 4), "scores": torch.zeros(1, 2), "labels": torch.zeros(1, 2)}
    assert report(lambda _: done, torch.zeros(1, 3, *SIZE)) == done
    assert set(report(lambda _: output(), torch.zeros(2, 3, *SIZE))) == {"boxes", "scores", "labels"}


@pytest.mark.parametrize("turned", [False, True])
def test_suppression_of_the_candidates_gives_the_detections(turned: bool) -> None:
    said = output(turned=turned, masks=not turned)
    every, found = candidates(said, SIZE), detections(said, SIZE)
    suppress, same = (rotated_nms, decode.SAME_ROTATED) if turned else (nms, decode.SAME)
    for i in range(2):
        boxes, scores, labels = (every[name][i] for name in ("boxes", "scores", "labels"))
        keep = suppress(boxes, scores, labels, threshold=same)[: found["scores"].shape[1]]
        torch.testing.assert_close(found["boxes"][i, : len(keep)], boxes[keep])
        assert found["labels"][i, : len(keep)].tolist() == labels[keep].tolist()
        if not turned:
            masks = torch.einsum("np,phw->nhw", every["coefficients"][i, keep], every["prototypes"][i]).sigmoid()
            inside = found["masks"][i, : len(keep)] > 0
            torch.testing.assert_close(
                found["masks"][i, : len(keep)][inside].float(), (255 * masks)[inside], atol=0.51, rtol=0
            )
