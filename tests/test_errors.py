from __future__ import annotations

import pytest

from visrun.errors import ConfigError, first_line


@pytest.mark.parametrize(
    ("error", "most", "line"),
    [
        (ValueError("first\nsecond"), None, "first"),
        (ValueError("\n  first \r\nsecond"), None, "first"),
        (ConfigError("one", "two"), None, "one"),
        (KeyError(), None, "KeyError"),
        (OSError(" \n"), None, "OSError"),
        (ValueError("x" * 20), 20, "x" * 20),
        (ValueError("x" * 21), 20, "x" * 17 + "..."),
        (ValueError("x" * 9999), None, "x" * 9999),
    ],
)
def test_the_first_line_of_an_error_or_its_kind(error: Exception, most: int | None, line: str) -> None:
    assert first_line(error, most=most) == line
