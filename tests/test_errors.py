from __future__ import annotations

import pytest

from visrun.errors import ConfigError, did_you_mean, first_line


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


def test_a_name_that_is_near_is_named() -> None:
    assert did_you_mean("lerning_rate", ["learning_rate", "loss"]) == " (did you mean learning_rate?)"
    assert did_you_mean("x", ["learning_rate"]) == ""


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("AdamW", ["adam", "adamw", "sgd"], "adamw"),
        ("SGD", ["adam", "adamw", "sgd"], "sgd"),
        ("cats", ["Cat", "Dog"], "Cat"),
        ("obb", ["object_detection", "oriented_object_detection"], "oriented_object_detection"),
        ("CE", ["bce", "cross_entropy"], "cross_entropy"),
        ("ce", ["focal", "dice_loss"], None),  # what it is elsewhere is none of these, and no spelling is near
        ("tune", ["default", "wide"], None),  # a command is no name
    ],
)
def test_capitals_do_not_count_and_other_tools_words_go_first(name: str, names: list[str], near: str | None) -> None:
    assert did_you_mean(name, names) == (f" (did you mean {near}?)" if near else "")
