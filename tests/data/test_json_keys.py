"""The keys at the top of a json, told by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.data.readers.json_keys import top


@pytest.mark.parametrize(
    ("text", "several", "keys"),
    [
        ('{"a": [1], "b" :\n{"d": []}, "c": "x"}', False, {"a": "[", "b": "{", "c": '"'}),
        ('\ufeff  {"a": null}', False, {"a": "n"}),
        ('[{}, {"a": [{"b": 1}]}, {"c": 1}]', True, {"a": "["}),
        ('{"a": "{\\"b\\": [", "c\\\\": 1}', False, {"a": '"', "c\\\\": "1"}),
        ('{"a": [1, 2', False, {"a": "["}),
        ('{"a": "no end', False, {"a": '"'}),
        ("[[1, 2]]", True, {}),
        ("", False, {}),
    ],
)
def test_keys_and_what_they_hold(tmp_path: Path, text: str, several: bool, keys: dict[str, str]) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    assert top(file, "a", "c") == (several, keys, True)
    assert top(file, "z").keys == {}


def test_a_file_is_looked_at_no_further_than_its_head(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": [' + "1, " * 100_000 + '1], "b": []}')
    assert top(file, "a", "b") == (False, {"a": "["}, False)
    assert top(tmp_path / "gone.json", "a") == (False, {}, True)
