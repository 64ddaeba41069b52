"""What a run's settings mean for the way its images are fed."""

from __future__ import annotations

from unittest.mock import Mock, call

import numpy as np
import pytest
import torch
from PIL import Image

from tests.opened import shipped
from visrun.build import load
from visrun.config.compose import resolve
from visrun.config.settings import Settings
from visrun.data.look import Look
from visrun.errors import ConfigError, DataError
from visrun.feeding import build_loaders, keep_of, read_dataset, reference_of
from visrun.survey.look import look
from visrun.tables import AUGMENTATIONS, SETTINGS, Setting


@pytest.mark.parametrize(("slot", "threads", "cores"), [("1", "3", 3), (None, "3", None), ("0", None, None)])
def test_a_slot_decodes_with_its_share_of_the_cores(slot, threads, cores, monkeypatch):
    for name, value in {"VISRUN_SLOT": slot, "OMP_NUM_THREADS": threads}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings.model_validate({"task": "classification"})
    assert keep_of(settings).cores == cores


def test_augmentations_know_what_the_network_expects():
    resolved = resolve(
        ["augment=none", "augment.extra=[grayscale]", "data.cache=stream", "batch_size=8"], conf=shipped()
    )
    look = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    dataset = read_dataset(resolved.settings, Mock())
    loaders, _ = build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())
    (grayscale,) = loaders["train"].vary.extra
    images, seed = torch.rand(8, 3, 4, 4), np.random.default_rng
    expected = load(AUGMENTATIONS["grayscale"])(images, seed(0), mean=look.mean, std=look.std)
    assert torch.equal(grayscale(images, seed(0)), expected)
    assert not loaders["val"].vary.extra


@pytest.mark.parametrize(("task", "without"), [("anomaly_detection", True), ("classification", False)])
def test_a_model_measures_itself_on_the_training_images_that_show_no_defect(task, without):
    resolved = resolve([f"task={task}", "data.cache=stream", "batch_size=8"], conf=shipped())
    dataset = read_dataset(resolved.settings, Mock())
    train = dataset.splits["train"]
    given = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    batches = reference_of(resolved, dataset, given, device=torch.device("cpu"))
    good = [row for row in train if not without or row.target.kind == "good"]
    assert len(batches) == -(-len(good) // 8)
    assert next(iter(batches.epoch(0))).images.shape == (8, 3, 32, 32)


def test_no_bar_stays_where_a_folder_is_refused(tmp_path):
    screen = Mock()
    with pytest.raises(DataError):
        read_dataset(resolve([f"data.root={tmp_path}"], conf=shipped()).settings, screen)
    assert screen.mock_calls[-1] == call.end_progress()


@pytest.fixture
def cut_short(tmp_path):
    """Class folders of which an image in train and one in val are cut short."""
    for split, count in {"train": 6, "val": 4}.items():
        for name in ("a", "b"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.effect_noise((64, 64), 10 + 5 * i + len(split)).convert("RGB").save(folder / f"{i}.jpg")
        cut = tmp_path / split / "a" / "0.jpg"
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    return tmp_path


def opened(root, *words):
    resolved = resolve([f"data.root={root}", "augment=none", "batch_size=2", *words], conf=shipped())
    look = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    dataset = read_dataset(resolved.settings, Mock())
    return build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())[0]


def test_images_that_cannot_be_decoded_are_told_of_all_splits_at_once(cut_short):
    with pytest.raises(DataError) as caught:
        opened(cut_short, "data.cache=ram")
    heads = [line for line in str(caught.value).splitlines() if "cannot be decoded" in line]
    assert heads == ["train: 1 of 12 images cannot be decoded:", "val: 1 of 8 images cannot be decoded:"]


def test_an_image_that_is_not_kept_and_cannot_be_decoded_is_told_with_what_to_do(cut_short):
    loaders = opened(cut_short, "data.cache=stream")
    with pytest.raises(DataError, match=r"0\.jpg: broken image .*: mend it, or leave it out with data\.on_bad=skip$"):
        list(loaders["train"].epoch(1))


def test_the_columns_of_a_table_are_chosen_by_a_setting(tmp_path):
    for i in range(4):
        Image.new("L", (8, 8), 50 * i).save(tmp_path / f"{i}.png")
    rows = "".join(f"{i}.png,{i},{2 * i}\n" for i in range(4))
    (tmp_path / "t.csv").write_text(f"image,7,y\n{rows}")
    words = ["task=regression", f"data.root={tmp_path}", "data.targets=[y,7]"]
    dataset = read_dataset(resolve(words, conf=shipped()).settings, Mock())
    assert dataset.targets == ("y", "7")
    assert sorted(row.target for rows in dataset.splits.values() for row in rows)[1] == (2.0, 1.0)


@pytest.mark.parametrize(("words", "told"), [([], True), (["loss=huber"], False)])
def test_wild_values_are_told_of_where_the_loss_is_not_against_them(tmp_path, words, told):
    for split, count in {"train": 40, "val": 4}.items():
        for i in range(count):
            Image.new("L", (8, 8), 6 * i + (split == "val")).save(tmp_path / f"{split}{i}.png")
        rows = "".join(f"{split}{i}.png,{100000 if i == 2 else i}\n" for i in range(count))
        (tmp_path / f"{split}.csv").write_text(f"image,y\n{rows}")
    resolved = resolve(["task=regression", f"data.root={tmp_path}", "data.cache=stream", *words], conf=shipped())
    dataset, screen = read_dataset(resolved.settings, Mock()), Mock()
    look = Look(image_size=(8, 8), fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3)
    build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=screen)
    lines = [call.args[0] for call in screen.warn.call_args_list]
    assert [line.startswith("1 of 40 values of y in train, such as 1e+05, ") for line in lines] == [True] * told


@pytest.mark.parametrize(
    ("words", "size", "told"),
    [
        ([], (32, 96), False),
        ([], (32, 32), True),
        (["data.resize=letterbox"], (32, 32), False),
        (["data.resize=crop"], (32, 32), False),
    ],
)
def test_cropping_that_hides_most_of_most_images_is_told_until_somebody_chose_it(tmp_path, words, size, told):
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.new("L", (96, 32), 20 * i).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    resolved, screen = resolve([f"data.root={tmp_path}", "data.cache=stream", *words], conf=shipped()), Mock()
    dataset, fit = read_dataset(resolved.settings, Mock()), resolved.settings.data.resize or "crop"
    look = Look(image_size=size, fit=fit, mean=(0.5,) * 3, std=(0.5,) * 3)
    build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=screen)
    assert ["data.resize=letterbox" in call.args[0] for call in screen.warn.call_args_list] == [True] * told


def narrower(images, rng):
    return images[..., 1:]


def silent(images, rng):
    return None


def greedy(images, rng, *, mean, strength):
    return images


@pytest.mark.parametrize(
    ("augment", "told"),
    [
        (narrower, "augment.extra=mine: gives (8, 3, 32, 31) for images (8, 3, 32, 32); keep their shape"),
        (silent, "augment.extra=mine: gives NoneType for images (8, 3, 32, 32); keep their shape"),
        (greedy, "augment.extra=mine: its function asks for strength, which nothing gives; give a default"),
    ],
)
def test_a_plugins_augmentation_that_cannot_work_is_one_line(augment, told, monkeypatch):
    monkeypatch.setitem(AUGMENTATIONS, "mine", augment)
    resolved = resolve(["augment=none", "augment.extra=[mine]", "data.cache=stream", "batch_size=8"], conf=shipped())
    look = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    dataset = read_dataset(resolved.settings, Mock())
    with pytest.raises(ConfigError) as caught:
        loaders, _ = build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())
        next(loaders["train"].epoch(0))
    assert caught.value.problems == (told,)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """400 squares in each of four images, of which one is held out; in a tile of 64 x 64 there are 256 at most."""
    folder = tmp_path_factory.mktemp("crowded")
    for name in ("images", "instances"):
        (folder / name).mkdir()
    numbers = np.zeros((100, 80), np.uint16)
    for i in range(400):
        numbers[5 * (i // 20) : 5 * (i // 20) + 3, 4 * (i % 20) : 4 * (i % 20) + 3] = i + 1
    for i in range(4):
        Image.fromarray(np.full((100, 80, 3), 50 * i, np.uint8)).save(folder / "images" / f"{i}.png")
        Image.fromarray(numbers).save(folder / "instances" / f"{i}.png")
    return folder


@pytest.mark.parametrize(("tile", "limits"), [(None, [100, 255]), (64, [100]), (32, [])])
def test_images_of_more_objects_than_are_found_or_masks_have_numbers_for_are_warned_of(tile, limits, crowded):
    words = [f"data.root={crowded}", f"data.tile={tile or 'null'}", "data.overlap=0", "data.cache=stream"]
    resolved, screen = resolve(["task=instance_segmentation", *words], conf=shipped()), Mock()
    look = Look(image_size=(64, 64), fit="zoom", mean=(0.5,) * 3, std=(0.5,) * 3, tile=tile)
    build_loaders(resolved, read_dataset(resolved.settings, Mock()), look, device=torch.device("cpu"), screen=screen)
    lines = [call.args[0] for call in screen.warn.call_args_list]
    where = {100: "3 of 3 images in train and 1 of 1 image in val", 255: "3 of 3 images in train"}
    told = [f"{where[limit]} show more than {limit} objects at once" for limit in limits]
    assert [line.split(":")[0].split(",")[0] for line in lines if "at once" in line] == told


def test_objects_too_small_to_be_learnt_stop_a_run_before_images_are_decoded(crowded):
    resolved = resolve(["task=instance_segmentation", f"data.root={crowded}", "data.cache=stream"], conf=shipped())
    look = Look(image_size=(32, 32), fit="zoom", mean=(0.5,) * 3, std=(0.5,) * 3)
    dataset = read_dataset(resolved.settings, Mock())
    with pytest.raises(DataError, match="1,200 of 1,200 objects in train are under 1 pixel in training images of 32 x"):
        build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())


def test_images_of_more_objects_than_masks_have_numbers_for_are_warned_of_before_a_run(crowded):
    (service,) = look(crowded, tasks=["instance_segmentation"])[0].services
    assert any("show more than 255 objects at once" in line for line in service.warnings)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], True),
        (["data.class_weights=balanced"], False),
        (["run.monitor=f1"], False),
        (["run.monitor=accuracy"], False),
    ],
)
def test_uneven_classes_are_told_until_somebody_chose_for_them(tmp_path, words, told):
    for name, count in {"common": 40, "rare": 2}.items():
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("L", (8, 8), 6 * i + (name == "rare")).save(tmp_path / name / f"{i}.png")
    settings = resolve([f"data.root={tmp_path}", "data.cache=stream", *words], conf=shipped())
    dataset, screen = read_dataset(settings.settings, Mock()), Mock()
    look = Look(image_size=(8, 8), fit="crop", mean=(0.5,) * 3, std=(0.5,) * 3)
    build_loaders(settings, dataset, look, device=torch.device("cpu"), screen=screen)
    assert [call.args[0].startswith("train has 32 times") for call in screen.warn.call_args_list] == [True] * told


def test_a_plugins_augmentation_gets_its_own_setting(monkeypatch):
    seen = []
    monkeypatch.setitem(AUGMENTATIONS, "mine", lambda images, rng, *, mean, strength: seen.append(strength) or images)
    monkeypatch.setitem(SETTINGS, "augment.strength", Setting(0.5, "Mine."))
    words = ["augment=none", "augment.extra=[mine]", "data.cache=stream", "batch_size=8"]
    for typed, wanted in ([], 0.5), (["augment.strength=2"], 2.0):
        resolved = resolve([*words, *typed], conf=shipped())
        look = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
        dataset = read_dataset(resolved.settings, Mock())
        loaders, _ = build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())
        next(iter(loaders["train"].epoch(0)))
        assert seen.pop() == wanted
