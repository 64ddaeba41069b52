"""Letters that the usual font lacks, on machines with and without a font that has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import ft2font
from PIL import ImageFont

from visrun.figures import drawing, fonts, plots

LETTERS = "猫" + "".join(map(chr, range(0x20, 0x7F)))


def square() -> object:
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()


@pytest.fixture
def cats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A font of squares for a cat and English letters, installed beside a file that is none."""
    names = [".notdef", *(f"letter{i}" for i in range(len(LETTERS)))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f"letter{i}" for i, letter in enumerate(LETTERS)})
    builder.setupGlyf(dict.fromkeys(names, square()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Cats", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    file = tmp_path / "cats.ttf"
    builder.save(file)
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "installed", lambda: (str(tmp_path / "broken.ttf"), str(file)))
    fonts.font_with.cache_clear()
    yield str(file)
    fonts.font_with.cache_clear()


def test_letters_are_drawn_where_a_font_has_them(cats: str, tmp_path: Path) -> None:
    assert fonts.drawable("猫 Käfer 犬") == "猫 Käfer □"
    assert fonts.drawable("a\tb\x07\udce9\xa0c") == "a□b□□\xa0c"
    assert fonts.families(["Käfer", "猫", "猫 2"]) == ["Cats"]
    assert fonts.families(["Käfer", "□"]) == []
    plots.confusion_matrix(np.eye(3), ["猫", "犬", "dog"], tmp_path / "matrix.png")  # without a warning


def test_a_font_is_opened_once_however_many_letters_none_has(cats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    usual = ft2font.FT2Font
    monkeypatch.setattr(ft2font, "FT2Font", lambda file: opened.append(file) or usual(file))
    fonts.rare_glyphs.cache_clear()
    assert fonts.drawable("犬馬牛") == "□□□"
    assert sorted(opened) == sorted(fonts.installed())


def test_a_caption_takes_the_font_that_has_its_letters(cats: str) -> None:
    found = drawing.font(text="猫 12")
    assert isinstance(found, ImageFont.FreeTypeFont) and found.path == cats
    for text in ("", "Käfer", "кот", "犬"):
        assert drawing.font(text=text) is drawing.font()


def test_plain_upright_fonts_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["/f/A-Bold.ttf", "/f/B-LightItalic.otf", "/f/LastResort.otf", "/f/Z.ttc"]
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: files)
    fonts.installed.cache_clear()
    assert fonts.installed() == ("/f/Z.ttc", "/f/A-Bold.ttf", "/f/B-LightItalic.otf")
    fonts.installed.cache_clear()
