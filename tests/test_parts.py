"""What a run is assembled from: which steps are tried as a CUDA graph."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from visrun import parts
from visrun.config.compose import resolve


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
