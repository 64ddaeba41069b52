"""What a line is about decides whether it is told, and where."""

from __future__ import annotations

from visrun.config.lines import Line, about_others, distinct, texts

WARMUP = Line("warmup_epochs=5: must be below max_epochs=2", ("warmup_epochs", "max_epochs"))
LOSS = Line("loss=mse: task=classification takes focal", ("loss", "task"), "unfit")
BARE = Line("conf/a.yaml: broken")


def test_a_line_that_follows_from_a_wrong_value_is_left_out() -> None:
    assert about_others([WARMUP, LOSS, BARE], ["max_epochs"]) == [LOSS, BARE]
    assert about_others([WARMUP, LOSS, BARE], ["epochs", "tas"]) == [WARMUP, LOSS, BARE]
    assert about_others([], ["loss"]) == about_others([LOSS], {"loss": 1}) == []


def test_each_text_is_told_once_in_the_place_of_the_first() -> None:
    again = Line(LOSS.text)
    assert distinct([LOSS, WARMUP, again]) == (LOSS, WARMUP)
    assert texts([again, WARMUP, LOSS]) == [LOSS.text, WARMUP.text]
    assert texts([]) == []
