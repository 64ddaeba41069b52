"""What a network says, as the one tensor that MLflow takes."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch

from visrun.detection.decode import boxes_of
from visrun.models.dense import small_detector
from visrun.tracking.model import TensorOutput, log_model, one_tensor


def test_a_tensor_and_the_one_under_out_stay_as_they_are() -> None:
    x = torch.randn(2, 3)
    assert one_tensor(x) is x
    assert one_tensor({"out": x, "aux": torch.zeros(2)}) is x


def test_what_holds_no_tensor_comes_back() -> None:
    listed, named = [torch.zeros(1)], {"aux": torch.zeros(1)}
    assert one_tensor(listed) is listed
    assert one_tensor(named) is named


def test_detections_are_rows_of_box_score_and_label() -> None:
    boxes = torch.tensor([[[1.0, 2, 3, 4], [5, 6, 7, 8]]])
    found = one_tensor({"boxes": boxes, "scores": torch.tensor([[0.5, 0.0]]), "labels": torch.tensor([[2, -1]])})
    assert found.tolist() == [[[1, 2, 3, 4, 0.5, 2], [5, 6, 7, 8, 0, -1]]]


@pytest.mark.parametrize(("target", "sides"), [("boxes", 4), ("rotated_boxes", 5), ("instances", 4)])
def test_a_dense_detector_is_traced_for_any_number_of_images(target: str, sides: int) -> None:
    module = small_detector(num_outputs=3, target=target).module.eval()
    program = torch.export.export(
        TensorOutput(module).eval(),
        (torch.randn(2, 3, 64, 64),),
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
    )
    images = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        output, said = program.module()(images), module(images)
    assert output.shape == (5, 8 * 8 + 4 * 4 + 2 * 2, sides + 3)
    torch.testing.assert_close(output[..., :sides], boxes_of(said))
    torch.testing.assert_close(output[..., sides:], said["classes"].sigmoid())


@pytest.mark.slow
def test_a_model_that_is_not_taken_leaves_no_entry(monkeypatch):
    import mlflow.models

    def refuse(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(mlflow.models.Model, "log", refuse)
    client, run = Mock(), Mock(data=Mock(_metric_objs=[]))
    with pytest.raises(OSError, match="no space left"):
        log_model(client, run, torch.nn.Conv2d(3, 1, 1), torch.zeros(2, 3, 4, 4), metadata={})
    client.delete_logged_model.assert_called_once_with(client.create_logged_model.return_value.model_id)
    client.log_outputs.assert_not_called()
