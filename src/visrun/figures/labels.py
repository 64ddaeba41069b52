"""Names as pictures show them: short, drawn by the fonts that there are, and told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from visrun.figures import fonts

LONGEST_LABEL, LONGEST_TITLE = 22, 44  # letters of a tick and of a panel's title


def told_apart(names: Sequence[str]) -> list[str]:
    """Each of ``names`` as :func:`printable`, with its number from 0 on where two would look the same."""
    texts = [printable(name) for name in names]
    seen = Counter(texts)
    return [f"{text} #{number}" if seen[text] > 1 else text for number, text in enumerate(texts)]


def printable(text: str, *, most: int = LONGEST_LABEL) -> str:
    """``text`` as fonts can draw it and nothing in it is taken for mathematics; long ones lose their middle."""
    begin, end = most // 3, most - most // 3 - 1
    short = text if len(text) <= most else f"{text[:begin]}…{text[-end:]}"
    return fonts.drawable(short).replace("$", r"\$")
