"""What is said of a command line that Hydra would refuse word by word."""

import pytest

from visrun import launch
from visrun.errors import ConfigError


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "seed=1,2", "hydra.sweeper.n_trails=3", "hydra.sweeper.n_jobs=abc", "hydra/sweeper/pruner=medain"],
        ["-m", "seed=1,x", "hydra.sweeper.n_trails=3", "hydra.sweeper.n_jobs=abc", "hydra/sweeper/pruner=medain"],
    ],
)
def test_all_wrong_words_of_hydra_are_said_at_once_beside_all_others(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        launch.main(words)
    wrong = sorted(line.partition(" ")[0].partition(":")[0] for line in caught.value.problems)
    assert wrong == sorted(
        [
            *(["seed=x"] if "seed=1,x" in words else []),
            "hydra/sweeper/pruner=medain",
            "hydra.sweeper.n_jobs=abc",
            "hydra.sweeper.n_trails",
        ]
    )
    assert not list(tmp_path.glob("multirun/*"))


def test_a_setting_of_a_chosen_option_is_known_where_another_word_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3", "hydra.sweeper.n_trails=3"]
    with pytest.raises(ConfigError) as caught:
        launch.main(["-m", "seed=1,2", *words])
    assert [line.partition(" ")[0] for line in caught.value.problems] == ["hydra.sweeper.n_trails"]


def test_a_word_that_no_grammar_reads_hides_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        launch.main(["batch_size=300", "hydra.job.name=[x"])
    assert any(line.startswith("batch_size=300: must be an integer from 1 to 256") for line in caught.value.problems)
