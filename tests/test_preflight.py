"""What this machine cannot give is refused before a run's folder is made, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

import visrun
from visrun import preflight
from visrun.config.compose import resolve
from visrun.config.settings import Settings
from visrun.errors import ConfigError, DataError
from visrun.models import weights


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*words: str) -> Settings:
    return resolve(words).settings


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, *, timeout: float = 0) -> None:
        raise OSError("no network")

    monkeypatch.setattr(weights, "fetch", fail)


@pytest.mark.parametrize(
    "words",
    [[], ["run.device=cpu"], ["data.cache=disk"], ["model=resnet18", "model.pretrained=auto"], ["data.root=."]],
    ids=lambda item: " ".join(item),
)
def test_what_every_machine_has_is_let_through(words: list[str], no_network: None) -> None:
    preflight.require(settings(*words))


@pytest.mark.parametrize("model", ["resnet18", "unet", "lraspp", "deeplabv3"])
def test_weights_that_cannot_be_had(model: str, no_network: None) -> None:
    task = "classification" if model == "resnet18" else "segmentation"
    with pytest.raises(ConfigError, match=r"model\.pretrained=true: no weights \(.*no network"):
        preflight.require(settings(f"task={task}", f"model={model}", "model.pretrained=true"))


def test_weights_that_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(weights, "fetch", lambda url: asked.append(url) or "cached")
    preflight.require(settings("model=resnet18", "model.pretrained=true"))
    assert len(asked) == 1 and "resnet18" in asked[0]


def test_a_plugins_model_is_asked_when_it_is_built(monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    from visrun.tables import MODELS, ModelEntry

    facts = {"parameters": 1.0, "speed": 1, "accuracy": 1, "gradient": False}  # reads no backbone all the same
    monkeypatch.setitem(MODELS, "mine", ModelEntry(build="mine:build", tasks=("classification",), **facts))
    words = ["model.name=mine", "model=torchvision", "model.pretrained=true", "model_options.backbone=none_of_timms"]
    preflight.require(settings(*words))


def test_all_problems_come_at_once(no_network: None) -> None:
    with pytest.raises(ConfigError) as refused:
        words = ["model=resnet18", "model.pretrained=true", "run.device=cuda:999", "tracking.uri=ftp://host"]
        preflight.require(settings(*words))
    assert [line.partition("=")[0] for line in refused.value.problems] == [
        "tracking.uri",
        "run.device",
        "model.pretrained",
    ]


def test_a_missing_data_folder_has_a_suggestion(empty_folder: Path) -> None:
    (empty_folder / "photos").mkdir()
    with pytest.raises(DataError, match=r"no such file or folder \(did you mean photos\?\)"):
        preflight.require(settings("data.root=photo"))


def test_python_is_refused_alike_and_nothing_is_written(empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.device=cuda:999"):
        visrun.train(["run.device=cuda:999"])
    assert not list(empty_folder.iterdir())


def test_a_new_folder_is_told_from_one_that_was_there(empty_folder: Path) -> None:
    new = empty_folder / "a" / "b"
    assert preflight.make("hydra.run.dir", new) == new and preflight.make("hydra.run.dir", new) is None
    assert not list(new.iterdir())
    with pytest.raises(ConfigError, match=r"^hydra\.run\.dir=.*/file/b: cannot be written \(Not a directory\); name"):
        (empty_folder / "file").touch()
        preflight.make("hydra.run.dir", empty_folder / "file" / "b")
