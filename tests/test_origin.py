"""What is known of the data that a run learnt from, and which it is measured on."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from tests.opened import shipped
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.data.learnt import sample
from visrun.data.records import read
from visrun.hyperparameters import defaults
from visrun.origin import Origin, dataset_for


def test_images_that_the_run_learnt_are_told(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(8)]
    for i, file in enumerate(files):
        file.write_bytes(b"picture %d" % i)
    run, screen = tmp_path / "run", Mock()
    dataset = SimpleNamespace(root=tmp_path, splits={"test": [SimpleNamespace(image=file) for file in files]})
    Origin(None).tell_learnt(dataset, "test", screen)  # of a checkpoint alone
    Origin(run).tell_learnt(dataset, "test", screen)
    run.mkdir()
    for learnt in ("", 3, None):  # other images, and what a hand has written
        (run / "experiment.json").write_text(json.dumps({"data": None, "result": {"data": {"learnt": learnt}}}))
        Origin(run).tell_learnt(dataset, "test", screen)
    screen.warn.assert_not_called()
    (run / "experiment.json").write_text(json.dumps({"result": {"data": {"learnt": sample(files[:2])}}}))
    Origin(run).tell_learnt(dataset, "test", screen)
    assert "about 25% of test are images that the run learnt from" in screen.warn.call_args.args[0]


@pytest.mark.parametrize(
    ("besides", "name", "on_bad"), [((), "csv", "skip"), (("data", "data.on_bad", "split"), "auto", "error")]
)
def test_the_runs_own_data_are_read_as_the_run_did(tmp_path, besides, name, on_bad):
    table = tmp_path / "it's a, table.csv"
    table.touch()
    data = {"name": "csv", "root": str(table), "targets": ["age"], "on_bad": "skip", "val_fraction": 0.5}
    content = {"task": "regression", "seed": 0, "data": data, "model": {"name": "small_resnet"}}
    (tmp_path / "experiment.json").write_text(json.dumps(content | {"hyperparameters": defaults()}))
    words = Origin(tmp_path).words(besides=besides)
    found = resolve(["task=regression", *words], conf=shipped()).settings.data
    assert (found.name, found.root, found.targets, found.on_bad) == (name, str(table), ("age",), on_bad)


def test_the_demo_is_the_own_data_of_its_run(tmp_path):
    content = {"task": "regression", "seed": 0, "data": {"name": "demo"}, "model": {"name": "small_resnet"}}
    (tmp_path / "experiment.json").write_text(json.dumps(content | {"hyperparameters": defaults()}))
    assert Origin(tmp_path).words(besides=()) == ["data=demo", "data.on_bad=error"]


def test_of_a_run_of_one_fold_val_is_that_fold_and_not_the_datasets(tmp_path):
    for i in range(24):
        folder = tmp_path / "photos" / ("train" if i < 16 else "val") / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), i).save(folder / f"{i}.png")
    own = read(tmp_path / "photos", task="classification", fold="2/3")
    data = {"name": "auto", "root": str(tmp_path / "photos"), "fingerprint": own.fingerprint, "fold": "2/3"}
    content = {"task": "classification", "seed": 0, "data": data, "model": {"name": "small_resnet"}}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(content | {"hyperparameters": defaults()}))
    asked = resolve([f"data.root={tmp_path / 'photos'}"], conf=shipped()).settings
    predictor = SimpleNamespace(task=Mock(state=lambda: {"classes": ["a", "b"]}), look=Mock(white=None))
    dataset = dataset_for(predictor, asked, Mock())
    assert dataset.splits["val"] != own.splits["val"]
    assert Origin(tmp_path / "run").as_split(predictor, dataset, asked, Mock()).splits == own.splits


@pytest.mark.parametrize("targets", [None, ["size", "patient"]])
def test_the_column_of_the_runs_groups_is_measured_only_where_it_was_learnt(tmp_path, targets):
    run, task = tmp_path / "run", {"name": "regression", "targets": targets or ["size"]}
    lines = ["image,size,patient"]
    for i in range(6):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{i},{i // 2 if targets else ''}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    run.mkdir()
    data = {"name": "auto", "root": "x", "group": "patient", "targets": targets}
    content = {"task": "regression", "seed": 0, "data": data, "model": {"name": "small_resnet"}}
    (run / "experiment.json").write_text(json.dumps(content | {"hyperparameters": defaults()}))
    asked = resolve(["task=regression", f"data.root={tmp_path / 't.csv'}"], conf=shipped()).settings
    predictor = SimpleNamespace(task=Mock(state=lambda: task), look=Mock(white=None))
    screen = Mock()
    dataset = dataset_for(predictor, Origin(run).grouped(asked), screen)
    assert dataset.targets == tuple(task["targets"]) and not screen.warn.called
    for unknown in (None, tmp_path):
        assert Origin(unknown).grouped(asked) == asked


@pytest.mark.parametrize(("white", "beyond"), [(None, False), (1023, True), (4095, False)])
def test_deep_grey_beyond_what_is_white_to_the_model_is_said(tmp_path, capsys, white, beyond):
    Image.fromarray(np.array([[3, 4000]], np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("image,label\na.png,x\n")
    task = Mock(state=lambda: {"classes": ["x"]})
    run = SimpleNamespace(task=task, look=SimpleNamespace(white=white))
    dataset_for(run, resolve([f"data.root={tmp_path}"], conf=shipped()).settings, Screen(stderr=True))
    told = capsys.readouterr().err
    assert ("16-bit grey goes beyond 1,023 here, which is white to the model" in told) == beyond
    assert "black to white" not in told
