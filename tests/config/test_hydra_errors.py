"""Hydra's complaints as visrun tells them, from the real command and from texts."""

import pytest
from hydra.errors import HydraException

from visrun import launch
from visrun.config.hydra_errors import in_one_line
from visrun.errors import ConfigError


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (
            "-m seed=1,2 hydra/sweeper=optun",
            "hydra/sweeper=optun: must be basic, optuna or visrun (did you mean optuna?)",
        ),
        (
            "hydra/job_logging=stdot",
            "hydra/job_logging=stdot: must be default, disabled, none or stdout (did you mean stdout?)",
        ),
        ("hydra.rn.dir=x", "hydra.rn is no setting (did you mean hydra.run?)"),
        ("hydra.job.chdir=perhaps", "hydra.job.chdir=perhaps: must be true or false"),
        ("hydra.job.num=abc", "hydra.job.num=abc: must be an integer"),
        (
            "-m seed=1,2 hydra.sweeper.n_trails=3",
            "hydra.sweeper.n_trails is no setting (did you mean hydra.sweeper.n_trials?)",
        ),
        ("-m seed=1,2 hydra.launcher.jobs=3", "hydra.launcher.jobs is no setting"),
        (
            "-m seed=1,2 hydra/sweeper/pruner=median hydra.sweeper.pruner.n_startup=3",
            "hydra.sweeper.pruner.n_startup is no setting (did you mean hydra.sweeper.pruner.n_startup_trials?)",
        ),
        ("+hydra.run.dir=x", "+hydra.run.dir: is there already; write hydra.run.dir=VALUE"),
        ("~hydra.run", "~hydra.run: HydraConf (DictConfig) does not support deletion"),
    ],
)
def test_a_wrong_word_of_hydra_is_one_line_of_ours(command, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = command.split()
    with pytest.raises(ConfigError) as caught:
        launch.main(words if "-m" in words else [*words, "--cfg", "hydra"])
    assert caught.value.problems == (line,)


def test_what_is_not_known_is_passed_on_without_its_noise():
    error = HydraException("Something\n  new\nfull_key: hydra.x.y\nobject_type=dict")
    assert in_one_line(error) == "Something new"
    assert in_one_line(error, ["seed=1", "+hydra.x.y=3"]) == "+hydra.x.y=3: Something new"
    assert in_one_line(HydraException("")) == "HydraException"
