"""The words of settings that the code below the settings knows as well."""

from __future__ import annotations

from typing import Literal

Fit = Literal["crop", "letterbox", "zoom"]  # how an image meets the training size
OnBad = Literal["error", "skip"]  # what an unusable image or label does
Tier = Literal["gpu", "ram", "disk", "stream"]  # where decoded images are kept, the best first; stream = nowhere
Cache = Literal["auto", Tier]
