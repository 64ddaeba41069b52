"""The words of a repeat: seeds or folds, the sweep over them, and what is refused."""

from __future__ import annotations

import pytest

from visrun.errors import ConfigError
from visrun.varied import Varied, read_words, sweep_over, varied_in


@pytest.mark.parametrize(
    ("words", "seeds", "sweep", "points"),
    [
        ([], [0, 1, 2, 3, 4], "seed=interval(0,4)", ""),
        (["seeds=3"], [0, 1, 2], "seed=interval(0,2)", ""),
        (["seeds=1"], [0], "seed=interval(0,0)", ""),
        (["seeds=[3]"], [3], "seed=interval(0,3)", "[{seed:3}]"),
        (["seeds=[7, 3,11]"], [7, 3, 11], "seed=interval(0,11)", "[{seed:7},{seed:3},{seed:11}]"),
        (["seeds=[0,1]"], [0, 1], "seed=interval(0,1)", ""),
        (["seeds=[1,0]"], [1, 0], "seed=interval(0,1)", ""),
    ],
)
def test_seeds_are_a_count_or_a_list(words: list[str], seeds: list[int], sweep: str, points: str) -> None:
    seeded = Varied("seeds", tuple(seeds))
    assert read_words([*words, "optimizer=sgd", "hydra.sweeper.n_jobs=2"]) == (
        seeded,
        ["optimizer=sgd", "hydra.sweeper.n_jobs=2"],
    )
    assert sweep_over(seeded)[0] == sweep
    assert sweep_over(seeded)[3:] == ([f"hydra.sweeper.start_points={points}"] if points else [])


def test_folds_are_a_count() -> None:
    varied, rest = read_words(["folds=3", "seed=7"])
    assert (varied, rest) == (Varied("folds", ("1/3", "2/3", "3/3")), ["seed=7"])
    assert sweep_over(varied) == ["data.fold=1/3,2/3,3/3"]
    assert varied.overlap == 0.5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seeds=0"], "seeds=0: must be a count from 1 to 1000, or different seeds such as"),
        (["seeds=1001"], "seeds=1001: must be a count"),
        (["seeds=3,4"], "seeds=3,4: must be a count"),
        (["seeds=[]"], "seeds=.*: must be a count"),
        (["seeds=[3,3]"], "seeds=.*: must be a count"),
        (["seeds=[-1]"], "seeds=.*: must be a count"),
        (["seeds=²"], "seeds=.*: must be a count"),
        (["seeds=[4294967296]"], "seed=4294967296: must be an integer from 0"),
        (["seeds=2", "seeds=3"], "seeds=2 and seeds=3: repeat varies one thing"),
        (["seeds=2", "folds=3"], "seeds=2 and folds=3: repeat varies one thing"),
        (["folds=1"], "folds=1: must be a count from 2 to 1000"),
        (["folds=1001"], "folds=1001: must be a count"),
        (["folds=[1,2]"], r"folds=\[1,2\]: must be a count"),
        (["folds=3", "data.fold=1/3"], "data.fold=1/3: repeat gives each run a fold; leave it out"),
        (["folds=3", "sweep=default"], "sweep=default: repeat varies the fold alone"),
        (["folds=3", "hydra.sweeper.n_trials=2"], "hydra.sweeper.n_trials=2: repeat runs each fold to its end"),
        (["seed=3"], r"seed=3: repeat gives each run a seed; write seeds=\[3\]"),
        (["sweep=default"], "sweep=default: repeat varies the seed alone"),
        (["hydra/sweeper=basic"], "repeat varies the seed alone"),
        (["hydra.sweeper.params.optimizer='adam,sgd'"], "repeat varies the seed alone"),
        (["+hydra.sweeper.params.optimizer='adam,sgd'"], "repeat varies the seed alone"),
        (["hydra.sweeper.n_trials=3"], "hydra.sweeper.n_trials=3: repeat runs each seed to its end"),
        (["hydra/sweeper/pruner=median"], "hydra/sweeper/pruner=median: repeat runs each seed to its end"),
        (["hydra.sweeper.pruner.name=median"], "repeat runs each seed to its end"),
    ],
)
def test_what_is_no_repeat_is_one_line(words: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        read_words(words)


@pytest.mark.parametrize("name", ["none", "auto"])
def test_a_pruner_that_prunes_no_repeat_is_let_through(name: str) -> None:
    assert read_words([f"hydra/sweeper/pruner={name}"])[1] == [f"hydra/sweeper/pruner={name}"]


@pytest.mark.parametrize(
    ("runs", "varied"),
    [
        ([{"seed": 7, "folder": "0"}, {"seed": 3}, {"seed": 7}], Varied("seeds", (7, 3))),
        ([{"fold": "2/3", "folder": "1"}], Varied("folds", ("1/3", "2/3", "3/3"))),  # the others failed
        ([], None),
        ([{"folder": "0"}], None),
        ([{"seed": True}, {"seed": "1"}, 3], None),
        ([{"fold": "2/x"}], None),
        ([{"fold": "2"}], None),
        ("seeds", None),
        (None, None),
    ],
)
def test_a_report_tells_what_varied(runs: object, varied: Varied | None) -> None:
    assert varied_in({"runs": runs}) == varied
    assert varied_in({}) is None
