"""Fitting weights into a network that is not quite the one they were trained in."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from visrun.errors import ConfigError
from visrun.text import some

State = dict[str, Tensor]

# A network's parameters under the names they have where it is a part of another: (prefix there, prefix here).
RENAMES = (
    *(("", ""), ("", "backbone."), ("", "encoder."), ("features.", "backbone.")),
    *(("", "backbone.layers."), ("features.", "backbone.layers.")),  # of the dense detector
    *(("", "network."), ("", "network.backbone.body.")),  # of torchvision's detectors
)
COUNTER = "num_batches_tracked"  # a scalar that fits everywhere, so it proves nothing
SHOWN = 4


def fit(module: nn.Module, state: State, *, head: tuple[str, ...], path: Path) -> str:
    """Copy into ``module`` every tensor of ``state`` that has its name and shape; what does not fit stays as it is.

    The head may differ (another number of classes). Weights of a classifier find their place in the
    backbone of a segmentation network or a detector; a ViT's positions are resized to the module's image size.

    Returns:
        A line that says how many tensors were loaded and which were not.

    Raises:
        ConfigError: The file is of another architecture: a tensor outside the head has another shape, or more than half
            of them are missing.
    """
    own = module.state_dict()
    ordered = _by_order(state, own, head)
    state = ordered or resize_positions(_rename(state, own), module)
    fitting = _fitting(state, own)
    body = [name for name in own if not inside(name, head) and not name.endswith(COUNTER)]
    reshaped = [name for name in body if name in state and name not in fitting]
    missing = [name for name in body if name not in state]
    if reshaped or 2 * len(missing) > len(body):
        strangers = reshaped + missing
        reasons = "; ".join(_reason(name, state, own) for name in strangers[:SHOWN])
        raise ConfigError(
            f"model.weights={path}: fits {len(body) - len(strangers)} of the {len(body)} tensors of the model's body, "
            f"so it is of another architecture ({reasons}): choose that as the model"
        )
    module.load_state_dict(fitting, strict=False)
    left = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    how = ", by their order and shapes, since the names are others" if ordered else ""
    return f"{len(fitting)} of {len(own)} tensors{how}" + (f"; new: {some(left, SHOWN)}" if left else "")


def _by_order(state: State, own: State, head: tuple[str, ...]) -> State:
    """``state`` under the names of ``own``, where hardly any name fits but its first tensors have, one after the other,
    exactly the shapes of the body's; {} where that is not so.

    Two libraries that build the same network in the same order differ in nothing but names.
    """
    body = [name for name in own if not inside(name, head)]
    known = len(_fitting(_rename(state, own), own))
    shapes = [own[name].shape for name in body]
    if not body or 2 * known > len(body) or [value.shape for value in state.values()][: len(body)] != shapes:
        return {}
    return dict(zip(own if len(own) == len(state) else body, state.values(), strict=False))


def inside(name: str, modules: tuple[str, ...]) -> bool:
    """Whether parameter or module ``name`` belongs to one of the named ``modules``."""
    return any(name == module or name.startswith(module + ".") for module in modules)


def resize_positions(state: State, module: nn.Module) -> State:
    """``state`` with a ViT's positional embedding interpolated to the image size of ``module`` (Dosovitskiy et al.
    2021, section 3.2); unchanged for other networks and equal sizes."""
    key = "encoder.pos_embedding"
    if key not in state or state[key].dim() != 3:
        return state
    # Here, since torchvision has torch._dynamo and sympy with it: seconds that most networks here do without.
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if not isinstance(module, VisionTransformer):
        return state
    sides = (state[key].shape[1] - 1) ** 0.5
    if not sides.is_integer():
        return state
    resized: State = interpolate_embeddings(module.image_size, module.patch_size, dict(state))
    return resized


def _rename(state: State, own: State) -> State:
    """``state`` under that renaming which makes most tensors fit."""
    renamed = [
        {new + name.removeprefix(old): value for name, value in state.items() if name.startswith(old)}
        for old, new in RENAMES
    ]
    return max(renamed, key=lambda candidate: len(_fitting(candidate, own)))


def _fitting(state: State, own: State) -> State:
    return {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}


def _reason(name: str, state: State, own: State) -> str:
    if name not in state:
        return f"{name} is not in the file"
    return f"{name} is {tuple(state[name].shape)} in the file, {tuple(own[name].shape)} in the model"
