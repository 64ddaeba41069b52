from pathlib import Path

import pytest

from visrun.config.search_path import conf_dir, user_folders
from visrun.errors import ConfigError


def test_a_named_folder_goes_before_that_of_the_working_folder(tmp_path: Path) -> None:
    assert user_folders(tmp_path) == []
    for name in ("conf", "mine"):
        (tmp_path / name).mkdir()
    assert user_folders(tmp_path) == [tmp_path / "conf"]
    assert user_folders(tmp_path, Path("mine")) == [tmp_path / "mine", tmp_path / "conf"]


def test_no_folder_stands_twice(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    assert user_folders(tmp_path, Path("conf")) == [tmp_path / "conf"]
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "conf").symlink_to(conf_dir())
    assert user_folders(tmp_path / "linked") == []


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_named_folder_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"--config-dir {name}: no such folder; name one with config files"):
        user_folders(tmp_path, Path(name))
