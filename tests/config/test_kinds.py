"""What a kind of setting makes of what it is given; ranges are tested with the settings that have them."""

from visrun.config.kinds import duration


def test_duration_leaves_what_it_cannot_read():
    assert duration("soon") == "soon"
    assert duration(None) is None
