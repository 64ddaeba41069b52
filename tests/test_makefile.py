"""What make would do, without doing it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("there", "made"), [([], True), (["python"], True), (["python", "pip"], False)])
def test_an_environment_without_pip_is_made_again(tmp_path: Path, there: list[str], made: bool) -> None:
    (tmp_path / "bin").mkdir()
    for name in there:
        (tmp_path / "bin" / name).touch()
    command = ["make", "-n", "train", f"VENV={tmp_path}", "PYTHON=python3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (f"python3 -m venv {tmp_path}" in done.stdout) == made
    assert "-m pip install" in done.stdout
