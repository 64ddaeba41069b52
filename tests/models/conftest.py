"""What the model tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from visrun.models import weights

FILLING = ("kaiming_uniform_", "normal_", "trunc_normal_", "uniform_")  # slow on meta, for nothing


class EmptyOnMeta(TorchFunctionMode):
    """Parameters without memory (unlike ``torch.device("meta")``, it lets builders compute with small tensors)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in FILLING:
            tensor = kwargs.get("tensor", *args[:1])
            if tensor.is_meta:
                return tensor
        return func(*args, **{**kwargs, **({"device": "meta"} if func is torch.empty else {})})


@pytest.fixture
def on_meta() -> Callable[[Callable[[], Any]], Any]:
    def build(make: Callable[[], Any]) -> Any:
        with EmptyOnMeta():
            built = make()
        built.module.to("meta")
        return built

    return build


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty torch.hub folder, and no network."""

    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(weights, "urlopen", refuse)
    yield tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def cache(hub: Path) -> Callable[[Any, nn.Module], dict[str, torch.Tensor]]:
    """Put ``module``'s parameters into the hub folder as if they were the published ``weights``."""

    def save(published: Any, module: nn.Module) -> dict[str, torch.Tensor]:
        path = weights.cached(published.url)
        assert path.parent == hub
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), path)
        return module.state_dict()

    return save
