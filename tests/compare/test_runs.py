"""What is read of a run's folder, whole or not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from visrun.compare.runs import read_run
from visrun.errors import UserError
from visrun.record.run_folder import this_process
from visrun.run_files import MAX_BYTES


def edit(folder: Path, **changes: object) -> None:
    file = folder / "experiment.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_finished_run(write_run) -> None:
    result = {"status": "finished", "test": {"accuracy": 0.55, "f1": 0.5}, "device": "cuda:0", "image_size": [32, 32]}
    run = read_run(write_run("a", [0.5, 0.75, 0.6], result=result, sections={"data": {"fingerprint": "ab" * 32}}))
    assert (run.task, run.status, run.epochs, run.best_epoch, run.seconds) == ("classification", "finished", 3, 2, 6)
    assert (run.val, run.test, run.value) == ({"accuracy": 0.75}, {"accuracy": 0.55, "f1": 0.5}, 0.75)
    assert run.fingerprint == "ab" * 32
    assert run.settings["run.device"] == "cuda:0"
    assert run.settings["data.image_size"] == "[32, 32]"
    assert run.settings["data.fingerprint"] == "abababababab"


def test_only_what_the_run_reads_is_a_setting_of_it(write_run) -> None:
    adam, sgd = read_run(write_run("a")).settings, read_run(write_run("b", optimizer="sgd", loss="focal")).settings
    assert "momentum" not in adam and sgd["momentum"] == "0.9"
    assert "optimizer_options.betas" in adam and "optimizer_options.betas" not in sgd
    assert "loss_options.gamma" not in adam and sgd["loss_options.gamma"] == "2.0"
    assert not any(key.startswith("tracking") for key in adam)


def test_a_model_or_augmentation_that_does_not_read_a_value(write_run) -> None:
    folder = write_run("s", rows=[], task="segmentation", sections={"model": {"name": "lraspp"}}, loss="ce_dice")
    settings = read_run(folder).settings
    assert "dropout" not in settings  # lraspp has no head that drops
    assert "augment.mixup" not in settings and "augment.cutmix" in settings
    other = write_run("p", sections={"model": {"name": "model_of_a_plugin"}})
    assert read_run(other).settings["dropout"] == "0.0"


def test_hyperparameters_alone_are_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text('{"hyperparameters": {"optimizer": "sgd", "momentum": 0.5}}')
    run = read_run(tmp_path)
    assert run.settings == {"optimizer": "sgd", "momentum": "0.5"}
    assert (run.status, run.epochs, run.best_epoch, run.val, run.test) == ("unknown", 0, 0, {}, {})
    assert run.seconds is None and run.value is None


def test_undefined_metrics_are_no_values(write_run) -> None:
    folder = write_run("a", rows=[])
    lines = [
        '{"epoch": 1, "accuracy": NaN, "f1": 0.5}',
        '{"epoch": 2, "f1": 0.25, "auroc": Infinity, "ece": null, "iou/a": true}',
        '{"epoch": 3, "accuracy": 1' + "0" * 400 + ', "f1": 0.125}',
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    run = read_run(folder)
    assert run.rows == ({"epoch": 1, "f1": 0.5}, {"epoch": 2, "f1": 0.25}, {"epoch": 3, "f1": 0.125})
    assert (run.best_epoch, run.val, run.value, run.epochs) == (0, {}, None, 3)


def test_of_a_resumed_run_the_later_line_of_an_epoch_counts(write_run) -> None:
    rows = [{"epoch": 1, "accuracy": 0.1}, {"epoch": 2, "accuracy": 0.9}, {"epoch": 2, "accuracy": 0.2}]
    run = read_run(write_run("a", rows=[*rows, {"epoch": 3, "accuracy": 0.3}]))
    assert [row["accuracy"] for row in run.rows] == [0.1, 0.2, 0.3]
    assert (run.best_epoch, run.value) == (3, 0.3)


def test_a_killed_run_is_read_up_to_its_last_whole_line(write_run) -> None:
    result = {"status": "killed", "best_epoch": 1, "val": {"accuracy": 0.5}, "reason": "pruned\nat epoch 2"}
    folder = write_run("a", [0.5, 0.6], result=result)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "accur')
    run = read_run(folder)
    assert (run.status, run.epochs, run.best_epoch, run.value) == ("killed", 2, 2, 0.6)
    assert run.reason == r'"pruned\nat epoch 2"'


def test_without_metrics_the_result_counts(write_run) -> None:
    folder = write_run("a", result={"status": "finished", "val": {"accuracy": 0.5}})
    (folder / "metrics.jsonl").unlink()
    assert read_run(folder).val == {"accuracy": 0.5}


def test_a_run_that_says_running_is_believed_while_its_process_lives(write_run) -> None:
    folder = write_run("a", result={"status": "running"})
    assert read_run(folder).status == "unfinished"
    lock = this_process()
    (folder / "run.lock").write_text(json.dumps(lock))
    assert read_run(folder).status == "running"
    (folder / "run.lock").write_text(
        json.dumps({"pid": os.getpid(), "started": 0.0})
    )  # a later process of the same number
    assert read_run(folder).status == "unfinished"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not readable as JSON"),
        ("[]", "holds no JSON object"),
        ('{"hyperparameters": 3}', 'has no "hyperparameters"'),
        ('{"hyperparameters": {}, "task": "cooking"}', 'task="cooking" is not known here'),
        ('{"hyperparameters": {}, "task": ["x"]}', "is not known here"),
        ("[" * 100_000, "not readable as JSON"),
        (" " * (MAX_BYTES + 1), rf"larger than {MAX_BYTES:,} bytes"),
    ],
    ids=["empty", "list", "number", "task", "tasks", "deep", "large"],
)
def test_what_is_no_run(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UserError, match=reason):
        read_run(tmp_path)


def test_metrics_that_are_no_text(write_run) -> None:
    folder = write_run("a")
    (folder / "metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"metrics.jsonl: not readable"):
        read_run(folder)


def test_a_result_of_another_shape_is_passed_over(write_run) -> None:
    folder = write_run("a")
    edit(folder, result=[1], data=None, versions="x", git=7, model=[])
    run = read_run(folder)
    assert (run.status, run.test, run.fingerprint, run.value) == ("unknown", {}, None, 0.5)


def test_what_changed_around_the_settings_is_told_too(write_run) -> None:
    folder = write_run("a", result={"status": "finished", "weights": "ImageNet"})
    edit(folder, versions={"torch": "2.11", "python": "3.11"}, git={"commit": "0123456789abcdef", "dirty": True})
    settings = read_run(folder).settings
    assert (settings["versions.torch"], settings["weights"]) == ("2.11", "ImageNet")
    assert settings["git.commit"] == "0123456789ab (changed)"
    assert "versions.python" not in settings
