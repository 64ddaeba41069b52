"""The task: three families of models, thresholds, records and pictures."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from visrun.anomaly.losses import cross_entropy
from visrun.data.placement import Place
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, SOMEWHERE
from visrun.errors import UserError
from visrun.figures.drawing import LEAST, PAD, fitted
from visrun.figures.score_histogram import score_histogram
from visrun.tasks.anomaly_detection import AnomalyDetection
from visrun.tasks.base import Deciding

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
LIKELY = [0.119203, 0.880797]


def dense(size=10):
    """Two images of logits: one cold, one with a single hot pixel."""
    logits = torch.zeros(2, 2, size, size)
    logits[:, 0] = 5.0
    logits[1, 1, 3, 4] = 10.0
    return logits


def batch(codes, size=10):
    target = torch.stack([torch.full((size, size), code) for code in codes])
    return SimpleNamespace(images=torch.zeros(len(codes), 3, size, size), target=target)


def test_a_classifiers_score_is_its_softmax_or_with_a_deviation_that_and_half_of_it():
    task, images = AnomalyDetection(), torch.zeros(2, 3, 8, 8)
    found = task.predict(lambda _: {"out": LOGITS, "deviation": torch.tensor([3.0, 1.0])}, images)
    assert found["density"].tolist() == [3, 1]
    assert found["score"].tolist() == pytest.approx([3 + LIKELY[0] / 2, 1 + LIKELY[1] / 2], abs=1e-5)
    assert found["softmax"].tolist() == pytest.approx(LIKELY, abs=1e-5)
    assert task.predict(lambda _: LOGITS, images)["score"].tolist() == pytest.approx(LIKELY, abs=1e-5)


def test_a_heat_map_scores_by_its_hottest_pixels():
    found = AnomalyDetection().predict(lambda _: {"out": dense()}, torch.zeros(2, 3, 10, 10))
    assert found["heat"].shape == (2, 10, 10)
    assert found["score"][1] == found["heat"][1, 3, 4] == found["heat"].max()
    assert found["score"][0] < 0.01


def test_what_is_hot_beyond_the_picture_does_not_count():
    images = torch.ones(1, 3, 20, 20)
    images[:, :, 10:] = 0
    logits = torch.zeros(1, 2, 20, 20)
    logits[:, 1, 10:] = 9
    logits[:, 1, 3, 4] = 2
    found = AnomalyDetection().predict(lambda _: {"out": logits}, images)
    assert found["score"].tolist() == pytest.approx([1 / (1 + math.exp(-2))])
    assert found["heat"].max() > 0.99


def test_the_score_is_the_mean_of_the_hottest_share_of_the_picture():
    images = torch.ones(2, 3, 40, 40)
    images[1, :, :, 20:] = 0  # 8 and 4 pixels are half a percent
    logits = torch.zeros(2, 2, 40, 40)
    logits[:, 1, 0, :6] = 40
    found = AnomalyDetection().predict(lambda _: {"out": logits}, images)["score"]
    assert found.tolist() == pytest.approx([(6 + 2 * 0.5) / 8, 1.0])


def test_a_memory_answers_by_itself_and_has_no_loss():
    output = {"out": torch.rand(2, 4, 4), "score": torch.tensor([1.0, 2.0])}
    task = AnomalyDetection(loss=cross_entropy)
    found = task.predict(lambda _: output, torch.zeros(2, 3, 4, 4))
    assert torch.equal(found["heat"], output["out"]) and found["score"].tolist() == [1, 2]
    assert task.losses(lambda _: output, batch([GOOD, GOOD])) == {}


def test_losses_of_images_and_of_pixels():
    task = AnomalyDetection(loss=cross_entropy)
    right = task.losses(lambda _: LOGITS, batch([GOOD, SOMEWHERE]))["cross_entropy"]
    wrong = task.losses(lambda _: LOGITS, batch([SOMEWHERE, GOOD]))["cross_entropy"]
    assert float(wrong) == pytest.approx(float(right) + 2)
    cold = {"out": dense()[:1]}
    assert float(task.losses(lambda _: cold, batch([SOMEWHERE]))["cross_entropy"]) == 0.0  # nobody knows where
    assert float(task.losses(lambda _: cold, batch([BESIDE]))["cross_entropy"]) == pytest.approx(0.0067, abs=1e-4)
    assert float(task.losses(lambda _: cold, batch([DEFECT]))["cross_entropy"]) == pytest.approx(5.0067, abs=1e-4)


def test_thresholds_are_taken_over_and_travel_with_the_state():
    task = AnomalyDetection(loss=cross_entropy)
    assert isinstance(task, Deciding)
    task.decide({"synthetic_threshold": 0.5, "synthetic_pixel_threshold": 0.25})
    other = AnomalyDetection(**task.state())
    other.decide({})
    other.take(task.state())
    task.decide({})
    assert task.state() == {"threshold": None, "pixel_threshold": None}
    assert (other.threshold, other.pixel_threshold) == (0.5, 0.25)
    assert other.record({"score": torch.tensor([0.5, 0.4])}, 0) == {"label": "defect", "score": 0.5, "threshold": 0.5}
    assert other.record({"score": torch.tensor([0.5, 0.4])}, 1)["label"] == "good"
    other.select(0.45)
    assert [other.record({"score": torch.tensor([0.5, 0.4])}, i)["label"] for i in (0, 1)] == ["defect", "good"]
    task.select(1.0, highest=1.0)
    with pytest.raises(UserError, match=r"^threshold=1\.5: must be a number from 0 to 1, as the scores are$"):
        task.select(1.5, highest=1.0)
    with pytest.raises(UserError, match=r"^threshold=-1: must be a number >= 0, as the scores are$"):
        other.select(-1.0)
    other.select(0)
    assert other.record({"score": torch.tensor([0.0])}, 0)["label"] == "defect"
    other.select(0.5)
    both = other.record({"score": torch.ones(1), "softmax": torch.tensor([0.25])}, 0)
    assert both == {"label": "defect", "score": 1.0, "threshold": 0.5, "softmax": 0.25}
    heat = torch.tensor([[[0.3, 0.0], [0.0, 0.0]]])
    assert other.record({"score": torch.ones(1), "heat": heat}, 0)["area"] == 0.25
    assert AnomalyDetection().record({"score": torch.ones(1)}, 0) == {"score": 1.0}


def test_heat_goes_back_to_the_pixels_of_the_file():
    task = AnomalyDetection(pixel_threshold=0.5)
    heat = torch.zeros(1, 4, 4)
    heat[0, 2:, 2:] = 1.0
    place = Place((0.0, 0.0, 4.0, 4.0), (8, 8))
    found = task.restore({"score": torch.ones(1), "heat": heat}, 0, place)
    assert found["heat"].shape == found["mask"].shape == (1, 8, 8)
    assert found["mask"].dtype == torch.uint8 and found["mask"][0, 6, 6] == 255 and found["mask"][0, 1, 1] == 0
    maps = task.maps(found, 0)
    assert {name: (values.shape, str(values.dtype)) for name, values in maps.items()} == {
        "heat": ((8, 8), "float32"),
        "mask": ((8, 8), "uint8"),
    }
    assert (maps["mask"] == 255).sum() == (maps["heat"] >= 0.5).sum() > 0
    assert task.maps({"score": torch.ones(1)}, 0) == {}
    assert "mask" not in AnomalyDetection().restore({"score": torch.ones(1), "heat": heat}, 0, place)
    assert set(task.restore({"score": torch.ones(1)}, 0, place)) == {"score"}


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("code", [None, GOOD, SOMEWHERE, DEFECT])
@pytest.mark.parametrize("with_heat", [False, True])
def test_pictures(threshold, code, with_heat):
    task = AnomalyDetection(threshold=threshold, pixel_threshold=threshold)
    prediction = {"score": torch.tensor([0.9])} | ({"heat": torch.rand(1, 20, 30)} if with_heat else {})
    target = None if code is None else torch.full((20, 30), code)
    picture = task.draw(Image.new("RGB", (30, 20)), prediction, 0, target)
    panels = 1 + with_heat + (code == DEFECT)
    assert picture.mode == "RGB" and picture.width >= 256 * panels


def test_what_is_said_below_a_picture_is_not_cut(monkeypatch):
    told = []
    monkeypatch.setattr("visrun.anomaly.drawing.caption", lambda page, lines: told.extend(lines))
    task = AnomalyDetection(threshold=0.012345)
    task.draw(Image.new("RGB", (20, 20)), {"score": torch.tensor([0.0123456])}, 0, torch.full((20, 20), GOOD))
    assert [line.text for line in told] == ["defect: score 0.01235", "threshold: 0.01235", "truth: good"]
    assert all(fitted(line.text, LEAST - 2 * PAD) == line.text for line in told)


def test_heat_beyond_the_picture_is_not_drawn():
    task, image = AnomalyDetection(pixel_threshold=0.5), Image.new("RGB", (20, 20))
    target = torch.full((20, 20), GOOD)
    target[:, 10:] = 255
    heat = torch.zeros(1, 20, 20)
    heat[0, 5, 5] = 1
    cold = task.draw(image, {"score": torch.ones(1), "heat": heat.clone()}, 0, target)
    heat[:, :, 10:] = 9
    assert task.draw(image, {"score": torch.ones(1), "heat": heat}, 0, target).tobytes() == cold.tobytes()


@pytest.mark.parametrize(
    ("scores", "defective", "threshold"),
    [([], [], None), ([], [], 0.5), ([1.0], [1], 1.0), ([1, 2, 3], [0, 0, 1], None), ([2, 2], [0, 1], 9)],
)
def test_the_histogram_of_any_scores(tmp_path, scores, defective, threshold):
    score_histogram(scores, defective, tmp_path / "scores.png", threshold=threshold)
    with Image.open(tmp_path / "scores.png") as image:
        assert image.width > 300
