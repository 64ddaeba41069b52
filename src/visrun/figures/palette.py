"""What all charts share, those of a page too: the colours of lines, and up to how many epochs every value has a dot."""

from __future__ import annotations

BLUE, ORANGE, GREY, DARK = "#2563a8", "#d9772b", "#9aa0a6", "#3c4043"
COLOURS = (BLUE, ORANGE, "#3a8f5c", "#a8437a", "#7a63b8", "#8a6d3b", "#2a9aa8", "#b8433a", "#6b7280", "#b0920f")
MOST_DOTS = 30
