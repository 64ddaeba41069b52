"""The composition root on a tiny dataset: what a run writes when all goes well, and what when it does not."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import weakref
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

import visrun
from tests.opened import shipped
from visrun import checkpoint, cli, conclusion, evaluate, run, sitting, validation
from visrun.config.compose import resolve
from visrun.errors import ConfigError, DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.losses import cross_entropy
from visrun.models import Built, Pretrained
from visrun.models.freezing import fix_norms
from visrun.parts import Parts
from visrun.record import recorder
from visrun.record.run_folder import RunFolder
from visrun.run_files import SECONDS
from visrun.step import Step
from visrun.tables import MODELS, TASKS
from visrun.tracking import NoTracker
from visrun.tracking.names import RECORD
from visrun.trial import Trial

COLOURS = {"blue": (30, 60, 200), "red": (200, 40, 30)}
TINY = ["max_epochs=3", "tracking=none", "model=small_resnet", "augment=none", "warmup_epochs=0", "batch_size=4"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 16 px pictures that differ in colour, in train and val."""
    root, noise = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(np.array(colour) + noise.normal(0, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib would take half of the time here; ``test_flow`` has it draw every task's. The sheet is drawn."""
    for name in ("curves", "learning_rate"):
        monkeypatch.setattr(conclusion.plots, name, lambda _, path, **__: path.touch())
    monkeypatch.setattr(conclusion.gallery, "of_metric", lambda *_: [])


def start(photos: Path, folder: Path, *words: str, trial: Trial | None = None) -> run.Result:
    """Run with TINY's words, those that ``words`` set again left out."""
    typed = {word.partition("=")[0]: word for word in [*TINY, f"data.root={photos}", *words]}
    folder.mkdir(parents=True, exist_ok=True)
    return run.execute(resolve(list(typed.values()), conf=shipped()), folder, trial=trial)


def experiment(folder: Path) -> dict:
    return json.loads((folder / "experiment.json").read_text())


def told(folder: Path) -> tuple[str, int]:
    """How status.json says that the run ended."""
    content = json.loads((folder / "status.json").read_text())
    return content["state"], content["exit_code"]


def rows(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


def test_a_run_learns_and_returns_what_it_wrote(photos, tmp_path):
    result = start(photos, tmp_path / "run", "max_epochs=8", "learning_rate=0.01")
    assert (result.status, result.exit_code, result.value) == ("finished", 0, 1.0)
    noted = experiment(result.folder)["result"]
    assert noted["status"] == "finished" and noted["best_epoch"] == result.best_epoch
    assert noted["val"] == result.val and noted["val"]["accuracy"] == 1.0
    assert noted["test"] == {} and noted["epochs"] == 8 and noted["image_size"] == [16, 16]
    assert not (result.folder / "run.lock").exists()
    assert told(result.folder) == ("finished", 0) and noted["exit_code"] == 0


def test_a_sheet_of_each_new_best_changes_nothing_else(photos, tmp_path, monkeypatch):
    words = ["dropout=0.3", "run.ema=0.9", "max_epochs=4"]
    plain = start(photos, tmp_path / "plain", *words)
    monkeypatch.setattr(recorder, "DRAWING_SHARE", float("inf"))
    real, seen = sitting.show, []

    def show(made, folder, split):
        path = real(made, folder, split)
        seen.append((split, [file.name for file in folder.iterdir()], path.read_bytes()))
        return path

    monkeypatch.setattr(sitting, "show", show)
    drawn = start(photos, tmp_path / "drawn", *words)
    assert rows(drawn.folder) == rows(plain.folder)
    assert seen and all(
        split == "val" and sorted(files) == ["predictions.png", "training_images.png"] for split, files, _ in seen
    )
    assert seen[0][2][:4] == b"\x89PNG"
    last = [(result.folder / "plots" / "predictions.png").read_bytes() for result in (plain, drawn)]
    assert last[0] == last[1]


def test_a_trial_that_cannot_win_ends_and_every_record_says_why(photos, tmp_path, capsys):
    trial = Mock(tags={}, report=Mock(side_effect=[None, "hopeless"]), formers=lambda _: [])
    result = start(photos, tmp_path, trial=trial)
    assert (result.status, result.exit_code, result.reason) == ("pruned", 0, "hopeless")
    trial.begin.assert_called_once_with(tmp_path)
    trial.sees.assert_called_once_with(12)
    assert [call.args[0] for call in trial.report.mock_calls] == [1, 2]
    known = {"epochs": 2, "seconds": result.seconds, "data": experiment(tmp_path)["data"]["fingerprint"]}
    assert trial.end.mock_calls[0].kwargs == known | {"reason": "hopeless"}
    noted = experiment(tmp_path)["result"]
    assert (noted["status"], noted["reason"], told(tmp_path)) == ("pruned", "hopeless", ("pruned", 0))
    assert "ended after epoch 2: hopeless" in capsys.readouterr().out


def test_train_makes_a_folder_of_its_own(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = visrun.train([*TINY, f"data.root={photos}"])
    assert result.folder.parent.parent == tmp_path / "outputs"
    assert result.folder.name.endswith("_classification")


def test_train_takes_the_folder_that_is_named_and_no_other_word_of_hydras(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["max_epochs=1", *TINY[1:], f"data.root={photos}"]
    assert visrun.train([*words, "hydra.run.dir=here (1)/a"]).folder == tmp_path / "here (1)" / "a"
    for own, told in (
        (["hydra.run.dir=here (1)/a"], "holds a run already"),
        (["hydra.run.dir=b", "hydra.job.chdir=true"], "hydra.job.chdir=true: not read from Python"),
        (["hydra.run.dir=${now:%Y}"], "not read from Python"),
        (["hydra/launcher=joblib"], "hydra/launcher=joblib: not read from Python"),
    ):
        with pytest.raises(ConfigError, match=f"^[^\n]*{told}[^\n]*$"):
            visrun.train([*words, *own])
    assert [path.name for path in tmp_path.iterdir()] == ["here (1)"]


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(photos, tmp_path):
    one, two = (start(photos, tmp_path / name, "dropout=0.3", "augment=default") for name in "ab")
    other = start(photos, tmp_path / "c", "dropout=0.3", "augment=default", "seed=1")
    assert rows(one.folder) == rows(two.folder)
    assert rows(one.folder) != rows(other.folder)


def test_the_file_is_there_before_the_data_are_read(tmp_path):
    with pytest.raises(DataError):
        start(tmp_path / "missing", tmp_path / "run")
    noted = experiment(tmp_path / "run")
    assert noted["result"]["status"] == "failed" and "missing" in noted["result"]["reason"]
    log = (tmp_path / "run" / "visrun.log").read_text()
    assert "the run ended: data.root=" in log and "Traceback" not in log
    assert told(tmp_path / "run") == ("failed", 2)


def test_nan_fails_the_run_naming_files_and_keeps_the_best(photos, tmp_path, monkeypatch):
    real, calls = Step.__call__, []

    def poisoned(self, batch):
        calls.append(1)
        if len(calls) == 5:
            batch.images[:] = float("nan")
        real(self, batch)

    monkeypatch.setattr(Step, "__call__", poisoned)
    with pytest.raises(Diverged, match=r"epoch 2, step 2 of 3, at learning_rate=0\.000.*\.png"):
        start(photos, tmp_path / "run")
    assert experiment(tmp_path / "run")["result"]["status"] == "failed"
    state = torch.load(tmp_path / "run" / "checkpoints" / "best.pt", weights_only=True)
    assert state["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_memory_names_a_batch_size_that_was_tried(photos, tmp_path, monkeypatch):
    from visrun.tasks.classification import Classification

    real = Classification.losses

    def greedy(self, model, batch):
        if len(batch.images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, model, batch)

    monkeypatch.setattr(Classification, "losses", greedy)
    monkeypatch.setattr(Parts, "kept", 5_000_000_000)
    with pytest.raises(
        OutOfMemory, match=r"=4: out of memory on cpu; batch_size=2 fits \(run.accumulate=2.* take 5.0 GB"
    ):
        start(photos, tmp_path / "run")


@pytest.mark.parametrize("part", ["validation.calibrate", "validation.evaluate", "gallery.samples"])
def test_memory_that_runs_out_in_the_evaluation_asks_for_no_smaller_step(photos, tmp_path, monkeypatch, part):
    monkeypatch.setattr(f"visrun.{part}", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(OutOfMemory, match=r"^out of memory on cpu in the evaluation, not in a training step: use"):
        start(photos, tmp_path / "run", "max_epochs=1")


def test_memory_is_probed_once_the_failed_step_has_let_go_of_its_own(photos, tmp_path, monkeypatch):
    from visrun.tasks.classification import Classification

    real, held, alive = Classification.losses, [], []

    def greedy(self, model, batch):
        alive.append(held[0]() is not None if held else None)
        activations = model(batch.images)
        held.append(weakref.ref(activations))
        if len(batch.images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, model, batch)

    monkeypatch.setattr(Classification, "losses", greedy)
    with pytest.raises(OutOfMemory, match="batch_size=2 fits"):
        start(photos, tmp_path / "run")
    assert alive == [None, *[False] * 4]  # two steps of two parts


@pytest.mark.parametrize("full", [False, True], ids=["room", "full disk"])
def test_an_error_leaves_the_best_weights_saved_and_is_the_one_to_show(photos, tmp_path, monkeypatch, full):
    real, calls = Step.__call__, []

    def breaking(self, batch):
        calls.append(1)
        if len(calls) == 8:
            raise ZeroDivisionError("a fault")
        real(self, batch)

    def save(state, path):
        if full:
            raise VisrunError("disk full")
        torch.save(state, path)

    monkeypatch.setattr(Step, "__call__", breaking)
    monkeypatch.setattr(recorder, "SAVING_SHARE", 1e-9)  # after the first epoch none is saved
    with monkeypatch.context() as patch:
        real_epoch = recorder.RunRecorder.epoch

        def epoch(self, progress, row, improved, **clock):
            if progress.epoch == 2:
                patch.setattr(recorder.checkpoint, "save", save)
            real_epoch(self, progress, row, True, **clock)

        patch.setattr(recorder.RunRecorder, "epoch", epoch)
        with pytest.raises(ZeroDivisionError, match="a fault"):
            start(photos, tmp_path / "run")
    best, last = (torch.load(tmp_path / "run" / "checkpoints" / f"{name}.pt") for name in ("best", "last"))
    assert (best["epoch"], last["progress"]["epoch"]) == (1 if full else 2, 1)


class Listening(NoTracker):
    """Remembers the epochs and final values that it was told, and how the run ended."""

    def __init__(self):
        self.epochs, self.ends, self.final = [], [], {}

    def summary(self, values):
        assert not self.ends
        self.final |= values

    def epoch(self, epoch, metrics):
        self.epochs.append({"epoch": epoch, **metrics})

    def finish(self, status, reason=None):
        self.ends.append((status, reason))


def test_an_error_reaches_the_user_and_the_tracker_where_the_disk_is_full(photos, tmp_path, monkeypatch, capsys):
    tracker = Listening()

    def fail(*_: object, **__: object) -> None:
        monkeypatch.setattr(RunFolder, "write_experiment", full)
        raise Diverged("NaN in epoch 1")

    def full(*_: object) -> None:
        raise VisrunError("experiment.json: cannot write (No space left on device)")

    monkeypatch.setattr(run, "tracker_of", lambda *_, **__: tracker)
    monkeypatch.setattr(sitting, "fit", fail)
    with pytest.raises(Diverged, match="NaN in epoch 1"):
        start(photos, tmp_path / "run")
    assert tracker.ends == [("failed", "NaN in epoch 1")]
    out = capsys.readouterr().out
    assert "warning: experiment.json: cannot write (No space left on device)" in out
    assert out.splitlines()[-1].startswith("failed; the same with a change: ")
    assert "the run ended: Diverged" in (tmp_path / "run" / "visrun.log").read_text()
    assert told(tmp_path / "run") == ("failed", 1)


@pytest.mark.parametrize("signal_comes", [False, True])
def test_a_signal_while_the_tracker_takes_the_last_things_is_the_exit_code_of_a_finished_run(
    photos, tmp_path, monkeypatch, signal_comes
):
    tracker = Listening()
    stopped = lambda *_: signal_comes and signal.raise_signal(signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr(tracker, "finish", stopped)
    monkeypatch.setattr(run, "tracker_of", lambda *_, **__: tracker)
    result = start(photos, tmp_path / "run")
    assert (result.status, result.exit_code) == ("finished", 143 if signal_comes else 0)
    assert told(tmp_path / "run") == ("finished", 0)


@pytest.mark.parametrize("end", ["finished", "killed", "failed"])
def test_the_tracker_is_told_the_best_epoch_however_the_run_ends(photos, tmp_path, monkeypatch, end):
    tracker, real = Listening(), recorder.RunRecorder.epoch

    def epoch(self, progress, row, improved, **clock):
        real(self, progress, row, improved, **clock)
        if progress.epoch == 2 and end == "failed":
            raise Diverged("NaN in epoch 3")

    with monkeypatch.context() as patch:
        patch.setattr(run, "tracker_of", lambda *_, **__: tracker)
        patch.setattr(recorder.RunRecorder, "epoch", epoch)
        if end == "killed":
            interrupted(photos, tmp_path / "run", monkeypatch, after=7)
        elif end == "failed":
            with pytest.raises(Diverged):
                start(photos, tmp_path / "run")
        else:
            start(photos, tmp_path / "run")
    assert [status for status, _ in tracker.ends] == [end]
    found = rows(tmp_path / "run")
    assert len(found) == {"finished": 3, "killed": 2, "failed": 2}[end]
    best = min(found, key=lambda row: (-row["accuracy"], row["val_loss"], row["epoch"]))
    told = {name: tracker.final[f"best/{name}"] for name in ("epoch", "accuracy", "val_loss")}
    assert told == {name: best[name] for name in told}


def interrupted(photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str, after: int) -> None:
    """A run that stops, as on Ctrl-C, after so many steps."""
    from visrun import training

    real, calls, stops = Step.__call__, [], []
    real_fit = training.fit

    def counting(self, batch):
        real(self, batch)
        calls.append(1)
        if len(calls) == after:
            stops[0].exit_code = 130

    def watched(*args, **options):
        stops.append(options["stop"])
        return real_fit(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", counting)
        patch.setattr(sitting, "fit", watched)
        result = start(photos, folder, "run.ema=0.9", "dropout=0.2", "augment=light", *words)
    assert (result.status, result.exit_code) == ("killed", 130)
    assert experiment(folder)["result"]["status"] == "killed"
    assert told(folder) == ("killed", 130)


@pytest.mark.parametrize("words", [[], ["run.accumulate=2"], ["data.image_size=[32,16]"]], ids=str)
def test_a_batch_of_one_that_batch_norm_refuses_is_one_line(photos, tmp_path, words):
    with pytest.raises(ConfigError) as caught:
        start(photos, tmp_path, "model=resnet18", "model.pretrained=false", "batch_size=1", *words)
    size = "[32,16]" if "data.image_size=[32,16]" in words else "32"
    assert str(caught.value) == (
        f"batch_size=1: BatchNorm in model=resnet18 has one value a channel at data.image_size={size}; take "
        "batch_size=2 or more (run.accumulate does not help), or another model; mostly a larger image helps, too"
    )
    assert told(tmp_path) == ("failed", 2)


def test_a_run_says_at_which_size_and_where_it_trains(photos, tmp_path, capsys):
    start(photos, tmp_path / "square", "max_epochs=1")
    start(photos, tmp_path / "wide", "max_epochs=1", "data.image_size=[32,48]")
    first, second = (line for line in capsys.readouterr().out.splitlines() if line.startswith("model: "))
    assert first.endswith("; data.image_size=16, on cpu in fp32")
    assert second.endswith("; data.image_size=[32,48], on cpu in fp32")


@pytest.mark.parametrize(
    ("words", "own", "told"),
    [
        ([], True, True),
        ([], False, False),
        (["run.precision=fp32"], True, False),
        (["run.precision=bf16"], True, False),
        (["model=mobilenet_v3_small", "model.pretrained=false", "data.image_size=32"], True, False),
    ],
)
def test_a_cpu_that_is_quicker_in_bf16_says_so(photos, tmp_path, monkeypatch, capsys, words, own, told):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: own)
    start(photos, tmp_path, "max_epochs=1", *words)
    assert ("run.precision=bf16" in capsys.readouterr().out) is told


def test_a_stopped_run_says_how_to_go_on_also_in_its_log(photos, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "a run"
    interrupted(photos, folder, monkeypatch, after=2)
    line = f"stopped; go on with: visrun resume '{folder}'"
    assert line in capsys.readouterr().out and line in (folder / "visrun.log").read_text()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (Diverged("NaN"), "failed; the same with a change: visrun experiment={}/experiment.json KEY=VALUE"),
        (ZeroDivisionError("a fault"), "failed; go on with: visrun resume {}"),
        (KeyboardInterrupt(), "stopped; go on with: visrun resume {}"),
    ],
    ids=["refused", "broken", "interrupted"],
)
def test_a_run_that_ends_early_says_what_to_do_next(photos, tmp_path, monkeypatch, capsys, error, advice):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sitting, "fit", fail)
    with pytest.raises(type(error)):
        start(photos, tmp_path / "run")
    assert capsys.readouterr().out.splitlines()[-1] == advice.format(tmp_path / "run")
    assert advice.format(tmp_path / "run") in (tmp_path / "run" / "visrun.log").read_text()


def test_several_labels_need_a_loss_for_them_and_the_reason_is_kept(photos, tmp_path):
    rows = [f"{photos}/train/{name}/{i}.png,{name}|{'x' if i % 2 else 'y'}" for name in COLOURS for i in range(6)]
    (tmp_path / "train.csv").write_text("image,label\n" + "\n".join(rows))
    with pytest.raises(ConfigError, match="loss=label_smoothing: the images of this dataset have several labels"):
        start(tmp_path / "train.csv", tmp_path / "run", "loss=label_smoothing")
    noted = experiment(tmp_path / "run")["result"]
    assert noted["status"] == "failed" and "use loss=bce" in noted["reason"]


@pytest.fixture(scope="module")
def straight(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> run.Result:
    """A run that nothing stopped."""
    return start(photos, tmp_path_factory.mktemp("straight"), "run.ema=0.9", "dropout=0.2", "augment=light")


@pytest.mark.parametrize("after", [1, 3, 4, 8])
def test_a_stopped_run_resumes_bit_for_bit(photos, straight, tmp_path, monkeypatch, after):
    interrupted(photos, tmp_path / "run", monkeypatch, after=after)
    assert run.resume(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(straight.folder)
    one, two = (
        torch.load(folder / "checkpoints" / "best.pt", weights_only=True)["model"]
        for folder in (tmp_path / "run", straight.folder)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert experiment(tmp_path / "run")["created"] is not None


PASSES = ("measuring BatchNorm", "validating")


def stopping(monkeypatch: pytest.MonkeyPatch, title: str) -> list[tuple[str, int, int]]:
    """A run that is told to stop, as by Ctrl-C, where the pass of this title has seen its first batch."""
    real, seen = recorder.Outlets.watch, []

    def watch(self, *told):
        seen.append(told)
        if told[:2] == (title, 1):
            self.stop.exit_code = 130
        real(self, *told)

    monkeypatch.setattr(recorder.Outlets, "watch", watch)
    return seen


@pytest.mark.parametrize("title", ["epoch 1/3: measuring BatchNorm", "epoch 2/3: validating", "epoch 3/3: validating"])
def test_a_run_stopped_in_its_validation_resumes_bit_for_bit(photos, straight, tmp_path, monkeypatch, title):
    words = ("run.ema=0.9", "dropout=0.2", "augment=light")
    with monkeypatch.context() as patch:
        seen = stopping(patch, title)
        result = start(photos, tmp_path / "run", *words)
    assert (result.status, result.exit_code, seen[-1][:2]) == ("killed", 130, (title, 1))
    assert seen[-1][2] > 1  # there was more to measure
    assert len(rows(tmp_path / "run")) == int(title[6]) - 1
    assert run.resume(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(straight.folder)
    one, two = (checkpoint.load(path / "checkpoints" / "best.pt") for path in (tmp_path / "run", straight.folder))
    assert all(torch.equal(one["model"][key], value) for key, value in two["model"].items())


def test_a_run_stopped_while_it_concludes_is_concluded_later(photos, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stopping(patch, "measuring val")
        result = start(photos, folder)
    assert (result.status, result.exit_code, result.reason) == ("killed", 130, None)
    noted = experiment(folder)["result"]
    assert noted["epochs"] == 3 and noted["val"] == result.val and noted["best_epoch"] and "reason" not in noted
    assert "Traceback" not in (folder / "visrun.log").read_text()
    assert told(folder) == ("killed", 130) and f"stopped; go on with: visrun resume {folder}" in capsys.readouterr().out
    before = rows(folder)
    assert len(before) == 3 and run.resume(folder) == 0
    assert rows(folder) == before and experiment(folder)["result"]["status"] == "finished"


def test_a_trial_that_concludes_is_not_stopped_since_its_value_counts(photos, tmp_path, monkeypatch):
    trial = Mock(report=lambda *_: None, tags={}, formers=lambda _: [])
    trial.name = "trial 0"
    with monkeypatch.context() as patch:
        seen = stopping(patch, "epoch 3/3: validating")
        assert start(photos, tmp_path / "one", trial=trial).status == "killed"
    assert seen[-1][:2] == ("epoch 3/3: validating", 1)
    seen = stopping(monkeypatch, "measuring val")
    assert start(photos, tmp_path / "another", trial=trial).status == "finished"
    assert {title for title, *_ in seen} == {f"epoch {n}/3: {what}" for n in (1, 2, 3) for what in PASSES}


class Body(torch.nn.Sequential):
    """A network that fixes the statistics of weights that it begins with."""

    def keep_statistics(self) -> None:
        fix_norms(self)


def published(num_outputs: int, pretrained: Pretrained = "auto") -> Built:
    """With weights, unless it must not look for them or, for its caller to say so, none are to be had."""
    body = Body(*(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.AdaptiveAvgPool2d(1)))
    body.extend((torch.nn.Flatten(), torch.nn.Linear(4, num_outputs)))
    if not pretrained or not AT_HAND:
        return Built(body, origin="random: none to be had", head=("4",))
    torch.nn.init.ones_(body[0].weight)
    body.keep_statistics()
    return Built(body, (0.4, 0.4, 0.4), (0.2, 0.2, 0.2), "pretrained", ("4",))


AT_HAND = {"weights"}


@pytest.mark.parametrize("given", ["published", "a file", "none at first"])
def test_a_run_goes_on_without_the_weights_that_it_began_with(photos, tmp_path, monkeypatch, given):
    monkeypatch.setitem(MODELS, "small_resnet", replace(MODELS["small_resnet"], build=published))
    file, words = tmp_path / "random.pt", list[str]()
    if given == "a file":
        torch.save({"model": published(2).module.state_dict(), "mean": [0.3] * 3, "std": [0.1] * 3}, file)
        words += [f"model.weights={file}"]
    if given == "none at first":
        monkeypatch.setattr(f"{__name__}.AT_HAND", set())
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light", *words)
    folder = tmp_path / "run"
    interrupted(photos, folder, monkeypatch, *words, after=4)
    began = experiment(folder)["result"]["weights"]
    assert began.startswith({"published": "pretrained", "a file": str(file)}.get(given, "random"))
    file.unlink(missing_ok=True)
    monkeypatch.setattr(f"{__name__}.AT_HAND", {"weights"} - AT_HAND)
    assert run.resume(folder) == 0
    assert rows(folder) == rows(straight.folder)
    assert experiment(folder)["result"]["weights"] == began
    one, two = (checkpoint.load(path / "checkpoints" / "best.pt") for path in (folder, straight.folder))
    assert all(torch.equal(one["model"][key], value) for key, value in two["model"].items())
    assert (one["mean"], one["std"]) == (two["mean"], two["std"])


def test_what_a_plugin_draws_from_python_and_numpy_follows_from_the_seed(photos, tmp_path, monkeypatch):
    def noisy(prediction, target, *, weight=None):
        return (random.random() + np.random.rand()) * cross_entropy(prediction, target, weight=weight)

    monkeypatch.setitem(TASKS["classification"].losses, "cross_entropy", noisy)
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    interrupted(photos, tmp_path / "run", monkeypatch, after=4)
    random.seed(1)
    assert run.resume(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(straight.folder)


@pytest.mark.parametrize("code", [0, "enough"])
def test_a_plugin_that_would_end_the_process_fails_its_run(photos, tmp_path, monkeypatch, code):
    def leave(prediction, target, *, weight=None):
        raise SystemExit(code)

    monkeypatch.setitem(TASKS["classification"].losses, "cross_entropy", leave)
    with pytest.raises(VisrunError, match=rf"^SystemExit: {code} \(test_run\.py, line \d+\)$") as caught:
        start(photos, tmp_path / "run")
    noted = experiment(tmp_path / "run")["result"]
    assert (noted["status"], noted["exit_code"], noted["reason"]) == ("failed", 1, str(caught.value))


def test_a_run_that_died_after_its_training_only_concludes(photos, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(conclusion, "conclude", die)
        with pytest.raises(KeyboardInterrupt):
            start(photos, folder)
    before = (folder / "metrics.jsonl").read_text()
    assert run.resume(folder) == 0
    assert (folder / "metrics.jsonl").read_text() == before
    noted = experiment(folder)["result"]
    assert (noted["status"], noted["epochs"]) == ("finished", 3) and "reason" not in noted
    assert (folder / "plots" / "predictions.png").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt], ids=["an error", "a death"])
def test_a_run_that_goes_on_concludes_with_the_weights_of_its_best_epoch(photos, tmp_path, monkeypatch, error):
    folder = tmp_path / "run"
    checkpoints, saved, save = folder / "checkpoints", [], checkpoint.save

    def fall(_made, epoch, _watch):  # as a repeated epoch may do on another machine
        return {"accuracy": 0.5 - epoch / 10, "val_loss": 1.0}

    def rise(_made, epoch, _watch):
        if epoch == 2:
            raise error
        return {"accuracy": 0.5 + epoch / 10, "val_loss": 1.0}

    def saving(state, path):
        if path.name == "last.pt" and saved:
            raise error
        save(state, path)
        saved.extend([state["model"]] if path.name == "last.pt" else [])

    with monkeypatch.context() as patch:
        patch.setattr(sitting, "validate", rise)
        if error is KeyboardInterrupt:  # while last.pt is written; else after the second epoch, which is not saved
            patch.setattr(recorder.checkpoint, "save", saving)
        patch.setattr(recorder, "SAVING_SHARE", 1e-9 if error is ZeroDivisionError else 1e9)
        with pytest.raises(error):
            start(photos, folder)
    best, last = (checkpoint.load(checkpoints / f"{name}.pt") for name in ("best", "last"))
    assert (best["epoch"], last["progress"]["epoch"], last["progress"]["best_epoch"]) == (2, 1, 1)
    monkeypatch.setattr(sitting, "validate", fall)
    assert run.resume(folder) == 0
    left = checkpoint.load(checkpoints / "best.pt")
    assert (experiment(folder)["result"]["best_epoch"], left["epoch"]) == (1, 1)
    assert all(torch.equal(left["model"][key], value) for key, value in last["model"].items())
    assert sorted(file.name for file in checkpoints.glob("*.pt")) == ["best.pt", "last.pt"]


def test_a_finished_run_says_so_and_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "experiment.json").write_text('{"result": {"status": "finished"}}')
    assert cli.main(["resume", str(tmp_path)]) == 0
    assert f"{tmp_path}: this run is finished; visrun experiment={tmp_path}" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["experiment.json"]


def test_a_run_whose_epochs_cannot_be_ranked_says_so_and_keeps_the_last(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sitting, "validate", lambda *_: {"val_loss": 1.0})
    result = start(photos, tmp_path / "run", "max_epochs=2")
    told = capsys.readouterr()
    assert (told.out + told.err).count("accuracy, which chooses the best epoch, has no value\n") == 1
    assert "no epoch has a value of accuracy" in told.out + told.err and "last epoch 2, on val" in told.out
    assert (result.value, result.best_epoch) == (None, 0)
    assert "label" in visrun.load(result.folder, device="cpu").predict([next(photos.rglob("*.png"))])[0]


def test_the_end_tells_numbers_of_any_size(photos, tmp_path, monkeypatch, capsys):
    evaluated, known = validation.evaluate, {"accuracy": 0.9707, "ece": 4.1324e-8}
    monkeypatch.setattr(validation, "evaluate", lambda *given, **how: evaluated(*given, **how) | known)
    start(photos, tmp_path / "run", "max_epochs=1")
    told = capsys.readouterr().out
    assert "  accuracy 0.9707 *  lr" in told
    assert "best epoch 1, on val: accuracy 0.9707  ece 4.132e-08  " in told


def test_a_run_that_was_best_in_its_warm_up_says_so_at_its_end(photos, tmp_path, monkeypatch, capsys):
    values = iter([0.5, 0.7, 0.6])
    monkeypatch.setattr(sitting, "validate", lambda *_: {"val_loss": 1.0, "accuracy": next(values)})
    start(photos, tmp_path, "warmup_epochs=2")
    told = [line for line in capsys.readouterr().out.splitlines() if "warm-up" in line]
    assert told == [
        "warning: the best epoch lies in the warm-up: after it, 6 validation images show no further learning; see "
        "whether learning_rate is too high, these are too few to tell, or labels are wrong"
    ]


def test_a_run_chooses_by_the_metric_that_it_monitors(photos, tmp_path, capsys):
    result = start(photos, tmp_path / "run", "run.monitor=ece", "max_epochs=3")
    reached = {row["epoch"]: row["ece"] for row in rows(result.folder)}
    assert result.value == result.val["ece"] == min(reached.values()) == reached[result.best_epoch]
    told = capsys.readouterr().out
    assert "  ece 0." in told and f"best epoch {result.best_epoch}, on val: ece 0." in told
    assert checkpoint.load(result.folder / "checkpoints" / "best.pt")["value"] == result.value


def test_a_run_says_how_much_its_model_remembers(tmp_path, capsys):
    noise = np.random.default_rng(0)
    for i in range(4):
        (tmp_path / "good").mkdir(exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(tmp_path / "good" / f"{i}.png")
    words = ["task=anomaly_detection", "model=patchcore", "model_options.backbone=resnet18", "data.image_size=32"]
    start(tmp_path / "good", tmp_path / "run", *words, "model.pretrained=false")
    assert "remembered: 5 of 48 patches of good images" in capsys.readouterr().out


def test_a_resumed_run_tells_the_tracker_the_epochs_that_it_may_have_missed(photos, tmp_path, monkeypatch):
    folder, tracker = tmp_path / "run", Listening()
    interrupted(photos, folder, monkeypatch, after=7)  # of three steps an epoch: two are done
    monkeypatch.setattr(run, "tracker_of", lambda *_, **__: tracker)
    assert run.resume(folder) == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3] and tracker.epochs == lines
    assert all(list(line)[-1] == SECONDS for line in lines)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_resumed_run_says_which_lines_of_its_metrics_are_lost(photos, tmp_path, monkeypatch, capsys, kept):
    folder, told = tmp_path / "run", "of 2 epochs are missing; the run goes on without their lines"
    interrupted(photos, folder, monkeypatch, after=7)  # of three steps an epoch: two are done
    metrics = folder / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:kept]))
    capsys.readouterr()
    assert run.resume(folder) == 0
    assert f"warning: {metrics}: {2 - kept} {told}" in capsys.readouterr().out
    assert len(rows(folder)) == kept + 1


def test_a_run_without_a_checkpoint_begins_again_and_says_so(photos, tmp_path, monkeypatch, capsys):
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    interrupted(photos, tmp_path / "run", monkeypatch, after=2)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert run.resume(tmp_path / "run") == 0
    assert "the run ended before its first checkpoint: it starts anew" in capsys.readouterr().out
    assert rows(tmp_path / "run") == rows(straight.folder)


def test_a_run_without_a_checkpoint_begins_again_on_the_data_as_they_are_now(photos, tmp_path, monkeypatch, capsys):
    data = shutil.copytree(photos, tmp_path / "data")
    interrupted(data, tmp_path / "run", monkeypatch, after=2)
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    before = experiment(tmp_path / "run")["data"]["fingerprint"]
    (data / "train" / "red" / "0.png").unlink()
    assert run.resume(tmp_path / "run") == 0
    assert "it starts anew" in capsys.readouterr().out
    assert experiment(tmp_path / "run")["data"]["fingerprint"] != before
    assert experiment(tmp_path / "run")["result"]["data"]["splits"]["train"] == 11


def attempt(*formers: Path) -> Mock:
    """A trial that stands for those that were stopped in these folders."""
    trial = Mock(report=Mock(return_value=None), tags={}, formers=lambda _: list(formers))
    trial.name = "trial-005"
    return trial


@pytest.mark.parametrize("after", [4, 9])  # within an epoch, and after the last one: it is only concluded
def test_a_trial_goes_on_where_a_former_attempt_was_stopped(photos, tmp_path, monkeypatch, after):
    words = ("run.ema=0.9", "dropout=0.2", "augment=light")
    straight = start(photos, tmp_path / "straight", *words)
    interrupted(photos, tmp_path / "1", monkeypatch, after=after)
    trial, steps = attempt(tmp_path / "1"), []
    real = Step.__call__
    monkeypatch.setattr(Step, "__call__", lambda self, batch: steps.append(1) or real(self, batch))
    result = start(photos, tmp_path / "5", *words, trial=trial)
    assert len(steps) == 9 - after
    assert (result.status, result.value, result.val) == ("finished", straight.value, straight.val)
    assert rows(result.folder) == rows(straight.folder)
    assert not (tmp_path / "1").exists()
    told = [call.args for call in trial.report.mock_calls]
    assert told == [(row["epoch"], row["accuracy"], row["val_loss"]) for row in rows(straight.folder)]


def test_a_trial_that_the_sweep_did_not_hear_was_pruned_is_pruned(photos, tmp_path, monkeypatch):
    interrupted(photos, tmp_path / "1", monkeypatch, after=6)
    trial = attempt(tmp_path / "1")
    trial.report = Mock(side_effect=[None, "hopeless"])
    monkeypatch.setattr(Step, "__call__", lambda *_: pytest.fail("it was trained"))
    words = ("run.ema=0.9", "dropout=0.2", "augment=light")
    result = start(photos, tmp_path / "5", *words, trial=trial)
    assert (result.status, result.reason) == ("pruned", "hopeless")
    assert len(rows(result.folder)) == 2


@pytest.mark.parametrize("what", ["other data", "damaged"])
def test_a_trial_begins_anew_where_a_former_attempt_cannot_be_gone_on_with(photos, tmp_path, monkeypatch, what):
    data, words = shutil.copytree(photos, tmp_path / "data"), ("run.ema=0.9", "dropout=0.2", "augment=light")
    interrupted(data, tmp_path / "1", monkeypatch, after=7)
    if what == "damaged":
        (tmp_path / "1" / "checkpoints" / "last.pt").write_bytes(b"half of it")
    else:
        (data / "train" / "red" / "0.png").unlink()
    straight = start(data, tmp_path / "straight", *words)
    trial = attempt(tmp_path / "1")
    result = start(data, tmp_path / "5", *words, trial=trial)
    assert rows(result.folder) == rows(straight.folder)
    assert result.status == experiment(result.folder)["result"]["status"] == "finished"
    (told,) = (call.args[0] for call in trial.begins_anew.mock_calls)
    reason = r"last\.pt: the file is damaged" if what == "damaged" else "^data: the dataset has changed since"
    assert re.search(reason, told) and "visrun" not in told


def test_a_run_killed_before_its_first_checkpoint_was_whole_begins_again(photos, tmp_path, monkeypatch):
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    interrupted(photos, tmp_path / "run", monkeypatch, after=4)
    assert len(rows(tmp_path / "run")) == 1 and (tmp_path / "run" / "checkpoints" / "best.pt").exists()
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # and killed in that epoch once more
        patch.setattr(run.parts, "build", Mock(side_effect=KeyboardInterrupt))
        run.resume(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    assert run.resume(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(straight.folder)


@pytest.mark.parametrize("left", ["metrics.jsonl", "checkpoints/best.pt"])
def test_a_run_that_lost_its_last_checkpoint_is_left_as_it_is(photos, tmp_path, monkeypatch, left):
    folder = tmp_path / "a run"
    interrupted(photos, folder, monkeypatch, after=7)  # of three steps an epoch: two are done
    for name in {"metrics.jsonl", "checkpoints/best.pt", "checkpoints/last.pt"} - {left}:
        (folder / name).unlink()
    before = {file: file.read_bytes() for file in (folder / left, folder / "experiment.json")}
    with pytest.raises(UserError) as error:
        run.resume(folder)
    again = f"visrun 'experiment={folder}/experiment.json' repeats the run"
    assert str(error.value) == f"{folder}/checkpoints/last.pt: missing, so the run cannot go on; {again}"
    assert {file: file.read_bytes() for file in before} == before


def test_another_checkpoint_in_the_place_of_the_last_is_told_apart(photos, tmp_path, monkeypatch):
    interrupted(photos, tmp_path / "run", monkeypatch, after=4)
    checkpoints = tmp_path / "run" / "checkpoints"
    for end in ("", ".sha256"):
        shutil.copy(checkpoints / f"best.pt{end}", checkpoints / f"last.pt{end}")
    told = r"last\.pt: not the last\.pt of a run of this version; visrun experiment=.* repeats the run$"
    with pytest.raises(UserError, match=told):
        run.resume(tmp_path / "run")


def test_what_a_hand_has_emptied_in_a_runs_files_does_not_stop_it(photos, tmp_path, monkeypatch):
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    interrupted(photos, tmp_path / "run", monkeypatch, after=4)
    content = {**experiment(tmp_path / "run"), "result": None}
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(content))
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write("null\n")
    assert run.resume(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(straight.folder)


def test_only_a_resumed_run_goes_on_with_the_folders_run_in_mlflow(photos, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupted(photos, folder, monkeypatch, after=2)
    (folder / RECORD).write_text("{}")
    assert run.resume(folder) == 0
    assert (folder / RECORD).exists()
    start(photos, folder, "max_epochs=1")
    assert not (folder / RECORD).exists()


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_name_and_command_in_mlflow(photos, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    def shown(folder: Path) -> tuple[str, str | None, str]:
        """The run in MLflow that a folder's goes on in: its name, command and status."""
        found = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(run_id(folder))
        return found.info.run_name, found.data.tags.get("command"), found.data.tags["status"]

    def run_id(folder: Path) -> str:
        return json.loads((folder / RECORD).read_text())["run_id"]

    monkeypatch.setattr(conclusion, "hand_over", lambda *_: None)
    words = ["tracking=mlflow", f"tracking.uri={tmp_path}/mlflow.db", "optimizer=sgd", "seed=3"]
    interrupted(photos, tmp_path / "run", monkeypatch, *words, after=2)
    name, command, status = shown(tmp_path / "run")
    assert {"optimizer=sgd", "seed=3"} <= set(name.split()) and status == "killed"
    assert command is not None and {"visrun", "optimizer=sgd", "seed=3"} <= set(command.split())
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    assert run.resume(tmp_path / "run") == 0
    assert shown(tmp_path / "run") == (name, command, "finished")
    MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").delete_run(run_id(tmp_path / "run"))
    assert run.resume(tmp_path / "again") == 0  # in a new run there, and of what was typed nothing is known
    assert shown(tmp_path / "again") == ("again", None, "finished")


def test_a_changed_setting_refuses_to_resume_and_names_it(photos, tmp_path, monkeypatch):
    interrupted(photos, tmp_path / "run", monkeypatch, after=2)
    content = experiment(tmp_path / "run")
    content["hyperparameters"]["learning_rate"] = 0.5
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"learning_rate: 0\.001 -> 0\.5"):
        run.resume(tmp_path / "run")


def test_changed_data_refuse_to_resume_and_change_nothing(photos, tmp_path, monkeypatch):
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    interrupted(copy, tmp_path / "run", monkeypatch, after=2)
    Image.new("RGB", (16, 16)).save(copy / "train" / "red" / "another.png")
    before = experiment(tmp_path / "run")["result"]["data"]["splits"]["train"]
    told = rf"has changed since the run began \(train had {before} images, now {before + 1}\); put it back, or visrun"
    noted = {file: file.read_bytes() for file in (tmp_path / "run").glob("*.json*")}
    assert {file.name for file in noted} == {"experiment.json", "status.json", "metrics.jsonl"}
    with pytest.raises(UserError, match=told):
        run.resume(tmp_path / "run")
    shutil.rmtree(copy)
    with pytest.raises(
        UserError, match=r"its dataset is no longer at .*photos; name where it is: visrun resume .*run data\.root=PATH$"
    ):
        run.resume(tmp_path / "run")
    assert {file: file.read_bytes() for file in noted} == noted and experiment(tmp_path / "run")["result"][
        "status"
    ] == "killed"


def test_a_run_whose_data_were_moved_goes_on_where_they_are(photos, tmp_path, monkeypatch):
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    data, folder = shutil.copytree(photos, tmp_path / "data"), tmp_path / "run"
    interrupted(data, folder, monkeypatch, after=4)
    other = data.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["resume", str(folder), "data.root=elsewhere"]) == 0
    assert rows(folder) == rows(straight.folder)
    assert experiment(folder)["data"]["root"] == experiment(folder)["result"]["data"]["root"] == str(other)
    (other / "train" / "red" / "0.png").unlink()
    interrupted(photos, tmp_path / "more", monkeypatch, after=4)
    with pytest.raises(UserError, match="the dataset has changed since the run began"):
        run.resume(tmp_path / "more", {"data.root": str(other)})
    assert experiment(tmp_path / "more")["data"]["root"] == str(photos)


def test_where_and_how_a_run_goes_on_may_be_typed(photos, tmp_path, monkeypatch):
    straight = start(photos, tmp_path / "straight", "run.ema=0.9", "dropout=0.2", "augment=light")
    folder = tmp_path / "run"
    interrupted(photos, folder, monkeypatch, after=4)
    words = ["data.cache=stream", "data.workers=1", "run.device=cpu", "run.max_time=1h", "tracking=none"]
    assert cli.main(["resume", str(folder), *words]) == 0
    assert rows(folder) == rows(straight.folder)
    content = experiment(folder)
    assert content["data"]["cache"] == "stream" and content["run"]["max_time"] == 3600.0
    assert content["tracking"]["name"] == "none" and content["sources"]["data.cache"] == "you"


def test_a_damaged_checkpoint_refuses_to_resume(photos, tmp_path, monkeypatch):
    interrupted(photos, tmp_path / "run", monkeypatch, after=2)
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 255
    last.write_bytes(data)
    with pytest.raises(UserError, match=rf"damaged .*; visrun experiment={tmp_path}/run/.* repeats the run$"):
        run.resume(tmp_path / "run")


def test_resume_of_nothing_names_the_folder(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        run.resume(tmp_path)


def test_resume_writes_through_no_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text('{"result": {"status": "killed"}}')
    (tmp_path / "run" / "visrun.log").symlink_to("../profile")
    with pytest.raises(UserError, match=r"run/visrun\.log: a link that leads out"):
        run.resume(tmp_path / "run")
    assert not (tmp_path / "profile").exists()


def test_a_set_smaller_than_a_batch_still_trains(photos, tmp_path):
    result = start(photos, tmp_path / "run", "batch_size=64", "run.accumulate=2", "max_epochs=1")
    assert result.status == "finished" and rows(result.folder)[0]["loss"] > 0


def test_skipped_files_are_recorded(photos, tmp_path):
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    whole = (copy / "train" / "red" / "0.png").read_bytes()
    (copy / "train" / "red" / "0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"0\.png"):
        start(copy, tmp_path / "refused")
    result = start(copy, tmp_path / "run", "data.on_bad=skip", "max_epochs=1")
    assert any("0.png" in line for line in experiment(result.folder)["result"]["skipped"])


def test_class_weights_must_fit_the_classes(photos, tmp_path):
    with pytest.raises(ConfigError, match="3 numbers, but there are 2 classes"):
        start(photos, tmp_path / "run", "data.class_weights=[1,2,3]")


def test_a_run_starts_from_another_runs_weights(photos, tmp_path):
    first = start(photos, tmp_path / "first")
    second = start(
        photos, tmp_path / "second", f"model.weights={first.folder}", "model.freeze=backbone", "max_epochs=1"
    )
    assert str(first.folder) in experiment(second.folder)["result"]["weights"]


def test_load_predicts_files_pictures_and_arrays_alike(photos, tmp_path):
    result = start(photos, tmp_path / "run", "max_epochs=8", "learning_rate=0.01")
    drawn = torch.get_rng_state()
    predictor = visrun.load(result.folder, device=torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), drawn)
    file = photos / "val" / "red" / "0.png"
    picture = Image.open(file)
    found = predictor.predict([file, picture, np.asarray(picture)])
    assert found[0]["label"] == "red" and found[0] == found[1] == found[2]
    assert predictor.predict([]) == []
    assert visrun.load(result.folder / "experiment.json", device="cpu").predict([file]) == found[:1]


def test_evaluate_prints_rounded_values_and_nothing_stray(photos, tmp_path, capsys):
    result = start(photos, tmp_path / "run", "max_epochs=1")
    capsys.readouterr()
    other = tmp_path / "other"
    listed = (("val", "red"), ("val", "blue"), ("train", "red"), ("test", "red"), ("test", "blue"))
    for number, (split, name) in enumerate(listed):  # no blue in train, and no picture twice
        (other / split / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (16, 16), (20 * i, 20 * number, 9)).save(other / split / name / f"{i}.png")
    assert evaluate.main([str(result.folder), f"data.root={other}", "run.device=cpu"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found.pop("split"), found.pop("images")) == ("test", 6)
    assert all(value == float(f"{value:.6g}") for value in found.values())
    assert [line.split()[0] for line in err.splitlines()[1:]] == ["train", "val", "test"]
    with pytest.raises(DataError, match=r"^split=valid: .* has train, val, test; name one of these$"):
        evaluate.main([str(result.folder), f"data.root={other}", "run.device=cpu", "split=valid"])
    with pytest.raises(ConfigError, match=r"^data.image_size=64: .*does not read this.*data.root.*\nloss=focal: "):
        evaluate.main([str(result.folder), f"data.root={other}", "data.image_size=64", "loss=focal"])


def test_thresholds_that_validation_chose_count_wherever_labels_are_reported(photos, tmp_path, capsys):
    for split, number in (("train", 6), ("val", 3)):
        listed = [(f"{split}/{name}/{i}.png", name if i else f"{name}|big") for name in COLOURS for i in range(number)]
        lines = [f"{photos / path},{labels}" for path, labels in listed]
        (tmp_path / f"{split}.csv").write_text("\n".join(["image,label", *lines]), encoding="utf-8")
    result = start(tmp_path, tmp_path / "run", "loss=bce", "max_epochs=4", "learning_rate=0.01")
    best = next(row for row in rows(result.folder) if row["epoch"] == result.best_epoch)
    chosen = [best[f"threshold/{name}"] for name in ("big", "blue", "red")]
    assert checkpoint.load(result.folder / "checkpoints/best.pt")["task_state"]["thresholds"] == chosen
    predictor = visrun.load(result.folder, device="cpu")
    (found,) = predictor.predict([photos / "val/red/0.png"])
    own = dict(zip(("big", "blue", "red"), chosen, strict=True))
    assert set(found["labels"]) == {name for name, p in found["probabilities"].items() if p >= own[name]}
    capsys.readouterr()
    words = [str(result.folder), "split=val", "run.device=cpu"]
    assert evaluate.main([*words, "recall=1"]) == 0
    out, err = capsys.readouterr()
    measured = json.loads(out)
    assert measured["f1_tuned"] == measured["f1_max"] == pytest.approx(best["f1_max"], abs=1e-5)
    assert [row["class"] for row in measured["at_recall"]] == ["big", "blue", "red"]
    assert all(row["recall"] == 1 for row in measured["at_recall"])
    typed = [line.split()[0] for line in err.splitlines() if line.startswith("threshold=")]
    assert evaluate.main([*words, "threshold=" + ",".join(one.removeprefix("threshold=") for one in typed)]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["recall"] == 1 and "f1_tuned" not in again
    for row in measured["at_recall"]:
        assert again[f"precision/{row['class']}"] == row["precision"]


def test_evaluate_says_which_images_it_left_out(photos, tmp_path, capsys):
    result = start(photos, tmp_path / "run", "max_epochs=1")
    other = tmp_path / "other"
    for number, name in enumerate(("red", "blue", "Red")):
        (other / name).mkdir(parents=True)
        for i in range(3):
            Image.effect_noise((16, 16), 10 + 20 * number + i).convert("RGB").save(other / name / f"{i}.png")
    cut = other / "red" / "0.png"
    cut.write_bytes(cut.read_bytes()[:-60])
    capsys.readouterr()
    words = [str(result.folder), f"data.root={other}", "run.device=cpu"]
    with pytest.raises(DataError, match=r"0.png: broken image .*: mend it, or leave it out with data\.on_bad=skip$"):
        evaluate.main(words)
    capsys.readouterr()
    assert evaluate.main([*words, "data.on_bad=skip"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 5
    assert "left out, since the model does not know it: Red" in err
    assert "left out: " in err and "red/0.png" in err


def test_load_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        visrun.load(tmp_path)
    torch.save({"x": 1}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"not the best\.pt of a run"):
        visrun.load(tmp_path / "other.pt")
