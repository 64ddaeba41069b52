"""Which files in a folder of options count, and what is said of those that do not."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from visrun.config.compose import check_sweep, resolve
from visrun.config.configs import Conf, open_conf
from visrun.config.yaml_files import file_errors
from visrun.errors import ConfigError


def mixed(folder: Path) -> Path:
    """A ``conf/`` with files of another tool, in the folders of options."""
    for group in ("data", "loss", "model", "recipe", "sweep"):
        (folder / "conf" / group).mkdir(parents=True)
        (folder / "conf" / group / "theirs.yml").write_text("jobs: 3\n", encoding="utf-8")
    return folder / "conf"


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``conf/`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    return mixed(tmp_path)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    """Another such folder's files, which no test changes."""
    return open_conf(mixed(tmp_path_factory.mktemp("mixed")).parent)


def test_files_of_another_ending_are_passed_over(opened: Conf) -> None:
    assert resolve(["recipe=quick", "model=resnet18", "loss=focal"], conf=opened).hyperparameters.max_epochs == 5
    assert (
        check_sweep(["model=glob(*resnet18)", "sweep=optimizer"], conf=opened).first.settings.model.name == "resnet18"
    )
    words = [sys.executable, "-m", "visrun", "--help"]  # Hydra sets up the logging of its process
    told = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "quick" in told and "theirs" not in told


@pytest.mark.parametrize("name", ["theirs", "theirs.yml"])
@pytest.mark.parametrize("group", ["data", "model", "recipe", "sweep"])
def test_the_ending_is_said_where_the_option_is_asked_for(group: str, name: str, opened: Conf) -> None:
    with pytest.raises(ConfigError) as caught:
        check_sweep([f"{group}={name}"], conf=opened)
    assert caught.value.problems == (f"conf/{group}/theirs.yml: config files end in .yaml; rename it",)


@pytest.mark.parametrize("text", ["defaults: [5]\n", "# @package\nmax_epochs: 3\n", "defaults: quick\n", "a: [\n"])
def test_what_no_config_file_is_becomes_one_line_with_the_file(text: str, conf: Path) -> None:
    (conf / "recipe" / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        resolve(["recipe=mine"])
    (line,) = caught.value.problems
    assert line.startswith("conf/recipe/mine.yaml: ") and "\n" not in line


@pytest.mark.parametrize("text", ["5\n", "# @package _global_\ntrue\n", "!!binary aGk=\n", "- quick\n"])
@pytest.mark.parametrize("path", ["augment/mine", "recipe/mine", "config"])
def test_a_file_that_is_no_mapping_says_so(path: str, text: str, conf: Path) -> None:
    (conf / f"{path}.yaml").parent.mkdir(exist_ok=True)
    (conf / f"{path}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        resolve([] if path == "config" else [path.replace("/", "=")])
    assert caught.value.problems == (f"conf/{path}.yaml: must be a mapping of keys to values",)


@pytest.mark.parametrize("path", ["augment/mine", "recipe/mine", "config"])
def test_a_file_that_is_not_utf_8_says_so(path: str, conf: Path) -> None:
    (conf / f"{path}.yaml").parent.mkdir(exist_ok=True)
    (conf / f"{path}.yaml").write_bytes("# größe\nseed: 1\n".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        resolve([] if path == "config" else [path.replace("/", "=")])
    assert caught.value.problems == (f"conf/{path}.yaml: not UTF-8 at byte 4; save it as UTF-8",)


@pytest.mark.parametrize("text", ["augment: [1]", "augment: {crop_scale: {least: 0.5}}", "data: [a]"])
def test_a_list_in_the_place_of_a_mapping_or_the_other_way_about(text: str, conf: Path) -> None:
    (conf / "augment").mkdir()
    (conf / "augment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        resolve(["augment=mine"])
    wrong = "has a list where a mapping belongs, or a mapping where a list does"
    assert caught.value.problems == (f"conf/augment/mine.yaml: {wrong}",)


def test_a_file_that_cannot_be_read_is_left_to_the_command_line() -> None:
    for where in (["conf/recipe/mine.yaml"], []):
        with pytest.raises(PermissionError), file_errors("recipe/mine"):
            raise PermissionError(errno.EACCES, "Permission denied", *where)
