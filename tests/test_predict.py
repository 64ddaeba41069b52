import json
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import checkpoint, models, predict
from visrun.data import threads
from visrun.data.images import load_rgb
from visrun.errors import DataError, OutOfMemory, UserError
from visrun.record.run_folder import RunFolder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/b/2.JPG", "c/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_stand_for_the_images_below_them_and_files_for_themselves(pictures):
    found = predict.find_images([pictures / "c", pictures / "a", pictures / "a" / "1.png"])
    assert [str(path.relative_to(pictures)) for path in found] == ["c/1.png", "a/1.png", "a/b/2.JPG", "a/1.png"]


def test_hidden_files_are_no_images_and_numbers_count_by_value(tmp_path):
    shown = ["img2.png", "img10.png", "x/1.png"]
    for name in [*shown, "._img2.png", ".ipynb_checkpoints/img2.png", "__MACOSX/img2.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in predict.find_images([tmp_path])] == shown


def test_what_is_not_there_is_named(pictures):
    with pytest.raises(DataError, match="no such file or folder"):
        predict.find_images([pictures / "missing.png"])
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in this folder.*\.png"):
        predict.find_images([pictures / "empty"])


def test_a_gpu_takes_the_precision_that_the_run_had(tmp_path):
    best = RunFolder(tmp_path).best
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert predict.precision_of(best, gpu) == "fp32"  # a checkpoint alone
    for noted, expected in ({"precision": "bf16"}, "bf16"), ({"precision": "fp32"}, "fp32"), ({}, "fp32"):
        (tmp_path / "experiment.json").write_text(json.dumps({"result": noted}))
        assert (predict.precision_of(best, gpu), predict.precision_of(best, cpu)) == (expected, "fp32")


def test_a_checkpoint_of_a_plugins_task_says_that_the_plugin_is_missing(tmp_path):
    checkpoint.save({"task": "counting", "task_state": {}, "network": {}, "model": {}}, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r'best\.pt: task="counting" is not known here; a plugin may bring it'):
        predict.load(tmp_path / "best.pt")


@pytest.mark.parametrize(
    "odd",
    [
        {"task": ["classification"]},
        {"task_state": {"colours": 3}},
        {"network": {}},
        {"network": None},
        {"model": None},
        {"model": {"stem.0.weight": 1.5}},
        {"image_size": (8, 8, 3)},
        {"mean": None},
    ],
    ids=str,
)
def test_a_checkpoint_of_which_a_part_is_of_another_kind_is_one_line(tmp_path, odd):
    network = {"name": "small_resnet", "num_outputs": 2, "dropout": 0.0, "options": {}}
    module = models.create("small_resnet", num_outputs=2, image_size=16, pretrained=False).module
    look = {"image_size": [16, 16], "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "tile": None, "overlap": 0}
    state = {"task": "classification", "task_state": {"classes": ["a", "b"]}, "network": network, **look}
    state |= {"model": module.state_dict()}
    checkpoint.save(state, tmp_path / "best.pt")
    assert predict.load(tmp_path / "best.pt", device="cpu").model_name == "small_resnet"
    checkpoint.save({**state, **odd}, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"^[^\n]*/best\.pt: a part is missing or of another kind \([^\n]*: go on with"):
        predict.load(tmp_path / "best.pt", device="cpu")


def small(precision: str = "fp32") -> predict.Predictor:
    """A network that maps images of 8 x 8 pixels."""
    network = torch.nn.Conv2d(3, 1, 3)
    portrait = {"task": "regression", "image_size": (8, 8), "fit": "crop", "tile": None, "overlap": 0}
    portrait |= {"network": {"name": "small"}, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    task = SimpleNamespace(predict=lambda model, images: {"value": model(images)}, restore=lambda found, *_: found)
    return predict.Predictor(network, task, portrait, torch.device("cpu"), precision)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_network_runs_in_that_precision_and_without_gradients(precision, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (found,) = small(precision).predictions([tmp_path / "a.png"])
    assert found["value"].dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert not found["value"].requires_grad


def test_memory_that_runs_out_is_one_line(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    predictor = small()
    predictor.module.forward = Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(OutOfMemory, match=r"^out of memory on cpu in the prediction: use device=cpu$"):
        list(predictor.predictions([tmp_path / "a.png"]))


def test_a_header_that_never_comes_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    read = predict.header
    monkeypatch.setattr(predict, "header", lambda path: time.sleep(2 * (path.name == "b.png")) or read(path))
    for name in "abc":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"^[^\n]*/b\.png: not read in time: is a network drive gone\?$"):
        next(small().predictions(sorted(tmp_path.iterdir())))


def test_an_open_image_is_seen_as_its_file_would_be(tmp_path):
    picture = Image.effect_noise((20, 12), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    picture.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        spare = predict._as_file(opened, tmp_path / "spare.png")
    assert (load_rgb(spare) == load_rgb(tmp_path / "turned.png")).all()
    assert load_rgb(spare).shape == (20, 12, 3)


def test_images_of_modes_that_png_lacks_are_converted_or_refused(tmp_path):
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert load_rgb(predict._as_file(cmyk, tmp_path / "a.png"))[0, 0].tolist() == list(
        cmyk.convert("RGB").getpixel((0, 0))
    )
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "deep.png")
    deep = predict._as_file(Image.new("I", (4, 4), 300), tmp_path / "c.png")
    assert (load_rgb(deep) == load_rgb(tmp_path / "deep.png")).all()
    with pytest.raises(DataError, match="float image"):
        predict._as_file(Image.new("F", (4, 4)), tmp_path / "b.png")


@pytest.mark.parametrize(
    "one", ["a.png", Path("a.png"), b"", Image.new("L", (4, 4)), *map(np.zeros, [(4, 4), (4, 4, 3)])]
)
def test_an_image_in_no_list_is_refused(one):
    with pytest.raises(
        DataError, match=r"^one image: predict takes several; put it in a list, as in predict\(\[image\]\)$"
    ):
        small().predict(one)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((4, 5, 3)), "an array of float64, shape (4, 5, 3): must be uint8, (H, W, 3) or (H, W)"),
        (np.zeros((3, 4, 5), "uint8"), "an array of uint8, shape (3, 4, 5): must be uint8, (H, W, 3) or (H, W)"),
        (np.zeros((4, 5), "uint16"), "an array of uint16, shape (4, 5): must be uint8, (H, W, 3) or (H, W)"),
        (np.zeros(4, "uint8"), "an array of uint8, shape (4,): must be uint8, (H, W, 3) or (H, W)"),
        (np.zeros((1, 4, 5, 3), "uint8"), "an array of uint8, shape (1, 4, 5, 3): must be uint8, (H, W, 3) or (H, W)"),
        (np.zeros((0, 5, 3), "uint8"), "an array of uint8, shape (0, 5, 3): must be uint8, (H, W, 3) or (H, W)"),
        (torch.zeros(3, 4, 5), "Tensor: no image; give a file, a Pillow image or a uint8 array (H, W, 3)"),
        (b"\x89PNG", "bytes: no image; give a file, a Pillow image or a uint8 array (H, W, 3)"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_is_no_image_is_one_line(image, told):
    with pytest.raises(DataError) as caught:
        small().predict([image])
    assert str(caught.value) == told


def closed():
    image = Image.new("L", (4, 5))
    image.close()
    return image


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (Image.new("La", (4, 5)), "mode La, 4x5: "),
        (Image.new("RGB", (0, 0)), "mode RGB, 0x0: "),
        (closed(), "mode L, 4x5: "),
    ],
)
def test_what_pillow_does_not_write_is_one_line(image, what):
    with pytest.raises(DataError, match=f"^an image of {what}"):
        small().predict([image])


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
def test_an_array_is_kept_as_it_is(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    file = predict._as_file(pixels, tmp_path / "a.png")
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_grey_array_is_seen_as_its_file_would_be(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert (load_rgb(predict._as_file(grey, tmp_path / "a.png")) == grey[..., None]).all()


@pytest.mark.parametrize("words", [[], ["RUN"], ["out=here", "RUN"]])
def test_predict_says_how_it_is_used(words):
    with pytest.raises(UserError, match="usage: visrun predict"):
        predict.main(words)


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that sees a mask in every image, in place of whichever run is named."""
    task = SimpleNamespace(record=lambda *_: {}, draw=lambda image, *_: image)
    mask = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    model = SimpleNamespace(task=task, predictions=lambda paths: ({"mask": mask} for _ in paths))
    monkeypatch.setattr(predict, "load", lambda *_, **__: model)


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize(("names", "lost"), [(["p0.png"], "p0.png"), (["a.jpg", "a_mask.png"], "a_mask.png")])
def test_an_image_that_is_read_is_never_replaced(names, lost, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("imgs").mkdir()
    for name in names:
        Image.new("RGB", (4, 4), "red").save(Path("imgs", name))
    before = {file: file.read_bytes() for file in Path("imgs").iterdir()}
    with pytest.raises(UserError) as error:
        predict.main(["RUN", "imgs", "out=imgs"])
    assert str(error.value) == f"out=imgs: {lost} would replace an image that is read; name another folder"
    assert {file: file.read_bytes() for file in Path("imgs").iterdir()} == before


@pytest.mark.usefixtures("seeing")
def test_every_drawing_and_mask_has_a_file_of_its_own(pictures, capsys):
    Image.new("RGB", (4, 4)).save(pictures / "c" / "1_mask.png")
    assert predict.main(["RUN", str(pictures / "c"), f"out={pictures / 'out'}"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["1.png", "1_mask.png"]
    black, white = [0], [255]
    values = {file.name: sorted(set(load_rgb(file).flat)) for file in pictures.glob("out/*")}
    assert values == {"1.png": black, "1_mask.png": white, "1_mask_2.png": black, "1_mask_2_mask.png": white}


def test_files_that_cannot_be_decoded_are_lines_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    names = [f"{i:02}.png" for i in range(70)]
    for name in names:
        Image.effect_noise((8, 8), 60).convert("RGB").save(tmp_path / name)
    for bad, length in (("40.png", 90), ("69.png", 90), ("03.png", 10)):
        (tmp_path / bad).write_bytes((tmp_path / bad).read_bytes()[:length])
    predictor = small()
    predictor.task.record = lambda found, i: {"value": found["value"][i].mean().item()}
    predictor.task.draw = lambda image, *_: image
    predictor.task.restore = lambda found, i, _: {"value": found["value"][i : i + 1]}
    monkeypatch.setattr(predict, "load", lambda *_, **__: predictor)
    assert predict.main(["RUN", str(tmp_path), f"out={tmp_path / 'out'}"]) == 2
    out, err = capsys.readouterr()
    bad = ["03.png", "40.png", "69.png"]
    seen = {Path(line["image"]).name: line["value"] for line in map(json.loads, out.splitlines())}
    assert list(seen) == [name for name in names if name not in bad]
    assert [line.split(": ")[:2] for line in err.splitlines()[:-1]] == [["visrun", "error"]] * 3
    assert [Path(line.split(": ")[2]).name for line in err.splitlines()[:-1]] == bad
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == list(seen)
    alone = predictor.predict([tmp_path / "41.png"])
    assert alone[0]["value"] == pytest.approx(seen["41.png"], abs=1e-6)
    with pytest.raises(DataError, match=r"40\.png: broken image"):
        predictor.predict([tmp_path / name for name in names if name != "03.png"])


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize(("count", "drawn"), [("0", []), ("1", ["1.png"]), ("9", ["1.png", "2.png"])])
def test_as_many_are_drawn_as_are_asked_for(tmp_path, capsys, count, drawn):
    for name in ("1.png", "2.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / name)
    assert predict.main(["RUN", str(tmp_path / "in"), f"out={tmp_path / 'out'}", f"pictures={count}"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert ("pictures:" in err) == bool(drawn)
    assert sorted(file.name for file in tmp_path.glob("out/*") if "mask" not in file.name) == drawn
    assert (tmp_path / "out").exists() == bool(drawn)  # of a run that may only be read, say


@pytest.mark.parametrize("word", ["threshold=high", "threshold=nan", "pictures=some", "pictures=-1"])
def test_numbers_of_the_options_are_checked(word, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    with pytest.raises(UserError, match=rf"^{word}: must be an? (number|integer)"):
        predict.main(["RUN", str(tmp_path / "1.png"), word])


def test_a_threshold_is_for_tasks_that_choose(tmp_path):
    network = {"name": "small_resnet", "num_outputs": 1, "dropout": 0.0, "options": {}}
    look = {"image_size": [16, 16], "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "tile": None, "overlap": 0}
    module = models.create("small_resnet", num_outputs=1, image_size=16, pretrained=False).module
    several = {"classes": ["a"], "multilabel": True}
    for task, state in (("classification", several), ("regression", {"targets": ["x"], "mean": [0.0], "std": [1.0]})):
        saved = {"task": task, "task_state": state, "network": network, "model": module.state_dict(), **look}
        checkpoint.save(saved, tmp_path / f"{task}.pt")
    assert predict.load(tmp_path / "classification.pt", device="cpu", threshold=0.25).task.threshold == 0.25
    with pytest.raises(UserError, match=r"^threshold=0\.25: task=regression reports all of an image$"):
        predict.load(tmp_path / "regression.pt", device="cpu", threshold=0.25)


@pytest.mark.parametrize("sweep", ["s", "best"])
def test_a_sweeps_folder_stands_for_its_best_trial(sweep, tmp_path):
    for name in (f"{sweep}/1", f"{sweep}/3", f"{sweep}/best", "run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "experiment.json").write_text("{}")
    (tmp_path / sweep / "trials.csv").write_text("number,state,folder,best\n1,complete,,\n3,complete,,yes\n")
    for given in ("", "best", "best/experiment.json", "3"):
        assert predict.named(tmp_path / sweep / given) == tmp_path / sweep / "3"
    assert predict.named(tmp_path / "run") == tmp_path / "run"
    assert predict.named(tmp_path / "a.pt") == tmp_path / "a.pt"


def test_of_a_sweep_with_several_best_trials_or_none_one_is_asked_for(tmp_path):
    with (tmp_path / "trials.csv").open("w") as table:
        table.write("number,state,folder,best\n2,complete,,yes\n10,complete,,yes\n")
    with pytest.raises(UserError, match=r": no trial of this sweep is complete; name the folder of one that "):
        predict.named(tmp_path)
    for number in ("10", "2"):
        for folder in (tmp_path / number, tmp_path / "best" / number):
            folder.mkdir(parents=True)
            (folder / "experiment.json").write_text("{}")
        if number == "10":  # the only one of the front
            assert predict.named(tmp_path) == predict.named(tmp_path / "best") == tmp_path / "10"
    best = tmp_path / "best"
    for given in (tmp_path, best):
        with pytest.raises(UserError, match=f"^{given}: a sweep with a Pareto front; name one of {best}/2, {best}/10$"):
            predict.named(given)
    assert predict.named(best / "10") == tmp_path / "10"


@pytest.mark.usefixtures("seeing")
def test_a_picture_that_cannot_be_written_is_one_line(pictures, monkeypatch):
    def refuse(_: object, file: Path) -> None:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(UserError, match=r"^out=.*/out: cannot be written \(No space left on device\); name another"):
        predict.main(["RUN", str(pictures / "c"), f"out={pictures / 'out'}"])


@pytest.mark.usefixtures("seeing")
def test_a_file_may_be_named_like_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a=b.png", "out=b.png"):
        Image.new("RGB", (4, 4)).save(name, "PNG")
    assert predict.main(["RUN", "a=b.png", "./out=b.png"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image"] for line in lines] == ["a=b.png", "out=b.png"]
