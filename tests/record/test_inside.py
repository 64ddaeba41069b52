"""Nothing is written through a link in a folder that may be somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.errors import UserError
from visrun.record.inside import require_inside


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in ("run/0/.hydra", "run/checkpoints", "run/.venv/bin", "run/notes", "outside/folder"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("outside/file", "run/checkpoints/best.pt"):
        (tmp_path / name).touch()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("visrun.log", "../outside/file"),
        ("ui.json.tmp", "../outside/not/there/yet"),
        (".lead.lock", "/dev/null"),
        ("visrun.log", "visrun.log"),
        ("plots", "../outside/folder"),
        ("7", "../outside/folder"),
        ("checkpoints/last.pt", "../../outside/file"),
        ("0/.hydra/config.yaml", "../../../outside/file"),
    ],
)
def test_a_link_out_of_what_is_written_is_refused(name: str, target: str, run: Path) -> None:
    (run / name).symlink_to(target)
    with pytest.raises(UserError, match=f"{name}: a link that leads out of {run}"):
        require_inside(run)
    (run.parent / "here").symlink_to(run)
    with pytest.raises(UserError, match="leads out"):
        require_inside(run.parent / "here")


def test_what_lies_behind_a_link_is_looked_at_too(run: Path) -> None:
    (run / "latest").symlink_to("notes")
    (run / "predictions").symlink_to("notes")
    (run / "notes" / "a.png").symlink_to("../../outside/file")
    for names in (None, ["predictions"]):
        with pytest.raises(UserError, match=r"predictions/a\.png: a link that leads out"):
            require_inside(run, names)


def test_links_may_lead_in_circles(run: Path) -> None:
    for name, target in (("plots", "."), ("best", "0"), ("0/1", ".."), ("0/2", "../best"), ("slots", "slots/../0")):
        (run / name).symlink_to(target)
    (run / "3").mkdir()
    (run / "3" / "visrun.log").symlink_to("../../outside/file")
    with pytest.raises(UserError, match=r"3/visrun\.log: a link that leads out"):
        require_inside(run)
    (run / "3" / "visrun.log").unlink()
    require_inside(run)


def test_other_links_are_the_users_own(run: Path) -> None:
    for name, target in (
        ("best.pt", "checkpoints/best.pt"),
        ("latest", "0"),
        ("photos", "../outside/folder"),
        (".venv/bin/python", "/bin/sh"),
        ("notes/x", "../../outside/file"),
    ):
        (run / name).symlink_to(target)
    (run.parent / "elsewhere").symlink_to(run.parent)
    (run.parent / "here").symlink_to(run)
    for folder in (run, run.parent / "here", run.parent / "elsewhere" / "run", run.parent / "none"):
        require_inside(folder)


def test_of_what_is_not_written_no_link_counts(run: Path) -> None:
    (run / "visrun.log").symlink_to("../outside/file")
    require_inside(run, ["predictions"])
    (run / "predictions").mkdir()
    (run / "predictions" / "a.png").symlink_to("../../outside/file")
    with pytest.raises(UserError, match=r"predictions/a\.png: a link"):
        require_inside(run, ["predictions"])
