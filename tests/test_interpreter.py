"""Other Pythons that visrun starts take no file of the working folder for a module of Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import visrun
from visrun.interpreter import python


@pytest.mark.parametrize("words", [("-c", "import statistics; statistics.median"), ("-m", "statistics")])
def test_a_file_of_the_working_folder_is_no_module(words: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "statistics.py").write_text("raise SystemExit(1)")
    assert subprocess.run(python(*words), cwd=tmp_path, check=False).returncode == 0


def test_every_python_is_started_so() -> None:
    package = Path(visrun.__file__).parent
    starting = [file for file in package.rglob("*.py") if "sys.executable" in file.read_text(encoding="utf-8")]
    assert [file.relative_to(package).as_posix() for file in starting] == ["interpreter.py"]
