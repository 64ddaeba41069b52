"""What a saved file brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.config.compose import resolve
from visrun.errors import ConfigError


def test_a_key_that_is_none_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text("optimzer: sgd\n")
    with pytest.raises(ConfigError) as caught:
        resolve(["recipe=mine"])
    line = "optimzer is no setting of a saved file (did you mean optimizer?); it stands in recipe=mine"
    assert caught.value.problems == (line,)
