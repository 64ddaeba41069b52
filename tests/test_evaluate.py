"""``visrun evaluate`` as it is typed; what it measures stands in test_run.py."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock, call

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import evaluate
from visrun.anomaly.curves import counts
from visrun.data.learnt import sample
from visrun.data.objects import Objects
from visrun.data.placement import Scene
from visrun.data.records import read
from visrun.errors import ConfigError, DataError, OutOfMemory, UserError
from visrun.hyperparameters import defaults
from visrun.metrics import RegressionMetric

RUN = SimpleNamespace(task_name="classification", model_name="swin_t")


@pytest.mark.parametrize("words", [[], ["data.root=x"], ["RUN", "other"], ["RUN", "other", "data.root=x"]])
def test_it_says_how_it_is_used(words):
    with pytest.raises(UserError, match="usage: visrun evaluate"):
        evaluate.main(words)


@pytest.mark.parametrize("word", ["seed=1", "data.val_fraction=0.3", "data.image_size=64"])
def test_what_changes_nothing_is_refused(word, monkeypatch):
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: RUN)
    with pytest.raises(ConfigError, match=rf"^{word}: .*does not read this"):
        evaluate.main(["RUN", "data.root=x", word])


def test_the_model_is_the_runs(monkeypatch):
    asked = []

    def dataset_for(_predictor, settings, _screen):
        asked.append((settings.task, settings.model.name, settings.data.name))
        raise DataError("none")

    monkeypatch.setattr(evaluate, "load", lambda *_, **__: RUN)
    monkeypatch.setattr(evaluate, "dataset_for", dataset_for)
    with pytest.raises(DataError):
        evaluate.main(["RUN", "data.root=x"])
    assert asked == [("classification", "swin_t", "auto")]


def test_memory_that_runs_out_is_one_line(monkeypatch):
    for name in ("dataset_for", "Origin", "chosen"):
        monkeypatch.setattr(evaluate, name, Mock())
    monkeypatch.setattr(evaluate, "split_batches", Mock(return_value=SimpleNamespace(images=SimpleNamespace(bad=()))))
    monkeypatch.setattr(evaluate, "measured", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    run = SimpleNamespace(**vars(RUN), device="cuda:0", look=None, task=Mock())
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: run)
    with pytest.raises(OutOfMemory, match=r"^out of memory on cuda:0 in the evaluation: use a smaller batch_size"):
        evaluate.main(["RUN", "data.root=x"])


def test_no_bar_stays_where_measuring_ends_in_an_error(monkeypatch):
    screen, run = Mock(), SimpleNamespace(**vars(RUN), device="cpu", look=None, task=Mock())
    for name in ("dataset_for", "Origin", "chosen", "split_batches"):
        monkeypatch.setattr(evaluate, name, MagicMock())
    monkeypatch.setattr(evaluate, "Screen", Mock(return_value=screen))
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: run)
    monkeypatch.setattr(evaluate, "measured", Mock(side_effect=DataError("broken")))
    with pytest.raises(DataError, match="broken"):
        evaluate.main(["RUN", "data.root=x"])
    assert screen.mock_calls[-1] == call.end_progress()


def test_every_batch_that_is_measured_is_told(monkeypatch):
    loop, tell = Mock(return_value={}), Mock()
    monkeypatch.setattr(evaluate, "evaluate", loop)
    loader = SimpleNamespace(images=SimpleNamespace(source=SimpleNamespace(paths=["a", "b"]), kept=[0, 1]))
    assert evaluate.measured(Mock(), loader, Mock(), tell=tell) == {"images": 2}
    assert loop.call_args.kwargs["tell"] is tell


def test_a_run_may_have_an_equals_sign_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1").mkdir()
    for name in ("lr=0.1", "./lr=0.2"):
        with pytest.raises(UserError, match=rf"{Path(name)}.*: no such checkpoint"):
            evaluate.main([name, "data=demo"])
    with pytest.raises(
        UserError, match=r"^lr=0\.2: evaluate does not read this; .* and a file of this name as \./lr=0\.2$"
    ):
        evaluate.main(["lr=0.2", "data=demo"])


OWN = "the run was trained on these images: split=val is the 4 that it held out (seed=3)\n"
CHANGED = ": about 33% of test are images that the run learnt from: scores on them look better than they are\n"


@pytest.mark.parametrize(
    ("named", "changed", "split", "said"),
    [
        ("run", {}, "val", OWN),
        ("run/experiment.json", {}, "val", OWN),
        ("run/checkpoints/best.pt", {}, "val", OWN),
        ("sweep", {}, "val", OWN),
        ("run", {"fingerprint": "0" * 64}, "test", CHANGED),
        ("run", {"fingerprint": "0" * 64, "root": "x"}, "test", CHANGED),
        ("run", {"fingerprint": "0" * 64, "root": "x", "learnt": f"{0:016}=70-{1:016}"}, "test", ""),
    ],
)
def test_the_runs_own_data_are_split_as_it_did(tmp_path, monkeypatch, capsys, named, changed, split, said):
    for i in range(12):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), i).save(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png")
    own = read(tmp_path / "photos", task="classification", seed=3, val_fraction=0.25, train_fraction=0.5)
    split_by = {"val_fraction": 0.25, "train_fraction": 0.5}
    data = {"root": str(tmp_path / "photos"), "fingerprint": own.fingerprint} | split_by | changed
    noted = data.pop("learnt", sample(record.image for record in own.splits["train"]))
    content = {"task": "classification", "seed": 3, "data": {"name": "auto"} | data, "model": {"name": "small_resnet"}}
    content |= {"hyperparameters": defaults(), "result": {"data": {"learnt": noted}}}
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(content))
    (tmp_path / "run" / "checkpoints" / "best.pt").touch()
    (tmp_path / "sweep" / "best").mkdir(parents=True)
    (tmp_path / "sweep" / "best" / "experiment.json").touch()
    (tmp_path / "sweep" / "trials.csv").write_text(f"number,state,folder,best\n0,complete,{tmp_path / 'run'},yes\n")
    state = {"classes": ["a", "b"], "multilabel": False}
    run = SimpleNamespace(**vars(RUN), task=Mock(state=lambda: state), look=Mock(white=None), device="cpu")
    run.model_name = "small_resnet"
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: run)
    loader = Mock(return_value=SimpleNamespace(images=SimpleNamespace(bad=())))
    monkeypatch.setattr(evaluate, "split_batches", loader)
    shown = []
    monkeypatch.setattr(evaluate.Screen, "progress", lambda _self, *told: shown.append(told))
    monkeypatch.setattr(evaluate, "measured", lambda *_, tell: tell(1, 2) or {})
    assert evaluate.main([str(tmp_path / named), f"data.root={tmp_path / 'photos'}"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"split": split} and shown[-1] == (f"measuring {split}", 1, 2)
    assert err.endswith(said) and err.count("\n") == 2 + bool(said)
    assert loader.call_args.args[0].splits == own.splits or split == "test"


def test_a_checkpoint_alone_does_not_tell_its_dataset(tmp_path, monkeypatch):
    (tmp_path / "best.pt").touch()
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: RUN)
    with pytest.raises(UserError, match=r"^a checkpoint alone does not say .*; name a dataset: data\.root=PATH$"):
        evaluate.main([str(tmp_path / "best.pt")])


def split_of(kind, numbers):
    """A split of pictures, each of the file with its number."""
    scenes = [Scene(number, None, None) for number in numbers] if kind == "boxes" else ()
    return SimpleNamespace(images=numbers, scenes=scenes, targets=SimpleNamespace(kind=kind))


def test_the_worst_image_is_first_and_has_all_its_tiles():
    facts = [{"error": 1}, {"error": 3}, {"error": 3}]
    found = evaluate.by_error(split_of("boxes", [0, 0, 1, 2, 0]), facts)
    assert found == [([2], facts[1]), ([3], facts[2]), ([0, 1, 4], facts[0])]
    assert evaluate.by_error(split_of("label", [7, 7, 7]), facts) == [([1], facts[1]), ([2], facts[2]), ([0], facts[0])]


def test_of_the_tiles_of_an_image_the_fullest_is_shown():
    boxes = np.array([[1.0, 1, 3, 3], [5, 1, 7, 3], [6, 5, 7, 6]])
    truth = Objects(np.zeros(3, int), boxes, np.zeros(3, bool))
    windows = np.array([[0, 0, 4, 4], [4, 0, 8, 8], [0, 4, 4, 8], [0, 0, 8, 8]])
    loader = SimpleNamespace(images=SimpleNamespace(windows=windows), scenes=[Scene(0, None, truth)] * 4)
    assert evaluate.fullest(loader, [0, 1, 2]) == 1
    assert evaluate.fullest(loader, [3]) == 3


def test_numbers_have_six_digits_but_those_of_the_data():
    values = {"error": 1 / 3, "missed": 3, "true": "cat", "values": {"kg": 1e6 + 0.25}, "labels": ["a"]}
    assert evaluate.rounded(values) == {**values, "error": 0.333333}


def test_no_image_of_the_dataset_is_replaced(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "scores.png")
    loader = SimpleNamespace(images=SimpleNamespace(paths=[tmp_path / "scores.png"]))
    with pytest.raises(UserError, match=r"scores\.png would replace an image that is read; name another folder$"):
        evaluate.show(Mock(), loader, Mock(), Mock(), tmp_path)


def test_of_a_metric_that_knows_no_images_are_the_pictures_that_it_has(tmp_path):
    loader = SimpleNamespace(images=SimpleNamespace(paths=[]))
    metric = RegressionMetric(["kg"])
    blind = SimpleNamespace(pairs=metric.pairs)
    evaluate.show(Mock(), loader, blind, SimpleNamespace(targets=["kg"]), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["predicted_against_true.png"]


def test_names_that_are_no_text_stand_in_the_lines(tmp_path, monkeypatch):
    file = tmp_path / os.fsdecode(b"\xff.png")
    file.touch()
    loader = split_of("label", [0])
    loader.images = MagicMock(paths=[file], __len__=lambda _: 1)
    metric = SimpleNamespace(by_image=lambda: [{"error": 1 / 3}])
    monkeypatch.setattr(evaluate, "worst", lambda *_: [Image.new("RGB", (8, 8))])
    evaluate.show(Mock(), loader, metric, Mock(), tmp_path)
    (line,) = (tmp_path / "images.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"image": str(file), "error": 0.333333}


def test_what_thresholds_give_is_a_table(tmp_path):
    found = {"a,b": counts(np.array([1 / 3]), np.array([True])), "c": counts(np.array([0.5]), np.array([False]))}
    loader = split_of("label", [0])
    loader.images = MagicMock(paths=[tmp_path / "a.png"], __len__=lambda _: 1)
    evaluate.show(Mock(), loader, SimpleNamespace(counts=lambda: found), Mock(), tmp_path)
    text = (tmp_path / "thresholds.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines() == [
        "class,threshold,recall,false_positive_rate,precision,f1",
        '"a,b",0.333333,1.0,,1.0,1.0',
        "c,0.5,,1.0,0.0,0.0",
    ]


LONG = 18 * "n"


@pytest.mark.parametrize(
    ("files", "captions"),
    [
        (["test/good/1.png", "test/bent/2.png", "test/bent/2.png"], ["1.png", "2.png", "2.png"]),  # tiles of one
        (["test/good/1.png", "test/bent/1.png"], ["test/good/1.png", "test/bent/1.png"]),
        ([f"test/{LONG}/a/1.png", f"test/{LONG}/{LONG}/1.png"], [f"…/{LONG}/a/1.png", f"…/{LONG}/1.png"]),
        (["a/1.png", f"b/{3 * LONG}.png", "b/1.png"], ["a/1.png", f"{3 * LONG}.png", "b/1.png"]),
        (["a/1.png", "/elsewhere/1.png"], ["a/1.png", "/elsewhere/1.png"]),
    ],
)
def test_names_that_repeat_are_paths_in_the_dataset(files, captions, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(evaluate, "caption", lambda _, lines: told.append(lines[0].text))
    monkeypatch.setattr(evaluate.gallery, "samples", lambda *args, **_: dict.fromkeys(args[3]))
    loader = SimpleNamespace(images=SimpleNamespace(paths=[tmp_path / file for file in files]))
    evaluate.worst(Mock(), loader, dict.fromkeys(range(len(files)), 1.0), tmp_path)
    assert told == captions


def test_where_it_cannot_be_written_is_known_before_the_measuring(tmp_path, monkeypatch):
    for name in ("dataset_for", "Origin", "chosen", "split_batches", "measured"):
        monkeypatch.setattr(evaluate, name, Mock())
    evaluate.split_batches.return_value.images.bad = ()
    evaluate.Origin.return_value.as_split.return_value.root = tmp_path / "photos"
    run = SimpleNamespace(**vars(RUN), look=None, device="cpu", task=Mock())
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: run)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^out=.*file: cannot be written"):
        evaluate.main(["RUN", "data.root=x", f"out={tmp_path / 'file'}"])
    evaluate.measured.assert_not_called()


@pytest.mark.parametrize("out", ["photos", "photos/cat", "photos/seen", "link"])
def test_its_pictures_join_no_dataset(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to("photos")
    photos = SimpleNamespace(root=tmp_path / "photos")
    with pytest.raises(UserError, match=rf"^out={out}: lies in the dataset"):
        evaluate.folder_for(out, tmp_path, photos)
    assert not (tmp_path / "photos" / "seen").exists()
    assert evaluate.folder_for("seen", tmp_path, photos).is_dir()
    photos.root = tmp_path / "photos" / "table.csv"  # which says what its images are
    photos.root.touch()
    assert evaluate.folder_for(out, tmp_path, photos).is_dir()
