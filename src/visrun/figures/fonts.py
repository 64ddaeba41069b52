"""Fonts: DejaVu Sans, which comes with matplotlib, and for letters that it lacks whichever installed font has them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

USUAL = "DejaVu Sans"
COMMON = 0x0530  # Latin, Greek and Cyrillic letters lie below
POOR = ("bold", "italic", "oblique", "black", "light", "thin", "condensed", "serif", "mono")  # taken last
BOXES = "lastresort"  # a font that has a box for everything


@cache
def glyphs() -> frozenset[int]:
    """The characters of the usual font."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(USUAL)).get_charmap())


def lacking(text: str) -> frozenset[str]:
    """The letters of ``text`` that the usual font has not."""
    rare = {letter for letter in text if ord(letter) >= COMMON and letter.isprintable()}
    return frozenset(letter for letter in rare if ord(letter) not in glyphs())


@cache
def font_with(letters: frozenset[str]) -> str | None:
    """The file of an installed font that has all of ``letters``, or None; of no letters none.

    Args:
        letters: Those that are `lacking` in the usual font.
    """
    codes = frozenset(map(ord, letters))
    return next((file for file in installed() if codes <= rare_glyphs(file)), None) if letters else None


@cache
def rare_glyphs(file: str) -> frozenset[int]:
    """The characters of a font that are not common; none of a file that is no font that can be drawn.

    Kept, since a machine may have thousands of fonts, and a text hundreds of letters that none of them has.
    """
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(file)
        return frozenset(code for code in font.get_charmap() if code >= COMMON) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


@cache
def installed() -> tuple[str, ...]:
    """The font files of the machine, plain upright ones first."""
    from matplotlib.font_manager import findSystemFonts

    files = [str(file) for file in findSystemFonts() if BOXES not in str(file).lower()]
    return tuple(sorted(files, key=lambda file: (sum(word in file.lower() for word in POOR), file)))


def drawable(text: str) -> str:
    """``text`` with boxes in place of what no font here can draw."""
    rare = lacking(text)
    found = rare if font_with(rare) else {letter for letter in rare if font_with(frozenset(letter))}
    return "".join(letter if ord(letter) in glyphs() or letter in found else "□" for letter in text)


def families(texts: Iterable[str]) -> list[str]:
    """The names, known to matplotlib, of the fonts that ``texts``, which are `drawable`, need beside the usual one."""
    needed = [rare for rare in map(lacking, texts) if rare]
    each = [
        [font_with(rare)] if font_with(rare) else [font_with(frozenset(one)) for one in sorted(rare)] for rare in needed
    ]
    return [_family(file) for file in dict.fromkeys(file for files in each for file in files) if file]


@cache
def _family(file: str) -> str:
    from matplotlib.font_manager import FontProperties, fontManager

    fontManager.addfont(file)
    return FontProperties(fname=file).get_name()
