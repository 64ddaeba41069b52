"""What is offered while a path is typed: what exists and fits, a few, never outside the roots, and soon."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from visrun.web import offers as module
from visrun.web.offers import ENOUGH, MOST, offers
from visrun.web.roots import Roots


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of its own, beside a folder that nobody may read; the home folder is inside."""
    cwd, outside = tmp_path / "work", tmp_path / "outside"
    for name in ("photos/train", "photos/Test", "photos/x10", "photos/x2", "pets", ".hidden", "home/data"):
        (cwd / name).mkdir(parents=True)
    for name in ("photos/a.csv", "photos/a.PNG", "photos/a.pt", "photos/a.txt", "photos/t.yaml", "photos/.b.csv"):
        (cwd / name).touch()
    (outside / "secret").mkdir(parents=True)
    (cwd / "photos" / "out").symlink_to(outside)
    (cwd / "photos" / "in").symlink_to(cwd / "pets")
    (cwd / "photos" / "self").symlink_to("self")
    (cwd / os.fsdecode(b"photos/\xff")).mkdir()
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("HOME", str(cwd / "home"))
    return cwd


def values(text: str, cwd: Path, kind: str = "data", known: tuple[str, ...] = ()) -> list[str]:
    found = offers(text, kind=kind, roots=Roots([cwd]), known=known)
    assert not found["more"]
    return [one["value"] for one in found["offers"]]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("ph", "data", ["photos"]),
        ("OTO", "data", ["photos"]),  # in any case, anywhere in the name
        ("photos/", "weights", ["in", "Test", "train", "x2", "x10", "a.pt"]),
        ("photos/t", "data", ["Test", "train", "t.yaml"]),
        ("photos/n", "data", ["in", "train"]),
        ("photos/a", "images", ["train", "a.PNG"]),  # folders first, of each what begins so
        ("photos/a.", "data", ["a.csv"]),
        ("photos/.", "data", ["a.csv", "t.yaml"]),  # nothing hidden
        ("{cwd}/pe", "data", ["{cwd}/pets"]),
        ("photos/../pe", "data", ["photos/../pets"]),
        ("~", "data", ["~/data"]),
        ("nothing/", "data", []),
        ("photos/a.csv/", "data", []),
        ("x" * 4096, "data", []),
    ],
)
def test_what_fits_is_offered_as_it_would_be_typed(text: str, kind: str, found: list[str], cwd: Path) -> None:
    head = text[: text.rfind("/") + 1]
    expected = [name if "/" in name else f"{head}{name}" for name in found]
    assert values(text.format(cwd=cwd), cwd, kind) == [name.format(cwd=cwd) for name in expected]


@pytest.mark.parametrize("stored", ["donn\u00e9es", "donne\u0301es"])
@pytest.mark.parametrize("typed", ["donn\u00e9", "donne\u0301", "NN\u00c9ES"])
def test_accents_may_be_stored_in_either_way(cwd: Path, stored: str, typed: str) -> None:
    (cwd / stored / "in").mkdir(parents=True)
    assert values(typed, cwd) == [stored]
    assert values(typed, cwd, known=(str(cwd / stored),)) == [str(cwd / stored)]
    if typed != "NN\u00c9ES":
        assert values(f"{typed}es/i", cwd) == [f"{typed}es/in"]
        assert values(f"{cwd}/{typed}", cwd, known=(str(cwd / stored),)) == [str(cwd / stored)]


@pytest.mark.parametrize(
    "text", ["/", "../", "../outside/", "photos/out/", "~root/", "photos\0/", "photos/self/", "/etc/"]
)
def test_nothing_outside_is_told(text: str, cwd: Path) -> None:
    assert values(text, cwd) == []


def test_known_paths_come_first_once_and_only_where_they_are_there_and_inside(cwd: Path) -> None:
    known = tuple(str(cwd / name) for name in ("pets", "photos/a.csv", "gone", "photos/out", "../outside"))
    assert values("", cwd, known=known) == [*known[:2], "home", "photos"]
    assert values("pe", cwd, known=known) == [known[0]]
    assert values(f"{cwd}/photos/a.", cwd, known=known) == [known[1]]
    assert values("", cwd, "images", known=known)[0] == known[0] and known[1] not in values(
        "", cwd, "images", known=known
    )


def test_of_many_a_few_are_offered_and_a_longer_text_finds_the_others(cwd: Path) -> None:
    for i in range(ENOUGH + 10):
        (cwd / "pets" / f"{i}.png").touch()
    (cwd / "pets" / "last").mkdir()
    found = offers("pets/", kind="images", roots=Roots([cwd]))
    assert (len(found["offers"]), found["more"], found["offers"][0]["name"]) == (MOST, True, "last")
    assert values(f"pets/{ENOUGH}", cwd, "images") == [f"pets/{ENOUGH}.png"]


def test_a_drive_that_hangs_holds_nobody_up(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back = threading.Event()

    class Hanging(Roots):
        def holds(self, path: Path) -> bool:
            return back.wait(60)

    monkeypatch.setattr(module, "SECONDS", 0.01)
    for _ in range(2 * module.STUCK):
        assert offers("", kind="data", roots=Hanging([cwd])) == {"offers": [], "more": True}
    stuck = [thread for thread in threading.enumerate() if thread.name == "visrun-offers"]
    assert len(stuck) == module.STUCK
    back.set()
    for thread in stuck:
        thread.join()
    monkeypatch.undo()
    assert offers(f"{cwd}/pe", kind="data", roots=Roots([cwd]))["offers"]
