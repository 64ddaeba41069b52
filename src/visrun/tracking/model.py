"""A trained model as an MLflow model: a traced graph (pt2) with signature, input example and requirements."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from visrun.detection.decode import boxes_of

NAME = "model"
DECIMALS = 4  # of the example's values, which MLflow keeps as text: a hundredth of an 8-bit pixel's step
NUMBER_BYTES = 10  # of each, at most, with its comma and blank
MOST = 1000  # metrics of one request, MLflow's limit
EXAMPLE = "input_example.json"


class TensorOutput(nn.Module):
    """``module`` with one tensor as its output, which is all that MLflow takes; see :func:`one_tensor`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) floats to what the module says of them, with leading dimension B."""
        return one_tensor(self.module(images))


def one_tensor(output: Any) -> Any:
    """The tensor in a network's output, which comes back as it is where it holds none.

    Of a dictionary the one under "out"; of a dense detector each location's box and class probabilities
    (B, L, 4 or 5 + K), before suppression; of other detectors each detection's box, score and label (B, D, 4 or 5 + 2).
    """
    if not isinstance(output, dict):
        return output
    if "points" in output:
        return torch.cat([boxes_of(output), output["classes"].float().sigmoid()], -1)
    if "scores" in output:
        return torch.cat([output["boxes"], output["scores"][..., None], output["labels"][..., None].float()], -1)
    return output.get("out", output)


def log_model(client: Any, run: Any, module: nn.Module, example: Tensor, *, metadata: dict[str, Any]) -> None:
    """Trace ``module`` and log it to the run that ``client`` has just read; the process's tracking URI is the client's.

    Args:
        example: (2, 3, H, W) float32. Two images, so that the traced graph takes any number of them.

    Raises:
        TypeError: The module's output holds no tensor that :func:`one_tensor` knows.
    """
    from mlflow.models import Model

    model = TensorOutput(module).eval()
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.requires_grad_(False)
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)  # no views, no channels_last: pt2's rule
    example = example.detach().float().contiguous()
    with torch.no_grad():
        output = model(example)
    if not isinstance(output, Tensor):
        raise TypeError(f"a model that returns {type(output).__name__} has no signature in MLflow")
    entry = client.create_logged_model(
        run.info.experiment_id, name=NAME, source_run_id=run.info.run_id, params=run.data.params
    )
    try:
        Model.log(
            artifact_path=None,
            model_id=entry.model_id,
            flavor=SimpleNamespace(save_model=partial(save_model, example, run.info.run_id)),
            pytorch_model=model,
            signature=signature(example, output),
            pip_requirements=requirements(),
            metadata=metadata or None,
            serialization_format="pt2",
        )
    except Exception:
        with suppress(Exception):  # what prevented it may prevent this as well
            client.delete_logged_model(entry.model_id)
        raise
    attach(client, run, entry.model_id)  # only what is there as a whole


def attach(client: Any, run: Any, model_id: str) -> None:
    """Make a model the run's, with its final values. ``Model.log``, told of the run, asks for each metric by itself."""
    from mlflow.entities import LoggedModelOutput, Metric

    client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step=0)])
    final = [metric for metric in run.data._metric_objs if metric.step == 0]  # the public mapping has no steps
    batch = [Metric(one.key, one.value, one.timestamp, one.step, model_id=model_id) for one in final]
    for start in range(0, len(batch), MOST):
        client.log_batch(run.info.run_id, metrics=batch[start : start + MOST], synchronous=True)


def save_model(example: Tensor, run_id: str, path: str, mlflow_model: Any, **options: Any) -> None:
    """What ``mlflow.pytorch`` saves, with one image as the input example instead of the two that it traces with.

    MLflow's own files have each number twice, with the 17 digits of a float32 that was made a float64, and one of them
    on a line of its own: 125 MB at 640 x 640 pixels.
    """
    import mlflow.pytorch

    mlflow_model.run_id = run_id
    mlflow.pytorch.save_model(path=path, mlflow_model=mlflow_model, input_example=example.numpy(), **options)
    for file in Path(path).glob(f"*{EXAMPLE}"):
        file.unlink()
    image = example[:1].double().numpy().round(DECIMALS).tolist()
    (Path(path) / EXAMPLE).write_text(json.dumps(image), encoding="utf-8")
    mlflow_model.saved_input_example_info = {"artifact_path": EXAMPLE, "type": "ndarray"}
    mlflow_model.save(str(Path(path) / "MLmodel"))


def signature(images: Tensor, output: Tensor) -> Any:
    """Images in, tensor out, any number of images."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def spec(tensor: Tensor) -> Schema:
        return Schema([TensorSpec(tensor.numpy().dtype, (-1, *tensor.shape[1:]))])

    return ModelSignature(inputs=spec(images), outputs=spec(output))


def requirements() -> list[str]:
    """What a graph in pt2 needs to be loaded; public versions, without a build's local part ("+cpu")."""
    import mlflow

    return [f"mlflow=={mlflow.__version__}", f"torch=={torch.__version__.partition('+')[0]}"]
