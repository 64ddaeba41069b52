"""Lists that are cut, counts and printable lines."""

from __future__ import annotations

import pytest

from visrun.text import are, columns, does, first_lines, in_a_line, one_line, plural, printable, some, written_out


@pytest.mark.parametrize(
    ("count", "listed", "lines"),
    [
        (0, "", []),
        (2, "0, 1", ["0", "1"]),
        (3, "0, 1 and 1 more", ["0", "1", "... and 1 more"]),
        (1002, "0, 1 and 1000 more", ["0", "1", "... and 1000 more"]),
    ],
)
def test_of_many_the_first_are_told_and_how_many_more(count: int, listed: str, lines: list[str]) -> None:
    every = [str(number) for number in range(count)]
    assert some(iter(every), 2) == listed
    assert first_lines(every, 2) == lines


def test_cells_stand_one_below_the_other() -> None:
    assert columns([("a", "bcd", ""), ("efg", "", "h")]) == ["a    bcd", "efg       h"]
    assert columns([]) == []


def test_one_is_no_plural() -> None:
    assert [plural(count, "trial") for count in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_what_cannot_be_printed_is_a_blank() -> None:
    assert printable("  a\tb\x1b[31m\n") == "  a b [31m "
    assert one_line("  läßt\t\na \x1b[0m") == "läßt a [0m"


def test_a_terminal_obeys_no_name() -> None:
    assert written_out("a\x1b]0;b\x07\x9b.png: no image,\n\tläßt\u200d\udcff") == (
        "a\\x1b]0;b\\x07\\x9b.png: no image,\n\tläßt\u200d\udcff"
    )


def test_a_name_stands_in_one_line() -> None:
    assert in_a_line("a\nb\tc\r\x1b.png") == "a\\x0ab\\x09c\\x0d\\x1b.png"
    assert [in_a_line(name) for name in ("läßt.png", "a b.png", "x\udcff")] == ["läßt.png", "a b.png", "x\udcff"]


@pytest.mark.parametrize(
    ("count", "noun", "told"),
    [
        (0, "image", "0 images are"),
        (1, "class", "1 class is"),
        (2, "class", "2 classes are"),
        (1, "entry", "1 entry is"),
        (3, "unusable entry", "3 unusable entries are"),
        (2, "box", "2 boxes are"),
        (2, "patch", "2 patches are"),
        (2, "epoch", "2 epochs are"),
        (12345, "way", "12,345 ways are"),
    ],
)
def test_a_noun_and_its_verb_go_with_their_number(count: int, noun: str, told: str) -> None:
    assert f"{plural(count, noun)} {are(count)}" == told


def test_a_verb_goes_with_its_number():
    nouns = (("box", "reach"), ("image", "stand"))
    told = [f"{plural(n, noun)} {does(n, verb)}" for n in (1, 2) for noun, verb in nouns]
    assert told == ["1 box reaches", "1 image stands", "2 boxes reach", "2 images stand"]
