"""Names as pictures show them."""

from __future__ import annotations

import pytest

from visrun.figures import fonts
from visrun.figures.labels import printable, told_apart


def test_names_in_any_script_and_with_signs_can_be_drawn_and_long_ones_lose_their_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fonts, "font_with", lambda _: None)  # as on a machine without other fonts
    assert printable("土地 $") == r"□□ \$"
    assert printable("a very long class name, number one") == "a very …me, number one"
    assert printable("a very long class name, number one", most=34) == "a very long class name, number one"


def test_names_that_are_cut_to_the_same_are_numbered() -> None:
    names = ["cat", "a very long class, red and its number one", "a very long class, blue and its number one"]
    assert told_apart(names) == ["cat", "a very …its number one #1", "a very …its number one #2"]
