"""trials.csv as the page reads it, whoever wrote or broke it."""

from pathlib import Path

import pytest

from visrun.record.sweep_table import finite_in, table_of


def test_rows_by_number_with_the_files_own_head(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("\ufeffnumber,state,mae\n3,complete,0.5\n0,running,\n", encoding="utf-8")
    head, rows = table_of(tmp_path)
    assert head == ["number", "state", "mae"]
    assert rows == {
        3: {"number": "3", "state": "complete", "mae": "0.5"},
        0: {"number": "0", "state": "running", "mae": ""},
    }


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"something,else\n1,2\n", b"number\nx\n-1\n"])
def test_what_is_no_table_has_no_rows(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "trials.csv").write_bytes(content)
    assert table_of(tmp_path)[1] == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("-3", -3.0), ("", None), (None, None), ("nan", None), ("inf", None), ("x", None), ("1_0", None)],
)
def test_a_cell_holds_a_finite_number_or_none(text: str | None, number: float | None) -> None:
    assert finite_in(text) == number
