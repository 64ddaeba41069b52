"""visrun: one command line to train, compare and sweep computer-vision models.

    visrun task=segmentation optimizer=adamw learning_rate=3e-4 data.root=photos

and the same from Python:

    result = visrun.train(["task=segmentation", "data.root=photos"])
    visrun.load(result.folder).predict(["photo.jpg"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visrun.config.experiment import load_experiment
    from visrun.errors import ConfigError, DataError, VisrunError
    from visrun.hyperparameters import Hyperparameters
    from visrun.lr import lr_curve
    from visrun.optimizers import build_optimizer
    from visrun.predictor import Predictor, load
    from visrun.result import Result
    from visrun.run import train
    from visrun.schedulers import build_scheduler

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "Hyperparameters",
    "Predictor",
    "Result",
    "VisrunError",
    "build_optimizer",
    "build_scheduler",
    "load",
    "load_experiment",
    "lr_curve",
    "train",
]

_HOMES = {
    "ConfigError": "errors",
    "DataError": "errors",
    "Hyperparameters": "hyperparameters",
    "Predictor": "predictor",
    "Result": "result",
    "VisrunError": "errors",
    "build_optimizer": "optimizers",
    "build_scheduler": "schedulers",
    "load": "predictor",
    "load_experiment": "config.experiment",
    "lr_curve": "lr",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import visrun`` alone loads neither torch nor Hydra."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'visrun' has no attribute {name!r}")
    import_module("visrun.errors").refuse_windows()
    return getattr(import_module(f"visrun.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
