"""A run as a program for other runtimes: what it answers, what its file says of it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visrun import checkpoint, cli, export, models
from visrun.build import load as load_ref
from visrun.data.ids import IGNORE
from visrun.data.images import load_rgb
from visrun.errors import UserError, VisrunError
from visrun.export import Deployed, exported, target
from visrun.run_files import FILE_NAME
from visrun.runtimes import MISSED, differences
from visrun.tables import TASKS

SIZE = (32, 48)
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
CLASSES = {"classes": ["cat", "dog"]}
NETWORKS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "classification": ("classification", "small_resnet", CLASSES, {}),
    "regression": ("regression", "small_resnet", {"targets": ["x", "y"], "mean": [0.0, 9.0], "std": [1.0, 2.0]}, {}),
    "segmentation": ("segmentation", "small_unet", CLASSES, {}),
    "detection": ("object_detection", "small_detector", CLASSES, {}),
    "turned": ("oriented_object_detection", "small_detector", CLASSES, {}),
    "instances": ("instance_segmentation", "small_detector", CLASSES, {}),
    "verdicts": ("anomaly_detection", "small_resnet", {"threshold": 3.5}, {}),
    "patchcore": (
        "anomaly_detection",
        "patchcore",
        {"threshold": 2.0, "pixel_threshold": 1.0},
        {"backbone": "resnet18", "strides": [4, 8], "coreset": 1.0, "neighbours": 3},
    ),
}
REPORTED = {"detection": {"most": 100, "score": 0.05}, "instances": {"most": 100, "score": 0.05}}
REPORTED |= {"turned": {"most": 500, "score": 0.05}}
ONNX = ("classification", "turned", "instances", "verdicts", "patchcore")  # each of its own kind; the others as pt2


@pytest.fixture(params=[(name, "onnx" if name in ONNX else "pt2") for name in NETWORKS], ids="-".join)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str]:
    """A run's folder, its network and a format."""
    name, form = request.param
    write(tmp_path / "run", name)
    return tmp_path / "run", name, form


def write(folder: Path, name: str, *, fit: str = "crop", mean: Sequence[float] = MEAN) -> None:
    """The best.pt of a run that has just begun."""
    task, model, state, options = NETWORKS[name]
    torch.manual_seed(0)
    built = models.create(
        model,
        num_outputs=load_ref(TASKS[task].build)(**state).num_outputs,
        image_size=SIZE,
        pretrained=False,
        target=TASKS[task].target,
        options=options,
    )
    for value in built.module.parameters():
        if not value.any():  # layers that at first say the same everywhere, whatever the network sees
            nn.init.normal_(value, std=0.02)
    if isinstance(built.module, models.Settling):
        built.module.eval().settle([torch.randn(4, 3, *SIZE)])
    network = {"name": model, "num_outputs": 2, "dropout": 0.0, "options": options}
    look = {
        "image_size": list(SIZE),
        "fit": fit,
        "mean": list(mean),
        "std": STD,
        "tile": None,
        "overlap": 0,
        "white": None,
    }
    best = folder / "checkpoints" / "best.pt"
    best.parent.mkdir(parents=True)
    (folder / FILE_NAME).write_text("{}")
    checkpoint.save(
        {"task": task, "task_state": state, "network": network, "model": built.module.state_dict(), **look}, best
    )


@pytest.mark.slow
def test_a_program_goes_from_pixels_to_what_the_task_predicts(saved: tuple[Path, str, str], capsys: Any) -> None:
    folder, name, form = saved
    assert cli.main(["export", str(folder), f"format={form}"]) == 0
    out, told = capsys.readouterr()
    said = json.loads(out)
    file = folder / f"model.{form}"
    assert Path(said.pop("file")) == file
    assert "answers as PyTorch does" in told

    count = said["images"]["shape"][0]
    run, held = opened(form, file, count)
    assert count == (1 if name == "patchcore" else "batch")
    images = torch.rand(1 if name == "patchcore" else 3, 3, *SIZE)
    found = run(images)
    predictor = export.load(folder, device="cpu")
    seen = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    task: Any = predictor.task
    wanted = (task.propose if "suppress" in said else task.predict)(predictor.module, seen)
    assert list(found) == list(wanted) == list(said["outputs"])
    for output, (apart, whole) in differences(wanted, found).items():
        assert (apart > 1e-4).double().mean() <= (MISSED if whole else 0), output
    for key, values in wanted.items():
        assert [*values.shape[1:]] == said["outputs"][key]["shape"][1:]
        assert str(values.dtype) == str(found[key].dtype) == f"torch.{said['outputs'][key]['dtype']}"
    assert said["state"] == predictor.task.state()
    assert said.get("report") == REPORTED.get(name)
    assert held == said


@pytest.mark.slow
def test_a_link_named_by_out_stays_one(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path / "run", "classification")
    (tmp_path / "link.pt2").symlink_to("program.pt2")
    for _ in range(2):  # where nothing stands yet, and where a program does
        assert cli.main(["export", str(tmp_path / "run"), f"out={tmp_path / 'link.pt2'}"]) == 0
        assert (tmp_path / "link.pt2").is_symlink()
        assert opened("pt2", tmp_path / "program.pt2", "batch")[1]["images"]


def opened(form: str, file: Path, count: Any) -> tuple[Any, Any]:
    """The program as a reader without visrun runs it, and the description that its file holds."""
    if form == "pt2":
        extra = {export.METADATA: ""}
        program = torch.export.load(file, extra_files=extra).module()
        return program, json.loads(extra[export.METADATA])
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["images"]
    assert session.get_inputs()[0].shape == [count, 3, *SIZE]
    names = [one.name for one in session.get_outputs()]

    def run(images: torch.Tensor) -> dict[str, torch.Tensor]:
        found = session.run(names, {"images": images.numpy()})
        return dict(zip(names, map(torch.from_numpy, found), strict=True))

    return run, json.loads(session.get_modelmeta().custom_metadata_map[export.METADATA])


@pytest.mark.parametrize(
    ("form", "out", "expected"),
    [
        (None, None, ("onnx", None)),
        ("pt2", None, ("pt2", None)),
        (None, "a/b.pt2", ("pt2", Path("a/b.pt2"))),
        ("onnx", "b.onnx", ("onnx", Path("b.onnx"))),
    ],
)
def test_a_files_suffix_says_its_format(form: str | None, out: str | None, expected: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "expanded", Path)
    assert target(form, out) == expected


@pytest.mark.parametrize(
    ("form", "out", "told"),
    [
        ("onxx", None, r"^format=onxx: must be onnx or pt2 \(did you mean onnx\?\)$"),
        ("tflite", None, r"^format=tflite: must be onnx or pt2$"),
        (None, str(Path(__file__).parent), r"^out=.*tests: is a folder; name a file in it$"),
        (None, "model", r"^out=model: must be a file that ends in \.onnx or \.pt2$"),
        ("pt2", "model.onnx", r"^out=model\.onnx: must be a file that ends in \.pt2$"),
    ],
)
def test_a_format_that_is_not_known_or_not_the_files_is_refused(form: Any, out: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        target(form, out)


def test_mistakes_are_one_line(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path / "run", "classification")
    (tmp_path / "file").write_text("no folder")
    for words, told in (
        ([], "usage: visrun export RUN"),
        (["a", "b"], "usage: visrun export RUN"),
        ([str(tmp_path)], "no such checkpoint"),
        ([str(tmp_path / "run"), f"out={tmp_path}/file/model.pt2"], "cannot be written"),
    ):
        assert cli.main(["export", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_onnx_names_the_packages_that_it_lacks(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    write(tmp_path / "run", "classification")
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    assert cli.main(["export", str(tmp_path / "run")]) == 2
    assert "format=onnx: pip install onnxscript; or choose format=pt2, which does without" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("model.*"))


def test_a_detector_without_fixed_shapes_is_refused_by_name() -> None:
    predictor: Any = type("Predictor", (), {"model_name": "retinanet", "task": None})
    with pytest.raises(UserError, match=r"^model=retinanet: .*no program fixes; to export, train another model$"):
        export.deployable(predictor)


def test_a_network_that_cannot_be_traced_is_one_line() -> None:
    class Wavering(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean() if images.sum() > 0 else images.amax()

    deployed = Deployed(Wavering(), lambda module, images: {"value": module(images)}, MEAN, STD)
    with pytest.raises(VisrunError, match=r"^this network cannot be exported \([^\n]+\); choose another model$"):
        exported(deployed, SIZE)


def documented() -> Any:
    """The functions of the page for programs without visrun."""
    page = (Path(__file__).parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in page.split("```python\n")[1:]:
        if block.startswith(("import numpy", "def ")):
            exec(block.partition("```")[0], names)
    return SimpleNamespace(**names)


def picture(file: Path, size: tuple[int, int], turn: int = 1) -> Path:
    """A file with something to see in each part, whose EXIF says how to turn it."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    waves = np.stack([x, y, 0.5 + 0.5 * np.sin(40 * x * y + 9 * x)], -1)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray((255 * waves).astype(np.uint8)).save(file, exif=exif)
    return file


FILES = {
    "a.png": ((48, 32), 1),
    "small.png": ((31, 17), 1),
    "large.png": ((313, 200), 1),
    "wide.png": ((700, 40), 1),
    "high.png": ((33, 410), 1),
    "photo.jpg": ((613, 407), 1),
    "turned.jpg": ((407, 613), 6),
    "mirrored.png": ((90, 50), 4),
    "turned.tif": ((407, 313), 8),
}
ODD_MEAN = (0.4811459, 0.4523333333, 0.40712345)  # of a dataset, say


@pytest.mark.parametrize("fit", ["crop", "letterbox", "zoom"])
def test_the_documented_functions_show_a_program_what_predict_shows_its_network(fit: str, tmp_path: Path) -> None:
    page, shown = documented(), []
    write(tmp_path, "segmentation", fit=fit, mean=ODD_MEAN)
    predictor = export.load(tmp_path, device="cpu")
    deployed = export.deployable(predictor)
    predictor.module.register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    about = json.loads(json.dumps(export.description(predictor, {}, None)))
    for name, (size, turn) in FILES.items():
        file = picture(tmp_path / name, size, turn)
        (wanted,) = predictor.predict([file], maps=True)
        image, place = page.prepare(file, about)
        assert (image.dtype, image.shape) == (np.float32, (1, 3, *SIZE))
        mask = deployed(torch.from_numpy(image))["mask"]
        seen, given = shown[-2:]
        torch.testing.assert_close(given, seen, atol=1e-3, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
        assert ((given == 0).all(1) == (seen == 0).all(1)).all(), name  # where the picture ends
        restored = page.restore(mask[0].numpy(), place, load_rgb(file).shape[1::-1])
        there = wanted["mask"] != IGNORE
        assert (restored == wanted["mask"])[there].mean() > 0.999, name


@pytest.mark.parametrize(("name", "fit"), [("regression", "crop"), ("verdicts", "letterbox"), ("patchcore", "crop")])
def test_a_program_answers_to_any_picture_as_predict_does(name: str, fit: str, tmp_path: Path) -> None:
    page = documented()
    write(tmp_path, name, fit=fit, mean=ODD_MEAN)
    predictor = export.load(tmp_path, device="cpu")
    deployed = export.deployable(predictor)
    about = json.loads(json.dumps(export.description(predictor, {}, None)))
    for file in (picture(tmp_path / name, *FILES[name]) for name in FILES):
        (wanted,) = predictor.predict([file])
        found = deployed(torch.from_numpy(page.prepare(file, about)[0]))
        values = [*wanted["values"].values()] if name == "regression" else [wanted["score"]]
        answers = found["value" if name == "regression" else "score"].flatten().tolist()
        assert answers == pytest.approx(values, rel=1e-3), file


def test_the_documented_suppression_finds_the_objects_that_predict_reports(tmp_path: Path) -> None:
    page = documented()
    write(tmp_path, "detection", fit="zoom", mean=ODD_MEAN)
    predictor = export.load(tmp_path, device="cpu")
    network: Any = predictor.module
    for layer, spread in ((network.classes, 0.4), (network.boxes, 0.1)):  # which at first say the same everywhere
        nn.init.normal_(layer.weight, std=spread, generator=torch.Generator().manual_seed(0))
    deployed = export.deployable(predictor)
    about = json.loads(json.dumps(export.description(predictor, {}, None)))
    files = FILES | {"padded.png": ((1, 9), 1)}  # slivers of boxes in its padding are no objects
    for file in (picture(tmp_path / name, *files[name]) for name in files):
        (wanted,) = predictor.predict([file])
        image, place = page.prepare(file, about)
        found = {name: values.numpy() for name, values in deployed(torch.from_numpy(image)).items()}
        objects = page.boxes(found, place, load_rgb(file).shape[1::-1], about)
        assert len(objects) == len(wanted["objects"]) > 1, file
        assert {name for name, *_ in objects} == {*CLASSES["classes"]}
        for (name, score, box), one in zip(objects, wanted["objects"], strict=True):
            assert (name, score) == (one["label"], pytest.approx(one["score"], abs=1e-3)), file
            assert box == pytest.approx(one["box"], abs=0.05), file


def test_what_onnx_lacks_is_named_not_the_step_at_which_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("This is step 3/3")
    error.__cause__ = ValueError("no function for aten._cdist_forward\nand more")
    monkeypatch.setattr(torch.onnx, "export", Mock(side_effect=error))
    line = r"^this network cannot be written as ONNX \(.*no function for aten\._cdist_forward\); try format=pt2$"
    with pytest.raises(VisrunError, match=line):
        export.as_onnx(Mock(), {})
