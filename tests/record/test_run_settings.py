"""Settings as text; which of them count for a run is tested in test_setting_rules.py and compare/test_runs.py."""

from __future__ import annotations

import pytest

from visrun import hyperparameters
from visrun.config import schema
from visrun.record.run_settings import settings_of, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Käfer 画像", "Käfer 画像"),
        (["Käfer"], '["Käfer"]'),
        ("a\x1b[2Jb", r'"a\u001b[2Jb"'),
        (["\u202e"], r'["\u202e"]'),
        (True, "true"),
        (None, "null"),
        (0.1, "0.1"),
        ("", ""),
    ],
)
def test_texts_are_one_printable_line(value: object, shown: str) -> None:
    assert text(value) == shown


def test_a_setting_that_the_version_lacked_which_wrote_the_run_has_its_default() -> None:
    whole = {"hyperparameters": hyperparameters.defaults(), **schema.defaults()}
    run = {key: value for key, value in whole["run"].items() if key != "monitor"}
    assert settings_of({**whole, "run": run}) == settings_of(whole)
    assert "run.monitor" not in settings_of({"hyperparameters": {}})
