"""A trained model as an MLflow model: a traced graph (pt2) with signature, input example and requirements."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from visrun.detection.decode import boxes_of

NAME = "model"
DECIMALS = 3  # of the example's values: enough to look at, and half the size as text


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
    import mlflow.pytorch
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
            flavor=mlflow.pytorch,
            run_id=run.info.run_id,
            pytorch_model=model,
            signature=signature(example, output),
            input_example=example.numpy().round(DECIMALS),
            pip_requirements=requirements(),
            metadata=metadata or None,
            serialization_format="pt2",
            validate_serving_input=False,
        )
    except Exception:
        with suppress(Exception):  # what prevented it may prevent this as well
            client.delete_logged_model(entry.model_id)
        raise


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
