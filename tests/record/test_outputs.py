from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from visrun.config.search_path import conf_dir
from visrun.errors import UserError
from visrun.record.outputs import RUNS, SWEEPS, new_run_folder


def test_folders_of_one_second_are_all_different(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_run_folder("regression", root=tmp_path), range(24)))
    assert len(set(folders)) == 24
    assert all(folder.is_dir() and folder.parent.parent == tmp_path for folder in folders)
    assert all("regression" in folder.name for folder in folders)


@pytest.mark.parametrize("file", ["outputs", "day"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, file):
    root = tmp_path / "outputs"
    if file == "outputs":
        root.write_text("")
    else:
        day = new_run_folder("x", root=root).parent
        for folder in day.iterdir():
            folder.rmdir()
        day.rmdir()
        day.write_text("")
    with pytest.raises(UserError) as error:
        new_run_folder("x", root=root)
    assert "\n" not in str(error.value) and str(root) in str(error.value)


def test_a_working_folder_that_is_gone_is_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UserError, match="cannot make a run's folder here"):
        new_run_folder("x")


def test_a_day_whose_empty_folder_is_taken_away_meanwhile_is_made_again(tmp_path, monkeypatch):
    make, taken = Path.mkdir, []

    def mkdir(self, *args, **kwargs):
        if not taken and self.parent.parent == tmp_path:
            taken.append(self.parent)
            self.parent.rmdir()
        make(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    folder = new_run_folder("x", root=tmp_path)
    assert folder.is_dir() and taken == [folder.parent]


def test_hydra_writes_where_everybody_else_looks():
    hydra = yaml.safe_load((conf_dir() / "config.yaml").read_text())["hydra"]
    assert [Path(hydra[mode]["dir"]).parts[0] for mode in ("run", "sweep")] == [RUNS, SWEEPS]
