"""The names of torchvision's networks, known without importing torchvision."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def torchvision_builders() -> dict[str, str]:
    """Name -> classification, segmentation or detection, read from torchvision's sources without importing it."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return {}
    registered = re.compile(r"^@register_model\([^)]*\)(?:\n[@ )][^\n]*)*\ndef (\w+)\(", re.M)
    found = {}
    for kind, folder in (("classification", "."), ("segmentation", "segmentation"), ("detection", "detection")):
        for file in sorted((Path(spec.origin).parent / "models" / folder).glob("*.py")):
            found.update(dict.fromkeys(registered.findall(file.read_text(encoding="utf-8")), kind))
    return found
