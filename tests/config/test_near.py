"""What a name that is no setting was meant to be."""

from __future__ import annotations

from visrun.config.near import near


def test_near_knows_initials_leaves_and_misspellings() -> None:
    keys = ["batch_size", "data.root", "learning_rate", "weight_decay"]
    assert near("wd", keys) == " (did you mean weight_decay?)"
    assert near("root", keys) == " (did you mean data.root?)"
    assert near("batchsize", keys) == " (did you mean batch_size?)"
    assert near("qqqq", keys) == ""
    assert near("hydra.run.dir", keys) == ", but Hydra's: type hydra.run.dir=VALUE"
