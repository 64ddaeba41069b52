"""Every benchmark in its smallest form: it runs and prints measurements. How fast anything is, no test says."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from visrun.errors import Diverged

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
QUICK = ["max_epochs=1", "data.image_size=16", "batch_size=256"]
ANY_DATA = ["cpu", "loop", "neighbours", "learn", "search"]  # are given a few pictures; the demo's are many
TINY = ["--device=cpu", "--size=32", "--epochs=1"]
TINY_GPU = [*TINY, "--images=64", "--batch=32", "--workers=1", "--plain-epochs=1"]
DENSE = {"object_detection": "fcos", "oriented_object_detection": "maskrcnn"}


def measured(name: str, *words: str, cwd: Path) -> dict[str, dict]:
    """The lines that a script prints, by name."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *words],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        assert isinstance(line["value"], float)
        assert line["unit"]
        assert line["ratio"] is None or line["over"] in {other["name"] for other in lines}
        assert line["machine"]["cores"] >= 1
    return {line["name"]: line for line in lines}


SMALLEST = {
    "loop": (["--rounds=2", *QUICK], {"loop/step_alone", "loop/end_to_end"}),
    "cpu": (["--rounds=1", "--steps=1", *QUICK], {"cpu/step", "cpu/step_kept", "cpu/step_bf16"}),
    "demo": ([*QUICK, "data.train_fraction=0.1"], {"demo/seconds", "demo/test/accuracy"}),
    "neighbours": (
        ["--rounds=1", "--spins=3000", *QUICK[1:], "max_epochs=2"],
        {"neighbours/3000/1", "neighbours/3000/2"},
    ),
    "scan": (["--images=20", "--rounds=1"], {"scan/make", "scan/object_detection", "scan/instance_segmentation"}),
    "startup": (["--repeats=1"], {"startup/import visrun", "startup/visrun explain", "startup/visrun --cfg job"}),
    "gpu": (TINY_GPU, {"photos/make", "gpu/cache", "gpu/step_called", "gpu/visrun", "gpu/plain", "gpu/speed_up"}),
    "dense": (
        [*TINY, "--images=2", "--objects=3", "--batch=2", "--tasks", *DENSE, "--models", "small_detector"],
        {f"dense/{task}/{model}" for task, beside in DENSE.items() for model in (beside, "small_detector")},
    ),
    "learn": (["--seeds=0", "task=classification", "tracking=none", *QUICK], {"learn/classification/median"}),
    "sweep": (["overhead", "--trials=3"], {"sweep/overhead/stock", "sweep/overhead"}),
    "search": (["--seeds=0", "--trials=1", *QUICK], {"search/visrun/median", "search/epochs/visrun"}),
    "map": (
        ["--images=5", "--objects=20", "--detections=200", "--repeats=1"],
        {"map/pycocotools", "map/boxes", "map/rotated", "map/rotated_dota"},
    ),
    "ui": (["--repeats=1", "--runs=3"], {"ui/form_change", "ui/memory", "ui/runs", "ui/ctrl_c"}),
    "storage": (
        ["--trials=3", "--measure=2", "--epochs=1"],
        {"storage/journal/3/begin/trial", "storage/journal/3/end/look"},
    ),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class folder: two classes of 20 pictures."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        file = root / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (number * 6, 100 * (number % 2), 0)).save(file)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_prints_its_measurements(name: str, pictures: Path, tmp_path: Path) -> None:
    words, names = SMALLEST[name]
    if name in ANY_DATA:
        words = [*words, f"data.root={pictures}", "model=small_resnet"]
    lines = measured(name, *words, cwd=tmp_path)
    assert names <= set(lines)
    assert not list(tmp_path.iterdir())


def test_every_script_is_tried() -> None:
    assert {file.stem for file in BENCHMARKS.glob("*.py")} == {*SMALLEST, "photos", "common"}


def test_a_relative_root_is_that_of_whoever_typed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    _, config = importlib.import_module("common").command("data.root=photos", "--cfg", "job", cwd=Path("elsewhere"))
    assert f"root: {tmp_path / 'photos'}" in config


def test_a_detector_whose_loss_is_nan_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    dense = importlib.import_module("dense")
    step = SimpleNamespace(graph_note="")
    made = lambda words: SimpleNamespace(nan="model=fcos" in words, precision="fp32", step=step)  # noqa: E731
    monkeypatch.setattr(dense, "parts_of", made)
    monkeypatch.setattr(dense, "make", lambda *_: None)

    def speeds(given: SimpleNamespace, _epochs: int) -> dict[str, float]:
        if given.nan:
            raise Diverged("the loss became NaN")
        return {"loop": 8.0, "called": 9.0}

    monkeypatch.setattr(dense, "speeds", speeds)
    monkeypatch.setattr(sys, "argv", ["dense.py", "--tasks", "object_detection", "--models", "small_detector"])
    dense.main()
    out, err = capsys.readouterr()
    line = json.loads(out)
    assert (line["name"], line["value"], line["ratio"]) == ("dense/object_detection/small_detector", 8.0, None)
    assert err == "dense/object_detection/fcos: the loss became NaN\n"


def test_photographs_are_a_class_folder(tmp_path: Path) -> None:
    lines = measured("photos", str(tmp_path / "made"), "--images=12", "--workers=1", cwd=tmp_path)
    files = sorted((tmp_path / "made").glob("*/*/*.jpg"))
    assert [len([file for file in files if file.parts[-3] == split]) for split in ("train", "val")] == [12, 10]
    assert len({file.read_bytes() for file in files}) == len(files)
    with Image.open(files[0]) as image:
        assert image.size == (500, 375)
    assert 40 < lines["photos/make"]["mean_kilobytes"] < 120
