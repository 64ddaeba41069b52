import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import checkpoint, models, predictor
from visrun.data import threads
from visrun.data.decoding import Job
from visrun.data.images import load_rgb
from visrun.errors import DataError, OutOfMemory, UserError
from visrun.record.run_folder import RunFolder
from visrun.tasks.anomaly_detection import AnomalyDetection
from visrun.tasks.segmentation import Segmentation


def test_a_gpu_takes_the_precision_that_the_run_had(tmp_path):
    best = RunFolder(tmp_path).best
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert predictor.precision_of(best, gpu) == "fp32"  # a checkpoint alone
    for noted, expected in ({"precision": "bf16"}, "bf16"), ({"precision": "fp32"}, "fp32"), ({}, "fp32"):
        (tmp_path / "experiment.json").write_text(json.dumps({"result": noted}))
        assert (predictor.precision_of(best, gpu), predictor.precision_of(best, cpu)) == (expected, "fp32")


def test_a_checkpoint_of_a_plugins_task_says_that_the_plugin_is_missing(tmp_path):
    checkpoint.save({"task": "counting", "task_state": {}, "network": {}, "model": {}}, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r'best\.pt: task="counting" is not known here; a plugin may bring it'):
        predictor.load(tmp_path / "best.pt")


def test_a_checkpoint_of_something_else_says_what_to_name(tmp_path):
    checkpoint.save({"identity": {}}, tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"last\.pt: not the best\.pt of a run; name a run's folder, .*best\.pt$"):
        predictor.load(tmp_path / "last.pt")


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
        {"std": [0.5, 0.5, "a"]},
        {"std": [0.5, 0.5, 0.0]},
        {"fit": ""},
        {"tile": "x"},
        {"tile": torch.tensor(torch.nan)},
        {"tile": 8, "overlap": 8},
    ],
    ids=str,
)
def test_a_checkpoint_of_which_a_part_is_of_another_kind_is_one_line(tmp_path, odd):
    network = {"name": "small_resnet", "num_outputs": 2, "dropout": 0.0, "options": {}}
    module = models.create("small_resnet", num_outputs=2, image_size=16, pretrained=False).module
    look = {"image_size": [16, 16], "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "tile": None, "overlap": 0}
    look |= {"white": None}
    state = {"task": "classification", "task_state": {"classes": ["a", "b"]}, "network": network, **look}
    state |= {"model": module.state_dict()}
    checkpoint.save(state, tmp_path / "best.pt")
    assert predictor.load(tmp_path / "best.pt", device="cpu").model_name == "small_resnet"
    checkpoint.save({**state, **odd}, tmp_path / "best.pt")
    with pytest.raises(
        UserError, match=r"^[^\n]*/best\.pt: a part is missing or of another kind \([^\n]*\); go on with"
    ):
        predictor.load(tmp_path / "best.pt", device="cpu")


def small(precision: str = "fp32") -> predictor.Predictor:
    """A network that maps images of 8 x 8 pixels."""
    network = torch.nn.Conv2d(3, 1, 3)
    portrait = {"task": "regression", "image_size": (8, 8), "fit": "crop", "tile": None, "overlap": 0}
    portrait |= {"white": None, "network": {"name": "small"}, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    task = SimpleNamespace(predict=lambda model, images: {"value": model(images)}, restore=lambda found, *_: found)
    return predictor.Predictor(network, task, portrait, torch.device("cpu"), precision)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_network_runs_in_that_precision_and_without_gradients(precision, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (found,) = small(precision).predictions([tmp_path / "a.png"])
    assert found["value"].dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert not found["value"].requires_grad


class Greedy(torch.nn.Module):
    """Runs out of memory above ``most`` images; one value for each image."""

    def __init__(self, most, error=None):
        super().__init__()
        self.most, self.seen = most, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")

    def forward(self, images):
        self.seen.append(len(images))
        if len(images) > self.most:
            raise self.error
        return images.mean((1, 2, 3), keepdim=True)


def greys(folder, n, broken=()):
    """n images of 8 x 8 pixels, each of its own grey; the paths."""
    for i in range(n):
        Image.new("L", (8, 8), i).save(folder / f"{i:03}.png")
    paths = sorted(folder.iterdir())
    for i in broken:
        paths[i].write_bytes(paths[i].read_bytes()[:43])
    return paths


def values(found):
    """The grey that each was predicted from, or None of one that is broken."""
    return [None if isinstance(one, DataError) else round(float(one["value"]) * 127.5 + 127.5) for one in found]


def greedy(most=100, error=None):
    model = small()
    model.module = Greedy(most, error)
    model.task.restore = lambda found, i, _: {"value": found["value"][i : i + 1]}
    return model


@pytest.mark.parametrize(("most", "seen"), [(100, [32, 8]), (20, [32, 16, 16, 8]), (1, [32, 16, 8, 4, 2, *[1] * 40])])
def test_where_memory_runs_out_fewer_are_predicted_at_once(most, seen, tmp_path):
    model, paths = greedy(most), greys(tmp_path, 40)
    assert values(model.predictions(paths)) == [*range(40)]
    assert model.module.seen == seen
    assert values(model.predictions(paths[:20])) == [*range(20)]
    assert max(model.module.seen[len(seen) :]) <= most  # it is remembered


def test_a_later_batch_that_does_not_fit_goes_on_where_it_was(tmp_path):
    model, paths = greedy(), greys(tmp_path, 100)
    run = model.module.forward

    def forward(images):
        model.module.most = 100 if not model.module.seen else 10
        return run(images)

    model.module.forward = forward
    assert values(model.predictions(paths)) == [*range(100)]
    assert model.module.seen == [32, 32, 16, *[8] * 8, 4]


def test_memory_that_has_no_room_for_one_image_is_one_line(tmp_path):
    with pytest.raises(OutOfMemory, match=r"^out of memory on cpu in the prediction of one image: use device=cpu$"):
        list(greedy(0).predictions(greys(tmp_path, 3)))
    with pytest.raises(RuntimeError, match="shapes"):
        list(greedy(0, RuntimeError("shapes")).predictions(greys(tmp_path, 3)))


@pytest.mark.parametrize("broken", [[], [0], [2, 3], [31, 32, 33], [69], range(70)])
def test_each_file_has_its_own_prediction_or_its_own_error(broken, tmp_path):
    paths = greys(tmp_path, 70, broken)
    found = list(greedy().attempts(paths))
    assert values(found) == [None if i in broken else i for i in range(70)]
    assert all(str(found[i]).startswith(f"{paths[i]}: broken image") and "on_bad" not in str(found[i]) for i in broken)


def test_a_file_of_which_nothing_would_be_seen_is_an_error_in_its_turn(tmp_path):
    paths, model = greys(tmp_path, 3), greedy()
    model.look = replace(model.look, fit="letterbox")
    Image.new("L", (4000, 2)).save(paths[1])
    found = list(model.attempts(paths))
    assert values(found) == [0, None, 2]
    assert str(found[1]).startswith(f"{paths[1]}: 4000x2 pixels: at ")


def test_broken_files_cost_the_others_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "STREAM", 50)
    paths = greys(tmp_path, 100, range(3, 100, 9))
    paths[5].write_bytes(b"none")
    headers, decoded, model = [], [], greedy()
    read, decode = predictor.header, Job.decode
    monkeypatch.setattr(predictor, "header", lambda path: headers.append(path) or read(path))
    monkeypatch.setattr("visrun.data.opening.header", lambda _: pytest.fail("read once more"))
    monkeypatch.setattr(Job, "decode", lambda job, *into: decoded.append(job.image) or decode(job, *into))
    found = list(model.attempts(paths))
    assert sum(isinstance(one, DataError) for one in found) == 12
    assert sorted(headers) == paths
    assert sorted(decoded) == [path for path in paths if path != paths[5]]
    assert model.module.seen == [32, 17, 32, 18]


def test_a_file_in_tiles_is_one_prediction_or_one_error(tmp_path):
    paths = greys(tmp_path, 5, [2])
    model = greedy()
    model.look = replace(model.look, tile=4, overlap=0)
    model.task.merge = lambda parts, placed: {"value": torch.stack([part["value"] for part in parts]).mean(0)}
    assert values(model.attempts(paths)) == [0, 1, None, 3, 4]
    assert model.module.seen == [20]


def test_a_device_that_others_have_filled_is_one_line(tmp_path, monkeypatch):
    network = {"name": "small_resnet", "num_outputs": 1, "dropout": 0.0, "options": {}}
    look = {"image_size": [16, 16], "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "tile": None, "overlap": 0}
    module = models.create("small_resnet", num_outputs=1, image_size=16, pretrained=False).module
    state = {"targets": ["x"], "mean": [0.0], "std": [1.0]}
    saved = {"task": "regression", "task_state": state, "network": network, "model": module.state_dict(), **look}
    checkpoint.save({**saved, "white": None}, tmp_path / "best.pt")
    monkeypatch.setattr(predictor, "place", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    told = r"^out of memory on cpu in placing the network: see nvidia-smi for what else is there, or use device=cpu$"
    with pytest.raises(OutOfMemory, match=told):
        predictor.load(tmp_path / "best.pt", device="cpu")


def test_a_header_that_never_comes_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    read = predictor.header
    monkeypatch.setattr(predictor, "header", lambda path: time.sleep(2 * (path.name == "b.png")) or read(path))
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
        spare = predictor._as_file(opened, tmp_path / "spare.png")
    assert (load_rgb(spare) == load_rgb(tmp_path / "turned.png")).all()
    assert load_rgb(spare).shape == (20, 12, 3)


def test_a_turned_tiff_of_a_caller_is_upright(tmp_path: Path) -> None:
    grey = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    grey.getexif()[0x0112] = 6
    grey.save(tmp_path / "turned.tif", exif=grey.getexif())
    with Image.open(tmp_path / "turned.tif") as opened:
        spare = predictor._as_file(opened, tmp_path / "spare.png")
        assert opened.filename == str(tmp_path / "turned.tif")
    assert load_rgb(spare)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


def test_images_of_modes_that_png_lacks_are_converted_or_refused(tmp_path):
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert load_rgb(predictor._as_file(cmyk, tmp_path / "a.png"))[0, 0].tolist() == list(
        cmyk.convert("RGB").getpixel((0, 0))
    )
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "deep.png")
    deep = predictor._as_file(Image.new("I", (4, 4), 300), tmp_path / "c.png")
    assert (load_rgb(deep) == load_rgb(tmp_path / "deep.png")).all()
    with pytest.raises(DataError, match="float image"):
        predictor._as_file(Image.new("F", (4, 4)), tmp_path / "b.png")
    for value in (-1, 65536):
        whole = Image.new("I", (4, 4), 7)
        whole.putpixel((0, 0), value)
        with pytest.raises(DataError, match=r"32-bit integers from (-1 to 7|0 to 65536): its range is not known"):
            predictor._as_file(whole, tmp_path / "b.png")


@pytest.mark.parametrize("mode", ["RGBa", "PA"])
def test_modes_that_png_lacks_keep_their_transparency(tmp_path, mode):
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 2, 4))
    clear.save(tmp_path / "clear.png")
    opened = clear.convert(mode) if mode == "RGBa" else clear.convert("RGB").convert("P").convert("PA")
    if mode == "PA":
        opened.putalpha(clear.getchannel("A"))
    assert opened.mode == mode
    spare = predictor._as_file(opened, tmp_path / "x.png")
    assert np.abs(load_rgb(spare).astype(int) - load_rgb(tmp_path / "clear.png")).max() < 16  # of a palette


@pytest.mark.parametrize(("mode", "order"), [("I;16", "<u2"), ("I;16B", ">u2"), ("I;16L", "<u2"), ("I", "i4")])
def test_deep_grey_is_kept_in_either_order_of_bytes(tmp_path, mode, order):
    values = np.array([[0, 1, 300], [4095, 256, 65535]])
    opened = Image.frombytes(mode, (3, 2), values.astype(order).tobytes())
    with Image.open(predictor._as_file(opened, tmp_path / "x.png")) as spare:
        assert (np.asarray(spare) == values).all()


def test_an_open_image_that_pillow_misreads_is_refused_as_its_file_is(tmp_path):
    Image.new("I;16", (4, 4), 300).save(tmp_path / "x.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "x.tif") as opened, pytest.raises(DataError, match=r"^an image of 16-bit grey in which"):
        predictor._as_file(opened, tmp_path / "x.png")


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


class Bright(torch.nn.Module):
    """Logits of two classes for each pixel: the second is dark or bright."""

    def forward(self, images):
        return torch.stack([torch.zeros_like(images[:, 0]), 10 * images[:, 0]], 1)


def painter(task):
    """A network of 8 x 8 pixels that finds what is bright."""
    portrait = {"task": "t", "image_size": (8, 8), "fit": "letterbox", "tile": None, "overlap": 0}
    portrait |= {"white": None, "network": {"name": "bright"}, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    return predictor.Predictor(Bright(), task, portrait, torch.device("cpu"))


def test_maps_are_arrays_of_the_upright_images_own_size(tmp_path):
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, 25:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright: what is right lies below
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    model = painter(Segmentation(classes=["dark", "bright"], ids=[3, 9]))
    flat, turned = (record["mask"] for record in model.predict([pixels, tmp_path / "turned.png"], maps=True))
    assert (flat == np.where(pixels[:, :, 0] > 0, 9, 3)).all()
    assert (turned == flat.T).all()
    assert flat.dtype == turned.dtype == np.uint8
    (plain,) = model.predict([pixels])
    assert plain == {"area": {"dark": 0.5, "bright": 0.5}}

    (found,) = painter(AnomalyDetection(threshold=0.5, pixel_threshold=0.5)).predict([pixels], maps=True)
    assert (found["heat"].shape, found["heat"].dtype) == ((30, 50), np.float32)
    assert found["heat"][15, 5] < 0.01 < 0.99 < found["heat"][15, 45]
    assert (found["mask"] == np.where(found["heat"] >= 0.5, 255, 0)).all()


def test_maps_of_a_task_without_any_are_refused():
    with pytest.raises(UserError, match=r"^maps=True: task=regression says nothing of every pixel; leave it out$"):
        small().predict([np.zeros((4, 4), np.uint8)], maps=True)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
def test_an_array_is_kept_as_it_is(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    file = predictor._as_file(pixels, tmp_path / "a.png")
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_grey_array_is_seen_as_its_file_would_be(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert (load_rgb(predictor._as_file(grey, tmp_path / "a.png")) == grey[..., None]).all()


def test_a_threshold_is_for_tasks_that_choose(tmp_path):
    network = {"name": "small_resnet", "num_outputs": 1, "dropout": 0.0, "options": {}}
    look = {"image_size": [16, 16], "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "tile": None, "overlap": 0}
    look |= {"white": None}
    module = models.create("small_resnet", num_outputs=1, image_size=16, pretrained=False).module
    several = {"classes": ["a"], "multilabel": True}
    for task, state in (("classification", several), ("regression", {"targets": ["x"], "mean": [0.0], "std": [1.0]})):
        saved = {"task": task, "task_state": state, "network": network, "model": module.state_dict(), **look}
        checkpoint.save(saved, tmp_path / f"{task}.pt")
    for threshold in (0.25, "0.25", np.float32(0.25)):
        loaded = predictor.load(tmp_path / "classification.pt", device="cpu", threshold=threshold)
        assert loaded.task.reported_from() == (0.25,)
    for threshold in ("a:0.25", {"a": 0.25}):
        loaded = predictor.load(tmp_path / "classification.pt", device="cpu", threshold=threshold)
        assert loaded.task.reported_from() == (0.25,)
    assert predictor.load(tmp_path / "classification.pt", device="cpu").task.reported_from() == (0.5,)  # an old file
    with pytest.raises(UserError, match=r"^threshold=0\.25: task=regression reports all of an image$"):
        predictor.load(tmp_path / "regression.pt", device="cpu", threshold=0.25)
    with pytest.raises(UserError, match=r"^threshold=x:0\.25: task=regression has no thresholds of .*; leave it out$"):
        predictor.load(tmp_path / "regression.pt", device="cpu", threshold="x:0.25")


@pytest.mark.parametrize("threshold", [float("nan"), -float("inf"), 10**400, "nan", "high", [0.5]], ids=str)
def test_a_threshold_is_a_finite_number(threshold, tmp_path):
    with pytest.raises(UserError) as caught:
        predictor.load(tmp_path, threshold=threshold)
    assert (
        str(caught.value) == f"threshold={threshold}: must be a number, the score from which on something is reported"
    )


@pytest.mark.parametrize("run", [None, 3])
def test_what_names_no_run_is_one_line(run):
    with pytest.raises(UserError, match=rf"^{type(run).__name__}: no run; give its folder, its experiment.json or a "):
        predictor.load(run)


@pytest.mark.parametrize("sweep", ["s", "best"])
def test_a_sweeps_folder_stands_for_its_best_trial(sweep, tmp_path):
    for name in (f"{sweep}/1", f"{sweep}/3", f"{sweep}/best", "run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "experiment.json").write_text("{}")
    (tmp_path / sweep / "trials.csv").write_text("number,state,folder,best\n1,complete,,\n3,complete,,yes\n")
    for given in ("", "best", "best/experiment.json", "3"):
        assert predictor.named(tmp_path / sweep / given) == tmp_path / sweep / "3"
    assert predictor.named(tmp_path / "run") == tmp_path / "run"
    assert predictor.named(tmp_path / "a.pt") == tmp_path / "a.pt"


def test_of_a_sweep_with_several_best_trials_or_none_one_is_asked_for(tmp_path):
    with (tmp_path / "trials.csv").open("w") as table:
        table.write("number,state,folder,best\n2,complete,,yes\n10,complete,,yes\n")
    with pytest.raises(UserError, match=r": no trial of this sweep is complete; name the folder of one that "):
        predictor.named(tmp_path)
    for number in ("10", "2"):
        for folder in (tmp_path / number, tmp_path / "best" / number):
            folder.mkdir(parents=True)
            (folder / "experiment.json").write_text("{}")
        if number == "10":  # the only one of the front
            assert predictor.named(tmp_path) == predictor.named(tmp_path / "best") == tmp_path / "10"
    best = tmp_path / "best"
    for given in (tmp_path, best):
        with pytest.raises(UserError, match=f"^{given}: a sweep with a Pareto front; name one of {best}/2, {best}/10$"):
            predictor.named(given)
    assert predictor.named(best / "10") == tmp_path / "10"


def test_deep_grey_is_scaled_as_in_training_whatever_else_is_in_the_file(tmp_path):
    plain, spotted = np.full((8, 8), 2000, np.uint16), np.full((8, 8), 2000, np.uint16)
    spotted[0, 0] = 5000
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, values in zip(paths, (plain, spotted), strict=True):
        Image.fromarray(values).save(path)
    trained, older = small(), small()
    trained.look = replace(trained.look, white=4095)
    one, other = (found["value"][i, 0, 3:, 3:] for i, found in enumerate(trained.predictions(paths)))
    assert torch.equal(one, other)
    one, other = (found["value"][i, 0, 3:, 3:] for i, found in enumerate(older.predictions(paths)))  # each by its own
    assert not torch.equal(one, other)
