"""Training the new head only.

A frozen BatchNorm must not go on averaging the new images, also after ``model.train()``, which a training loop calls
every epoch. So each one is replaced by a twin whose ``train`` ignores the mode; parameters and names stay the same.
"""

from __future__ import annotations

from typing import Any, Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visrun.models.fitting import inside


class Fixed(nn.Module):
    """Goes before a normalisation that always takes its stored statistics and never changes them."""

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        return super().train(False)


class FixedBatchNorm2d(Fixed, nn.BatchNorm2d):
    """BatchNorm2d that stays as it is."""


def freeze_all_but(module: nn.Module, head: tuple[str, ...]) -> None:
    """Stop the training of everything in ``module``, in place, except the submodules named in ``head``."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(inside(name, head))
    fix_norms(module, but=head)


def fix_norms(module: nn.Module, *, but: tuple[str, ...] = ()) -> None:
    """Let every BatchNorm in ``module``, in place, stay as it is, except in the submodules named in ``but``."""
    for name, child in list(module.named_modules()):
        if isinstance(child, _BatchNorm) and not inside(name, but):
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, _fixed(child))


def _fixed(norm: _BatchNorm) -> _BatchNorm:
    if isinstance(norm, Fixed):
        return norm
    if type(norm) is not nn.BatchNorm2d:  # of other inputs, or with an activation as timm's: the same, but fixed
        norm.__class__ = _fixed_class(type(norm))
        return norm.requires_grad_(False).eval()
    fixed = FixedBatchNorm2d(norm.num_features, eps=norm.eps, affine=norm.affine)
    fixed.load_state_dict(norm.state_dict())
    fixed.requires_grad_(False)
    return fixed.eval()


def _fixed_class(kind: Any) -> Any:
    return type(f"Fixed{kind.__name__}", (Fixed, kind), {})
