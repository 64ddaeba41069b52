"""Settings as text; which of them count for a run is tested in test_setting_rules.py and compare/test_runs.py."""

from __future__ import annotations

import pytest

from visrun.record.run_settings import text


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
